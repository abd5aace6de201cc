"""What every method is: something that solves the instances of a benchmark."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agents.evaluation.specification import Scalar
from agents.rollout import Outcome, check_samples
from envs.core import ProblemDefinition, UsageError


@dataclass(frozen=True)
class Method(ABC):
    """Something that solves the instances of a benchmark.

    Attributes:
        name: Name for the column ``method``.
        kind: Value for the column ``kind``.
        variant: Value for the column ``variant``.
        definition: The problem.
        entry: What the user wrote for it, one string; empty where that was a mapping.
    """

    name: str
    kind: str
    variant: str
    definition: ProblemDefinition
    entry: str = field(default="", kw_only=True)

    @property
    @abstractmethod
    def stochastic(self) -> bool:
        """Whether another seed may give another result even where the environment draws nothing."""

    def check(self, instance: Any) -> None:  # noqa: B027 - most methods take every instance
        """Checks that the method means something on an instance.

        Raises:
            UsageError: It does not.
        """

    def check_several(self, instance: Any, samples: int) -> None:
        """Checks that the best of several episodes means something on an instance.

        Raises:
            UsageError: The environment draws at random there; the message names the method.
        """
        try:
            check_samples(self.definition, instance, samples)
        except UsageError as error:
            raise UsageError(f"method {self.name} ({self.variant}): {error}") from None

    @abstractmethod
    def run(self, instances: Sequence[Any], seeds: Sequence[int]) -> Iterator[list[Outcome]]:
        """Yields the verified outcome of every run once, as many at a time as come out together.

        Args:
            instances: The instance of each run.
            seeds: The seed of each run; it decides all that the environment draws, whatever the method.
        """


def describe_settings(settings: Mapping[str, Scalar | None]) -> str:
    """Writes settings as ``key=value`` joined by semicolons; whole floats lose their point, None is left out."""
    words = []
    for key, value in settings.items():
        if value is not None:
            whole = isinstance(value, float) and value.is_integer()
            words.append(f"{key}={int(value) if whole else value}")
    return ";".join(words)


def draw_seed(seed: int, name: str) -> int:
    """Seed of the draws on one instance: the same whichever instances ran before."""
    return int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)[0])
