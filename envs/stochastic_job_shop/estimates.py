"""What the objective will be by expected times, and what has been incurred of it: the two potentials of the reward.

Every job that is not done is taken to go on without waiting from the earliest moment that it can: the release, the
present, or the expected end of its running operation (which is not before the present, and after the expected end of
a repair). The estimate of the makespan is the largest of these completions and, over machines, of the moment from
which a machine is free plus the expected work that has not started on it; the other estimates sum flow times or
tardinesses of these completions.
"""

from __future__ import annotations

import numpy as np

from envs.core.handle import kernel
from envs.stochastic_job_shop.state import DONE, FLOW_TIME, MAKESPAN, RUNNING, UNRELEASED, WEIGHTED_TARDINESS, ShopState


@kernel
def free_at(s: ShopState, lane: int, m: int) -> float:
    """When the machine is expected to be free: with its operation done and its repair, if it is under one."""
    now = s.clock[lane]
    if not s.machine_up[lane, m]:
        repaired: float = now + s.repair_time[lane] + s.machine_expected[lane, m]
        return repaired
    if s.machine_job[lane, m] < 0:
        idle: float = now
        return idle
    free: float = max(s.machine_since[lane, m] + s.machine_expected[lane, m], now)
    return free


@kernel
def expected_completion(s: ShopState, lane: int, j: int) -> float:
    """When a job is expected to be done if it never waits; its completion once it is."""
    status = s.job_status[lane, j]
    if status == DONE:
        done: float = s.job_ready[lane, j]
        return done
    if status == RUNNING:
        running: float = free_at(s, lane, s.job_machine[lane, j]) + s.job_remaining[lane, j] - s.job_time[lane, j]
        return running
    waiting: float = max(s.clock[lane], s.job_release[lane, j]) + s.job_remaining[lane, j]
    return waiting


@kernel
def refresh_estimates(s: ShopState, lane: int) -> None:
    """Brings ``incurred`` and ``estimate`` up to date."""
    goal = s.goal[lane]
    now = s.clock[lane]
    incurred = 0.0
    estimate = 0.0
    for j in range(s.size[lane, 0]):
        expected = expected_completion(s, lane, j)
        status = s.job_status[lane, j]
        least = s.job_ready[lane, j] if status == DONE else now
        if status == UNRELEASED:
            least = max(now, s.job_release[lane, j])
        if goal == MAKESPAN:
            incurred = max(incurred, least)
            estimate = max(estimate, expected)
            continue
        origin = s.job_release[lane, j] if goal == FLOW_TIME else s.job_due[lane, j]
        weight = s.job_weight[lane, j] if goal == WEIGHTED_TARDINESS else 1.0
        if origin < np.inf:
            incurred += weight * max(least - origin, 0.0)
            estimate += weight * max(expected - origin, 0.0)
    if goal == MAKESPAN:
        for m in range(s.size[lane, 2]):
            if s.machine_load[lane, m] > 1e-9 * s.mean_time[lane]:
                estimate = max(estimate, free_at(s, lane, m) + s.machine_load[lane, m])
    s.incurred[lane] = incurred
    s.estimate[lane] = estimate
