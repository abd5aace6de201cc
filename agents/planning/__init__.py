"""Improvement at decision time: what to do next is decided by playing episodes to their end, in copies of the state."""
