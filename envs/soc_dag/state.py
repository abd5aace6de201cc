"""The state of running episodes: what `envs.soc_dag.dynamics` reads and writes.

Axes: L lanes, J places for jobs in the system, T tasks of a job, P processing elements (PEs), K job types, M kernels
(the tasks of all job types, one after the other), E edges, N jobs of an episode, X runs of tasks, R offered tasks, A
actions. A task in the system is told by the number ``place * T + task``, its *cell*.

What belongs together is one structured array: ``state.task[lane, place, task].data_at`` in compiled code,
``state.task["data_at"]`` in NumPy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Flags = NDArray[np.bool_]
Records = NDArray[Any]

STATIC, OPEN, BLOCKING = 0, 1, 2
WAITING, STAGED, READY, MAPPED, RUNNING, DONE = 0, 1, 2, 3, 4, 5
PAIR, TWO_STEP, TASK = 0, 1, 2


def _record(real: str = "", whole: str = "", index: str = "", flags: str = "") -> np.dtype[Any]:
    """A structured type without hidden padding, whose bytes NumPy would not copy."""
    kinds = ((np.float64, real), (np.int64, whole), (np.int32, index), (np.bool_, flags))
    fields = [(name, np.dtype(kind)) for kind, names in kinds for name in names.split()]
    rest = -sum(kind.itemsize for _, kind in fields) % 8
    fields.extend((f"unused_{i}", np.dtype(np.bool_)) for i in range(rest))
    return np.dtype(fields, align=True)


EPISODE = _record(
    real="scale window warm_up noise failure_gap repair_time start_up per_volume mean_transfer typical_length unit"
    " clock next_arrival latency_sum excess makespan first_makespan",
    whole="label types kernels processors edges mode limit decision supported pauses arrived_jobs admitted_jobs"
    " completed_jobs ready_count offers chosen records latency_count",
    flags="shared whole latency_objective done",
)
"""What an episode has one of.

``scale, window, warm_up, noise``: as in the instance. ``failure_gap, repair_time``: mean times between failures and
to repair, 0 for no failures. ``start_up, per_volume``: mean start-up time, and mean time a volume unit, of a transfer
between two PEs; ``mean_transfer``: that of an edge. ``typical_length``: mean least latency of a job by the shares of
the types. ``unit``: time that features are measured in, the mean execution time over all kernels and the PEs that run
them. ``next_arrival``: time of the next arrival, or of the next try to admit. ``latency_sum, latency_count``: of the
jobs that count. ``excess``: latency of completed jobs above the least one. ``makespan``: expected end of all jobs of
a static instance; ``first_makespan``: that at the start. ``label``: number of a named instance, -1 for a drawn one.
``types, kernels, processors, edges``: sizes of the instance. ``mode``: how jobs arrive. ``limit``: most jobs in the
system. ``decision``: what an action picks. ``supported``: kernel and PE pairs that can run. ``pauses``: pauses
between arrivals drawn so far. ``ready_count, offers, records``: entries in use of ``ready``, ``offer`` and
``record``. ``chosen``: row in ``offer`` of the task whose PE is asked for, -1 if a task is. ``shared``: transfers go
through the shared memory. ``whole``: whole ticks. ``latency_objective``: the objective is the mean latency, else the
makespan.
"""

KIND = _record(real="share length")
"""Job type: cumulative share; longest path of least execution times, the least latency of such a job."""

KERNEL = _record(real="least mean rank level tail")
"""Task of a job type: least and mean execution time, upward rank, static level, longest path of least execution times
from it on, itself included."""

PROCESSOR = _record(
    real="memory power idle running_end running_expected change_at available",
    index="running running_record queued changes",
    flags="up",
)
"""PE: bandwidth to the shared memory, active and idle power, true and expected end of the running task, time of the
next failure or repair, when it is expected to have done what is mapped to it; cell that runs (-1: none) and its row
in ``record``, tasks in its queue, failures and repairs so far; whether it works."""

JOB = _record(real="arrived admitted completed", index="type")
"""Job of the episode, as in a trace; ``completed`` is inf until it is."""

PLACE = _record(real="finish", index="job left")
"""Place in the system: expected end of its job, its job (-1: free), tasks of it that are not done."""

CELL = _record(real="ready_at mapped_at data_at end_at", index="missing mapped_to fetched_to attempt status")
"""Task in the system: times of its life, predecessors that are not done, PE it is mapped to, PE that its data was last
sent to (-1: none), starts so far, and how far it is (`WAITING` ... `DONE`)."""

PAIR_TIMES = _record(real="data start finish")
"""Offered task on a PE: when its data would be there, and when it is expected to start and end; inf if it cannot."""

RUN = _record(real="mapped start end", index="job task processor", flags="lost")
"""Run of a task, as in a trace."""


class Capacity(NamedTuple):
    """Lengths of the padded axes."""

    types: int
    kernels: int
    edges: int
    processors: int
    tasks: int
    places: int
    jobs: int
    runs: int
    offers: int


class SocState(NamedTuple):
    """Arrays by lane; see the module for the axes and the structured types.

    Attributes:
        generator: (L,) generator word.
        key: (L,) word that every random number of the episode follows from.
        episode: (L,) `EPISODE`.
        kind: (L, K) `KIND`.
        kernel: (L, M) `KERNEL`.
        offset: (L, K + 1) first kernel of every job type.
        time: (L, M, P) execution time, inf where unsupported.
        optimistic: (L, M, P) optimistic cost table of PEFT.
        predecessor_from: (L, M + 1) first entry of every kernel in ``predecessor``.
        predecessor, volume: (L, E) predecessors and the data that they send.
        successor_from: (L, M + 1) first entry of every kernel in ``successor``.
        successor: (L, E) successors.
        bandwidth, latency: (L, P, P) between PEs.
        processor: (L, P) `PROCESSOR`.
        job: (L, N) `JOB`.
        place: (L, J) `PLACE`.
        task: (L, J, T) `CELL`.
        queue: (L, P, J * T) cells mapped to the PE that have not started, in the order they were mapped.
        ready: (L, J * T) cells to be mapped, in the order they became ready.
        offer: (L, R) those that the decision is about.
        pair: (L, R, P) `PAIR_TIMES` of those.
        record: (L, X) `RUN`.
        mask: (L, A) legal actions.
    """

    generator: NDArray[np.uint64]
    key: NDArray[np.uint64]
    episode: Records
    kind: Records
    kernel: Records
    offset: Indices
    time: Floats
    optimistic: Floats
    predecessor_from: Indices
    predecessor: Indices
    volume: Floats
    successor_from: Indices
    successor: Indices
    bandwidth: Floats
    latency: Floats
    processor: Records
    job: Records
    place: Records
    task: Records
    queue: Indices
    ready: Indices
    offer: Indices
    pair: Records
    record: Records
    mask: Flags


def num_actions(capacity: Capacity, decision: int) -> int:
    """Length of the action mask."""
    if decision == PAIR:
        return capacity.offers * capacity.processors
    return capacity.offers + (capacity.processors if decision == TWO_STEP else 0)


def allocate(lanes: int, capacity: Capacity, decision: int) -> SocState:
    """Returns the zeroed state of ``lanes`` lanes, all finished."""
    types, kernels, edges, processors, tasks, places, jobs, runs, offers = capacity
    cells = places * tasks

    def of(kind: Any, *shape: int) -> NDArray[Any]:
        return np.zeros((lanes, *shape), kind)

    state = SocState(
        generator=of(np.uint64),
        key=of(np.uint64),
        episode=of(EPISODE),
        kind=of(KIND, types),
        kernel=of(KERNEL, kernels),
        offset=of(np.int32, types + 1),
        time=of(np.float64, kernels, processors),
        optimistic=of(np.float64, kernels, processors),
        predecessor_from=of(np.int32, kernels + 1),
        predecessor=of(np.int32, edges),
        volume=of(np.float64, edges),
        successor_from=of(np.int32, kernels + 1),
        successor=of(np.int32, edges),
        bandwidth=of(np.float64, processors, processors),
        latency=of(np.float64, processors, processors),
        processor=of(PROCESSOR, processors),
        job=of(JOB, jobs),
        place=of(PLACE, places),
        task=of(CELL, places, tasks),
        queue=of(np.int32, processors, cells),
        ready=of(np.int32, cells),
        offer=of(np.int32, offers),
        pair=of(PAIR_TIMES, offers, processors),
        record=of(RUN, runs),
        mask=of(np.bool_, num_actions(capacity, decision)),
    )
    state.episode["done"] = True
    state.episode["label"] = -1
    state.episode["decision"] = decision
    for name in ("unit", "typical_length", "first_makespan"):
        state.episode[name] = 1.0
    return state
