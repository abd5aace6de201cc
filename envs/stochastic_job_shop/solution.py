"""Reads the event log of an execution off the state."""

from __future__ import annotations

import numpy as np

from envs.stochastic_job_shop.draws import failure_gap
from envs.stochastic_job_shop.state import NOT_YET, ShopState
from envs.stochastic_job_shop.types import Execution, Floats


def read_execution(state: ShopState, lane: int) -> Execution:
    """Returns what has happened in ``lane``; failures and repairs are drawn over again from its key."""
    jobs, operations, machines = state.size[lane]
    failures = [failure for m in range(machines) for failure in _failures(state, lane, m)]
    columns = list(zip(*failures, strict=True)) or [(), (), ()]
    return Execution(
        starts=_known(state.starts[lane, :jobs, :operations]),
        ends=_known(state.ends[lane, :jobs, :operations]),
        durations=_known(state.drawn[lane, :jobs, :operations]),
        failed_machines=np.array(columns[0], np.int64),
        failed_at=np.array(columns[1], np.float64),
        repaired_at=np.array(columns[2], np.float64),
    )


def _failures(state: ShopState, lane: int, machine: int) -> list[tuple[int, float, float]]:
    """Machine, failure and repair of every failure so far; nan for a repair that is to come."""
    key, up_to = state.key[lane], int(state.machine_changes[lane, machine])
    means = (float(state.time_to_failure[lane]), float(state.repair_time[lane]))
    times = np.cumsum([failure_gap(key, machine, change, means[change % 2]) for change in range(up_to)])
    repairs = [*times[1::2].tolist(), np.nan]
    return [(machine, float(failed), repairs[i]) for i, failed in enumerate(times[0::2])]


def _known(times: Floats) -> Floats:
    """A copy with nan for what has not happened."""
    return np.where(times == NOT_YET, np.nan, times)
