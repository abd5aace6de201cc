"""Schedules a job shop with an ONNX policy, in plain NumPy and ONNX Runtime: a pattern for any other language.

Nothing here comes from dispatchlab. `static_arrays` and `Shop.arrays` build the inputs for a policy that was trained
under the builder "non_delay", "active" or "append" without the wait action.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


class Shop:
    """A job shop under way: its instance, what has been scheduled, and what the policy wants to know about it."""

    def __init__(self, machines: NDArray[np.int64], times: NDArray[np.int64], num_machines: int, builder: str) -> None:
        """Starts with nothing scheduled; ``machines`` and ``times`` are ``(jobs, operations)``, counted from 0."""
        self.machines, self.times, self.builder = machines, times, builder
        self.jobs, self.operations = machines.shape
        self.num_machines = num_machines
        self.starts = np.full(times.shape, -1)
        self.next = [0] * self.jobs  # index of each job's next operation
        self.job_free = [0] * self.jobs  # when its last scheduled operation ends
        self.machine_free = [0] * num_machines
        self.machine_load = [int(times[machines == m].sum()) for m in range(num_machines)]  # work still to come
        self.machine_left = [int((machines == m).sum()) for m in range(num_machines)]  # operations still to come
        self.work = times.sum(axis=1)
        self.first_bound = max(int(self.work.max()), *self.machine_load)
        self.bound = self.first_bound  # no schedule from here on is shorter
        self.mean = float(times.mean()) or 1.0

    def unfinished(self) -> list[int]:
        """The jobs that still have an operation to be scheduled."""
        return [j for j in range(self.jobs) if self.next[j] < self.operations]

    def operation(self, job: int) -> tuple[int, int, int]:
        """Machine, processing time and earliest start of the job's next operation."""
        machine, time = int(self.machines[job, self.next[job]]), int(self.times[job, self.next[job]])
        return machine, time, max(self.job_free[job], self.machine_free[machine])

    def remaining(self, job: int) -> int:
        """Processing time of the job's operations that are not yet scheduled."""
        return int(self.times[job, self.next[job] :].sum())

    def legal(self) -> list[int]:
        """The jobs that may be picked now."""
        waiting = self.unfinished()
        if self.builder == "append":
            return waiting
        if self.builder == "non_delay":
            now = min(self.operation(j)[2] for j in waiting)
            return [j for j in waiting if self.operation(j)[2] == now]
        first = min(waiting, key=lambda j: self.operation(j)[2] + self.operation(j)[1])
        machine, time, start = self.operation(first)
        rivals = (j for j in waiting if self.operation(j)[0] == machine and self.operation(j)[2] < start + time)
        return sorted({first, *rivals})

    def schedule(self, job: int) -> None:
        """Places the job's next operation at its earliest start."""
        machine, time, start = self.operation(job)
        end = start + time
        self.starts[job, self.next[job]] = start
        self.next[job] += 1
        self.job_free[job] = self.machine_free[machine] = end
        self.machine_load[machine] -= time
        self.machine_left[machine] -= 1
        self.bound = max(self.bound, end + self.machine_load[machine])
        for j in self.unfinished():
            self.bound = max(self.bound, self.operation(j)[2] + self.remaining(j))

    def arrays(self) -> Arrays:
        """What changes from decision to decision. Finished jobs keep their row, filled with zeros."""
        waiting, legal = self.unfinished(), self.legal()
        queues = {m: [j for j in waiting if self.operation(j)[0] == m] for m in range(self.num_machines)}
        now = min(self.operation(j)[2] for j in waiting)
        job = np.zeros((self.jobs, 21), np.float32)
        for j in waiting:
            job[j] = self._job_features(j, now, queues[self.operation(j)[0]], len(waiting), j in legal)
        machine = [self._machine_features(m, now, queues[m], len(waiting)) for m in range(self.num_machines)]
        next_operation = [j * self.operations + self.next[j] for j in waiting]
        return {
            "job_dynamic": job,
            "machine_dynamic": np.array(machine, np.float32),
            "job_next_operation_index": np.array([waiting, next_operation], np.int64),
            "job_needs_machine_index": np.array([waiting, [self.operation(j)[0] for j in waiting]], np.int64),
            "context": self._context(now),
            "action_mask": np.array([j in legal for j in range(self.jobs)]),
        }

    def _job_features(self, j: int, now: int, queue: list[int], waiting: int, legal: bool) -> list[float]:
        machine, time, start = self.operation(j)
        remaining, k = self.remaining(j), self.next[j]
        due = int(self.times[j, : k + 1].sum())
        following = [0.0, 0.0, 0.0]
        if k + 1 < self.operations:
            m = int(self.machines[j, k + 1])
            following = [
                self.times[j, k + 1] / self.mean,
                (self.machine_free[m] - start - time) / self.mean,
                self.machine_load[m] / self.first_bound,
            ]
        rivals = [self._log_ratio(i) for i in queue if i != j]
        completion = min(self.operation(i)[2] + self.operation(i)[1] for i in queue)
        load = self.machine_load[machine]
        return [
            1.0,
            float(legal),
            (self.job_free[j] - now) / self.mean,
            (start - now) / self.mean,
            time / self.mean,
            time / max(remaining, 1),
            self._log_ratio(j),
            remaining / self.first_bound,
            (remaining - time) / self.first_bound,
            (self.operations - k) / self.operations,
            (self.bound - start - remaining) / self.first_bound,
            load / self.first_bound,
            (self.bound - max(self.machine_free[machine], now) - load) / self.first_bound,
            len(queue) / waiting,
            (start - self.job_free[j]) / self.mean,
            *following,
            due / max(due + remaining, 1),
            (start + time - completion) / self.mean,
            self._log_ratio(j) - min(rivals) if rivals else 0.0,
        ]

    def _log_ratio(self, j: int) -> float:
        return float(np.log(max(self.operation(j)[1], 0.5) / max(self.remaining(j), 0.5)))

    def _machine_features(self, m: int, now: int, queue: list[int], waiting: int) -> list[float]:
        free, load = self.machine_free[m], self.machine_load[m]
        return [
            (free - now) / self.mean,
            load / self.first_bound,
            self.machine_left[m] / max(int((self.machines == m).sum()), 1),
            (self.bound - max(free, now) - load) / self.first_bound,
            len(queue) / waiting,
            sum(self.operation(j)[1] for j in queue) / self.mean,
            (min(self.operation(j)[2] for j in queue) - now) / self.mean if queue else 0.0,
        ]

    def _context(self, now: int) -> NDArray[np.float32]:
        return np.array(
            [
                (self.starts >= 0).sum() / self.starts.size,
                (self.bound - self.first_bound) / self.first_bound,
                now / self.first_bound,
                np.log(self.jobs),
                np.log(self.num_machines),
                np.log(self.jobs) - np.log(self.num_machines),
                *(self.builder == name for name in ("append", "insertion", "active", "non_delay")),
                0.0,
            ],
            np.float32,
        )


def static_arrays(shop: Shop) -> Arrays:
    """What stays for the whole instance. Operation ``k`` of job ``j`` is row ``j * operations + k``."""
    features, precedes, runs_on, part_of = [], [], [], []
    by_job = [np.quantile(shop.times[j], (0.25, 0.5, 0.75)) for j in range(shop.jobs)]
    for j in range(shop.jobs):
        for k in range(shop.operations):
            row, m, time = j * shop.operations + k, shop.machines[j, k], shop.times[j, k]
            on_machine = shop.times[shop.machines == m]
            head, tail = shop.times[j, :k].sum(), shop.times[j, k + 1 :].sum()
            features.append(
                [
                    time / shop.mean,
                    head / max(shop.work[j], 1),
                    tail / max(shop.work[j], 1),
                    head / shop.first_bound,
                    tail / shop.first_bound,
                    *((time - quartile) / shop.mean for quartile in by_job[j]),
                    *((time - quartile) / shop.mean for quartile in np.quantile(on_machine, (0.25, 0.5, 0.75))),
                    on_machine.sum() / shop.first_bound,
                ]
            )
            runs_on.append((row, m))
            part_of.append((row, j))
            if k + 1 < shop.operations:
                precedes.append((row, row + 1))
    return {
        "operation_static": np.array(features, np.float32),
        "operation_precedes_operation_index": np.array(precedes, np.int64).reshape(-1, 2).T,
        "operation_runs_on_machine_index": np.array(runs_on, np.int64).T,
        "operation_part_of_job_index": np.array(part_of, np.int64).T,
    }


def dispatch(session: onnxruntime.InferenceSession, shop: Shop) -> NDArray[np.int64]:
    """Schedules the whole shop: one call of the file for each operation."""
    outputs = [port.name for port in session.get_outputs()]
    fixed, cached = static_arrays(shop), {}
    while shop.unfinished():
        results = dict(zip(outputs, session.run(outputs, {**fixed, **shop.arrays(), **cached}), strict=True))
        shop.schedule(int(results["logits"].argmax()))
        cached = {f"cached_{name}": array for name, array in results.items() if name.endswith("_embedding")}
    return shop.starts


def main(policy: str) -> None:
    """Schedules three jobs on three machines."""
    machines, times = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]]), np.array([[3, 2, 2], [2, 1, 4], [4, 3, 1]])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the fastest for graphs this small
    options.log_severity_level = 3  # no note that inputs with a default value cannot be folded
    starts = dispatch(onnxruntime.InferenceSession(policy, options), Shop(machines, times, 3, "non_delay"))
    print(f"makespan {(starts + times).max()}, starts:\n{starts}")


if __name__ == "__main__":
    main(sys.argv[1])
