"""Discrete soft actor-critic on the native vector environment, with networks built from a `GraphSpec`."""
