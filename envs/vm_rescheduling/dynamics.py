"""The rules of VM rescheduling, compiled and batched.

A migration is two decisions: first a VM (or "stop"), then its place. Actions count through the VMs, the stop, the NUMA
nodes. What a decision may pick, and what it would gain, is kept up to date: a migration changes two machines, and only
what hangs on these is computed anew.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.vm_rescheduling.state import ARRIVAL, VmState

PIECE = 16
LARGE_HALF = 32
MEMORY_PIECE = 65536
TINY = 1e-9
"""Gains up to this are none."""


@njit(cache=True, nogil=True)
def begin(state: VmState, lanes: NDArray[np.int64]) -> None:
    """Puts the VMs of instances that were just loaded in their places and goes to the first migration."""
    for lane in lanes:
        episode = state.episode[lane]
        for n in range(episode.numas):
            numa = state.numa[lane, n]
            numa.free_cores, numa.free_memory = numa.cores, numa.memory
            numa.held_cores, numa.held_memory = 0, 0
            _count_numa(state, lane, n, 1)
        for m in range(episode.machines):
            _count_large(state, lane, m, 1)
        for v in range(episode.vms):
            if state.vm[lane, v].start >= 0:
                _put(state, lane, v, state.vm[lane, v].start)
        _fix_scales(state, lane)
        _advance(state, lane)
        for m in range(episode.machines):
            _refresh_machine(state, lane, m)
        for t in range(episode.types):
            _rank_places(state, lane, t)
        _rank_vms(state, lane)
        episode.first = weighted_sum(state, lane)
        _write_mask(state, lane)


@njit(cache=True, nogil=True)
def step(state: VmState, actions: NDArray[np.int64], active: NDArray[np.bool_], refused: NDArray[np.bool_]) -> None:
    """Applies one action in every active lane; sets the flags of refused ones."""
    for lane in range(len(actions)):
        refused[lane] = False
        if not active[lane]:
            continue
        action = actions[lane]
        episode = state.episode[lane]
        if action < 0 or action >= state.mask.shape[1] or not state.mask[lane, action]:
            refused[lane] = True
            continue
        vms = state.vm.shape[1]
        if action < vms:
            episode.chosen = action
        elif action == vms:
            episode.stopped = 1
        else:
            _migrate(state, lane, episode.chosen, action - vms - 1)
            episode.chosen = -1
        _write_mask(state, lane)


@njit(cache=True, nogil=True)
def finished(state: VmState, out: NDArray[np.bool_]) -> None:
    """Writes the flags of lanes that stopped, are at the limit or have come to their goal."""
    for lane in range(len(out)):
        out[lane] = _over(state, lane)


@njit(cache=True, nogil=True)
def _over(state: VmState, lane: int) -> bool:
    episode = state.episode[lane]
    if episode.stopped == 1 or episode.migrations >= episode.limit:
        return True
    if episode.goal < 0 or episode.migrations == 0:
        return False
    reached: bool = weighted_sum(state, lane) - episode.goal <= TINY
    return reached


@njit(cache=True, nogil=True)
def objectives(state: VmState, out: NDArray[np.float64]) -> None:
    """Writes the objectives that the lanes would have if they stopped now."""
    for lane in range(len(out)):
        episode = state.episode[lane]
        reached = weighted_sum(state, lane)
        if episode.goal < 0:
            out[lane] = reached
        elif reached - episode.goal <= TINY:
            out[lane] = episode.migrations
        else:
            out[lane] = episode.limit + 1 + 100 * (reached - episode.goal)


@njit(cache=True, nogil=True, inline="always")
def weighted_sum(state: VmState, lane: int) -> float:
    """Returns the weighted sum of the terms of the objective."""
    episode = state.episode[lane]
    total: float = 0.0
    if episode.free_cores > 0:
        total += episode.fr16 * (episode.fragments / episode.free_cores)
        total += episode.fr64 * (1 - 64 * episode.large / episode.free_cores)
    if episode.free_memory > 0:
        total += episode.memory64 * (episode.pieces / episode.free_memory)
    if episode.machines > 0:
        total += episode.occupied_hosts * (episode.occupied / episode.machines)
    return total


@njit(cache=True, nogil=True)
def fits(state: VmState, lane: int, v: int, place: int) -> bool:
    """Whether a VM may be migrated to a place."""
    vm = state.vm[lane, v]
    if place == vm.host or state.gain[lane, vm.type, place] == -np.inf:
        return False
    return vm.peer == v or not _meets_peer(state, lane, v, state.numa[lane, place].machine)


@njit(cache=True, nogil=True)
def _rank_vms(state: VmState, lane: int) -> None:
    """Finds the largest gain of putting each VM somewhere else."""
    vms, kinds = state.vm[lane], state.type[lane]
    for v in range(state.episode[lane].vms):
        vm = vms[v]
        kind = kinds[vm.type]
        vm.best = kind.second if kind.place == vm.host else kind.best
        if vm.peer != v and vm.host >= 0 and vm.best > -np.inf:
            vm.best = _best_apart(state, lane, v)


@njit(cache=True, nogil=True)
def _best_apart(state: VmState, lane: int, v: int) -> float:
    """Returns the largest gain of putting a VM somewhere else and apart from its group."""
    vm = state.vm[lane, v]
    kind = state.type[lane, vm.type]
    best: float = vm.best
    if kind.place != vm.host and not _meets_peer(state, lane, v, state.numa[lane, kind.place].machine):
        return best
    best = -np.inf
    for place in range(state.episode[lane].numas):
        gain = state.gain[lane, vm.type, place]
        if gain > best and fits(state, lane, v, place):
            best = gain
    return best


@njit(cache=True, nogil=True)
def _meets_peer(state: VmState, lane: int, v: int, machine: int) -> bool:
    """Whether another VM of the group runs on a machine."""
    peer = state.vm[lane, v].peer
    while peer != v:
        host = state.vm[lane, peer].host
        if host >= 0 and state.numa[lane, host].machine == machine:
            return True
        peer = state.vm[lane, peer].peer
    return False


@njit(cache=True, nogil=True)
def _migrate(state: VmState, lane: int, v: int, place: int) -> None:
    episode, vm = state.episode[lane], state.vm[lane, v]
    source = vm.host
    move = state.move[lane, episode.migrations]
    move.vm, move.numa, move.source = v, place, source
    _remove(state, lane, v)
    _hold(state, lane, v, source, 1)
    _put(state, lane, v, place)
    vm.migrated += 1
    episode.migrations += 1
    release_to = episode.migrations - episode.in_flight
    first, second = state.numa[lane, source].machine, state.numa[lane, place].machine
    while episode.released < release_to:
        done = state.move[lane, episode.released]
        if done.source >= 0:
            _hold(state, lane, done.vm, done.source, -1)
            if episode.in_flight > 0:
                _refresh_machine(state, lane, state.numa[lane, done.source].machine)
            done.source = -1
        episode.released += 1
    _advance(state, lane)
    _refresh_machine(state, lane, first)
    if second != first:
        _refresh_machine(state, lane, second)
    for t in range(episode.types):
        _rank_places(state, lane, t)
    _rank_vms(state, lane)


@njit(cache=True, nogil=True)
def _advance(state: VmState, lane: int) -> None:
    """Goes to the time of the next migration; what is due by then happens."""
    episode = state.episode[lane]
    episode.clock = episode.delay + episode.migrations * episode.seconds
    while episode.next_event < episode.events and state.event[lane, episode.next_event].time <= episode.clock:
        event = state.event[lane, episode.next_event]
        v = event.vm
        vm = state.vm[lane, v]
        if event.kind == ARRIVAL:
            place = best_fit(state, lane, v)
            if place >= 0:
                _put(state, lane, v, place)
                _refresh_machine(state, lane, state.numa[lane, place].machine)
        elif vm.host >= 0:
            machine = state.numa[lane, vm.host].machine
            _remove(state, lane, v)
            vm.host = -1
            for i in range(episode.released, episode.migrations):
                held = state.move[lane, i]
                if held.vm == v and held.source >= 0:
                    _hold(state, lane, v, held.source, -1)
                    _refresh_machine(state, lane, state.numa[lane, held.source].machine)
                    held.source = -1
            _refresh_machine(state, lane, machine)
        episode.next_event += 1


@njit(cache=True, nogil=True)
def best_fit(state: VmState, lane: int, v: int) -> int:
    """Returns the place of a VM's cluster that keeps the fewest cores free with it; -1 if there is none."""
    vm = state.vm[lane, v]
    half_cores, half_memory = vm.cores // vm.numas, vm.memory // vm.numas
    best, least = -1, 0
    for n in range(state.episode[lane].numas):
        machine = state.numa[lane, n].machine
        if state.machine[lane, machine].cluster != vm.home or not _has_room(
            state, lane, n, vm.numas, half_cores, half_memory
        ):
            continue
        left = state.numa[lane, n].free_cores - state.numa[lane, n].held_cores
        if vm.numas == 2:
            left += state.numa[lane, n + 1].free_cores - state.numa[lane, n + 1].held_cores
        if (best < 0 or left < least) and (vm.peer == v or not _meets_peer(state, lane, v, machine)):
            best, least = n, left
    return best


@njit(cache=True, nogil=True, inline="always")
def _has_room(state: VmState, lane: int, n: int, numas: int, cores: int, memory: int) -> bool:
    """Whether a NUMA node, of two needed the first, has so many cores and so much memory, on each."""
    numa = state.numa[lane, n]
    if numa.free_cores - numa.held_cores < cores or numa.free_memory - numa.held_memory < memory:
        return False
    if numas == 1:
        return True
    machine = state.machine[lane, numa.machine]
    if machine.numas != 2 or machine.first != n:
        return False
    other = state.numa[lane, n + 1]
    both: bool = other.free_cores - other.held_cores >= cores and other.free_memory - other.held_memory >= memory
    return both


@njit(cache=True, nogil=True)
def _put(state: VmState, lane: int, v: int, place: int) -> None:
    vm = state.vm[lane, v]
    vm.host = place
    m = state.numa[lane, place].machine
    machine = state.machine[lane, m]
    vm.previous, vm.next = -1, machine.head
    if machine.head >= 0:
        state.vm[lane, machine.head].previous = v
    machine.head = v
    machine.vms += 1
    if machine.vms == 1:
        state.episode[lane].occupied += 1
    state.episode[lane].running += 1
    _take(state, lane, v, place, 1)


@njit(cache=True, nogil=True)
def _remove(state: VmState, lane: int, v: int) -> None:
    """Takes a VM from its machine; its ``host`` stays for the caller to overwrite."""
    vm = state.vm[lane, v]
    machine = state.machine[lane, state.numa[lane, vm.host].machine]
    if vm.previous >= 0:
        state.vm[lane, vm.previous].next = vm.next
    else:
        machine.head = vm.next
    if vm.next >= 0:
        state.vm[lane, vm.next].previous = vm.previous
    machine.vms -= 1
    if machine.vms == 0:
        state.episode[lane].occupied -= 1
    state.episode[lane].running -= 1
    _take(state, lane, v, vm.host, -1)


@njit(cache=True, nogil=True)
def _take(state: VmState, lane: int, v: int, place: int, sign: int) -> None:
    """Takes what a VM needs at a place, or with ``sign`` -1 gives it back."""
    vm = state.vm[lane, v]
    machine = state.numa[lane, place].machine
    _count_large(state, lane, machine, -1)
    for n in range(place, place + vm.numas):
        _count_numa(state, lane, n, -1)
        state.numa[lane, n].free_cores -= sign * (vm.cores // vm.numas)
        state.numa[lane, n].free_memory -= sign * (vm.memory // vm.numas)
        _count_numa(state, lane, n, 1)
    _count_large(state, lane, machine, 1)


@njit(cache=True, nogil=True)
def _hold(state: VmState, lane: int, v: int, place: int, sign: int) -> None:
    """Holds what a VM needs at a place that it has left, or with ``sign`` -1 lets it go."""
    vm = state.vm[lane, v]
    for n in range(place, place + vm.numas):
        state.numa[lane, n].held_cores += sign * (vm.cores // vm.numas)
        state.numa[lane, n].held_memory += sign * (vm.memory // vm.numas)


@njit(cache=True, nogil=True, inline="always")
def _count_numa(state: VmState, lane: int, n: int, sign: int) -> None:
    episode, numa = state.episode[lane], state.numa[lane, n]
    episode.free_cores += sign * numa.free_cores
    episode.free_memory += sign * numa.free_memory
    episode.fragments += sign * (numa.free_cores % PIECE)
    episode.pieces += sign * (numa.free_memory % MEMORY_PIECE)


@njit(cache=True, nogil=True, inline="always")
def _count_large(state: VmState, lane: int, m: int, sign: int) -> None:
    machine = state.machine[lane, m]
    if machine.numas == 2:
        fewest = min(state.numa[lane, machine.first].free_cores, state.numa[lane, machine.first + 1].free_cores)
        state.episode[lane].large += sign * (fewest // LARGE_HALF)


@njit(cache=True, nogil=True)
def _fix_scales(state: VmState, lane: int) -> None:
    """Fixes what a core, a MB and a machine of the numerators count for; the unit of gains is 16 free cores."""
    episode = state.episode[lane]
    cores = max(1, episode.free_cores)
    episode.unit = PIECE / cores
    episode.scale_cores = 1.0 / PIECE
    episode.scale_memory = cores / PIECE / max(1, episode.free_memory)
    episode.scale_hosts = cores / PIECE / max(1, episode.machines)


@njit(cache=True, nogil=True, inline="always")
def _numa_cost(state: VmState, lane: int, cores: int, memory: int) -> float:
    """The part of the weighted sum of a NUMA node with so much free."""
    episode = state.episode[lane]
    cost: float = episode.fr16 * episode.scale_cores * (cores % PIECE)
    if episode.memory64 > 0:
        cost += episode.memory64 * episode.scale_memory * (memory % MEMORY_PIECE)
    return cost


@njit(cache=True, nogil=True)
def _machine_cost(
    state: VmState, lane: int, m: int, place: int, numas: int, cores: int, memory: int, vms: int
) -> float:
    """The part of the weighted sum of a machine if ``cores`` and ``memory`` more were free at each node of a place."""
    episode, machine = state.episode[lane], state.machine[lane, m]
    cost, fewest = 0.0, 1 << 40
    for n in range(machine.first, machine.first + machine.numas):
        numa = state.numa[lane, n]
        free_cores, free_memory = numa.free_cores, numa.free_memory
        if place <= n < place + numas:
            free_cores += cores
            free_memory += memory
        cost += _numa_cost(state, lane, free_cores, free_memory)
        fewest = min(fewest, free_cores)
    if machine.numas == 2:
        cost -= episode.fr64 * episode.scale_cores * 64 * (fewest // LARGE_HALF)
    if machine.vms + vms > 0:
        cost += episode.occupied_hosts * episode.scale_hosts
    return cost


@njit(cache=True, nogil=True)
def gain_of_move(state: VmState, lane: int, v: int, place: int) -> float:
    """Returns the gain of migrating a VM to a place; those of leaving and of coming add up except within a machine."""
    episode, vm = state.episode[lane], state.vm[lane, v]
    m = state.numa[lane, place].machine
    if state.numa[lane, vm.host].machine != m:
        apart: float = vm.leave + state.gain[lane, vm.type, place]
        return apart
    machine = state.machine[lane, m]
    cost, fewest = episode.occupied_hosts * episode.scale_hosts, 1 << 40
    for n in range(machine.first, machine.first + machine.numas):
        sign = int(n == vm.host) - int(n == place)
        free_cores = state.numa[lane, n].free_cores + sign * vm.cores
        cost += _numa_cost(state, lane, free_cores, state.numa[lane, n].free_memory + sign * vm.memory)
        fewest = min(fewest, free_cores)
    flip: float = machine.cost - cost + episode.fr64 * episode.scale_cores * 64 * (fewest // LARGE_HALF)
    return flip


@njit(cache=True, nogil=True)
def gains_add_up(state: VmState, lane: int) -> bool:
    """Whether gains of leaving and of coming add up within a machine too: no term counts whole machines."""
    episode = state.episode[lane]
    nodes_only: bool = episode.fr64 == 0 and episode.occupied_hosts == 0
    return nodes_only


@njit(cache=True, nogil=True)
def best_gain(state: VmState, lane: int, v: int) -> float:
    """Returns the largest gain of migrating a VM, flips within its machine included; -inf if it fits nowhere."""
    if gains_add_up(state, lane):
        apart: float = state.vm[lane, v].leave + state.vm[lane, v].best
        return apart
    best = -np.inf
    for n in range(state.episode[lane].numas):
        if fits(state, lane, v, n):
            best = max(best, gain_of_move(state, lane, v, n))
    return best


@njit(cache=True, nogil=True)
def _refresh_machine(state: VmState, lane: int, m: int) -> None:
    """Computes anew what hangs on a machine: its cost, the gains of leaving it and of coming to it."""
    episode, machine = state.episode[lane], state.machine[lane, m]
    machine.cost = _machine_cost(state, lane, m, 0, 0, 0, 0, 0)
    v = machine.head
    while v >= 0:
        vm = state.vm[lane, v]
        numas = vm.numas
        without = _machine_cost(state, lane, m, vm.host, numas, vm.cores // numas, vm.memory // numas, -1)
        vm.leave = machine.cost - without
        v = vm.next
    for t in range(episode.types):
        kind = state.type[lane, t]
        numas = kind.numas
        cores, memory = kind.cores // numas, kind.memory // numas
        for n in range(machine.first, machine.first + machine.numas):
            gain = -np.inf
            if machine.cluster == kind.home and _has_room(state, lane, n, numas, cores, memory):
                gain = machine.cost - _machine_cost(state, lane, m, n, numas, -cores, -memory, 1)
            state.gain[lane, t, n] = gain


@njit(cache=True, nogil=True)
def _rank_places(state: VmState, lane: int, t: int) -> None:
    """Finds the best place of a type, and the gain of the next."""
    gains = state.gain[lane, t]
    best, second, place = -np.inf, -np.inf, -1
    for n in range(state.episode[lane].numas):
        gain = gains[n]
        if gain > second:
            if gain > best:
                best, second, place = gain, best, n
            else:
                second = gain
    kind = state.type[lane, t]
    kind.best, kind.second, kind.place = best, second, place


@njit(cache=True, nogil=True)
def _write_mask(state: VmState, lane: int) -> None:
    episode, mask = state.episode[lane], state.mask[lane]
    vms = state.vm.shape[1]
    mask[:] = False
    if _over(state, lane):
        return
    if episode.chosen < 0:
        mask[vms] = True
        rows = state.vm[lane]
        for v in range(episode.vms):
            vm = rows[v]
            mask[v] = vm.host >= 0 and vm.movable == 1 and vm.best > -np.inf
        return
    v = episode.chosen
    vm = state.vm[lane, v]
    gains = state.gain[lane, vm.type]
    for n in range(episode.numas):
        if gains[n] > -np.inf:
            mask[vms + 1 + n] = fits(state, lane, v, n)
