"""Edge offloading: tasks of users go to the cloud or to one of several edge servers; delay and energy pull apart."""

from __future__ import annotations

import numpy as np

from envs.core.problem import ProblemDefinition
from envs.core.trade_off import TradeOff
from envs.offload.benchmarks import BENCHMARKS
from envs.offload.env import Offload, OffloadConfig, fit
from envs.offload.export import log_json, log_rows
from envs.offload.instance import read_instance
from envs.offload.metrics import measures
from envs.offload.preferences import spread
from envs.offload.references import reference_point
from envs.offload.rules import RULES
from envs.offload.solvers import SOLVERS
from envs.offload.types import EventLog, OffloadInstance, System, criteria_of, prefer, preference_of
from envs.offload.verify import costs, verify

__all__ = ["PROBLEM"]


def _chart_html(instance: OffloadInstance, log: EventLog) -> str:
    from envs.offload.render import timeline_html

    return timeline_html(instance, log)


PROBLEM = ProblemDefinition(
    name="offload",
    env_id="dispatchlab/Offload-v0",
    config=OffloadConfig,
    make=Offload,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=log_json,
    solution_to_rows=log_rows,
    rules=RULES,
    solvers=SOLVERS,
    benchmarks=BENCHMARKS,
    variants=(
        {"edges_low": 1, "edges_high": 3, "horizon": 12, "preference_low": 0.5, "preference_high": 0.9},
        {
            "edges_low": 2,
            "edges_high": 2,
            "horizon": 10,
            "users": 3,
            "arrivals_per_user": 0.5,
            "step_seconds": 2.0,
            "mean_megabits": 20.0,
            "least_megabits": 1.0,
            "most_megabits": 60.0,
            "cycles_per_bit": 900.0,
            "energy_coefficient": 4e-31,
            "channel": "physical",
            "bandwidth_mhz": 20.0,
            "upload_watts": 0.1,
            "backhaul_megabits": 100.0,
            "delay_scale": 0.02,
            "energy_scale": 20.0,
            "preference": (0.9, 0.1),
            "illegal_action_penalty": 0.5,
        },
        {
            "edges_low": 3,
            "edges_high": 4,
            "cloud_ghz_low": 3.0,
            "cloud_ghz_high": 5.0,
            "edge_ghz_low": 1.5,
            "edge_ghz_high": 2.5,
            "horizon": 15,
            "load_peak": 0.5,
            "load_period": 10.0,
            "deadline_factor": 2.0,
            "tardiness_scale": 0.05,
            "preference_bend": 1.0,
            "reward": "excess",
            "histogram_bins": 8,
            "histogram_megabits": 4.0,
            "max_servers": 6,
            "max_tasks": 20,
            "max_users": 12,
        },
        {
            "instances": (
                OffloadInstance(
                    "fixed_pair",
                    System(edge_hertz=(2e9, 1.5e9), users=2, horizon=8, mean_megabits=16.0),
                    np.array([[4e8, 7e8, 6e8], [3e8, 8e8, 5e8]]),
                    np.array([0, 0, 1, 3, 5]),
                    np.array([0, 1, 2, 3, 6]),
                    np.array([2e7, 5e6, 3.2e7, 1e6, 1.6e7]),
                    np.array([0, 1, 1, 0, 1]),
                    (0.9, 0.1),
                ),
                OffloadInstance(
                    "fixed_cloud_alone",
                    System(edge_hertz=(), users=1, horizon=5, mean_megabits=4.0),
                    np.array([[2e6]]),
                    np.array([1, 1, 2]),
                    np.array([1, 2, 3]),
                    np.array([4e6, 8e6, 1e6]),
                    np.array([0, 0, 0]),
                    (1.0, 0.0),
                ),
            ),
        },
    ),
    objective_name="weighted cost",
    objective_unit="1",
    chart_html=_chart_html,
    behaviour=("histogram_bins", "histogram_megabits"),
    metrics=measures,
    shown_metrics=("delay", "energy", "cloud_share"),
    trade_off=TradeOff(
        criteria=criteria_of,
        costs=costs,
        preference=preference_of,
        prefer=prefer,
        spread=spread,
        reference_point=reference_point,
        volume_unit=100.0,
    ),
)
