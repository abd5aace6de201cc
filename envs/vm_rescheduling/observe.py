"""Observations of VM rescheduling, compiled and batched; what they hold stands in `envs.vm_rescheduling.features`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.vm_rescheduling.dynamics import LARGE_HALF, MEMORY_PIECE, PIECE, weighted_sum
from envs.vm_rescheduling.state import VmState

Reals = NDArray[np.float32]
Indices = NDArray[np.int32]

_LIMIT_UNIT = 50.0
_GAIN_OF_NOWHERE = -1.0


@njit(cache=True, nogil=True)
def observe_static(
    state: VmState,
    lanes: NDArray[np.int64],
    vm_out: Reals,
    numa_out: Reals,
    machine_out: Reals,
    part_of: Indices,
    apart_from: Indices,
) -> None:
    """Writes the arrays that stay for an episode."""
    for row, lane in enumerate(lanes):
        episode = state.episode[lane]
        for array in (vm_out, numa_out, machine_out):
            array[row] = 0
        part_of[row], apart_from[row] = -1, -1
        edge = 0
        for v in range(episode.vms):
            vm, out = state.vm[lane, v], vm_out[row, v]
            out[0], out[1] = vm.cores / PIECE, vm.memory / MEMORY_PIECE
            out[2], out[3], out[4] = vm.numas - 1, vm.movable, vm.peer != v
            if vm.peer != v:
                apart_from[row, 0, edge], apart_from[row, 1, edge] = v, vm.peer
                edge += 1
        for n in range(episode.numas):
            numa = state.numa[lane, n]
            numa_out[row, n, 0], numa_out[row, n, 1] = numa.cores / PIECE, numa.memory / MEMORY_PIECE
            part_of[row, 0, n], part_of[row, 1, n] = n, numa.machine
        for m in range(episode.machines):
            machine_out[row, m, 0] = state.machine[lane, m].numas


@njit(cache=True, nogil=True)
def observe_dynamic(
    state: VmState,
    lanes: NDArray[np.int64],
    vm_out: Reals,
    stop_out: Reals,
    numa_out: Reals,
    machine_out: Reals,
    hosted_on: Indices,
    context: Reals,
    counts: Indices,
    mask: NDArray[np.bool_],
) -> None:
    """Writes the arrays that change."""
    for row, lane in enumerate(lanes):
        mask[row] = state.mask[lane]
        hosts = _observe_vms(state, lane, vm_out[row], hosted_on[row])
        stop_out[row, 0, 0] = state.mask[lane, state.vm.shape[1]]
        _observe_numas(state, lane, numa_out[row])
        _observe_machines(state, lane, machine_out[row])
        _observe_context(state, lane, context[row])
        episode, peers = state.episode[lane], 0
        for v in range(episode.vms):
            peers += state.vm[lane, v].peer != v
        counts[row, 0], counts[row, 1], counts[row, 2] = episode.vms, 1, episode.numas
        counts[row, 3], counts[row, 4], counts[row, 5], counts[row, 6] = episode.machines, hosts, episode.numas, peers


@njit(cache=True, nogil=True)
def _observe_vms(state: VmState, lane: int, vm_out: Reals, hosted_on: Indices) -> int:
    episode, edge, chosen = state.episode[lane], 0, state.episode[lane].chosen
    rows, numas, mask = state.vm[lane], state.numa[lane], state.mask[lane]
    for v in range(episode.vms):
        vm, out = rows[v], vm_out[v]
        out[1], out[2], out[5] = mask[v], v == chosen, vm.migrated
        if vm.host < 0:
            out[0], out[3], out[4] = 0, 0, 0
            out[6:9] = 0
            continue
        _write_pieces(out, 6, numas[vm.host].free_cores + vm.cores // vm.numas)
        out[0], out[3] = 1, vm.leave
        out[4] = vm.best if vm.best > -np.inf else _GAIN_OF_NOWHERE
        for n in range(vm.host, vm.host + vm.numas):
            hosted_on[0, edge], hosted_on[1, edge] = v, n
            edge += 1
    vm_out[episode.vms :] = 0
    hosted_on[:, edge:] = -1
    return edge


@njit(cache=True, nogil=True, inline="always")
def _write_pieces(out: Reals, first: int, cores: int) -> None:
    """Writes the binary digits of 8, 4 and 2."""
    out[first], out[first + 1], out[first + 2] = cores >> 3 & 1, cores >> 2 & 1, cores >> 1 & 1


@njit(cache=True, nogil=True)
def _observe_numas(state: VmState, lane: int, numa_out: Reals) -> None:
    episode, first = state.episode[lane], state.vm.shape[1] + 1
    chosen = episode.chosen
    vm = state.vm[lane, max(0, chosen)]
    for n in range(episode.numas):
        numa, out = state.numa[lane, n], numa_out[n]
        legal = state.mask[lane, first + n]
        out[0], out[1] = legal, numa.free_cores / PIECE
        out[2] = numa.free_cores % PIECE / PIECE
        out[3] = numa.free_cores % LARGE_HALF / LARGE_HALF
        out[4], out[5] = numa.free_memory / MEMORY_PIECE, numa.held_cores / PIECE
        out[6] = chosen >= 0 and vm.host <= n < vm.host + vm.numas
        out[7] = state.gain[lane, vm.type, n] if legal else 0.0
        _write_pieces(out, 8, numa.free_cores)
        _write_pieces(out, 11, numa.free_cores - vm.cores // vm.numas if legal else 0)
    numa_out[episode.numas :] = 0


@njit(cache=True, nogil=True)
def _observe_machines(state: VmState, lane: int, machine_out: Reals) -> None:
    machines = state.episode[lane].machines
    for m in range(machines):
        machine_out[m, 0] = state.machine[lane, m].vms / 10
        machine_out[m, 1] = state.machine[lane, m].cost
    machine_out[machines:] = 0


@njit(cache=True, nogil=True)
def _observe_context(state: VmState, lane: int, out: Reals) -> None:
    episode = state.episode[lane]
    left = episode.limit - episode.migrations
    cores, memory = max(1, episode.free_cores), max(1, episode.free_memory)
    has_goal = episode.goal >= 0
    values = (
        1.0 if episode.chosen >= 0 else 0.0,
        left / _LIMIT_UNIT,
        left / episode.limit,
        episode.fragments / cores,
        (episode.free_cores - 64 * episode.large) / cores,
        episode.pieces / memory,
        episode.occupied / max(1, episode.machines),
        episode.fr16,
        episode.fr64,
        episode.memory64,
        episode.occupied_hosts,
        1.0 if has_goal else 0.0,
        10 * (weighted_sum(state, lane) - episode.goal) if has_goal else 0.0,
        episode.free_cores / max(1, episode.numas) / PIECE,
        float(min(episode.in_flight, episode.migrations)),
    )
    for i, value in enumerate(values):
        out[i] = value
