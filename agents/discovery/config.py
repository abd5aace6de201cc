"""Settings of the search for rules."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core import UsageError

MEASURES = ("unit", "best_rule")


@dataclass(frozen=True)
class DiscoveryConfig:
    """How rules are searched for.

    Attributes:
        minutes: Time of the processor that the search may take.
        generations: Generations at most.
        instances: Drawn instances that every formula is tried on.
        validation_instances: Drawn instances that the best ones are chosen on.
        finalists: How many of the best are validated.
        measure: What objectives are divided by before the mean is taken: the environment's unit of reward ("unit"), or
            the least objective that a rule of the problem has on the instance ("best_rule"), where instances differ
            much in what can be reached.
        population: Formulas of a generation.
        parents: Formulas that compete to be a parent; the best does.
        elite: Share of the best that stay.
        crossover: Share of the new formulas that take a part from another one; the others are mutated.
        depth: Depth of random formulas.
        largest: Nodes of a formula at most.
        parsimony: What a node costs, as a share of the mean.
        reset: Generations without a better formula after which all but the elite are drawn anew.
        propose: Command that proposes formulas; "" for none (see `agents.discovery.propose`).
        propose_every: Generations between two calls of it.
        seed: Seed of everything.
    """

    minutes: float = 30.0
    generations: int = 10_000
    instances: int = 64
    validation_instances: int = 512
    finalists: int = 20
    measure: str = "unit"
    population: int = 256
    parents: int = 4
    elite: float = 0.1
    crossover: float = 0.5
    depth: int = 3
    largest: int = 25
    parsimony: float = 2e-5
    reset: int = 30
    propose: str = ""
    propose_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every setting."""
        for name in ("generations", "instances", "validation_instances", "finalists", "parents", "depth", "largest"):
            if getattr(self, name) < 1:
                raise UsageError(f"search.{name} is {getattr(self, name)}; expected at least 1")
        for name in ("reset", "propose_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"search.{name} is {getattr(self, name)}; expected at least 1")
        if self.measure not in MEASURES:
            raise UsageError(f"search.measure is {self.measure!r}; expected one of {', '.join(MEASURES)}")
        if self.population < 4:
            raise UsageError(f"search.population is {self.population}; expected at least 4")
        if not 0.0 < self.minutes < float("inf"):
            raise UsageError(f"search.minutes is {self.minutes}; expected more than 0")
        for name in ("elite", "crossover"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"search.{name} is {getattr(self, name)}; expected a share from 0 to 1")
        if not 0.0 <= self.parsimony < 1.0:
            raise UsageError(f"search.parsimony is {self.parsimony}; expected a share below 1")
