"""Readers and writers of instance files, one module a format; `envs.vm_rescheduling.instance` picks the right one."""
