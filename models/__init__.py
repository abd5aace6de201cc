"""Policies built from a `GraphSpec`: encoders, heads and their registry."""
