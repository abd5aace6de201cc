"""What an episode of DAG scheduling draws at random.

Random numbers come from four streams of the episode's key: pauses between arrivals, types of jobs, durations by
(job, task, attempt), failures by (processing element, change). No decision changes what another event draws, so that
methods can be compared under the same arrivals and the same luck.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.core.random import stream_uniform
from envs.soc_dag.state import SocState

_PAUSES, _TYPES, _DURATIONS, _FAILURES = 1, 2, 3, 4
_TASKS_OF_A_JOB, _ATTEMPTS, _CHANGES = 4096, 64, 1_000_003


@njit(cache=True)
def _exponential(s: SocState, lane: int, mean: float, stream: int, counter: int) -> float:
    drawn: float = -mean * np.log(1.0 - stream_uniform(s.key[lane], stream, counter))
    return drawn


@njit(cache=True)
def next_pause(s: SocState, lane: int) -> float:
    """Draws the next pause between arrivals."""
    pause = _exponential(s, lane, s.episode[lane].scale, _PAUSES, s.episode[lane].pauses)
    s.episode[lane].pauses += 1
    return np.floor(pause) if s.episode[lane].whole else pause


@njit(cache=True)
def next_change(s: SocState, lane: int, p: int) -> float:
    """Draws the time at which the PE fails next, or is repaired."""
    mean = s.episode[lane].failure_gap if s.processor[lane, p].up else s.episode[lane].repair_time
    gap = _exponential(s, lane, mean, _FAILURES, p * _CHANGES + s.processor[lane, p].changes)
    s.processor[lane, p].changes += 1
    change: float = s.episode[lane].clock + (np.floor(gap) + 1.0 if s.episode[lane].whole else gap)
    return change


@njit(cache=True)
def draw_duration(s: SocState, lane: int, mean: float, job: int, task: int, attempt: int) -> float:
    """Draws a task's duration: normal around its mean (Box and Muller's method)."""
    if s.episode[lane].noise == 0.0 or mean == 0.0:
        return mean
    counter = ((job * _TASKS_OF_A_JOB + task) * _ATTEMPTS + attempt % _ATTEMPTS) * 2
    radius = np.sqrt(-2.0 * np.log(1.0 - stream_uniform(s.key[lane], _DURATIONS, counter)))
    angle = 2.0 * np.pi * stream_uniform(s.key[lane], _DURATIONS, counter + 1)
    drawn = mean * (1.0 + s.episode[lane].noise * radius * np.cos(angle))
    duration: float = max(np.rint(drawn), 1.0) if s.episode[lane].whole else max(drawn, 0.01 * mean)
    return duration


@njit(cache=True)
def draw_type(s: SocState, lane: int, job: int) -> int:
    """Draws the type of a job of a stream."""
    draw = stream_uniform(s.key[lane], _TYPES, job)
    kind = 0
    while kind < s.episode[lane].types - 1 and draw >= s.kind[lane, kind].share:
        kind += 1
    return kind
