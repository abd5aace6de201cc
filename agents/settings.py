"""What the settings of all learners have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from envs.core import UsageError
from envs.core.settings import build_settings


@dataclass(frozen=True)
class LearnerSettings:
    """Plain settings of a learner, built from and turned into data.

    Attributes:
        name: The learner's name in the registry and in what a run writes.
    """

    name: ClassVar[str]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Builds the settings from plain data.

        Raises:
            UsageError: A field does not exist, or a value is of another type or out of range.
        """
        return build_settings(cls, values, "agent.settings")

    def to_mapping(self) -> dict[str, Any]:
        """Returns plain data that `from_mapping` accepts."""
        return asdict(self)

    def check(self, name: str, holds: bool, expected: str) -> None:
        """Refuses the value of a setting unless something holds.

        Raises:
            UsageError: It does not.
        """
        if not holds:
            raise UsageError(f"agent.settings.{name} is {getattr(self, name)!r}; expected {expected}")
