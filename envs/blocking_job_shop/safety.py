"""Which moves can end in a deadlock, compiled: for blocking without swap.

A state of the shop is taken to be safe if the jobs on machines can all be finished by moves of this kind: a job goes on
through free machines, without stopping for others, either to its end or to a machine that no other job on a machine has
to come to any more. Such a move never stands in the way of another one, so that it does not matter which is made first.
This is the banker's algorithm (Dijkstra 1965, EWD 123) with stops on the way. It errs on the safe side: to tell every
safe state is NP-complete (Lawley and Reveliotis 2001, International Journal of Flexible Manufacturing Systems 13).
"""

from __future__ import annotations

from envs.blocking_job_shop.state import BlockingState
from envs.core.handle import kernel

_HOLDER, _NEEDED, _PLACE, _OWN = range(4)
"""Rows of ``room``: the job on each machine, how many operations of jobs on machines it is still to do, the next
operation of each job, and how many of one job's it is to do."""


@kernel
def is_safe_move(s: BlockingState, lane: int, job: int) -> bool:
    """Whether the jobs on machines can all be finished once ``job`` has come to its next machine, which is free."""
    operations, machines = s.size[lane, 1], s.size[lane, 2]
    for m in range(machines):
        s.room[lane, _HOLDER, m] = s.machine_job[lane, m]
        s.room[lane, _NEEDED, m] = 0
    if s.job_on[lane, job] >= 0:
        s.room[lane, _HOLDER, s.job_on[lane, job]] = -1
    s.room[lane, _HOLDER, s.machine[lane, job, s.job_next[lane, job]]] = job
    inside = 0
    for m in range(machines):
        j = s.room[lane, _HOLDER, m]
        if j >= 0:
            inside += 1
            s.room[lane, _PLACE, j] = s.job_next[lane, j] + (1 if j == job else 0)
            for k in range(s.room[lane, _PLACE, j], operations):
                s.room[lane, _NEEDED, s.machine[lane, j, k]] += 1
    progress = True
    while inside > 0 and progress:
        progress = False
        for m in range(machines):
            j = s.room[lane, _HOLDER, m]
            if j < 0:
                continue
            target = _furthest(s, lane, j)
            if target < 0:
                continue
            progress = True
            s.room[lane, _HOLDER, m] = -1
            for k in range(s.room[lane, _PLACE, j], min(target + 1, operations)):
                s.room[lane, _NEEDED, s.machine[lane, j, k]] -= 1
            s.room[lane, _PLACE, j] = target + 1
            if target == operations:
                inside -= 1
            else:
                s.room[lane, _HOLDER, s.machine[lane, j, target]] = j
    return inside == 0


@kernel
def _furthest(s: BlockingState, lane: int, j: int) -> int:
    """The last operation that the job can go on to and stay at, the number of operations for its end, -1 for none."""
    operations = s.size[lane, 1]
    place = s.room[lane, _PLACE, j]
    for k in range(place, operations):
        s.room[lane, _OWN, s.machine[lane, j, k]] = 0
    for k in range(place, operations):
        s.room[lane, _OWN, s.machine[lane, j, k]] += 1
    found = -1
    for k in range(place, operations):
        m = s.machine[lane, j, k]
        if s.room[lane, _HOLDER, m] >= 0 and s.room[lane, _HOLDER, m] != j:
            return found
        if s.room[lane, _NEEDED, m] == s.room[lane, _OWN, m]:
            found = k
    end: int = operations
    return end
