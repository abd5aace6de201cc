"""Instances that a problem was given, and what it works out for each of them once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

InstanceT = TypeVar("InstanceT")
TablesT = TypeVar("TablesT")


class Prepared(Generic[InstanceT, TablesT]):
    """Instances by label, the number that a lane's state knows its instance by, with the tables of each.

    An instance keeps its label for as long as this object lives, and is known by identity: two of one name are two.
    """

    def __init__(self, instances: Sequence[InstanceT], build: Callable[[InstanceT], TablesT]) -> None:
        """Prepares some instances.

        Args:
            instances: The first instances; their positions are their labels.
            build: Works out the tables of an instance.
        """
        self._build = build
        self._instances = list(instances)
        self._tables = [build(instance) for instance in instances]
        self._labels = {id(instance): label for label, instance in enumerate(instances)}

    def label(self, instance: InstanceT) -> int:
        """Returns the label of an instance, which is prepared first if it is new."""
        label = self._labels.get(id(instance))
        if label is None:
            self._tables.append(self._build(instance))
            label = self._labels[id(instance)] = len(self._instances)
            self._instances.append(instance)
        return label

    def instance(self, label: int) -> InstanceT:
        """Returns the instance of a label."""
        return self._instances[label]

    def tables(self, label: int) -> TablesT:
        """Returns the tables of a label."""
        return self._tables[label]
