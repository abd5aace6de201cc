"""Networks built from a `GraphSpec` alone: encoders, decision layers, heads."""
