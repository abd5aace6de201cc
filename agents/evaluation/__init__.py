"""Measures methods on benchmarks: rows of results, their statistics, reports and tables."""
