"""The evolutionary search: tournaments, crossover and mutation of formulas, a price on their size, fresh starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from agents.discovery.config import DiscoveryConfig
from agents.discovery.features import readers
from agents.discovery.propose import proposals
from agents.discovery.rule import FormulaDispatcher, Formulas
from agents.discovery.trial import Trial, scales_of
from agents.discovery.variation import Variation
from agents.dispatcher import Dispatcher
from agents.rollout import roll_out
from envs.core import GraphVectorEnv, ProblemDefinition

_VALIDATION = 2**31


@dataclass(frozen=True)
class Progress:
    """Where the search stands after a generation.

    Attributes:
        generation: Its number.
        tried: Formulas that were run.
        alike: Formulas that decide like an earlier one, and were not.
        refused: Lines of the proposing command that could not be read.
        seconds: Time of the processor.
        cost: Mean objective of the best formula, over its scale.
        best: The formula.
    """

    generation: int
    tried: int
    alike: int
    refused: int
    seconds: float
    cost: float
    best: Formulas


@dataclass(frozen=True)
class Found:
    """A finalist.

    Attributes:
        formulas: The rule.
        cost: Mean objective on the instances of the search, over its scale.
        validation: Mean verified objective on the validation instances, likewise.
    """

    formulas: Formulas
    cost: float
    validation: float


def drawn_instances(definition: ProblemDefinition, options: Mapping[str, Any], count: int, seed: int) -> list[Any]:
    """Draws instances with the environment's own generator."""
    env = GraphVectorEnv(definition.bind(options), count)
    env.reset(seed=seed)
    return [env.instance(lane) for lane in range(count)]


class Search:
    """Searches for a rule of a problem.

    Args:
        definition: The problem.
        options: Options of the environment: how decisions are taken, and what is drawn for the search.
        validation_options: What of them is different for the validation instances.
        config: The settings.
        watch: Is told of every generation.
    """

    def __init__(
        self,
        definition: ProblemDefinition,
        options: Mapping[str, Any],
        validation_options: Mapping[str, Any],
        config: DiscoveryConfig,
        watch: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Draws the instances."""
        self._definition, self._config, self._watch = definition, config, watch
        self._behaviour = {key: options[key] for key in definition.behaviour if key in options}
        instances = drawn_instances(definition, options, config.instances, config.seed)
        scales = scales_of(definition, self._behaviour, instances, config.measure, config.seed)
        self._trial = Trial(definition, self._behaviour, instances, scales, config.seed)
        later = {**options, **validation_options}
        self.validation = drawn_instances(definition, later, config.validation_instances, _VALIDATION + config.seed)
        self._spec = definition.bind({**self._behaviour, **definition.fit(instances)}).spec
        rng = np.random.default_rng(config.seed)
        self._rng = rng
        self._variations = {
            kind: Variation(list(known), config.depth, config.largest, rng)
            for kind, known in readers(self._spec).items()
        }
        self._costs: dict[bytes, float] = {}
        self._known: dict[str, float] = {}
        self.tried = self.alike = self.refused = 0

    def run(self) -> list[Found]:
        """Searches until the time or the generations are over; returns the finalists, best by validation first."""
        config = self._config
        began = time.process_time()
        population: list[Formulas] = []
        ranking: dict[str, tuple[float, Formulas]] = {}
        champion, since = np.inf, 0
        for generation in range(config.generations):
            if not population:
                population = [self._random() for _ in range(config.population)]
            costs = self._evaluate(population)
            order = np.argsort(costs, kind="stable")
            for i in order[: config.finalists]:
                ranking.setdefault(str(population[i]), (float(costs[i]), population[i]))
            best = min(ranking.values(), key=lambda entry: entry[0])
            since = 0 if best[0] < champion - 1e-12 else since + 1
            champion = best[0]
            seconds = time.process_time() - began
            self._watch(
                Progress(generation, self.tried, self.alike, self.refused, seconds, self._known[str(best[1])], best[1])
            )
            if seconds > 60.0 * config.minutes:
                break
            if len(ranking) > 20 * config.finalists:
                ranking = dict(sorted(ranking.items(), key=lambda entry: entry[1][0])[: 10 * config.finalists])
            population = self._next(population, costs, order, fresh=since >= config.reset)
            since = 0 if since >= config.reset else since
            if config.propose and generation % config.propose_every == 0:
                population[-1:] = self._proposed(ranking)
        return self._validated(sorted(ranking.values(), key=lambda entry: entry[0]))

    def _random(self) -> Formulas:
        return Formulas({kind: variation.random() for kind, variation in self._variations.items()})

    def _evaluate(self, population: list[Formulas]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Costs with the price of the size; formulas that decide like an earlier one get its cost."""
        texts = [str(rule) for rule in population]
        fresh: dict[bytes, Formulas] = {}
        signatures: dict[str, bytes] = {}
        for text, rule in zip(texts, population, strict=True):
            if text in self._known or text in signatures:
                continue
            signatures[text] = self._trial.signature(rule)
            if signatures[text] in self._costs or signatures[text] in fresh:
                self.alike += 1
            else:
                fresh[signatures[text]] = rule
        if fresh:
            self.tried += len(fresh)
            self._costs.update(zip(fresh, self._trial.costs(list(fresh.values())).tolist(), strict=True))
        self._known.update({text: self._costs[signature] for text, signature in signatures.items()})
        price = 1.0 + self._config.parsimony * np.array([rule.size for rule in population])
        return np.array([self._known[text] for text in texts]) * price

    def _next(
        self, population: list[Formulas], costs: np.ndarray[Any, Any], order: np.ndarray[Any, Any], *, fresh: bool
    ) -> list[Formulas]:
        """The elite, without twins, and what comes of them and the others; or of none if a fresh start is due."""
        config = self._config
        stay: dict[str, Formulas] = {}
        for i in order:
            if len(stay) >= max(1, int((0.02 if fresh else config.elite) * config.population)):
                break
            stay.setdefault(f"{costs[i]:.12g}", population[i])
        result = list(stay.values())
        while len(result) < config.population:
            result.append(self._random() if fresh else self._child(population, costs))
        return result

    def _child(self, population: list[Formulas], costs: np.ndarray[Any, Any]) -> Formulas:
        one, other = (
            population[min(self._rng.integers(len(population), size=self._config.parents), key=lambda i: costs[i])]
            for _ in range(2)
        )
        made = dict(one.by_kind)
        kind = list(made)[int(self._rng.integers(len(made)))]
        variation = self._variations[kind]
        if self._rng.random() < self._config.crossover:
            made[kind] = variation.crossed(made[kind], other.by_kind[kind])
        else:
            made[kind] = variation.mutated(made[kind])
        return Formulas(made)

    def _proposed(self, ranking: Mapping[str, tuple[float, Formulas]]) -> list[Formulas]:
        best = sorted(ranking.values(), key=lambda entry: entry[0])[: self._config.finalists]
        shown = [(rule, self._known[str(rule)]) for _, rule in best]
        read, refused = proposals(self._config.propose, self._definition.name, self._spec, shown)
        self.refused += refused
        return read or [self._random()]

    def _validated(self, ranked: list[tuple[float, Formulas]]) -> list[Found]:
        finalists: dict[float, Formulas] = {}
        for _, rule in ranked:
            if len(finalists) < self._config.finalists:
                finalists.setdefault(self._known[str(rule)], rule)
        found = [Found(rule, cost, self.validation_cost(rule)) for cost, rule in finalists.items()]
        return sorted(found, key=lambda each: each.validation)

    def validation_cost(self, rule: Formulas) -> float:
        """Returns the mean verified objective on the validation instances, over its scale."""
        return self.cost_of(FormulaDispatcher("formula", rule, self._behaviour))

    def cost_of(self, dispatcher: Dispatcher) -> float:
        """Returns the same for any dispatcher."""
        outcomes = roll_out(self._definition, self._behaviour, self.validation, dispatcher, seed=self._config.seed)
        return float(
            np.mean([outcome.objective / scale for outcome, scale in zip(outcomes, self._scales, strict=True)])
        )

    @cached_property
    def _scales(self) -> list[float]:
        config = self._config
        return scales_of(self._definition, self._behaviour, self.validation, config.measure, config.seed)
