"""Discovery of dispatching rules: a search over formulas in the protocol's named features."""
