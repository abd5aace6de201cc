"""Rules, solvers, checkpoints, ONNX files and formulas behind one interface that the runner drives."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from agents.discovery.rule import FormulaDispatcher, check_kinds, read_formulas
from agents.dispatcher import Dispatcher, RandomDispatcher, RuleDispatcher, Seeds
from agents.evaluation.improvement import split_improvement
from agents.evaluation.method import Method, describe_settings, draw_seed
from agents.evaluation.planned import PLAN, PLANNING_SETTINGS, BeamMethod, planned, with_network
from agents.evaluation.specification import MethodSpecification, Scalar, parse_method
from agents.interface import first_difference
from agents.rollout import Outcome, best_of, group_by_size, roll_out, verified_objective
from envs.core import ProblemDefinition, Solver, UsageError

RANDOM = "random"
"""The rule that is the same for every problem, whether or not its catalogue lists one."""

_REWARD_OPTIONS = ("reward", "illegal_action_penalty")


class LoadedDispatcher(Dispatcher, Protocol):
    """A trained dispatcher: it remembers the options it was trained under and can draw instead of choosing the best."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the environment that it was trained in."""
        ...

    def sampling(self, seed: Seeds, temperature: float = 1.0, threshold: float = 0.0) -> Dispatcher:
        """Returns a dispatcher that draws its actions, with one seed for all lanes or one a lane.

        Actions with less than ``threshold`` of the largest probability are not drawn.
        """
        ...


@dataclass(frozen=True)
class GreedyMethod(Method):
    """A dispatcher that always decides alike; runs on instances of one size go side by side."""

    options: Mapping[str, Any]
    dispatcher: Dispatcher
    max_lanes: int

    @property
    def stochastic(self) -> bool:
        """Is False: the seed changes no decision."""
        return False

    def run(self, instances: Sequence[Any], seeds: Sequence[int]) -> Iterator[list[Outcome]]:
        """Yields the outcomes of one group of equal size after the other."""
        for chosen, own in side_by_side(self.definition, instances, seeds, self.max_lanes):
            yield roll_out(self.definition, self.options, chosen, self.dispatcher, seed=own, max_lanes=self.max_lanes)


@dataclass(frozen=True)
class SampledMethod(Method):
    """A dispatcher that draws: the best of several episodes of each instance.

    Where the environment draws too, a run is a single episode, and runs go side by side like those of a greedy method.
    """

    options: Mapping[str, Any]
    make: Callable[[Seeds], Dispatcher]
    samples: int
    max_lanes: int
    time_limit: float = math.inf

    @property
    def stochastic(self) -> bool:
        """Is True: the seed decides the draws."""
        return True

    def check(self, instance: Any) -> None:
        """Refuses to sample several episodes where the environment draws too."""
        self.check_several(instance, self.samples)

    def run(self, instances: Sequence[Any], seeds: Sequence[int]) -> Iterator[list[Outcome]]:
        """Yields outcomes; the draws of a run depend on its seed and instance alone."""
        runs = list(zip(instances, seeds, strict=True))
        alone = [run for run in runs if not self.definition.stochastic(run[0])]
        together = [run for run in runs if self.definition.stochastic(run[0])]
        for instance, seed in alone:
            yield [self._best_of(instance, seed)]
        for chosen, own in side_by_side(self.definition, *_columns(together), self.max_lanes):
            draws = [draw_seed(seed, instance.name) for instance, seed in zip(chosen, own, strict=True)]
            dispatcher = self.make(draws)
            yield roll_out(self.definition, self.options, chosen, dispatcher, seed=own, max_lanes=self.max_lanes)

    def _best_of(self, instance: Any, seed: int) -> Outcome:
        draw = draw_seed(seed, instance.name)
        outcome = best_of(
            self.definition,
            self.options,
            instance,
            self.make(draw),
            self.samples,
            seed=draw,
            max_lanes=self.max_lanes,
            time_limit=self.time_limit,
        )
        return replace(outcome, seed=seed)


@dataclass(frozen=True)
class SolverMethod(Method):
    """A solver that takes whole instances."""

    solver: Solver

    @property
    def stochastic(self) -> bool:
        """Is True: solvers take a seed, whether or not they use it."""
        return True

    def run(self, instances: Sequence[Any], seeds: Sequence[int]) -> Iterator[list[Outcome]]:
        """Yields one outcome at a time."""
        for instance, seed in zip(instances, seeds, strict=True):
            began = time.perf_counter()
            result = self.solver(instance, seed=seed)
            wall_seconds = time.perf_counter() - began
            objective = verified_objective(self.definition, instance, result.solution, result.objective)
            yield [Outcome(instance, result.solution, objective, 0, wall_seconds, seed)]


def side_by_side(
    definition: ProblemDefinition, instances: Sequence[Any], seeds: Sequence[int], max_lanes: int
) -> Iterator[tuple[list[Any], list[int]]]:
    """Yields the instances and seeds of runs that share an environment: of one size, at most ``max_lanes``."""
    for group in group_by_size(definition, instances):
        for start in range(0, len(group), max_lanes):
            indices = group[start : start + max_lanes]
            yield [instances[i] for i in indices], [seeds[i] for i in indices]


def build_methods(
    definition: ProblemDefinition,
    entries: Sequence[str | Mapping[str, Any]],
    options: Mapping[str, Any],
    max_lanes: int,
) -> list[Method]:
    """Prepares methods as a user names them; ``rule:all`` stands for every rule of the problem.

    Args:
        definition: The problem.
        entries: Specifications, see `parse_method`.
        options: Options of the environment; a checkpoint's own and a specification's own take precedence.
        max_lanes: Most episodes to run side by side.

    Raises:
        UsageError: A specification names something that does not exist, or two are the same method.
    """
    if max_lanes < 1:
        raise UsageError(f"lanes is {max_lanes}; expected at least 1")
    specifications: list[MethodSpecification] = []
    written: list[str] = []
    for entry in entries:
        meant = _expand(definition, parse_method(entry))
        specifications.extend(meant)
        written.extend([entry if isinstance(entry, str) else ""] * len(meant))
    if not specifications:
        raise UsageError("methods is empty; expected at least one, for example rule:spt")
    builders = {"rule": _rule, "solver": _solver, "checkpoint": _checkpoint, "onnx": _onnx, "formula": _formula}
    methods = []
    for spec, entry in zip(specifications, written, strict=True):
        start, improved = split_improvement(definition, spec)
        methods.append(improved(replace(builders[spec.kind](definition, start, options, max_lanes), entry=entry)))
    seen: set[tuple[str, str, str]] = set()
    for spec, method in zip(specifications, methods, strict=True):
        key = (method.name, method.kind, method.variant)
        if key in seen:
            raise UsageError(f"method {spec} has the same name and variant as an earlier one; give it name=...")
        seen.add(key)
    return methods


def _expand(definition: ProblemDefinition, spec: MethodSpecification) -> list[MethodSpecification]:
    if spec.kind != "rule" or spec.target != "all":
        return [spec]
    return [MethodSpecification("rule", name, spec.settings) for name in dict.fromkeys([*definition.rules, RANDOM])]


def _rule(
    definition: ProblemDefinition, spec: MethodSpecification, options: Mapping[str, Any], max_lanes: int
) -> Method:
    settings = _Settings(definition, spec, ("name", "noise", "samples", "time_limit"))
    noise = settings.number("noise", 0.0, least=0.0)
    samples = settings.count("samples")
    limit = settings.time_limit(samples)
    chosen = {**options, **settings.options}
    drawn = {"samples": samples, "noise": noise or None, "time_limit": limit}
    variant = describe(definition, chosen, chosen, drawn)
    name = settings.name(spec.target)
    if spec.target == RANDOM:
        if noise:
            raise UsageError(f"method {spec}: noise means nothing to the random rule")
        return SampledMethod(
            name, "rule", variant, definition, chosen, RandomDispatcher, samples or 1, max_lanes, limit or math.inf
        )
    if spec.target not in definition.rules:
        known = ", ".join(dict.fromkeys([*definition.rules, RANDOM]))
        raise UsageError(f"method {spec}: {definition.name} has no rule {spec.target!r}; it has {known}")
    rule = definition.rules[spec.target]
    if noise:
        return SampledMethod(
            name,
            "rule",
            variant,
            definition,
            chosen,
            lambda seed: RuleDispatcher(rule, noise, seed),
            samples or 1,
            max_lanes,
            limit or math.inf,
        )
    if samples:
        raise UsageError(f"method {spec}: a rule without noise draws the same schedule every time; add noise=0.5")
    return GreedyMethod(name, "rule", variant, definition, chosen, RuleDispatcher(rule), max_lanes)


def _solver(
    definition: ProblemDefinition, spec: MethodSpecification, options: Mapping[str, Any], max_lanes: int
) -> Method:
    del options, max_lanes
    if spec.target not in definition.solvers:
        known = ", ".join(definition.solvers)
        raise UsageError(f"method {spec}: {definition.name} has no solver {spec.target!r}; it has {known}")
    factory = definition.solvers[spec.target]
    settings = {key: value for key, value in spec.settings.items() if key != "name"}
    try:
        solver = factory(**settings)
    except TypeError as error:
        raise UsageError(f"method {spec}: {error}") from None
    shown = settings
    if is_dataclass(solver):
        values = {each.name: getattr(solver, each.name) for each in fields(solver) if each.name != "name"}
        shown = {key: value for key, value in values.items() if isinstance(value, bool | int | float | str)}
    return SolverMethod(
        str(spec.settings.get("name", spec.target)), "solver", describe_settings(shown), definition, solver
    )


def _checkpoint(
    definition: ProblemDefinition, spec: MethodSpecification, options: Mapping[str, Any], max_lanes: int
) -> Method:
    if not Path(spec.target).is_dir():
        raise UsageError(f"method {spec}: there is no checkpoint folder {spec.target}")
    from agents.checkpoint import load_dispatcher

    return _learned(definition, spec, load_dispatcher(Path(spec.target), definition), options, max_lanes)


def _onnx(
    definition: ProblemDefinition, spec: MethodSpecification, options: Mapping[str, Any], max_lanes: int
) -> Method:
    if not Path(spec.target).is_file():
        raise UsageError(f"method {spec}: there is no file {spec.target}")
    from agents.deployment import load_onnx_dispatcher

    return _learned(definition, spec, load_onnx_dispatcher(Path(spec.target), definition), options, max_lanes)


def _formula(
    definition: ProblemDefinition, spec: MethodSpecification, options: Mapping[str, Any], max_lanes: int
) -> Method:
    if not Path(spec.target).is_file():
        raise UsageError(f"method {spec}: there is no file {spec.target}")
    file = read_formulas(spec.target, definition)
    settings = _Settings(definition, spec, ("name",))
    chosen = {**options, **file.options, **settings.options}
    check_kinds(definition.bind(chosen).spec, file.formulas.texts())
    variant = describe(definition, chosen, {*options, *settings.options}, {})
    dispatcher = FormulaDispatcher(file.name, file.formulas, chosen)
    return GreedyMethod(settings.name(file.name), "learned", variant, definition, chosen, dispatcher, max_lanes)


def _learned(
    definition: ProblemDefinition,
    spec: MethodSpecification,
    dispatcher: LoadedDispatcher,
    options: Mapping[str, Any],
    max_lanes: int,
) -> Method:
    planning = PLAN in spec.settings
    sampling = ("samples", "temperature", "threshold", "replacement", "time_limit")
    own = (PLAN, *PLANNING_SETTINGS) if planning else sampling
    settings = _Settings(definition, spec, ("name", *own))
    chosen = {**options, **dispatcher.options, **settings.options}
    trained, wanted = (definition.bind(each).spec.to_metadata() for each in (dispatcher.options, chosen))
    difference = first_difference(trained, wanted)
    if difference:
        raise UsageError(f"method {spec}: the policy was trained on other observations: {difference}")
    told = {*options, *settings.options}
    name = settings.name(dispatcher.name)
    if planning:
        given = {key: spec.settings[key] for key in own if key in spec.settings}
        variant = describe(definition, chosen, told, given)
        return planned(name, variant, definition, chosen, dispatcher, given, str(spec))
    samples = settings.count("samples")
    limit = settings.time_limit(samples)
    temperature = settings.number("temperature", 1.0, least=0.0)
    threshold = settings.number("threshold", 0.0, least=0.0)
    if temperature == 0.0:
        raise UsageError(f"method {spec}: temperature is 0; expected a positive number, or no samples for greedy")
    if threshold > 1.0:
        raise UsageError(f"method {spec}: threshold is {threshold:g}; expected a number from 0 to 1")
    replacement = spec.settings.get("replacement", True)
    if not isinstance(replacement, bool):
        raise UsageError(f"method {spec}: replacement is {replacement}; expected true or false")
    if not replacement and (temperature != 1.0 or threshold or limit):
        others = "temperature, threshold and time_limit"
        raise UsageError(f"method {spec}: replacement is false, which {others} do not go with")
    for key in ("temperature", "threshold", "replacement"):
        if key in spec.settings and not samples:
            raise UsageError(f"method {spec}: {key} needs samples=...; a greedy policy has none")
    drawn = {
        "samples": samples,
        "temperature": temperature if temperature != 1.0 else None,
        "threshold": threshold or None,
        "replacement": None if replacement else False,
        "time_limit": limit,
    }
    variant = describe(definition, chosen, told, drawn)
    if not samples:
        return GreedyMethod(name, "learned", variant, definition, chosen, dispatcher, max_lanes)
    if not replacement:
        policy = with_network(dispatcher, str(spec))
        return BeamMethod(name, "search", variant, definition, chosen, policy, samples)
    return SampledMethod(
        name,
        "learned",
        variant,
        definition,
        chosen,
        lambda seed: dispatcher.sampling(seed, temperature, threshold),
        samples,
        max_lanes,
        limit or math.inf,
    )


def describe(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    told: Collection[str],
    settings: Mapping[str, Scalar | None],
) -> str:
    """Names a variant: the options that were asked for and those that differ from their default, then the settings.

    Options that say nothing about how a given instance is solved are left out: capacities, rewards, and whatever is
    neither a single value nor a list of names (sizes, lists of instances).

    Args:
        definition: The problem.
        options: Options of the environment.
        told: Names of the options that are shown even at their default.
        settings: What else to show; None is left out.
    """
    config = definition.configure(options)
    shown: dict[str, Scalar | None] = {}
    for each in fields(definition.config):
        value = getattr(config, each.name)
        silent = each.name.startswith("max_") or each.name in _REWARD_OPTIONS
        spoken = each.name in told or (each.name in options and value != each.default)
        if isinstance(value, tuple) and value and all(isinstance(entry, str) for entry in value):
            value = "+".join(value)
        if isinstance(value, bool | int | float | str) and spoken and not silent:
            shown[each.name] = value
    return describe_settings({**shown, **settings})


class _Settings:
    """The settings of one specification: its own keys, the rest are options of the environment."""

    def __init__(self, definition: ProblemDefinition, spec: MethodSpecification, own: Sequence[str]) -> None:
        self._spec = spec
        known = [each.name for each in fields(definition.config)]
        for key in spec.settings:
            if key not in own and key not in known:
                raise UsageError(
                    f"method {spec}: there is no setting {key!r}; there are {', '.join(own)} "
                    f"and the environment's {', '.join(known)}"
                )
        self.options = {key: value for key, value in spec.settings.items() if key not in own}

    def name(self, default: str) -> str:
        return str(self._spec.settings.get("name", default))

    def number(self, key: str, default: float, *, least: float) -> float:
        value = self._spec.settings.get(key, default)
        if isinstance(value, bool | str) or not (np.isfinite(value) and value >= least):
            raise UsageError(f"method {self._spec}: {key} is {value}; expected a number of at least {least:g}")
        return float(value)

    def time_limit(self, samples: int | None) -> float | None:
        if "time_limit" not in self._spec.settings:
            return None
        limit = self.number("time_limit", 0.0, least=0.0)
        if limit == 0.0 or samples is None:
            raise UsageError(
                f"method {self._spec}: time_limit is {limit:g}; expected a positive number of seconds, beside "
                "samples=... or improve=..."
            )
        return limit

    def count(self, key: str) -> int | None:
        value = self._spec.settings.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"method {self._spec}: {key} is {value}; expected a whole number of at least 1")
        return value


def _columns(runs: Sequence[tuple[Any, int]]) -> tuple[list[Any], list[int]]:
    return [instance for instance, _ in runs], [seed for _, seed in runs]
