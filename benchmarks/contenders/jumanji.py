"""Jumanji's JobShop: jit, vmap and scan on the CPU, automatic reset, no step leaves the compiled loop.

Jumanji advances one unit of time a step and takes an action for every machine at once. The policy starts a uniformly
random waiting job on every machine that has one and waits only where none is: the same schedules as a uniform random
choice in a non-delay environment, in the fewest steps that Jumanji allows.
"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.contenders.worker import Cell, Contender, Progress, serve

_MAX_TIME = 99
_POOL = 256


class JobShop(Contender):
    """Jumanji's `JobShop` behind its `VmapAutoResetWrapper`.

    Args:
        cell: What is measured.
        instances: "shipped": the library's own generator, whose jobs have 1 to ``machines`` operations on random
            machines, about half as many operations as the others get; "same": every job visits every machine once in
            random order, drawn at every reset, as for the others; "pool": the same, but drawn ahead of time, so that
            the reset, which the wrapper computes for every lane at every step, costs next to nothing.
    """

    def __init__(self, cell: Cell, instances: str) -> None:
        """Compiles a block of steps."""
        import jax
        from jumanji.environments.packing.job_shop import JobShop as JumanjiJobShop
        from jumanji.environments.packing.job_shop.generator import RandomGenerator
        from jumanji.wrappers import VmapAutoResetWrapper

        size = (cell.jobs, cell.machines, cell.machines, _MAX_TIME)
        generators = {"shipped": RandomGenerator, "same": _permutation_generator, "pool": _pool_generator}
        env = VmapAutoResetWrapper(JumanjiJobShop(generators[instances](*size)))
        self._lanes = cell.lanes
        self._block = min(1024, max(8, 16384 // cell.lanes))
        self._key, key = jax.random.split(jax.random.PRNGKey(cell.seed))
        self._state, first = jax.jit(env.reset)(jax.random.split(key, cell.lanes))
        self._mask = first.observation.action_mask
        self._advance = _compile(env, cell.jobs, self._block)

    def advance(self) -> Progress:
        """Takes a block of steps in every lane."""
        self._key, self._state, self._mask, started, finished, failed = self._advance(
            self._key, self._state, self._mask
        )
        if int(failed):
            raise RuntimeError(f"{int(failed)} episodes ended without a schedule")
        return Progress(self._block * self._lanes, int(started), int(finished))


def _compile(env: Any, num_jobs: int, block: int) -> Any:
    import jax
    import jax.numpy as jnp

    def choose(key: Any, mask: Any) -> Any:
        ranks = jnp.cumsum(mask[..., :num_jobs], axis=-1)
        waiting = ranks[..., -1]
        rank = jnp.floor(jax.random.uniform(key, waiting.shape) * waiting).astype(jnp.int32)
        return jnp.where(waiting > 0, jnp.argmax(ranks > rank[..., None], axis=-1), num_jobs)

    def step(carry: Any, key: Any) -> Any:
        state, mask = carry
        actions = choose(key, mask)
        state, timestep = env.step(state, actions)
        last = timestep.last()
        counts = (jnp.sum(actions < num_jobs), jnp.sum(last), jnp.sum(last & (timestep.reward < -1)))
        return (state, timestep.observation.action_mask), counts

    @jax.jit
    def advance(key: Any, state: Any, mask: Any) -> Any:
        key, scan_key = jax.random.split(key)
        (state, mask), counts = jax.lax.scan(step, (state, mask), jax.random.split(scan_key, block))
        return (key, state, mask, *(jnp.sum(count) for count in counts))

    return advance


def _permutation_generator(jobs: int, machines: int, operations: int, max_time: int) -> Any:
    """Every job visits every machine once, in random order; times are uniform on 1..max_time."""
    import jax
    from jumanji.environments.packing.job_shop.generator import Generator

    class PermutationGenerator(Generator):
        """Draws an instance afresh."""

        def __call__(self, key: Any) -> Any:
            key, instance_key = jax.random.split(key)
            return _fresh_state(key, *_draw(instance_key, (jobs, operations), max_time), machines)

    return PermutationGenerator(jobs, machines, operations, max_time)


def _pool_generator(jobs: int, machines: int, operations: int, max_time: int) -> Any:
    """As `_permutation_generator`, but the instances are drawn here and now."""
    import jax
    from jumanji.environments.packing.job_shop.generator import Generator

    pool_machines, pool_times = _draw(jax.random.PRNGKey(0), (_POOL, jobs, operations), max_time)

    class PoolGenerator(Generator):
        """Picks one of the instances of the pool."""

        def __call__(self, key: Any) -> Any:
            key, index_key = jax.random.split(key)
            index = jax.random.randint(index_key, (), 0, _POOL)
            return _fresh_state(key, pool_machines[index], pool_times[index], machines)

    return PoolGenerator(jobs, machines, operations, max_time)


def _draw(key: Any, shape: tuple[int, ...], max_time: int) -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp

    key_machines, key_times = jax.random.split(key)
    order = jnp.argsort(jax.random.uniform(key_machines, shape), axis=-1).astype(jnp.int32)
    return order, jax.random.randint(key_times, shape, 1, max_time + 1)


def _fresh_state(key: Any, ops_machine_ids: Any, ops_durations: Any, machines: int) -> Any:
    import jax.numpy as jnp
    from jumanji.environments.packing.job_shop.types import State

    shape = ops_machine_ids.shape
    return State(
        ops_machine_ids=ops_machine_ids,
        ops_durations=ops_durations,
        ops_mask=jnp.ones(shape, bool),
        machines_job_ids=jnp.full(machines, shape[0], jnp.int32),
        machines_remaining_times=jnp.zeros(machines, jnp.int32),
        action_mask=None,
        step_count=jnp.array(0, jnp.int32),
        scheduled_times=jnp.full(shape, -1, jnp.int32),
        key=key,
    )


if __name__ == "__main__":
    serve(lambda cell: JobShop(cell, sys.argv[1]))
