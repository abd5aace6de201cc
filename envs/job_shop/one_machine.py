"""The one-machine problem with heads, tails and delayed precedences, compiled.

Jobs on one machine have release times (heads) ``r``, times ``p`` and delivery times (tails) ``q``; ``delay[i, j]``,
where it is not -1, demands that job j starts at least that long after job i starts. Sought is the sequence that
minimises the largest ``start + p + q``. It is the subproblem of the shifting bottleneck procedure.

Sources: J. Carlier, "The one-machine sequencing problem", European Journal of Operational Research 11 (1982) 42-47;
E. Balas, J. K. Lenstra, A. Vazacopoulos, "The one-machine problem with delayed precedence constraints and its use in
job shop scheduling", Management Science 41 (1995) 94-109. Delays weaken Carlier's branching argument; where it does
not hold, the search branches on the order of two neighbours on the critical path instead.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_MAX_STACK = 256
_MAX_STACK_ENTRIES = 1 << 24


@numba.njit(cache=True)
def earliest_starts(sequence: Ints, r: Ints, p: Ints, delay: Ints) -> Ints:
    """Returns the ``(n,)`` earliest starts by job of a sequence that respects the precedences."""
    starts = np.empty(r.size, np.int64)
    free_at = np.int64(0)
    for index in range(sequence.size):
        job = sequence[index]
        start = max(free_at, r[job])
        for before in sequence[:index]:
            if delay[before, job] >= 0:
                start = max(start, starts[before] + delay[before, job])
        starts[job] = start
        free_at = start + p[job]
    return starts


@numba.njit(cache=True)
def preemptive_bound(r: Ints, p: Ints, q: Ints) -> int:
    """Jackson's preemptive schedule: a lower bound on the optimum (always run the available job of largest tail)."""
    left = p.copy()
    pending = np.int64(r.size)
    now = int(r.min())
    bound = int((r + p + q).max())
    while pending > 0:
        best = -1
        next_release = int(np.iinfo(np.int64).max)
        for job in range(r.size):
            if left[job] < 0:
                continue
            if r[job] > now:
                next_release = min(next_release, int(r[job]))
            elif best < 0 or q[job] > q[best]:
                best = job
        if best < 0:
            now = next_release
        elif now + left[best] <= next_release:
            now += left[best]
            bound = max(bound, int(now + q[best]))
            left[best] = -1
            pending -= 1
        else:
            left[best] -= next_release - now
            now = next_release
    return bound


@numba.njit(cache=True)
def schrage(r: Ints, p: Ints, q: Ints, delay: Ints, sequence: Ints, starts: Ints) -> bool:
    """Schrage's schedule: whenever the machine is free, the available job of largest tail starts.

    Args:
        r: ``(n,)`` release times.
        p: ``(n,)`` processing times.
        q: ``(n,)`` tails.
        delay: ``(n, n)`` delays between starts, -1 for none.
        sequence: ``(n,)``, receives the jobs in order.
        starts: ``(n,)``, receives the start of each job.

    Returns:
        False if the precedences have a cycle.
    """
    size = r.size
    missing = np.zeros(size, np.int64)
    available = r.copy()
    for before in range(size):
        for job in range(size):
            missing[job] += delay[before, job] >= 0
    free_at = np.int64(0)
    for index in range(size):
        now = int(np.iinfo(np.int64).max)
        for job in range(size):
            if missing[job] == 0:
                now = min(now, int(available[job]))
        now = max(now, int(free_at))
        best = -1
        for job in range(size):
            if missing[job] != 0 or available[job] > now:
                continue
            if best < 0 or q[job] > q[best] or (q[job] == q[best] and p[job] > p[best]):
                best = job
        if best < 0:
            return False
        sequence[index] = best
        starts[best] = now
        free_at = now + p[best]
        missing[best] = -1
        for job in range(size):
            if delay[best, job] >= 0:
                missing[job] -= 1
                available[job] = max(available[job], now + delay[best, job])
    return True


@numba.njit(cache=True)
def _add_precedence(delay: Ints, before: int, after: int, length: int) -> bool:
    """Adds a delay and closes the matrix under longest paths; False if that makes a cycle."""
    if delay[after, before] >= 0:
        return False
    if delay[before, after] >= length:
        return True
    size = delay.shape[0]
    for source in range(size):
        if source == before:
            reach = np.int64(length)
        elif delay[source, before] >= 0:
            reach = delay[source, before] + length
        else:
            continue
        delay[source, after] = max(delay[source, after], reach)
        for target in range(size):
            if delay[after, target] >= 0:
                delay[source, target] = max(delay[source, target], reach + delay[after, target])
    return True


@numba.njit(cache=True)
def _propagate(r: Ints, p: Ints, q: Ints, delay: Ints) -> None:
    """Tightens heads and tails by the (closed) delays."""
    size = r.size
    head = r.copy()
    tail = q.copy()
    for before in range(size):
        for job in range(size):
            if delay[before, job] >= 0:
                r[job] = max(r[job], head[before] + delay[before, job])
                q[before] = max(q[before], delay[before, job] - p[before] + p[job] + tail[job])


@numba.njit(cache=True)
def _critical_block(sequence: Ints, starts: Ints, p: Ints, q: Ints) -> tuple[int, int]:
    """Returns the positions of Carlier's critical job (or -1) and of the last job of the critical block."""
    last = 0
    for index in range(sequence.size):
        job = sequence[index]
        end = sequence[last]
        if starts[job] + p[job] + q[job] > starts[end] + p[end] + q[end]:
            last = index
    first = last
    while first > 0 and starts[sequence[first]] == starts[sequence[first - 1]] + p[sequence[first - 1]]:
        first -= 1
    critical = -1
    for index in range(first, last):
        if q[sequence[index]] < q[sequence[last]]:
            critical = index
    return critical, last


@numba.njit(cache=True)
def _free_arc(sequence: Ints, starts: Ints, r: Ints, p: Ints, delay: Ints, last: int) -> int:
    """Walks the critical path back from position ``last`` to a job that waits only for the machine.

    Returns:
        The position of that job, whose order with the one before it is still open; -1 if the path holds no such job,
        so that every schedule of this node is as long.
    """
    index = last
    while True:
        job = sequence[index]
        if starts[job] == r[job]:
            return -1
        binding = -1
        for earlier in range(index):
            before = sequence[earlier]
            if delay[before, job] >= 0 and starts[before] + delay[before, job] == starts[job]:
                binding = earlier
        if binding < 0:
            return index
        index = binding


@numba.njit(cache=True)
def _copy_node(r: Ints, q: Ints, delay: Ints, r2: Ints, q2: Ints, delay2: Ints) -> None:
    """Copies the first three arrays to the last three."""
    for job in range(r.size):
        r2[job] = r[job]
        q2[job] = q[job]
        for other in range(r.size):
            delay2[job, other] = delay[job, other]


@numba.njit(cache=True)
def _branch(
    r: Ints, p: Ints, q: Ints, delay: Ints, sequence: Ints, starts: Ints, best: int, r2: Ints, q2: Ints, delay2: Ints
) -> tuple[bool, bool]:
    """Splits a node in two: the first child replaces the node's arrays, the second goes to the other three.

    Returns:
        Whether each child can still hold a better schedule.
    """
    critical, last = _critical_block(sequence, starts, p, q)
    if critical >= 0:
        pivot = sequence[critical]
        release = np.iinfo(np.int64).max
        work = np.int64(0)
        tail = q[sequence[last]]
        for job in sequence[critical + 1 : last + 1]:
            release = min(release, r[job])
            work += p[job]
        if release + work + p[pivot] + tail >= best:  # the critical job cannot lie between the others
            _copy_node(r, q, delay, r2, q2, delay2)
            keep_before = True
            keep_after = True
            for job in sequence[critical + 1 : last + 1]:
                keep_before = keep_before and _add_precedence(delay, pivot, job, p[pivot])
                keep_after = keep_after and _add_precedence(delay2, job, pivot, p[job])
            q[pivot] = max(q[pivot], work + tail)
            r2[pivot] = max(r2[pivot], release + work)
            return keep_before, keep_after
    index = _free_arc(sequence, starts, r, p, delay, last)
    if index < 0:
        return False, False
    _copy_node(r, q, delay, r2, q2, delay2)
    before, after = sequence[index - 1], sequence[index]
    swapped = _add_precedence(delay, after, before, p[after])
    kept = _add_precedence(delay2, before, after, p[before])
    return swapped, kept


@numba.njit(cache=True)
def _makespan(starts: Ints, p: Ints, q: Ints) -> int:
    return int((starts + p + q).max())


@numba.njit(cache=True)
def solve_one_machine(
    r: Ints, p: Ints, q: Ints, delay: Ints, incumbent: Ints, node_limit: int
) -> tuple[Ints, int, int]:
    """Solves the one-machine problem by depth-first branch and bound.

    Args:
        r: ``(n,)`` release times.
        p: ``(n,)`` processing times.
        q: ``(n,)`` tails.
        delay: ``(n, n)`` delays between starts, closed under longest paths, without cycles; -1 for none.
        incumbent: ``(n,)`` a valid sequence to improve on, or empty.
        node_limit: Nodes that may be examined; the search is exact unless it ends here.

    Returns:
        The best sequence ``(n,)``, its value, and a proven lower bound (equal to the value if solved).
    """
    size = r.size
    best = np.iinfo(np.int64).max
    best_sequence = incumbent.copy()
    if incumbent.size == size:
        best = _makespan(earliest_starts(incumbent, r, p, delay), p, q)
    room = max(4, min(_MAX_STACK, _MAX_STACK_ENTRIES // (size * size)))
    stack_r = np.empty((room + 1, size), np.int64)  # the last row is for exchanging two others
    stack_q = np.empty((room + 1, size), np.int64)
    stack_delay = np.empty((room + 1, size, size), np.int64)
    stack_bound = np.empty(room, np.int64)
    _copy_node(r, q, delay, stack_r[0], stack_q[0], stack_delay[0])
    _propagate(stack_r[0], p, stack_q[0], stack_delay[0])
    root_bound = preemptive_bound(stack_r[0], p, stack_q[0])
    stack_bound[0] = root_bound
    depth = 1
    exact = True
    sequence = np.empty(size, np.int64)
    starts = np.empty(size, np.int64)
    nodes = 0
    while depth > 0 and best > root_bound:
        if stack_bound[depth - 1] >= best:
            depth -= 1
            continue
        if nodes >= node_limit:
            exact = False
            break
        nodes += 1
        top = depth - 1
        depth -= 1
        if not schrage(stack_r[top], p, stack_q[top], stack_delay[top], sequence, starts):
            continue
        value = _makespan(starts, p, q)
        if value < best:
            best = value
            best_sequence = sequence.copy()
            if stack_bound[top] >= best:
                continue
        if top + 1 == room:
            exact = False
            continue
        alive = _branch(
            stack_r[top],
            p,
            stack_q[top],
            stack_delay[top],
            sequence,
            starts,
            best,
            stack_r[top + 1],
            stack_q[top + 1],
            stack_delay[top + 1],
        )
        for child in range(2):
            level = top + child
            stack_bound[level] = np.iinfo(np.int64).max
            if alive[child]:
                _propagate(stack_r[level], p, stack_q[level], stack_delay[level])
                stack_bound[level] = preemptive_bound(stack_r[level], p, stack_q[level])
        if stack_bound[top] < stack_bound[top + 1]:  # the more promising child is examined first: it goes on top
            for source, target in ((top, room), (top + 1, top), (room, top + 1)):
                _copy_node(
                    stack_r[source],
                    stack_q[source],
                    stack_delay[source],
                    stack_r[target],
                    stack_q[target],
                    stack_delay[target],
                )
            stack_bound[top], stack_bound[top + 1] = stack_bound[top + 1], stack_bound[top]
        depth = top + 2
    return best_sequence, best, best if exact else root_bound
