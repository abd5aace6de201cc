"""A dispatcher's schedule as the start of an improving solver, both within one limit of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from agents.evaluation.method import Method, describe_settings
from agents.evaluation.planned import PLAN, PLANNING_SETTINGS
from agents.evaluation.specification import MethodSpecification, Scalar
from agents.rollout import Outcome, verified_objective
from envs.core import ProblemDefinition, Solver, UsageError

IMPROVE = "improve"
"""Setting of a dispatching method that names the solver which goes on from its solution."""

DISPATCHING_SETTINGS = ("name", "noise", "samples", "temperature", "threshold", "replacement", PLAN, *PLANNING_SETTINGS)
"""Settings of rules and of learned policies, next to the options of the environment."""

_HINT, _TIME_LIMIT = "hint", "time_limit"


@dataclass(frozen=True)
class ImprovedMethod(Method):
    """A method and a solver that starts from its solution.

    Attributes:
        start: What finds the first solution.
        factory: Makes the solver; takes ``hint`` and ``time_limit``.
        settings: Its other options.
        time_limit: Seconds for both together.
    """

    start: Method
    factory: Callable[..., Solver]
    settings: Mapping[str, Scalar]
    time_limit: float

    @property
    def stochastic(self) -> bool:
        """Is True: solvers take a seed, whether or not they use it."""
        return True

    def check(self, instance: Any) -> None:
        """Refuses what the start refuses, and instances whose environment draws: a solver sees one future only."""
        self.start.check(instance)
        if self.definition.stochastic(instance):
            raise UsageError(
                f"method {self.name} ({self.variant}): the environment draws at random while it runs "
                f"{instance.name}, so that a finished solution cannot be improved; expected no {IMPROVE}"
            )

    def run(self, instances: Sequence[Any], seeds: Sequence[int]) -> Iterator[list[Outcome]]:
        """Yields one outcome at a time; a start that takes the whole time is the result."""
        for instance, seed in zip(instances, seeds, strict=True):
            ((first,),) = self.start.run([instance], [seed])
            left = self.time_limit - first.wall_seconds
            yield [self._improved(first, left) if left > 0 else first]

    def _improved(self, first: Outcome, seconds: float) -> Outcome:
        began = time.perf_counter()
        solver = self.factory(**{**self.settings, _HINT: first.solution, _TIME_LIMIT: seconds})
        result = solver(first.instance, seed=first.seed)
        objective = verified_objective(self.definition, first.instance, result.solution, result.objective)
        wall_seconds = first.wall_seconds + time.perf_counter() - began
        return replace(first, solution=result.solution, objective=objective, wall_seconds=wall_seconds)


def split_improvement(
    definition: ProblemDefinition, spec: MethodSpecification
) -> tuple[MethodSpecification, Callable[[Method], Method]]:
    """Splits off what a specification says about improving.

    Args:
        definition: The problem.
        spec: What the user wrote, e.g. ``checkpoint:PATH;improve=lns;time_limit=60;workers=2``.

    Returns:
        The specification of the start, and what makes the whole method of it: nothing is done to a method that asks
        for no improvement.

    Raises:
        UsageError: There is no such solver, it cannot start from a solution, or the limit of time is missing.
    """
    if IMPROVE not in spec.settings or spec.kind == "solver":
        return spec, lambda start: start
    name = str(spec.settings[IMPROVE])
    if name not in definition.solvers:
        known = ", ".join(definition.solvers) or "none"
        raise UsageError(f"method {spec}: {definition.name} has no solver {name!r}; it has {known}")
    factory = definition.solvers[name]
    limit = spec.settings.get(_TIME_LIMIT)
    if isinstance(limit, bool | str | None) or not limit > 0:
        raise UsageError(f"method {spec}: {_TIME_LIMIT} is {limit}; expected the seconds for the whole method")
    of_start = {*DISPATCHING_SETTINGS, *(each.name for each in fields(definition.config))}
    rest = {key: value for key, value in spec.settings.items() if key in of_start}
    settings = {key: value for key, value in spec.settings.items() if key not in {*rest, IMPROVE, _TIME_LIMIT}}
    try:
        factory(**{**settings, _HINT: None, _TIME_LIMIT: float(limit)})
    except TypeError as error:
        raise UsageError(f"method {spec}: solver {name}: {error}") from None

    def improved(start: Method) -> Method:
        shown = describe_settings({IMPROVE: name, _TIME_LIMIT: limit, **settings})
        variant = ";".join(part for part in (start.variant, shown) if part)
        return ImprovedMethod(
            start.name, "search", variant, definition, start, factory, settings, float(limit), entry=start.entry
        )

    return MethodSpecification(spec.kind, spec.target, rest), improved
