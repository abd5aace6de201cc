"""What an observation holds: names, units and bounds of every feature, and the graph, which has nodes alone.

Rates are compared as differences of logarithms, so that features mean the same for strong and weak channels; what
settles the balance between the two modes, signal-to-noise ratio and weight, is there in absolute terms. What looks one
decision ahead can be left out; then a policy sees the channels and what its decisions so far have made of them.
"""

from __future__ import annotations

from envs.core.spec import Feature, GraphSpec, NodeType


def _share(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


DEVICE_STATIC = (
    Feature("log_signal_to_noise_ratio", "decade"),
    _share("rank_of_channel_gain"),
    Feature("weight", "mean weight", 0.0),
    _share("share_of_local_rates"),
    Feature("log_rate_alone_at_edge_over_local", "1"),
)

DEVICE = (_share("offloads"), _share("legal"))

DEVICE_AHEAD = (
    Feature("log_rate_if_added_over_rate", "1"),
    Feature("log_rate_if_added_over_rate_magnified", "0.05", -1.0, 1.0),
    Feature("log_rate_if_added_over_best_addition", "0.1", -10.0, 0.0),
    Feature("log_price_of_time_if_added_over_price", "1"),
    Feature("change_of_charging_share_if_added", "1", -1.0, 1.0),
)

STOP = (_share("legal"),)

STOP_AHEAD = (Feature("log_rate_of_best_addition_over_rate_magnified", "0.05", -1.0, 1.0),)

CONTEXT = (
    Feature("devices", "10", 0.0),
    _share("share_of_devices_that_offload"),
    _share("charging_share"),
    Feature("log_rate_over_all_local", "1"),
    Feature("log_rate_over_all_local_or_all_offloading", "1"),
    Feature("log_price_of_time_over_rate", "1"),
    _share("share_of_local_rates_given_up"),
)


def offload_spec(capacity: int, look_ahead: bool) -> GraphSpec:
    """Returns the graph specification with room for ``capacity`` devices."""
    device, stop = (DEVICE + DEVICE_AHEAD, STOP + STOP_AHEAD) if look_ahead else (DEVICE, STOP)
    return GraphSpec(
        nodes=(NodeType("device", capacity, DEVICE_STATIC, device), NodeType("stop", 1, (), stop)),
        edges=(),
        actions=("device", "stop"),
        context=CONTEXT,
    )
