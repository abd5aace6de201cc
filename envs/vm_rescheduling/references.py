"""Best-known objective values of benchmark instances, from the table ``data/references.csv`` of the package.

Its columns are ``instance``, ``value``, ``lower_bound`` and ``source``; a value is proven optimal where the bound is as
large. Without the table nothing is known.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from envs.core.problem import Reference

TABLE = "references.csv"
_EQUAL = 1e-6


@cache
def best_known() -> Mapping[str, Reference]:
    """Returns what is known, by instance."""
    table = files("envs.vm_rescheduling") / "data" / TABLE
    return parse_references(table.read_text(encoding="utf-8").splitlines()) if table.is_file() else MappingProxyType({})


def parse_references(lines: Iterable[str]) -> Mapping[str, Reference]:
    """Returns the references in the lines of a table, by instance."""
    return MappingProxyType(
        {
            row["instance"]: Reference(
                value=float(row["value"]),
                source=row["source"],
                is_bound=float(row["value"]) - float(row["lower_bound"]) > _EQUAL,
                lower_bound=float(row["lower_bound"]),
            )
            for row in csv.DictReader(lines)
        }
    )
