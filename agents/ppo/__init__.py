"""Maskable PPO of sb3-contrib on the native vector environment, with policies built from a `GraphSpec`."""
