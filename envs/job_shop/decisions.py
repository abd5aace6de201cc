"""From a schedule to the decisions that build it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.job_shop.env import JobShop, JobShopConfig, fit
from envs.job_shop.types import JobShopInstance, Schedule

_BEHAVIOUR = ("builder", "wait")


def decisions(options: Mapping[str, Any], instance: JobShopInstance, schedule: Schedule) -> list[int] | None:
    """Returns the actions with which the builder makes a schedule at least as good; None if it cannot.

    At every decision the legal candidate that starts first in the schedule is taken, if possible one that no operation
    still missing on its machine precedes there; where there is none, it waits, if that is allowed. With "append" and
    "insertion" no operation starts later than in the schedule, so there always is a sequence. The other builders
    restrict the candidates, and what comes out may be worse than the schedule: then there is none.

    Args:
        options: Options of the environment.
        instance: The instance.
        schedule: A valid schedule of it.
    """
    kept = {name: options[name] for name in _BEHAVIOUR if name in options}
    problem = JobShop(JobShopConfig(**kept, **fit([instance])))
    state = problem.allocate(1)
    problem.load(state, 0, instance)
    rank = _ranks(instance, schedule)
    operations = instance.num_operations
    missing = np.ones(rank.shape, np.bool_)
    active = np.ones(1, np.bool_)
    taken: list[int] = []
    while missing.any():
        jobs = np.flatnonzero(state.mask[0, : instance.num_jobs])
        following = state.next_op[0, jobs]
        own = rank[jobs, following]
        same = instance.machines[None] == instance.machines[jobs, following][:, None, None]
        first = np.where(same & missing, rank, rank.size).min(axis=(1, 2), initial=rank.size) == own
        if not first.any() and state.mask.shape[1] > instance.num_jobs and state.mask[0, -1]:
            action = instance.num_jobs
        else:
            action = int(jobs[np.argmin(np.where(first, own, own + rank.size))])
            missing[action, state.next_op[0, action]] = False
        taken.append(action)
        problem.step(state, np.array([action]), active)
    makespan = (schedule.starts + instance.times)[:, operations - 1].max()
    return taken if problem.objective(state)[0] <= makespan else None


def _ranks(instance: JobShopInstance, schedule: Schedule) -> NDArray[np.int64]:
    """Positions of the operations in the order of starts, then of ends: an operation without duration goes first."""
    position = np.broadcast_to(np.arange(instance.num_operations), schedule.starts.shape)
    order = np.lexsort((position.ravel(), (schedule.starts + instance.times).ravel(), schedule.starts.ravel()))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank.reshape(schedule.starts.shape)
