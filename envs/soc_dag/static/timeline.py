"""Schedules under construction: where a task could start, and placing it there."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from envs.soc_dag.static.graph import TaskGraph
from envs.soc_dag.types import Trace, static_trace


class Timeline:
    """A partial schedule of a task graph.

    Attributes:
        graph: The task graph.
        processor: PE of every placed task, -1 otherwise.
        start: Start of every placed task.
        end: End of every placed task.
    """

    def __init__(self, graph: TaskGraph) -> None:
        """Begins with nothing placed."""
        self.graph = graph
        self.processor = [-1] * graph.num_tasks
        self.start = [0.0] * graph.num_tasks
        self.end = [0.0] * graph.num_tasks
        self._times: list[list[float]] = graph.times.tolist()
        self._starts: list[list[float]] = [[] for _ in range(graph.num_processors)]
        self._ends: list[list[float]] = [[] for _ in range(graph.num_processors)]

    def available(self, processor: int) -> float:
        """When the PE has done all that is placed on it."""
        ends = self._ends[processor]
        return ends[-1] if ends else 0.0

    def data_ready(self, task: int, processor: int) -> float:
        """When the task is released and the data of its placed predecessors is on the PE."""
        instance = self.graph.instance
        ready = float(self.graph.release[task])
        shared = instance.transfer == "shared_memory"
        for before, volume in self.graph.predecessors[task]:
            sender = self.processor[before]
            if sender >= 0:
                transfer = (
                    instance.memory_time(volume, sender)
                    if shared
                    else instance.transfer_time(volume, sender, processor)
                )
                ready = max(ready, self.end[before] + transfer)
        return ready + self._fetch_time(task, processor) if shared else ready

    def earliest_start(self, task: int, processor: int, *, insertion: bool) -> float:
        """Earliest start time EST on a PE that can run the task.

        Args:
            task: The task; what its predecessors without a place would send is left out.
            processor: The PE.
            insertion: Also try the gaps between tasks on the PE, not only the time after the last of them.
        """
        ready = self.data_ready(task, processor)
        if not insertion:
            return max(ready, self.available(processor))
        starts, ends = self._starts[processor], self._ends[processor]
        duration = self._times[task][processor]
        for following in range(bisect_right(ends, ready), len(starts)):
            begin = max(ready, ends[following - 1]) if following else ready
            if begin + duration <= starts[following]:
                return begin
        return max(ready, self.available(processor))

    def earliest_finish(self, task: int, processor: int, *, insertion: bool) -> float:
        """Earliest finish time EFT: `earliest_start` plus the execution time."""
        return self.earliest_start(task, processor, insertion=insertion) + self._times[task][processor]

    def place(self, task: int, processor: int, start: float) -> None:
        """Puts a task on a PE, where it must not overlap another."""
        end = start + self._times[task][processor]
        self.processor[task], self.start[task], self.end[task] = processor, start, end
        at = bisect_right(self._starts[processor], start)
        while at and self._ends[processor][at - 1] > start:
            at -= 1
        self._starts[processor].insert(at, start)
        self._ends[processor].insert(at, end)

    def place_earliest(self, task: int, processor: int, *, insertion: bool) -> None:
        """Puts a task on a PE as early as it can start there."""
        self.place(task, processor, self.earliest_start(task, processor, insertion=insertion))

    def remove(self, task: int) -> None:
        """Takes a placed task out again."""
        processor = self.processor[task]
        at = self._starts[processor].index(self.start[task])
        while self._ends[processor][at] != self.end[task]:
            at += 1
        del self._starts[processor][at], self._ends[processor][at]
        self.processor[task] = -1

    def finishing_first(self, task: int, *, insertion: bool, penalty: Sequence[float] | None = None) -> int:
        """PE with the smallest EFT, plus ``penalty[p]`` where one is given; ties go to the smaller index."""

        def finish(p: int) -> float:
            return self.earliest_finish(task, p, insertion=insertion) + (penalty[p] if penalty else 0.0)

        return min(self.graph.supported[task], key=finish)

    def starting_first(self, task: int, *, insertion: bool) -> int:
        """PE with the smallest EST; ties go to the smaller index."""
        return min(self.graph.supported[task], key=lambda p: self.earliest_start(task, p, insertion=insertion))

    def trace(self) -> Trace:
        """Returns the finished schedule; with a shared memory tasks are mapped just in time for their data."""
        processors, starts = np.array(self.processor, np.int64), np.array(self.start)
        parts = [slice(first, last) for first, last in pairwise(self.graph.offsets.tolist())]
        instance = self.graph.instance
        trace = static_trace(instance, [processors[part] for part in parts], [starts[part] for part in parts])
        if instance.transfer == "direct":
            return trace
        fetch = [self._fetch_time(task, processor) for task, processor in enumerate(self.processor)]
        return replace(trace, mapped=trace.start - np.array(fetch))

    def _fetch_time(self, task: int, processor: int) -> float:
        volumes = [volume for _, volume in self.graph.predecessors[task]]
        return max((self.graph.instance.memory_time(volume, processor) for volume in volumes), default=0.0)


def by_priority(graph: TaskGraph, keys: Sequence[Any]) -> Iterator[int]:
    """Yields tasks so that predecessors come first, of those that may come next the one with the smallest key.

    Jobs that are released earlier come first as a whole, so that a later job is scheduled around what is there; those
    of the same release are one graph. Ties go to the smaller index. Within jobs of the same release, where the keys
    grow along every edge, this is the order of the keys.
    """
    missing = [len(before) for before in graph.predecessors]
    release: list[float] = graph.release.tolist()
    ready = [(release[task], keys[task], task) for task, count in enumerate(missing) if count == 0]
    heapq.heapify(ready)
    while ready:
        _, _, task = heapq.heappop(ready)
        yield task
        for after, _ in graph.successors[task]:
            missing[after] -= 1
            if missing[after] == 0:
                heapq.heappush(ready, (release[after], keys[after], after))
