"""The native Gymnasium vector environment: every lane advances in one compiled call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.core.errors import IllegalActionError, UsageError
from envs.core.problem import Floats, Problem
from envs.core.random import seed_words
from envs.core.spec import ACTION_MASK, Observation

_NO_LANES = np.empty(0, np.int64)


class Snapshot(NamedTuple):
    """A copy of everything an environment's future depends on."""

    state: tuple[NDArray[Any], ...]
    episode_steps: NDArray[np.int64]
    done: NDArray[np.bool_]


class GraphVectorEnv(VectorEnv[Observation, NDArray[np.int64], NDArray[Any]]):
    """Runs ``num_envs`` episodes of a problem side by side.

    ``info`` holds, for every lane: ``objective`` (bound on the final objective, the objective itself at the end),
    ``reward_unit``, ``invalid_action`` (the action was masked and nothing happened), where time passes ``clock``, and
    where there are several objectives ``objectives``, the ``(lanes, criteria)`` costs so far.
    With `AutoresetMode.SAME_STEP` a finished lane starts its next episode in the same step, and ``final_obs`` and
    ``final_info`` hold what the finished episode looked like.

    Args:
        problem: The problem's binding to the protocol.
        num_envs: Number of lanes.
        strict: Raise on a masked action instead of refusing it with a penalty.
        copy: Return fresh arrays; with False, observations are views that the next call overwrites.
        double_buffer: With ``copy=False``, write steps alternately into two sets of arrays, so that an observation
            outlives one more step: what a learner needs that stores it together with the outcome.
        skip_forced: After a step, also take all following decisions that have a single legal action; their rewards
            count to the step. Schedules and returns are the same, with fewer steps for a policy to take.
        autoreset_mode: SAME_STEP, or DISABLED (finished lanes stand still until ``reset`` with ``reset_mask``).
        max_episode_steps: Truncate an episode after so many steps.
        render_mode: "rgb_array", "ansi" or None; `render` draws every lane.
    """

    def __init__(
        self,
        problem: Problem[Any, Any, Any],
        num_envs: int = 1,
        *,
        strict: bool = False,
        copy: bool = True,
        double_buffer: bool = False,
        skip_forced: bool = False,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Allocates all lanes; the first `reset` draws their instances."""
        if num_envs < 1:
            raise UsageError(f"num_envs is {num_envs}; expected at least 1")
        if autoreset_mode not in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED):
            raise UsageError(f"autoreset_mode is {autoreset_mode}; expected SAME_STEP or DISABLED")
        self.metadata = {"autoreset_mode": autoreset_mode, "render_modes": ["rgb_array", "ansi"]}
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UsageError(f"render_mode is {render_mode!r}; expected 'rgb_array', 'ansi' or None")
        self.problem = problem
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = problem.spec.observation_space()
        self.single_action_space = problem.spec.action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.state = problem.allocate(num_envs)
        self._strict = strict
        self._copy = copy
        self._skip_forced = skip_forced
        self._autoreset_mode = autoreset_mode
        self._max_episode_steps = max_episode_steps
        self._all_lanes = np.arange(num_envs)
        self._observation = problem.spec.allocate(num_envs)
        self._other_observation = problem.spec.allocate(num_envs) if double_buffer and not copy else self._observation
        self._outdated = _NO_LANES
        self._static_keys = problem.spec.static_keys
        self._episode_steps = np.zeros(num_envs, np.int64)
        self._done = np.ones(num_envs, np.bool_)
        self._potential = np.zeros(num_envs)
        self._unit = np.ones(num_envs)
        self._everywhere = np.ones(num_envs, np.bool_)
        self._everywhere.flags.writeable = False
        self._seeded = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts new episodes.

        Args:
            seed: Lane ``i`` is seeded with ``seed + i``; a sequence seeds lane by lane.
            options: ``"instances"``: one instance a lane instead of drawn ones; ``"reset_mask"``: ``(num_envs,)``
                flags of the lanes to restart, the others stand.

        Returns:
            The observations and ``info`` of all lanes.
        """
        options = options or {}
        lanes = self._lanes_to_reset(options.get("reset_mask"))
        self._seed_lanes(seed, lanes)
        instances = options.get("instances")
        if instances is None:
            self.problem.draw(self.state, lanes)
        else:
            if len(instances) != self.num_envs:
                raise UsageError(f"options['instances'] has {len(instances)} entries; expected {self.num_envs}")
            for lane in lanes:
                self.problem.load(self.state, int(lane), instances[lane])
        self._begin(lanes)
        return self._hand_out(), self._describe(np.zeros(self.num_envs, np.bool_))

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Observation, Floats, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Takes one decision in every lane.

        Raises:
            IllegalActionError: A masked action, if made with ``strict=True``.
        """
        actions = np.ascontiguousarray(actions, np.int64)
        active = ~self._done
        if self._strict:
            self._refuse_illegal(actions, active)
        problem, state = self.problem, self.state
        advance = problem.step_to_choice if self._skip_forced else problem.step
        invalid = advance(state, actions, active)
        rewards = self._rewards(invalid)
        self._episode_steps += active
        terminated = problem.finished(state) & active
        truncated = self._truncated(terminated, active)
        ended = terminated | truncated
        self._done |= ended
        info = self._describe(invalid)
        self._turn()
        problem.observe(state, self._all_lanes, self._observation, static=False)
        if self._autoreset_mode is AutoresetMode.SAME_STEP and np.count_nonzero(ended):
            self._autoreset(ended, info)
        return self._hand_out(), rewards, terminated, truncated, info

    def post_decision(self, actions: NDArray[np.int64]) -> tuple[Observation, Floats]:
        """Looks at the states between the decisions and what follows on them, without taking them.

        Args:
            actions: ``(num_envs,)`` actions; where one is illegal, or the episode has ended, the state stands.

        Returns:
            The observations, in arrays of their own, and the rewards of the decisions alone.

        Raises:
            UsageError: The problem has no such states.
        """
        problem = self.problem
        between = problem.allocate(self.num_envs)
        for array, own in zip(between, self.state, strict=True):
            array[...] = own
        problem.decide(between, np.ascontiguousarray(actions, np.int64), ~self._done)
        observation = problem.spec.allocate(self.num_envs)
        problem.observe(between, self._all_lanes, observation, static=True)
        return observation, (self._potential - problem.potential(between)) / self._unit

    @property
    def observations_outlive_a_step(self) -> bool:
        """Whether an observation is still what it was after the next step."""
        return self._copy or self._other_observation is not self._observation

    def action_masks(self) -> NDArray[np.bool_]:
        """Returns a copy of the ``(num_envs, actions)`` mask of the current observations."""
        return self._observation[ACTION_MASK].copy()

    def snapshot(self) -> Snapshot:
        """Copies everything the future depends on, the generators included."""
        return Snapshot(tuple(array.copy() for array in self.state), self._episode_steps.copy(), self._done.copy())

    def restore(self, snapshot: Snapshot) -> Observation:
        """Returns to a snapshot; the observation is the one that stood when it was taken."""
        for array, saved in zip(self.state, snapshot.state, strict=True):
            array[...] = saved
        self._episode_steps[...] = snapshot.episode_steps
        self._done[...] = snapshot.done
        self._seeded = True
        self._refresh(self._all_lanes)
        return self._hand_out()

    def instance(self, lane: int) -> Any:
        """Returns the instance that ``lane`` is running."""
        return self.problem.instance(self.state, lane)

    def solution(self, lane: int) -> Any:
        """Returns the solution that ``lane`` has built so far."""
        return self.problem.solution(self.state, lane)

    def render(self) -> tuple[Any, ...] | None:
        """Draws every lane in the render mode given at construction."""
        if self.render_mode is None:
            return None
        return tuple(self.problem.render(self.state, lane, self.render_mode) for lane in range(self.num_envs))

    def _lanes_to_reset(self, mask: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        if mask is None:
            return self._all_lanes
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise UsageError(f"options['reset_mask'] is {mask.dtype}{mask.shape}; expected bool({self.num_envs},)")
        return np.flatnonzero(mask)

    def _seed_lanes(self, seed: int | Sequence[int | None] | None, lanes: NDArray[np.int64]) -> None:
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + lane for lane in range(self.num_envs)]
        if not self._seeded and (seed is None or None in seed):
            entropy = np.random.SeedSequence().generate_state(self.num_envs, np.uint64)
            self.state.generator[...] = entropy
            self._seeded = True
        if seed is None:
            return
        if len(seed) != self.num_envs:
            raise UsageError(f"seed has {len(seed)} entries; expected {self.num_envs}")
        chosen = [(lane, value) for lane in lanes if (value := seed[lane]) is not None]
        for lane, value in chosen:
            if value < 0:
                raise UsageError(f"seed of lane {lane} is {value}; expected at least 0")
        words = seed_words(np.array([value for _, value in chosen], np.uint64))
        self.state.generator[[lane for lane, _ in chosen]] = words
        self._seeded = True

    def _begin(self, lanes: NDArray[np.int64]) -> None:
        """Marks lanes as running and refreshes what is kept of them."""
        self._episode_steps[lanes] = 0
        self._done[lanes] = False
        self._refresh(lanes)

    def _refresh(self, lanes: NDArray[np.int64]) -> None:
        """Brings what is kept of the lanes up to date with a state that no step led to."""
        self._potential = self.problem.potential(self.state)
        self._unit = self.problem.reward_unit(self.state)
        if len(lanes) == self.num_envs:
            self.problem.observe(self.state, lanes, self._observation, static=True)
        elif len(lanes):
            self.problem.observe_in_place(self.state, lanes, self._observation)
        if self._other_observation is not self._observation:
            self._outdated = np.union1d(self._outdated, lanes) if len(self._outdated) else lanes

    def _turn(self) -> None:
        """Makes the other set of arrays the current one and brings its static rows up to date."""
        last, self._observation = self._observation, self._other_observation
        self._other_observation = last
        if len(self._outdated):
            lanes = self._outdated.tolist()  # mostly one: plain indexing is several times as fast as with an array
            for key in self._static_keys:
                source, target = last[key], self._observation[key]
                for lane in lanes:
                    target[lane] = source[lane]
            self._outdated = _NO_LANES

    def _rewards(self, invalid: NDArray[np.bool_]) -> Floats:
        before, self._potential = self._potential, self.problem.potential(self.state)
        rewards: Floats = (before - self._potential) / self._unit
        if np.count_nonzero(invalid):
            rewards[invalid] -= self.problem.illegal_action_penalty
        return rewards

    def _truncated(self, terminated: NDArray[np.bool_], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self._max_episode_steps is None:
            return np.zeros(self.num_envs, np.bool_)
        return (self._episode_steps >= self._max_episode_steps) & active & ~terminated

    def _autoreset(self, ended: NDArray[np.bool_], info: dict[str, Any]) -> None:
        """Begins the next episode of the lanes that ended; ``info`` gets what the last one looked like."""
        lanes = np.flatnonzero(ended)
        observations = np.empty(self.num_envs, object)
        for lane in lanes:
            observations[lane] = {key: array[lane].copy() for key, array in self._observation.items()}
        info.update(final_obs=observations, _final_obs=ended, final_info=dict(info), _final_info=ended)
        self.problem.draw(self.state, lanes)
        self._begin(lanes)
        info.update(self._describe(info["invalid_action"]))

    def _describe(self, invalid: NDArray[np.bool_]) -> dict[str, Any]:
        """The ``info`` of the state as it stands."""
        everywhere = self._everywhere
        info: dict[str, Any] = {
            "objective": self.problem.objective(self.state),
            "reward_unit": self._unit,
            "invalid_action": invalid,
            "_objective": everywhere,
            "_reward_unit": everywhere,
            "_invalid_action": everywhere,
        }
        clock = self.problem.clock(self.state)
        if clock is not None:
            info |= {"clock": clock, "_clock": everywhere}
        if self.problem.criteria:
            info |= {"objectives": self.problem.costs(self.state), "_objectives": everywhere}
        return info

    def _refuse_illegal(self, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> None:
        mask = self._observation[ACTION_MASK]
        for lane in np.flatnonzero(active):
            action = int(actions[lane])
            if not (0 <= action < mask.shape[1] and mask[lane, action]):
                legal = np.flatnonzero(mask[lane]).tolist()
                raise IllegalActionError(f"lane {lane}: action {action} is masked; legal actions are {legal}")

    def _hand_out(self) -> Observation:
        if not self._copy:
            return dict(self._observation)
        return {key: array.copy() for key, array in self._observation.items()}
