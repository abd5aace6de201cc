"""Speed and memory, side by side with the peers; every module is a command that prints its table."""
