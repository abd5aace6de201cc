"""One module a contender, each run as a process of its own in the virtual environment that it needs."""
