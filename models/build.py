"""From the shape of a network to the network."""

from __future__ import annotations

from envs.core.spec import GraphSpec
from models.config import FlatConfig, NetworkConfig
from models.flat import FlatNetwork
from models.network import Network, PolicyNetwork


def make_network(spec: GraphSpec, config: NetworkConfig) -> Network:
    """Builds the network that ``config`` describes for the observations that ``spec`` describes."""
    return FlatNetwork(spec, config) if isinstance(config, FlatConfig) else PolicyNetwork(spec, config)
