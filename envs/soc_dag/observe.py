"""Writes observations of DAG scheduling from the state; `envs.soc_dag.features` says what every number is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.soc_dag.state import MAPPED, PAIR, STATIC, TWO_STEP, SocState

Arrays = NDArray[Any]


@njit(cache=True)
def observe_static(
    s: SocState,
    lanes: NDArray[np.int64],
    kernels: Arrays,
    processors: Arrays,
    precedes: Arrays,
    precedes_features: Arrays,
    runs_on: Arrays,
    runs_on_features: Arrays,
) -> None:
    """Writes what stays for an episode."""
    for i in range(len(lanes)):
        lane = lanes[i]
        kernels[i] = 0.0
        processors[i] = 0.0
        precedes[i] = -1
        precedes_features[i] = 0.0
        runs_on[i] = -1
        runs_on_features[i] = 0.0
        _kernels(s, lane, kernels[i])
        _precedes(s, lane, precedes[i], precedes_features[i])
        _runs_on(s, lane, runs_on[i], runs_on_features[i])
        _processors(s, lane, processors[i])


@njit(cache=True)
def _kernels(s: SocState, lane: int, out: Arrays) -> None:
    unit, processors = s.episode[lane].unit, s.episode[lane].processors
    kind = 0
    for m in range(s.episode[lane].kernels):
        while m >= s.offset[lane, kind + 1]:
            kind += 1
        able = 0
        for p in range(processors):
            able += np.isfinite(s.time[lane, m, p])
        before = s.predecessor_from[lane, m + 1] - s.predecessor_from[lane, m]
        after = s.successor_from[lane, m + 1] - s.successor_from[lane, m]
        out[m, 0] = s.kernel[lane, m].mean / unit
        out[m, 1] = s.kernel[lane, m].least / unit
        out[m, 2] = s.kernel[lane, m].rank / unit
        out[m, 3] = s.kernel[lane, m].level / unit
        out[m, 4] = s.kernel[lane, m].tail / unit
        out[m, 5] = s.kernel[lane, m].tail / max(s.kind[lane, kind].length, 1e-9)
        out[m, 6] = able / processors
        out[m, 7] = after
        out[m, 8] = before
        for i in range(s.predecessor_from[lane, m], s.predecessor_from[lane, m + 1]):
            transfer = (s.episode[lane].start_up + s.episode[lane].per_volume * s.volume[lane, i]) / unit
            source = s.predecessor[lane, i]
            out[m, 10] += transfer / before
            out[source, 9] += transfer / (s.successor_from[lane, source + 1] - s.successor_from[lane, source])


@njit(cache=True)
def _precedes(s: SocState, lane: int, index: Arrays, features: Arrays) -> None:
    for m in range(s.episode[lane].kernels):
        for i in range(s.predecessor_from[lane, m], s.predecessor_from[lane, m + 1]):
            index[0, i] = s.predecessor[lane, i]
            index[1, i] = m
            features[i, 0] = (s.episode[lane].start_up + s.episode[lane].per_volume * s.volume[lane, i]) / s.episode[
                lane
            ].unit


@njit(cache=True)
def _runs_on(s: SocState, lane: int, index: Arrays, features: Arrays) -> None:
    at = 0
    for m in range(s.episode[lane].kernels):
        for p in range(s.episode[lane].processors):
            time = s.time[lane, m, p]
            if np.isfinite(time):
                index[0, at] = m
                index[1, at] = p
                features[at, 0] = time / s.episode[lane].unit
                features[at, 1] = _over(time, s.kernel[lane, m].least)
                at += 1


@njit(cache=True, forceinline=True)
def _over(time: float, least: float) -> float:
    """Ratio of execution times, 1 where both are 0."""
    return time / least if least > 0.0 else 1.0 + time


@njit(cache=True)
def _processors(s: SocState, lane: int, out: Arrays) -> None:
    count, kernels, unit = s.episode[lane].processors, s.episode[lane].kernels, s.episode[lane].unit
    strongest = 1e-12
    for p in range(count):
        strongest = max(strongest, s.processor[lane, p].power)
    for p in range(count):
        runs, fastest, ratio = 0, 0, 0.0
        for m in range(kernels):
            time = s.time[lane, m, p]
            if np.isfinite(time):
                runs += 1
                fastest += time == s.kernel[lane, m].least
                ratio += time / s.kernel[lane, m].mean if s.kernel[lane, m].mean > 0.0 else 1.0
        transfer, pairs = 0.0, 0
        for q in range(count):
            if q != p:
                for i in range(s.episode[lane].edges):
                    transfer += s.latency[lane, q, p] + s.volume[lane, i] / s.bandwidth[lane, q, p]
                    pairs += 1
        out[p, 0] = ratio / max(runs, 1)
        out[p, 1] = runs / kernels
        out[p, 2] = fastest / kernels
        out[p, 3] = transfer / max(pairs, 1) / unit
        out[p, 4] = s.processor[lane, p].power / strongest


@njit(cache=True)
def observe_dynamic(
    s: SocState,
    lanes: NDArray[np.int64],
    processors: Arrays,
    jobs: Arrays,
    tasks: Arrays,
    pairs: Arrays,
    instance_of: Arrays,
    part_of: Arrays,
    awaits: Arrays,
    pair_task: Arrays,
    pair_processor: Arrays,
    context: Arrays,
    counts: Arrays,
    mask: Arrays,
    decision: int,
) -> None:
    """Writes what changes from decision to decision.

    ``pairs`` are the features of nodes (pair decisions), indexed by ``pair_task`` and ``pair_processor``, or of the
    edges ``pair_task`` (then ``pair_processor`` is not used).
    """
    row_of_place = np.empty(s.place.shape[1], np.int64)
    for i in range(len(lanes)):
        lane = lanes[i]
        present = _jobs(s, lane, jobs[i], awaits[i], row_of_place)
        _busy(s, lane, processors[i])
        _clear_tasks(tasks[i], instance_of[i], part_of[i])
        taken = _tasks(s, lane, tasks[i], instance_of[i], part_of[i], row_of_place)
        between = _pairs(s, lane, tasks[i], pairs[i], pair_task[i], pair_processor[i], decision)
        _context(s, lane, present, context[i])
        counts[i, 0] = s.episode[lane].kernels
        counts[i, 1] = s.episode[lane].processors
        counts[i, 2] = present
        counts[i, 3] = s.episode[lane].offers
        at = 4
        if decision == PAIR:
            counts[i, 4] = s.episode[lane].offers * s.episode[lane].processors
            at = 5
        counts[i, at] = s.episode[lane].edges
        counts[i, at + 1] = s.episode[lane].supported
        counts[i, at + 2] = s.episode[lane].offers
        counts[i, at + 3] = s.episode[lane].offers
        counts[i, at + 4] = taken
        counts[i, at + 5] = between
        if decision == PAIR:
            counts[i, at + 6] = between
        for a in range(mask.shape[1]):
            mask[i, a] = s.mask[lane, a]


@njit(cache=True)
def _clear_tasks(tasks: Arrays, instance_of: Arrays, part_of: Arrays) -> None:
    tasks[:] = 0.0
    instance_of[:] = -1
    part_of[:] = -1


@njit(cache=True, forceinline=True)
def _jobs(s: SocState, lane: int, out: Arrays, awaits: Arrays, row_of_place: NDArray[np.int64]) -> int:
    """Writes the jobs in the system and the kernels that they still have to map; returns the number of jobs."""
    out[:] = 0.0
    awaits[:] = -1
    now, unit = s.episode[lane].clock, s.episode[lane].unit
    row = 0
    edge = 0
    for place in range(s.episode[lane].limit):
        job = s.place[lane, place].job
        if job < 0:
            continue
        kind = s.job[lane, job].type
        first, last = s.offset[lane, kind], s.offset[lane, kind + 1]
        row_of_place[place] = row
        unmapped = 0
        for task in range(last - first):
            if s.task[lane, place, task].status < MAPPED:
                awaits[0, edge] = row
                awaits[1, edge] = first + task
                edge += 1
                unmapped += 1
        age = now - s.job[lane, job].arrived
        rest = s.place[lane, place].finish - now
        out[row, 0] = age / unit
        out[row, 1] = rest / unit
        out[row, 2] = s.place[lane, place].left / (last - first)
        out[row, 3] = (age + rest) / max(s.kind[lane, kind].length, 1e-9)
        out[row, 4] = unmapped
        row += 1
    return row


@njit(cache=True, forceinline=True)
def _busy(s: SocState, lane: int, out: Arrays) -> None:
    out[:] = 0.0
    now, unit, count = s.episode[lane].clock, s.episode[lane].unit, s.episode[lane].processors
    mean = 0.0
    for p in range(count):
        mean += (s.processor[lane, p].available - now) / count
    for p in range(count):
        busy = s.processor[lane, p].running >= 0
        out[p, 0] = s.processor[lane, p].up
        out[p, 1] = busy
        out[p, 2] = (s.processor[lane, p].available - now) / unit
        out[p, 3] = max(s.processor[lane, p].running_expected - now, 0.0) / unit if busy else 0.0
        out[p, 4] = s.processor[lane, p].queued
        out[p, 5] = (s.processor[lane, p].available - now - mean) / unit


@njit(cache=True, forceinline=True)
def _tasks(
    s: SocState,
    lane: int,
    out: Arrays,
    instance_of: Arrays,
    part_of: Arrays,
    row_of_place: NDArray[np.int64],
) -> int:
    """Writes the offered tasks; returns the number of kernels that jobs still have to map."""
    now, unit, width = s.episode[lane].clock, s.episode[lane].unit, s.task.shape[2]
    best_of_all = np.inf
    for row in range(s.episode[lane].offers):
        cell = s.offer[lane, row]
        place, task = cell // width, cell % width
        job = s.place[lane, place].job
        m = s.offset[lane, s.job[lane, job].type] + task
        best, second, fastest = np.inf, np.inf, -1
        for p in range(s.episode[lane].processors):
            finish = s.pair[lane, row, p].finish
            if finish < best:
                best, second = finish, best
            elif finish < second:
                second = finish
            if s.time[lane, m, p] == s.kernel[lane, m].least and (
                fastest < 0 or s.processor[lane, p].available < s.processor[lane, fastest].available
            ):
                fastest = p
        best_of_all = min(best_of_all, best)
        out[row, 0] = (now - s.task[lane, place, task].ready_at) / unit
        out[row, 1] = s.kernel[lane, m].rank / unit
        out[row, 2] = s.kernel[lane, m].tail / unit
        out[row, 3] = s.kernel[lane, m].least / unit
        out[row, 4] = s.kernel[lane, m].mean / unit
        out[row, 5] = (s.place[lane, place].finish - now - s.kernel[lane, m].tail) / unit
        out[row, 6] = (now - s.job[lane, job].arrived) / unit
        out[row, 7] = (best - now) / unit
        out[row, 8] = (second - best) / unit if np.isfinite(second) else 0.0
        out[row, 10] = s.processor[lane, fastest].up and s.processor[lane, fastest].available <= now
        out[row, 11] = row / s.episode[lane].offers
        out[row, 12] = row == s.episode[lane].chosen
        instance_of[0, row] = row
        instance_of[1, row] = m
        part_of[0, row] = row
        part_of[1, row] = row_of_place[place]
    for row in range(s.episode[lane].offers):
        out[row, 9] = max(out[row, 7] - (best_of_all - now) / unit, 0.0)
    taken = 0
    for place in range(s.episode[lane].limit):
        if s.place[lane, place].job >= 0:
            kind = s.job[lane, s.place[lane, place].job].type
            for task in range(s.offset[lane, kind + 1] - s.offset[lane, kind]):
                taken += s.task[lane, place, task].status < MAPPED
    return taken


@njit(cache=True, forceinline=True)
def _pairs(
    s: SocState, lane: int, tasks: Arrays, out: Arrays, pair_task: Arrays, pair_processor: Arrays, decision: int
) -> int:
    """Writes the pairs of offered tasks and PEs; returns how many edges there are."""
    out[:] = 0.0
    pair_task[:] = -1
    if decision == PAIR:
        pair_processor[:] = -1
    now, unit, width = s.episode[lane].clock, s.episode[lane].unit, s.task.shape[2]
    count, offers = s.episode[lane].processors, s.episode[lane].offers
    earliest, best_of_all = np.inf, np.inf
    for row in range(offers):
        for p in range(count):
            earliest = min(earliest, s.pair[lane, row, p].start)
            best_of_all = min(best_of_all, s.pair[lane, row, p].finish)
    edge = 0
    for row in range(offers):
        cell = s.offer[lane, row]
        place, task = cell // width, cell % width
        first = s.offset[lane, s.job[lane, s.place[lane, place].job].type]
        m = first + task
        best = now + tasks[row, 7] * unit
        least_rest = np.inf
        for p in range(count):
            least_rest = min(least_rest, s.optimistic[lane, m, p])
        for p in range(count):
            legal = np.isfinite(s.pair[lane, row, p].finish)
            asked = legal and (decision != TWO_STEP or s.episode[lane].chosen < 0 or s.episode[lane].chosen == row)
            at = row * count + p
            if decision != PAIR:
                if not asked:
                    continue
                at = edge
            if decision == PAIR:
                pair_task[0, at] = at
                pair_task[1, at] = row
                pair_processor[0, at] = at
                pair_processor[1, at] = p
            else:
                pair_task[0, at] = row
                pair_task[1, at] = p
            edge += 1
            if not legal:
                continue
            time, finish = s.time[lane, m, p], s.pair[lane, row, p].finish
            start, data = s.pair[lane, row, p].start, s.pair[lane, row, p].data
            out[at, 0] = 1.0
            out[at, 1] = time / unit
            out[at, 2] = (time - s.kernel[lane, m].least) / unit
            out[at, 3] = _over(time, s.kernel[lane, m].least)
            out[at, 4] = (data - now) / unit
            out[at, 5] = (start - now) / unit
            out[at, 6] = (finish - now) / unit
            out[at, 7] = max(finish - best, 0.0) / unit
            out[at, 8] = (finish - best_of_all) / unit
            out[at, 9] = (start - earliest) / unit
            out[at, 10] = max(start - max(s.processor[lane, p].available, now), 0.0) / unit
            after = s.kernel[lane, m].tail - s.kernel[lane, m].least
            out[at, 11] = (finish + after - s.place[lane, place].finish) / unit
            out[at, 12] = _sends(s, lane, place, first, m, p)
            _rivals(s, lane, row, p, finish, out[at], unit)
            out[at, 15] = (s.optimistic[lane, m, p] - least_rest) / unit
    return edge


@njit(cache=True, forceinline=True)
def _sends(s: SocState, lane: int, place: int, first: int, m: int, p: int) -> bool:
    """Tells whether a predecessor ran on the PE."""
    for i in range(s.predecessor_from[lane, m], s.predecessor_from[lane, m + 1]):
        if s.task[lane, place, s.predecessor[lane, i] - first].mapped_to == p:
            return True
    return False


@njit(cache=True, forceinline=True)
def _rivals(s: SocState, lane: int, row: int, p: int, finish: float, out: Arrays, unit: float) -> None:
    """Writes how the pair compares with the best of the other offered tasks on the same PE."""
    shortest, best = np.inf, np.inf
    for other in range(s.episode[lane].offers):
        if other == row or not np.isfinite(s.pair[lane, other, p].finish):
            continue
        best = min(best, s.pair[lane, other, p].finish)
        shortest = min(shortest, s.pair[lane, other, p].finish - s.pair[lane, other, p].start)
    if np.isfinite(best):
        out[13] = shortest / unit
        out[14] = (best - finish) / unit


@njit(cache=True, forceinline=True)
def _context(s: SocState, lane: int, present: int, out: Arrays) -> None:
    out[0] = s.episode[lane].chosen >= 0
    out[1] = np.log(s.episode[lane].processors)
    out[2] = np.log(1.0 + present)
    out[3] = np.log(1.0 + s.episode[lane].ready_count)
    out[4] = s.episode[lane].mode != STATIC
    out[5] = present / s.episode[lane].limit
    out[6] = s.episode[lane].noise
    out[7] = s.episode[lane].mean_transfer / s.episode[lane].unit
    out[8] = s.episode[lane].shared
