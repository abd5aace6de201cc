"""Imitation of a dispatching rule, however slow it is: its decisions are the labels of a policy network."""
