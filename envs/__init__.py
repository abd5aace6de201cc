"""Scheduling problems as Gymnasium environments; importing this package registers them under ``dispatchlab/``."""

from envs.core.registry import register_all

register_all()
