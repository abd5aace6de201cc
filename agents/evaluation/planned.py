"""Methods that plan: a policy that plays episodes ahead before every decision."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents.evaluation.method import Method, draw_seed
from agents.planning.config import OPEN_LOOP, PlanningConfig
from agents.rollout import Outcome, roll_out
from envs.core import Problem, ProblemDefinition, UsageError

if TYPE_CHECKING:
    from agents.policy_dispatcher import PolicyDispatcher

PLAN = "plan"
PLANNING_SETTINGS = ("simulations", "candidates", "temperature")
"""Settings of planning beside `PLAN`, which names the search."""


@dataclass(frozen=True)
class PlannedMethod(Method):
    """A policy that plans, one episode after the other.

    The decisions of its outcomes are those that the network was asked for, in the plans too: the measure by which plans
    are compared with sampling.
    """

    options: Mapping[str, Any]
    policy: PolicyDispatcher
    config: PlanningConfig

    @property
    def stochastic(self) -> bool:
        """Is True: the seed decides what is drawn in plans."""
        return True

    def check(self, instance: Any) -> None:
        """Refuses plans where the environment draws, unless it can draw other futures than the true one."""
        if not self.definition.stochastic(instance):
            return
        if self.config.plan == "pilot":
            raise UsageError(
                f"method {self.name} ({self.variant}): plan=pilot follows one finished solution, but the environment "
                f"draws at random while it runs {instance.name}; expected mirror_descent, gumbel or open_loop"
            )
        if self.config.plan == OPEN_LOOP:
            if self.definition.expected is None:
                raise UsageError(
                    f"method {self.name} ({self.variant}): {self.definition.name} draws at random on {instance.name} "
                    f"and does not say what is expected of it; expected another {PLAN} than open_loop"
                )
            return
        problem = self.definition.bind({**self.options, **self.definition.fit([instance])})
        if type(problem).resample is Problem.resample:
            raise UsageError(
                f"method {self.name} ({self.variant}): {self.definition.name} draws at random on {instance.name} and "
                f"cannot draw other futures to plan with; expected no {PLAN}"
            )

    def run(self, instances: Sequence[Any], seeds: Sequence[int]) -> Iterator[list[Outcome]]:
        """Yields one outcome at a time."""
        from agents.planning.dispatcher import PlanningDispatcher

        for instance, seed in zip(instances, seeds, strict=True):
            if self.config.plan == OPEN_LOOP:
                yield [self._open_loop(instance, seed)]
                continue
            draws = self.definition.stochastic(instance)
            draw = draw_seed(seed, instance.name)
            planner = PlanningDispatcher(self.policy, self.config, seed=draw, draws=draws)
            (outcome,) = roll_out(self.definition, self.options, [instance], planner, seed=seed)
            yield [replace(outcome, decisions=planner.evaluations)]

    def _open_loop(self, instance: Any, seed: int) -> Outcome:
        from agents.planning.open_loop import OpenLoopDispatcher, best_plan

        began = time.perf_counter()
        draw = draw_seed(seed, instance.name)
        plan = best_plan(self.definition, self.options, instance, self.policy, self.config.simulations, draw)
        planning = time.perf_counter() - began
        dispatcher = OpenLoopDispatcher(self.policy, plan)
        (outcome,) = roll_out(self.definition, self.options, [instance], dispatcher, seed=seed, skip_forced=False)
        return replace(outcome, decisions=plan.evaluations, wall_seconds=planning + outcome.wall_seconds)


@dataclass(frozen=True)
class BeamMethod(Method):
    """The best of several solutions that a policy draws without replacement."""

    options: Mapping[str, Any]
    policy: PolicyDispatcher
    samples: int

    @property
    def stochastic(self) -> bool:
        """Is True: the seed decides the draws."""
        return True

    def check(self, instance: Any) -> None:
        """Refuses to draw several solutions where the environment draws too."""
        self.check_several(instance, self.samples)

    def run(self, instances: Sequence[Any], seeds: Sequence[int]) -> Iterator[list[Outcome]]:
        """Yields one outcome at a time."""
        from agents.planning.beam import best_of_beam

        for instance, seed in zip(instances, seeds, strict=True):
            draw = draw_seed(seed, instance.name)
            outcome = best_of_beam(self.definition, self.options, instance, self.policy, self.samples, seed=draw)
            yield [replace(outcome, seed=seed)]


def with_network(policy: Any, where: str) -> PolicyDispatcher:
    """Returns a dispatcher that has a network to ask about many states.

    Raises:
        UsageError: It is an exported file.
    """
    from agents.policy_dispatcher import PolicyDispatcher

    if not isinstance(policy, PolicyDispatcher):
        raise UsageError(f"method {where} asks its network about many states; expected a checkpoint, not an ONNX file")
    return policy


def planned(
    name: str,
    variant: str,
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    policy: Any,
    settings: Mapping[str, Any],
    where: str,
) -> PlannedMethod:
    """Makes the method.

    Args:
        name: Name for reports.
        variant: Value for the column ``variant``.
        definition: The problem.
        options: Options of the environment.
        policy: A dispatcher.
        settings: What the user set of `PLAN` and `PLANNING_SETTINGS`.
        where: The method as the user wrote it, for messages.

    Raises:
        UsageError: A setting is out of range, or the dispatcher has no network.
    """
    try:
        config = PlanningConfig(**{**settings, PLAN: str(settings[PLAN])})
    except UsageError as error:
        raise UsageError(f"method {where}: {error}") from None
    return PlannedMethod(name, "search", variant, definition, options, with_network(policy, where), config)
