"""Readers of the field's file formats, one module a format; `envs.soc_dag.instance` picks the right one."""
