"""Learners, dispatchers and the machinery that measures them."""
