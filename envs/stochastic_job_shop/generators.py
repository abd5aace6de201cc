"""Random instances of the stochastic job shop: compiled for training, by name for benchmarks.

Sources:
    K. R. Baker, "Sequencing rules and due-date assignments in a job shop", Management Science 30(9), 1984 (total work
    content: due date = release + k times the job's work).
    M. Pinedo, M. Singer, "A shifting bottleneck heuristic for minimizing the total weighted tardiness in a job shop",
    Naval Research Logistics 46(1), 1999 (weights 4, 2, 1 for 20, 60, 20 percent of the jobs).
    G. Infantes, S. Roussel, P. Pereira, A. Jacquet, E. Benazera, "Learning to solve job shop scheduling under
    uncertainty", CPAIOR 2024 (Wheatley; its generator of triangular times).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle, kernel
from envs.core.random import next_integer, next_uniform
from envs.core.taillard import taillard_matrices, taillard_seeds
from envs.stochastic_job_shop.draws import LOGNORMAL, PERT, TRIANGULAR
from envs.stochastic_job_shop.state import ShopState
from envs.stochastic_job_shop.types import StochasticJobShopInstance


class Family(NamedTuple):
    """What random instances are drawn from.

    Attributes:
        time_low: Smallest (most likely) processing time; they are whole numbers.
        time_high: Largest of them.
        law: Index into `envs.stochastic_job_shop.types.LAWS`.
        below: The least time is the most likely minus a uniform whole number of 1 up to this, but at least 1.
        above: The greatest time is the most likely plus a uniform whole number of 1 up to this.
        utilisation: Expected load of a machine under Poisson arrivals; 0 for jobs that are all there at time 0.
        due_factor_low: Smallest factor k of due dates; 0 for none.
        due_factor_high: Largest; a job's own is uniform in between.
        weighted: Draws weights 1, 2 or 4 with probabilities 0.2, 0.6, 0.2; else all are 1.
        failure_gap: Mean time to failure in mean processing times; 0 for none.
        repair_time: Mean repair time in mean processing times.
        goal: Index into `envs.stochastic_job_shop.types.OBJECTIVES`.
    """

    time_low: int
    time_high: int
    law: int
    below: int
    above: int
    utilisation: float
    due_factor_low: float
    due_factor_high: float
    weighted: bool
    failure_gap: float
    repair_time: float
    goal: int


@njit(cache=True, nogil=True)
def draw_random(
    handle: Handle[ShopState],
    lanes: NDArray[np.int64],
    sizes: NDArray[np.int64],
    sigmas: NDArray[np.float64],
    family: Family,
) -> None:
    """Puts a random instance into each of ``lanes``: size and sigma uniform over the given ones, random routes."""
    s = handle.arrays
    for lane in lanes:
        row = next_integer(s.generator, lane, 0, sizes.shape[0] - 1)
        s.size[lane, 0], s.size[lane, 1], s.size[lane, 2] = sizes[row, 0], sizes[row, 1], sizes[row, 1]
        s.label[lane] = -1
        s.law[lane] = family.law
        s.goal[lane] = family.goal
        s.sigma[lane] = 0.0
        if family.law == LOGNORMAL:
            s.sigma[lane] = sigmas[next_integer(s.generator, lane, 0, sigmas.shape[0] - 1)]
        _draw_operations(s, lane, family)
        expect(s, lane)
        mean = _mean_time(s, lane)
        s.time_to_failure[lane] = family.failure_gap * mean
        s.repair_time[lane] = family.repair_time * mean if family.failure_gap > 0.0 else 0.0
        _draw_jobs(s, lane, family, mean)


@kernel
def _draw_operations(s: ShopState, lane: int, family: Family) -> None:
    for j in range(s.size[lane, 0]):
        for k in range(s.size[lane, 1]):
            mode = next_integer(s.generator, lane, family.time_low, family.time_high)
            s.time[lane, j, k, 0] = s.time[lane, j, k, 1] = s.time[lane, j, k, 2] = mode
            if family.law == TRIANGULAR or family.law == PERT:
                least = max(mode - next_integer(s.generator, lane, 1, family.below), 1)
                s.time[lane, j, k, 0] = min(least, mode)
                s.time[lane, j, k, 2] = mode + next_integer(s.generator, lane, 1, family.above)
            other = next_integer(s.generator, lane, 0, k)
            s.machine[lane, j, k] = s.machine[lane, j, other]
            s.machine[lane, j, other] = k


@kernel
def _draw_jobs(s: ShopState, lane: int, family: Family, mean: float) -> None:
    release = 0.0
    for j in range(s.size[lane, 0]):
        work = 0.0
        for k in range(s.size[lane, 1]):
            work += s.expected[lane, j, k]
        if family.utilisation > 0.0:
            pause = mean * s.size[lane, 1] / (s.size[lane, 2] * family.utilisation)
            release -= pause * np.log(1.0 - next_uniform(s.generator, lane))
        s.job_release[lane, j] = release
        s.job_due[lane, j] = np.inf
        if family.due_factor_high > 0.0:
            span = family.due_factor_high - family.due_factor_low
            s.job_due[lane, j] = release + (family.due_factor_low + span * next_uniform(s.generator, lane)) * work
        s.job_weight[lane, j] = 1.0
        if family.weighted:
            draw = next_uniform(s.generator, lane)
            s.job_weight[lane, j] = 1.0 if draw < 0.2 else 2.0 if draw < 0.8 else 4.0


@kernel
def _mean_time(s: ShopState, lane: int) -> float:
    total = 0.0
    for j in range(s.size[lane, 0]):
        for k in range(s.size[lane, 1]):
            total += s.expected[lane, j, k]
    mean: float = total / (s.size[lane, 0] * s.size[lane, 1])
    return mean


@kernel
def expect(s: ShopState, lane: int) -> None:
    """Works out mean and coefficient of variation of every processing time of a lane's instance."""
    for j in range(s.size[lane, 0]):
        for k in range(s.size[lane, 1]):
            least, mode, greatest = s.time[lane, j, k, 0], s.time[lane, j, k, 1], s.time[lane, j, k, 2]
            mean = mode
            deviation = 0.0
            if s.law[lane] == TRIANGULAR:
                mean = (least + mode + greatest) / 3.0
                one, other = mode - least, greatest - mode
                deviation = np.sqrt((one * one + one * other + other * other) / 18.0)
            elif s.law[lane] == PERT:
                mean = (least + 4.0 * mode + greatest) / 6.0
                deviation = np.sqrt((mean - least) * (greatest - mean) / 7.0)
            elif s.law[lane] == LOGNORMAL:
                deviation = mean * np.sqrt(np.exp(s.sigma[lane] * s.sigma[lane]) - 1.0)
            s.expected[lane, j, k] = mean
            s.variation[lane, j, k] = deviation / mean if mean > 0.0 else 0.0


@njit(cache=True, nogil=True)
def expect_lane(handle: Handle[ShopState], lane: int) -> None:
    """Works out mean and variation of the processing times of the instance that stands in ``lane``."""
    expect(handle.arrays, lane)


def taillard_instance(name: str) -> StochasticJobShopInstance:
    """Returns one of Taillard's instances ta01 to ta80 with deterministic times."""
    one = next(seeds for seeds in taillard_seeds() if seeds.name == name)
    machines, times = taillard_matrices(one.jobs, one.machines, one.time_seed, one.machine_seed)
    return StochasticJobShopInstance(name, machines, times.astype(np.float64), one.machines)


def spread_triangular(
    instance: StochasticJobShopInstance, rng: np.random.Generator, below: int = 9, above: int = 199
) -> StochasticJobShopInstance:
    """Gives an instance triangular times around its own, as Wheatley's generator does around random ones.

    The least time is the most likely minus a whole number uniform on 1..``below``, but at least 1 (and at most the
    most likely); the greatest is the most likely plus one uniform on 1..``above``. The defaults are those of the
    published program, whose options ``duration_delta`` are 10 and 200, exclusive.
    """
    mode = instance.times[:, :, 1]
    least = np.minimum(np.maximum(mode - rng.integers(1, below, mode.shape, endpoint=True), 1), mode)
    greatest = mode + rng.integers(1, above, mode.shape, endpoint=True)
    return replace(instance, times=np.stack([least, mode, greatest], axis=2), law="triangular", sigma=0.0)
