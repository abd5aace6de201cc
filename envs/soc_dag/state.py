"""The state of running episodes: what `envs.soc_dag.dynamics` reads and writes.

Axes: L lanes, J places for jobs in the system, T tasks of a job, P processing elements (PEs), K job types, M kernels (the
tasks of all job types, one after the other), E edges, N jobs of an episode, X runs of tasks, R offered tasks. A task in
the system is told by the number ``place * T + task``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Flags = NDArray[np.bool_]

STATIC, OPEN, BLOCKING = 0, 1, 2
WAITING, STAGED, READY, MAPPED, RUNNING, DONE = 0, 1, 2, 3, 4, 5
PAIR, TWO_STEP, TASK = 0, 1, 2


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
    """Arrays by lane; see the module for the axes.

    Attributes:
        generator: (L,) generator word.
        key: (L,) word that every random number of the episode follows from.
        label: (L,) number of a named instance, -1 for a drawn one.
        types, kernels, processors, edges: (L,) sizes of the instance.
        mode: (L,) how jobs arrive.
        limit: (L,) most jobs in the system.
        shared: (L,) transfers go through the shared memory.
        whole: (L,) whole ticks.
        latency_objective: (L,) the objective is the mean latency, else the makespan.
        scale, window, warm_up, noise: (L,) as in the instance.
        failure_gap, repair_time: (L,) mean times between failures and to repair, 0 for no failures.
        decision: (L,) what an action picks: `PAIR`, `TWO_STEP` or `TASK`.
        supported: (L,) number of kernel and PE pairs that can run.
        start_up, per_volume: (L,) mean start-up time, and mean time a volume unit, of a transfer between two PEs.
        mean_transfer: (L,) mean time of a transfer between two PEs over all edges.
        typical_length: (L,) mean of ``length`` by the shares of the job types.
        unit: (L,) time that features are measured in: mean execution time over all kernels and the PEs that run them.
        offset: (L, K + 1) first kernel of every job type.
        share: (L, K) cumulative share of the job types.
        length: (L, K) longest path of smallest execution times, the least latency of a job.
        time: (L, M, P) execution time, inf where unsupported.
        least, mean, rank, level, tail: (L, M) smallest and mean execution time; upward rank; static level; longest path of
            smallest execution times from the kernel on, itself included.
        optimistic: (L, M, P) optimistic cost table of PEFT.
        predecessor_from: (L, M + 1) first entry of every kernel in ``predecessor``.
        predecessor, volume: (L, E) predecessors and the data that they send.
        successor_from: (L, M + 1) first entry of every kernel in ``successor``.
        successor: (L, E) successors.
        bandwidth, latency: (L, P, P) between PEs.
        memory: (L, P) bandwidth to the shared memory.
        power, idle: (L, P) active and idle power.
        clock: (L,) simulated time.
        done: (L,) the episode is over.
        next_arrival: (L,) time of the next arrival or of the next try to admit, inf if none.
        pauses: (L,) pauses between arrivals drawn so far.
        arrived_jobs, admitted_jobs, completed_jobs: (L,) counts.
        job_type, arrived, admitted, completed: (L, N) as in a trace.
        place_job: (L, J) job in every place, -1 if free.
        place_left: (L, J) its tasks that are not done.
        status: (L, J, T) of every task in the system.
        missing: (L, J, T) predecessors that are not done.
        ready_at, mapped_at, data_at, end_at: (L, J, T) times of a task's life.
        mapped_to: (L, J, T) PE that a task is mapped to.
        fetched_to: (L, J, T) PE that its data was last sent to, -1 if none.
        attempt: (L, J, T) starts of the task so far.
        running: (L, P) task that runs, -1 if none.
        running_end, running_expected: (L, P) true and expected end of it.
        running_record: (L, P) its row in the records.
        queue: (L, P, J * T) tasks mapped to the PE that have not started, in the order they were mapped.
        queued: (L, P) length of it.
        up: (L, P) the PE works.
        change_at: (L, P) time of its next failure or repair, inf if none.
        changes: (L, P) failures and repairs so far.
        ready: (L, J * T) tasks to be mapped, in the order they became ready.
        ready_count: (L,) length of it.
        offer: (L, R) those that the decision is about.
        offers: (L,) length of it.
        chosen: (L,) row in ``offer`` of the task whose PE is asked for, -1 if a task is.
        pair_data, pair_start, pair_finish: (L, R, P) when the data of an offered task would be on the PE, and when the
            task is expected to start and end there; inf where it cannot run.
        available: (L, P) when the PE is expected to have done what is mapped to it.
        place_finish: (L, J) expected end of every job in the system, a lower bound as far as nothing else delays it.
        records: (L,) runs so far.
        record_job, record_task, record_processor, record_mapped, record_start, record_end, record_lost: (L, X) runs.
        latency_sum, latency_count: (L,) latency of the jobs that count, and their number.
        excess: (L,) latency above the least one, of completed jobs, and expected of those in the system.
        makespan: (L,) expected end of all jobs of a static instance.
        first_makespan: (L,) that at the start.
        mask: (L, A) legal actions.
    """

    generator: NDArray[np.uint64]
    key: NDArray[np.uint64]
    label: Integers
    types: Integers
    kernels: Integers
    processors: Integers
    edges: Integers
    mode: Integers
    limit: Integers
    shared: Flags
    whole: Flags
    latency_objective: Flags
    scale: Floats
    window: Floats
    warm_up: Floats
    noise: Floats
    failure_gap: Floats
    repair_time: Floats
    decision: Integers
    supported: Integers
    start_up: Floats
    per_volume: Floats
    mean_transfer: Floats
    typical_length: Floats
    unit: Floats
    offset: Indices
    share: Floats
    length: Floats
    time: Floats
    least: Floats
    mean: Floats
    rank: Floats
    level: Floats
    tail: Floats
    optimistic: Floats
    predecessor_from: Indices
    predecessor: Indices
    volume: Floats
    successor_from: Indices
    successor: Indices
    bandwidth: Floats
    latency: Floats
    memory: Floats
    power: Floats
    idle: Floats
    clock: Floats
    done: Flags
    next_arrival: Floats
    pauses: Integers
    arrived_jobs: Integers
    admitted_jobs: Integers
    completed_jobs: Integers
    job_type: Indices
    arrived: Floats
    admitted: Floats
    completed: Floats
    place_job: Indices
    place_left: Indices
    status: NDArray[np.int8]
    missing: Indices
    ready_at: Floats
    mapped_at: Floats
    data_at: Floats
    end_at: Floats
    mapped_to: Indices
    fetched_to: Indices
    attempt: Indices
    running: Indices
    running_end: Floats
    running_expected: Floats
    running_record: Indices
    queue: Indices
    queued: Indices
    up: Flags
    change_at: Floats
    changes: Integers
    ready: Indices
    ready_count: Integers
    offer: Indices
    offers: Integers
    chosen: Integers
    pair_data: Floats
    pair_start: Floats
    pair_finish: Floats
    available: Floats
    place_finish: Floats
    records: Integers
    record_job: Indices
    record_task: Indices
    record_processor: Indices
    record_mapped: Floats
    record_start: Floats
    record_end: Floats
    record_lost: Flags
    latency_sum: Floats
    latency_count: Integers
    excess: Floats
    makespan: Floats
    first_makespan: Floats
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

    def zeros(*shape: int) -> Floats:
        return np.zeros((lanes, *shape))

    def whole(*shape: int) -> Integers:
        return np.zeros((lanes, *shape), np.int64)

    def index(*shape: int) -> Indices:
        return np.zeros((lanes, *shape), np.int32)

    def flag(*shape: int) -> Flags:
        return np.zeros((lanes, *shape), np.bool_)

    return SocState(
        generator=np.zeros(lanes, np.uint64),
        key=np.zeros(lanes, np.uint64),
        label=whole() - 1,
        types=whole(),
        kernels=whole(),
        processors=whole(),
        edges=whole(),
        mode=whole(),
        limit=whole(),
        shared=flag(),
        whole=flag(),
        latency_objective=flag(),
        scale=zeros(),
        window=zeros(),
        warm_up=zeros(),
        noise=zeros(),
        failure_gap=zeros(),
        repair_time=zeros(),
        decision=whole() + decision,
        supported=whole(),
        start_up=zeros(),
        per_volume=zeros(),
        mean_transfer=zeros(),
        typical_length=zeros() + 1.0,
        unit=zeros() + 1.0,
        offset=index(types + 1),
        share=zeros(types),
        length=zeros(types),
        time=zeros(kernels, processors),
        least=zeros(kernels),
        mean=zeros(kernels),
        rank=zeros(kernels),
        level=zeros(kernels),
        tail=zeros(kernels),
        optimistic=zeros(kernels, processors),
        predecessor_from=index(kernels + 1),
        predecessor=index(edges),
        volume=zeros(edges),
        successor_from=index(kernels + 1),
        successor=index(edges),
        bandwidth=zeros(processors, processors),
        latency=zeros(processors, processors),
        memory=zeros(processors),
        power=zeros(processors),
        idle=zeros(processors),
        clock=zeros(),
        done=~flag(),
        next_arrival=zeros(),
        pauses=whole(),
        arrived_jobs=whole(),
        admitted_jobs=whole(),
        completed_jobs=whole(),
        job_type=index(jobs),
        arrived=zeros(jobs),
        admitted=zeros(jobs),
        completed=zeros(jobs),
        place_job=index(places) - 1,
        place_left=index(places),
        status=np.zeros((lanes, places, tasks), np.int8),
        missing=index(places, tasks),
        ready_at=zeros(places, tasks),
        mapped_at=zeros(places, tasks),
        data_at=zeros(places, tasks),
        end_at=zeros(places, tasks),
        mapped_to=index(places, tasks),
        fetched_to=index(places, tasks),
        attempt=index(places, tasks),
        running=index(processors) - 1,
        running_end=zeros(processors),
        running_expected=zeros(processors),
        running_record=index(processors),
        queue=index(processors, cells),
        queued=index(processors),
        up=flag(processors),
        change_at=zeros(processors),
        changes=whole(processors),
        ready=index(cells),
        ready_count=whole(),
        offer=index(offers),
        offers=whole(),
        chosen=whole() - 1,
        pair_data=zeros(offers, processors),
        pair_start=zeros(offers, processors),
        pair_finish=zeros(offers, processors),
        available=zeros(processors),
        place_finish=zeros(places),
        records=whole(),
        record_job=index(runs),
        record_task=index(runs),
        record_processor=index(runs),
        record_mapped=zeros(runs),
        record_start=zeros(runs),
        record_end=zeros(runs),
        record_lost=flag(runs),
        latency_sum=zeros(),
        latency_count=whole(),
        excess=zeros(),
        makespan=zeros(),
        first_makespan=zeros() + 1.0,
        mask=flag(num_actions(capacity, decision)),
    )
