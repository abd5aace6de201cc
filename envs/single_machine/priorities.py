"""The priorities of the dispatching rules, compiled: one kernel for the rules, the roll-outs and the heuristics.

The best job has the smallest priority; ties go to the earlier due date, then to the shorter job, then to the smaller
number, as in the published comparison of the rules (Cetinkaya et al. 2025, arXiv 2510.24013); those of the earliest due
date go to the smaller number, as there.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

KINDS = (
    "edd",
    "spt",
    "wspt",
    "mdd",
    "wmdd",
    "slack",
    "atc",
    "covert",
    "psk",
    "mddc",
    "eddc",
    "eddc_printed",
)
"""Names of the priorities; their places are the codes that the kernel knows them by."""

STATIC = ("eddc", "eddc_printed")
"""Those that order all jobs at the beginning: for them all jobs are free, whatever has been started."""

EDD, SPT, WSPT, MDD, WMDD, SLACK, ATC, COVERT, PSK, MDDC, EDDC, EDDC_PRINTED = range(len(KINDS))


@njit(cache=True, nogil=True)
def write_priorities(
    kind: int,
    look_ahead: float,
    time: Integers,
    weight: Integers,
    due: Integers,
    free: Flags,
    clock: int,
    out: Floats,
) -> None:
    """Writes the priorities of the jobs in ``free``, and infinity for the others.

    Args:
        kind: Place in `KINDS`.
        look_ahead: The parameter k of "atc" and "covert".
        time: ``(n,)`` processing times.
        weight: ``(n,)`` weights.
        due: ``(n,)`` due dates.
        free: ``(n,)`` jobs that can be started at ``clock``.
        clock: The moment.
        out: ``(n,)`` priorities.
    """
    jobs = time.shape[0]
    total, count, longest = 0, 0, 0
    for j in range(jobs):
        out[j] = np.inf
        if free[j]:
            total += time[j]
            count += 1
            longest = max(longest, time[j])
    if count == 0:
        return
    mean = total / count
    if kind == PSK:
        _write_psk(time, due, free, clock, out)
    elif kind in (EDDC, EDDC_PRINTED):
        _write_eddc(time, due, free, kind == EDDC_PRINTED, out)
    elif kind == EDD:
        for j in range(jobs):
            if free[j]:
                out[j] = float(due[j]) * jobs + j
    else:
        for j in range(jobs):
            if free[j]:
                out[j] = _priority(kind, look_ahead, time[j], weight[j], due[j], clock, mean, longest)


@njit(cache=True, nogil=True)
def _priority(
    kind: int, look_ahead: float, time: int, weight: int, due: int, clock: int, mean: float, longest: int
) -> float:
    if kind == SPT:
        return float(time)
    if kind == WSPT:
        return -weight / time
    if kind == MDD:
        return float(max(clock + time, due))
    if kind == WMDD:
        return max(time, due - clock) / weight if weight > 0 else np.inf
    slack = due - time - clock
    if kind == SLACK:
        return float(slack)
    if kind == ATC:
        return float(-weight / time * np.exp(-max(slack, 0) / (look_ahead * mean)))
    if kind == COVERT:
        return -weight / time * max(0.0, 1.0 - max(slack, 0) / (look_ahead * time))
    modified = max(1.1 * time + clock, float(due))
    ratio = min(1.0, time / (clock + longest)) ** 2
    return modified * (1.0 + ratio / (1.0 + ratio)) + time / (clock + mean)


@njit(cache=True, nogil=True)
def before(priority: Floats, due: Integers, time: Integers, one: int, other: int) -> bool:
    """Tells whether job ``one`` goes before ``other``."""
    if priority[one] != priority[other]:
        return bool(priority[one] < priority[other])
    if due[one] != due[other]:
        return bool(due[one] < due[other])
    if time[one] != time[other]:
        return bool(time[one] < time[other])
    return one < other


@njit(cache=True, nogil=True)
def best(priority: Floats, due: Integers, time: Integers, free: Flags) -> int:
    """Returns the job of ``free`` that goes first, -1 if there is none."""
    chosen = -1
    for j in range(priority.shape[0]):
        if free[j] and (chosen < 0 or before(priority, due, time, j, chosen)):
            chosen = j
    return chosen


@njit(cache=True, nogil=True)
def _in_order(time: Integers, due: Integers, free: Flags, shortest: bool) -> Integers:
    """The free jobs by time and then due date, or by due date and then time."""
    jobs = np.flatnonzero(free)
    first, second = (time, due) if shortest else (due, time)
    for i in range(1, jobs.shape[0]):
        job = jobs[i]
        place = i
        while place > 0:
            other = jobs[place - 1]
            if first[other] < first[job] or (first[other] == first[job] and second[other] <= second[job]):
                break
            jobs[place] = other
            place -= 1
        jobs[place] = job
    return jobs


@njit(cache=True, nogil=True)
def _write_psk(time: Integers, due: Integers, free: Flags, clock: int, out: Floats) -> None:
    """Panwalkar, Smith and Koulamas (1993): the active job goes unless a later one in SPT order is more urgent."""
    jobs = _in_order(time, due, free, True)
    active = jobs[0]
    if clock + time[active] < due[active]:
        for i in range(1, jobs.shape[0]):
            job = jobs[i]
            if due[active] <= clock + time[job]:
                break
            if due[active] > due[job]:
                active = job
                if clock + time[active] >= due[active]:
                    break
    for i in range(jobs.shape[0]):
        out[jobs[i]] = 1.0
    out[active] = 0.0


@njit(cache=True, nogil=True)
def _write_eddc(time: Integers, due: Integers, free: Flags, printed: bool, out: Floats) -> None:
    """EDDC: an insertion pass towards earliest due dates, of which the code begins with SPT, the paper with EDD.

    The code passes a job only by those that would not be tardy where they stand; the paper's pass, on jobs that are
    sorted by due date already, finds nothing to do.
    """
    jobs = _in_order(time, due, free, not printed)
    if not printed:
        for i in range(1, jobs.shape[0]):
            j, finished = i, 0
            for k in range(i):
                finished += time[jobs[k]]
            while j > 0 and due[jobs[j]] < due[jobs[j - 1]]:
                passed = jobs[j - 1]
                if due[passed] > finished:
                    jobs[j - 1], jobs[j] = jobs[j], passed
                finished -= time[passed]
                j -= 1
    for i in range(jobs.shape[0]):
        out[jobs[i]] = i
