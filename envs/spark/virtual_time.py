"""Virtual times of fair queueing: CFQ over stages, and UWFQ over users and the jobs of each user.

With R cores, both serve a fluid copy of the workload beside the real cluster: whatever is active shares the cores
evenly, and a deadline is the virtual time at which the fluid copy would be done. Kazemaks et al., "User Weighted Fair
Queueing", arXiv 2510.15485.

CFQ has one level. A stage with slot time L that becomes ready enters with the deadline D = V + L; V grows by
R / (number of active stages) a second; the stage leaves when V reaches D.

UWFQ has two. The global time V grows by s = R / (number of active users) a second, and so does every active user's
service; a user with n active jobs has a virtual time v that grows by s / n. A job with slot time L that is submitted
enters with d = v + L in its user's time; it leaves when v reaches d, and then the user's global start G grows by L.
With the user's jobs in the order of d, the global deadlines are D_1 = G + L_1 and D_k = D_(k-1) + L_k; the user leaves
when V reaches the last of them, E. A user who enters gets G = V.

A later stage of a job whose fluid copy is already done finds its user back: if the user has left and V has passed E by
more than the grace period of 3 R / 2 core-seconds, the user enters anew (G = V) with what is left of the job;
otherwise the job keeps the deadline that it has.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.spark.state import SparkState

GRACE_SECONDS = 3.0
"""The grace period is this times R / 2 core-seconds (3000 ms in the published scheduler)."""


@njit(cache=True, nogil=True)
def advance(state: SparkState, lane: int, seconds: float) -> None:
    """Lets ``seconds`` of real time pass in both fair queues."""
    _advance_cfq(state, lane, seconds)
    _advance_uwfq(state, lane, seconds)


@njit(cache=True, nogil=True)
def enter_stage(state: SparkState, lane: int, stage: int) -> None:
    """Tells both fair queues that a stage became ready."""
    state.cfq_active[lane, stage] = True
    state.cfq_deadline[lane, stage] = state.cfq_time[lane] + state.estimate[lane, stage]
    job = state.stage_job[lane, stage]
    user = state.job_user[lane, job]
    grace = GRACE_SECONDS * state.size[lane, 5] / 2.0
    if (
        not state.uwfq_job[lane, job]
        and not state.uwfq_active[lane, user]
        and state.uwfq_time[lane] - state.user_end[lane, user] > grace
    ):
        enter_job(state, lane, job, state.estimate_left[lane, job])


@njit(cache=True, nogil=True)
def enter_job(state: SparkState, lane: int, job: int, slot_time: float) -> None:
    """Puts a job with the given estimated slot time into UWFQ and renews its user's global deadlines."""
    user = state.job_user[lane, job]
    if not state.uwfq_active[lane, user]:
        state.uwfq_active[lane, user] = True
        state.user_start[lane, user] = state.uwfq_time[lane]
    state.uwfq_job[lane, job] = True
    state.uwfq_size[lane, job] = slot_time
    state.user_deadline[lane, job] = state.user_time[lane, user] + slot_time
    _renew_deadlines(state, lane, user)


@njit(cache=True, nogil=True)
def _renew_deadlines(state: SparkState, lane: int, user: int) -> None:
    """Lays the user's active jobs end to end in the order of their deadlines, from the global start on."""
    jobs, inside, owner = state.size[lane, 1], state.uwfq_job[lane], state.job_user[lane]
    members = np.empty(jobs, np.int64)
    count = 0
    for j in range(jobs):
        if inside[j] and owner[j] == user:
            members[count] = j
            count += 1
    order = np.argsort(state.user_deadline[lane][members[:count]], kind="mergesort")
    end = state.user_start[lane, user]
    for i in order:
        j = members[i]
        end += state.uwfq_size[lane, j]
        state.job_deadline[lane, j] = end
    state.user_end[lane, user] = end


@njit(cache=True, nogil=True)
def _advance_cfq(state: SparkState, lane: int, seconds: float) -> None:
    stages, cores = state.size[lane, 2], state.size[lane, 5]
    inside, deadline = state.cfq_active[lane], state.cfq_deadline[lane]
    while True:
        active, first = 0, np.inf
        for s in range(stages):
            if inside[s]:
                active += 1
                first = min(first, deadline[s])
        if active == 0:
            return
        rate = cores / active
        needed = (first - state.cfq_time[lane]) / rate
        if needed > seconds:
            state.cfq_time[lane] += rate * seconds
            return
        state.cfq_time[lane] = first
        seconds -= max(needed, 0.0)
        for s in range(stages):
            if inside[s] and deadline[s] <= first:
                inside[s] = False


@njit(cache=True, nogil=True)
def _advance_uwfq(state: SparkState, lane: int, seconds: float) -> None:
    users, cores = state.size[lane, 0], state.size[lane, 5]
    inside, user_end = state.uwfq_active[lane], state.user_end[lane]
    while True:
        active, first = 0, np.inf
        for u in range(users):
            if inside[u]:
                active += 1
                first = min(first, user_end[u])
        if active == 0:
            return
        share = cores / active
        needed = max((first - state.uwfq_time[lane]) / share, 0.0)
        leaves = needed <= seconds
        passed = needed if leaves else seconds
        for u in range(users):
            if inside[u]:
                _serve_user(state, lane, u, share * passed)
        if not leaves:
            state.uwfq_time[lane] += share * passed
            return
        state.uwfq_time[lane] = first
        seconds -= passed
        for u in range(users):
            if inside[u] and user_end[u] <= first:
                _dismiss_user(state, lane, u)


@njit(cache=True, nogil=True)
def _serve_user(state: SparkState, lane: int, user: int, service: float) -> None:
    """Gives the user's active jobs ``service`` core-seconds, evenly; a job leaves at its virtual deadline."""
    jobs = state.size[lane, 1]
    inside, owner, deadline = state.uwfq_job[lane], state.job_user[lane], state.user_deadline[lane]
    while True:
        active, first, leaver = 0, np.inf, -1
        for j in range(jobs):
            if inside[j] and owner[j] == user:
                active += 1
                if deadline[j] < first:
                    first, leaver = deadline[j], j
        if active == 0:
            return
        needed = (first - state.user_time[lane, user]) * active
        if needed > service:
            state.user_time[lane, user] += service / active
            return
        service -= max(needed, 0.0)
        state.user_time[lane, user] = first
        state.user_start[lane, user] += state.uwfq_size[lane, leaver]
        inside[leaver] = False


@njit(cache=True, nogil=True)
def _dismiss_user(state: SparkState, lane: int, user: int) -> None:
    """Takes a user out whose last global deadline has been reached; whatever rounding left of the jobs goes too."""
    state.uwfq_active[lane, user] = False
    for j in range(state.size[lane, 1]):
        if state.uwfq_job[lane, j] and state.job_user[lane, j] == user:
            state.uwfq_job[lane, j] = False
            state.user_time[lane, user] = max(state.user_time[lane, user], state.user_deadline[lane, j])
            state.user_start[lane, user] += state.uwfq_size[lane, j]
