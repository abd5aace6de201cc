"""Command-line entry points: they parse a configuration, call the library and report."""
