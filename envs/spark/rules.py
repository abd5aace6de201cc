"""Schedulers of data processing clusters as dispatching rules.

Every rule ranks the ready stages, the smallest value first, ties to the earlier job and stage. Where the parallelism is
decided too, the level nearest to the rule's target is taken: the whole cluster, or the fair share or cap where the rule
has one. All rules keep cores busy as long as any task can start. Sources:

* Zaharia et al., "Job scheduling for multi-user MapReduce clusters", UC Berkeley EECS-2009-55 (fair sharing).
* Mao et al., "Learning scheduling algorithms for data processing clusters", SIGCOMM 2019 (Decima and its baselines).
* Kazemaks et al., "User Weighted Fair Queueing", arXiv 2510.15485 (UJF, CFQ, UWFQ).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.problem import Floats, Rule
from envs.spark.state import SparkState


class Rows(NamedTuple):
    """The visible stages, ``(lanes, rows)``; values of padding mean nothing.

    Attributes:
        state: The state that the rest was read from.
        stage: Number of the stage.
        job: Its job.
        user: The job's user.
        cores: ``(lanes, 1)`` cores of the cluster.
        jobs: ``(lanes, 1)`` jobs in the system, at least 1.
    """

    state: SparkState
    stage: NDArray[np.int64]
    job: NDArray[np.int64]
    user: NDArray[np.int64]
    cores: Floats
    jobs: Floats

    def of_stage(self, name: str) -> Floats:
        """A field of the state by stage."""
        return np.take_along_axis(getattr(self.state, name), self.stage, axis=1).astype(np.float64)

    def of_job(self, name: str) -> Floats:
        """A field of the state by the stage's job."""
        return np.take_along_axis(getattr(self.state, name), self.job, axis=1).astype(np.float64)

    def of_user(self, name: str) -> Floats:
        """A field of the state by the stage's user."""
        return np.take_along_axis(getattr(self.state, name), self.user, axis=1).astype(np.float64)


Formula = Callable[[Rows], Floats]


def visible_rows(state: SparkState) -> Rows:
    """Reads the visible stages off a state, as many rows as the lane with most of them has (at least 1)."""
    stage = state.visible[:, : max(int(state.visible_count.max()), 1)]
    job = np.take_along_axis(state.stage_job, stage, axis=1)
    user = np.take_along_axis(state.job_user, job, axis=1)
    in_system = (state.submitted & (state.job_stages_left > 0)).sum(axis=1, keepdims=True)
    cores = state.size[:, 5:6].astype(np.float64)
    return Rows(state, stage, job, user, cores, np.maximum(in_system, 1).astype(np.float64))


def _whole_cluster(rows: Rows) -> Floats:
    return rows.cores


def _fair_share(factor: float) -> Formula:
    return lambda rows: np.ceil(factor * rows.cores / rows.jobs)


def _smallest_work_capped(factor: float) -> Formula:
    def formula(rows: Rows) -> Floats:
        capped = rows.of_job("job_running") >= np.ceil(factor * rows.cores / rows.jobs)
        return rows.of_job("estimate_left") + _BEYOND * capped

    return formula


_BEYOND = 1e9
"""Core-seconds beyond every remaining work; sends jobs at their cap behind all others."""


def _user_job_fair(rows: Rows) -> Floats:
    return rows.of_user("user_running") * (1.0 + rows.cores) + rows.of_stage("stage_running")


def _weighted_fair(exponent: float) -> Formula:
    return lambda rows: (1.0 + rows.of_job("job_running")) * rows.of_job("job_estimate") ** -exponent


def _random(rows: Rows) -> Floats:
    """Uniform numbers, a pure function of the lane's generator and the episode's progress (SplitMix64's mixer)."""
    progress = rows.state.started.astype(np.uint64)[:, None] * np.uint64(65536)
    number = np.arange(rows.stage.shape[1], dtype=np.uint64)
    word = rows.state.generator[:, None] + (progress + number) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Floats = ((word ^ (word >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return result


def _rule(name: str, formula: Formula, source: str, target: Formula = _whole_cluster) -> Rule:
    def priority(state: SparkState) -> Floats:
        rows = visible_rows(state)
        stages = state.visible.shape[1]
        levels = state.mask.shape[1] - stages
        result = np.full(state.mask.shape, np.inf)
        result[:, : rows.stage.shape[1]] = formula(rows)
        if levels > 0:
            limits = np.ceil(rows.cores * np.arange(1, levels + 1) / levels)
            result[:, stages:] = np.abs(limits - target(rows))
        return result

    return Rule(name, priority, source)


_ZAHARIA = "Zaharia et al. 2009, UC Berkeley EECS-2009-55"
_DECIMA = "Mao et al. 2019, SIGCOMM (Decima)"
_UWFQ = "Kazemaks et al. 2025, arXiv 2510.15485"

_ALL = (
    _rule("fifo", lambda rows: rows.of_job("submit"), f"the job submitted first: {_ZAHARIA}"),
    _rule(
        "fair",
        lambda rows: rows.of_stage("stage_running"),
        f"fewest running tasks of the stage, as in one pool of Spark's fair scheduler: {_ZAHARIA}",
        _fair_share(1.0),
    ),
    _rule(
        "fair_job",
        lambda rows: rows.of_job("job_running"),
        f"fewest running tasks of the job: {_ZAHARIA}; {_DECIMA}",
        _fair_share(1.0),
    ),
    _rule(
        "ujf",
        _user_job_fair,
        f"user-job fair: fewest running tasks of the user, then of the stage (a fair pool a user): {_UWFQ}",
        _fair_share(1.0),
    ),
    _rule("cfq", lambda rows: rows.of_stage("cfq_deadline"), f"smallest virtual deadline of the stage: {_UWFQ}"),
    _rule(
        "uwfq",
        lambda rows: rows.of_job("job_deadline"),
        f"smallest global deadline of the job in two-level virtual time: {_UWFQ}",
    ),
    _rule("srw", lambda rows: rows.of_job("estimate_left"), f"smallest remaining work: {_DECIMA}"),
    *(
        _rule(
            f"srw_fair_{factor}",
            _smallest_work_capped(factor),
            f"smallest remaining work among jobs below {factor} fair share{'s' if factor > 1 else ''} of the cores; "
            f"after {_DECIMA}",
            _fair_share(factor),
        )
        for factor in (1, 2, 3, 5)
    ),
    _rule("weighted_fair_sqrt", _weighted_fair(-0.5), f"shares in proportion to work^-0.5: {_DECIMA}"),
    _rule("weighted_fair_inverse", _weighted_fair(-1.0), f"shares in proportion to work^-1: {_DECIMA}"),
    _rule("random", _random, f"uniformly random choice: {_DECIMA}"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by name."""
