"""Rewrites what the documentation takes from the code: the blocks marked ``generated`` and the pictures.

    python scripts/docs_pages.py            # writes
    python scripts/docs_pages.py --check    # exit status 1 if a page is out of date

A block in a Markdown file stands between ``<!-- generated: NAME ARGUMENT -->`` and ``<!-- end -->``. NAME is one of
`BLOCKS`, ARGUMENT a problem or, for ``settings``, a class.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import numpy as np

from envs.core import Benchmark, Feature, GraphSpec, ProblemDefinition, UsageError, problem, problems
from envs.core.files import atomic_path, write_text
from envs.core.spec import ACTION_MASK
from scripts import serving_page
from scripts.markdown import table

ROOT = Path(__file__).resolve().parent.parent
_BUILDERS = ("append", "insertion", "active", "non_delay")
_BLOCK = re.compile(r"(<!-- generated: (\S+) ?(\S*) -->\n).*?(<!-- end -->)", re.DOTALL)


def feature_tables(name: str) -> str:
    """One table for each kind of node, for the edges and for the context, from the problem's specification."""
    spec = _largest_spec(problem(name))
    parts = []
    for node in spec.nodes:
        picked = ", an action may pick it" if node.name in spec.actions else ""
        parts.append(f"**Node `{node.name}`**{picked}\n\n")
        features = [("static", feature) for feature in node.static] + [("dynamic", feature) for feature in node.dynamic]
        parts.append(_feature_table(features) + "\n" if features else "(no features)\n\n")
    edges = [
        (
            f"`{edge.source}`",
            edge.relation.replace("_", " "),
            f"`{edge.target}`",
            "static" if edge.static else "dynamic",
        )
        for edge in spec.edges
    ]
    parts.append("**Edges**\n\n" + table(("from", "relation", "to", "changes"), edges) + "\n")
    if spec.context:
        parts.append("**Context**\n\n" + _feature_table([("dynamic", feature) for feature in spec.context]))
    return "".join(parts).rstrip("\n") + "\n"


def array_table(name: str) -> str:
    """The arrays of one observation, with named instead of numbered capacities."""
    spec = _largest_spec(problem(name))
    rows = []
    for key, (shape, dtype) in spec.arrays.items():
        changes = "static" if key in spec.static_keys else "dynamic"
        rows.append((f"`{key}`", f"({', '.join(_dimensions(spec, key, shape))})", dtype.name, changes))
    return table(("array", "shape", "type", "changes"), rows)


def _dimensions(spec: GraphSpec, key: str, shape: tuple[int, ...]) -> list[str]:
    """Shape of an array with ``<node>s`` or ``edges`` where its length depends on the capacity."""
    if key == ACTION_MASK:
        return [" + ".join(f"{name}s" for name in spec.actions)]
    for node in spec.nodes:
        if key in (node.static_key, node.dynamic_key):
            return [f"{node.name}s", str(shape[1])]
    for edge in spec.edges:
        if key == edge.index_key:
            return ["2", "edges"]
        if key == edge.features_key:
            return ["edges", str(shape[1])]
    return [str(length) for length in shape]


def _largest_spec(definition: ProblemDefinition) -> GraphSpec:
    """The specification with the most kinds of nodes among the problem's variants."""
    return max((definition.bind(options).spec for options in ({}, *definition.variants)), key=lambda s: len(s.nodes))


def _feature_table(features: Iterable[tuple[str, Feature]]) -> str:
    rows = ((f.name.replace("_", " "), f.unit, _range(f), changes) for changes, f in features)
    return table(("feature", "unit", "range", "changes"), rows)


def _range(feature: Feature) -> str:
    low = "any" if math.isinf(feature.low) else f"{feature.low:g}"
    high = "any" if math.isinf(feature.high) else f"{feature.high:g}"
    return "any" if low == high == "any" else f"{low} to {high}"


def rule_table(name: str) -> str:
    """The problem's dispatching rules with their sources."""
    return table(("rule", "source"), ((f"`{rule.name}`", rule.source) for rule in problem(name).rules.values()))


def option_table(name: str) -> str:
    """The options of the problem's environment."""
    return _field_table(problem(name).config)


def settings_table(path: str) -> str:
    """The fields of a configuration class, e.g. ``models.config.ModelConfig``."""
    module, _, name = path.rpartition(".")
    return _field_table(getattr(importlib.import_module(module), name))


def _field_table(config: type[Any]) -> str:
    """Fields with defaults, and the descriptions in the docstring."""
    described = _described_attributes(config)
    rows = ((f"`{field.name}`", _default(field), described[field.name]) for field in fields(config))
    return table(("option", "default", "meaning"), rows)


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return f"`{field.default_factory()!r}`"
    return "" if field.default is MISSING else f"`{field.default!r}`"


def _described_attributes(documented: type[Any]) -> Mapping[str, str]:
    """Reads the ``Attributes:`` section of a Google-style docstring."""
    sections = [(inspect.getdoc(base) or "").partition("Attributes:\n")[2] for base in reversed(documented.__mro__)]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", "\n".join(sections), re.MULTILINE)
    return {name: re.sub(r"``", "`", " ".join(text.split())) for name, text in entries}


def benchmark_table(name: str) -> str:
    """The problem's benchmarks: those that come with the package, and those read from the user's files."""
    rows = []
    for key, factory in problem(name).benchmarks.items():
        try:
            rows.append((f"`{key}`", *_summary(factory())))
        except UsageError:
            rows.append((f"`{key}`", "", "", "", "from your files"))
    return table(("benchmark", "instances", "groups", "proven optimal", "where from"), rows)


def _summary(benchmark: Benchmark) -> tuple[object, ...]:
    sizes = Counter(benchmark.groups.values())
    groups = ", ".join(f"{group.replace('x', '×')}" for group in sizes)
    closed = sum(not reference.is_bound for reference in benchmark.references.values())
    return len(benchmark.instances), groups, closed, "with the package"


def environment_table(_: str) -> str:
    """Every environment with its objective and what an action picks."""
    rows = []
    for definition in problems().values():
        folder = sys.modules[definition.config.__module__.rpartition(".")[0]]
        summary = definition.summary or (inspect.getdoc(folder) or "").splitlines()[0].rstrip(".")
        picks = " or ".join(f"a {name}" for name in _largest_spec(definition).actions)
        rows.append((f"`{definition.env_id}`", summary, picks, definition.objective_name))
    return table(("environment", "problem", "an action picks", "minimises"), rows)


def onnx_table(name: str) -> str:
    """Inputs and outputs of the ONNX file of a policy with the default options and network."""
    from models.config import ModelConfig
    from models.onnx_graph import input_ports, output_ports

    spec, hidden = problem(name).bind({}).spec, ModelConfig().hidden
    inputs = [("input, optional" if port.optional else "input", port) for port in input_ports(spec, hidden)]
    ports = [*inputs, *(("output", port) for port in output_ports(spec, hidden))]
    rows = ((role, f"`{p.name}`", f"({', '.join(map(str, p.shape))})", p.dtype) for role, p in ports)
    return table(("role", "name", "shape", "type"), rows)


def builder_example(_: str) -> str:
    """One small job shop scheduled by SPT under each builder, and one where waiting is optimal."""
    from agents.dispatcher import RuleDispatcher
    from agents.rollout import roll_out
    from envs.job_shop.render import gantt_text
    from envs.job_shop.types import JobShopInstance

    definition = problem("job_shop")

    def draw(caption: str, instance: JobShopInstance, rule: str, options: Mapping[str, object]) -> str:
        (outcome,) = roll_out(definition, options, [instance], RuleDispatcher(definition.rules[rule]))
        picture = "\n".join(gantt_text(instance, outcome.solution).splitlines()[1:])
        return f"{caption}, makespan {outcome.objective:g}:\n\n```text\n{picture}\n```\n"

    example = JobShopInstance("example", np.array([[1, 0], [0, 1], [1, 0]]), np.array([[1, 2], [4, 1], [4, 1]]), 2)
    return "\n".join(draw(f"`{builder}`", example, "spt", {"builder": builder}) for builder in _BUILDERS)


def waiting_example(_: str) -> str:
    """A job shop whose optimum is not a non-delay schedule: both schedules, the best non-delay one found by trying."""
    from agents.dispatcher import RandomDispatcher
    from agents.rollout import best_of
    from envs.job_shop.render import gantt_text
    from envs.job_shop.types import JobShopInstance

    definition = problem("job_shop")
    example = JobShopInstance("example", np.array([[1, 0, 2], [2, 0, 1]]), np.array([[2, 4, 1], [3, 4, 4]]), 3)
    parts = []
    for caption, wait in (("Without waiting", False), ("With the wait action", True)):
        outcome = best_of(definition, {"wait": wait}, example, RandomDispatcher(0), samples=256)
        picture = "\n".join(gantt_text(example, outcome.solution).splitlines()[1:])
        parts.append(f"{caption}, the best of 256 random episodes, makespan {outcome.objective:g}:\n\n")
        parts.append(f"```text\n{picture}\n```\n\n")
    return "".join(parts).rstrip("\n") + "\n"


BLOCKS: Mapping[str, Callable[[str], str]] = {
    "arrays": array_table,
    "benchmarks": benchmark_table,
    "builder_example": builder_example,
    "environments": environment_table,
    "features": feature_tables,
    "onnx": onnx_table,
    "options": option_table,
    "rules": rule_table,
    "serving_presets": serving_page.preset_table,
    "serving_results": serving_page.results_tables,
    "settings": settings_table,
    "waiting_example": waiting_example,
}
"""Makers of the generated blocks by name."""


def regenerate(text: str) -> str:
    """Returns a page with its generated blocks made anew."""

    def replace(match: re.Match[str]) -> str:
        opening, name, argument, closing = match.groups()
        if name not in BLOCKS:
            raise UsageError(f"unknown generated block {name!r}; expected one of {', '.join(BLOCKS)}")
        return f"{opening}\n{BLOCKS[name](argument)}\n{closing}"

    return _BLOCK.sub(replace, text)


def pages(root: Path = ROOT) -> list[Path]:
    """The Markdown files that may hold generated blocks."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def outdated_pages(root: Path = ROOT) -> dict[Path, str]:
    """Returns the new text of every page whose generated blocks no longer say what the code does."""
    os.environ.pop("DISPATCHLAB_DATA", None)  # the pages describe what everyone has
    current = {path: path.read_text(encoding="utf-8") for path in pages(root)}
    return {path: new for path, text in current.items() if (new := regenerate(text)) != text}


def draw_pictures(root: Path = ROOT) -> None:
    """Draws the schedule that opens the README: ta01 by the pretrained dispatcher."""
    from agents.checkpoint import load_dispatcher
    from agents.rollout import roll_out
    from envs.job_shop.render import gantt_figure

    definition = problem("job_shop")
    (instance,) = definition.benchmarks["taillard"]().select(["ta01"]).instances
    dispatcher = load_dispatcher(root / "checkpoints" / "job_shop" / "default", definition)
    (outcome,) = roll_out(definition, dispatcher.options, [instance], dispatcher)
    figure = gantt_figure(instance, outcome.solution)
    figure.set_size_inches(10, 4.5)
    with atomic_path(root / "docs" / "images" / "gantt_ta01.png") as temporary:
        figure.savefig(temporary, dpi=100, metadata={"Software": None})
    serving_page.draw_pareto(root / "docs" / "images" / "serving_pareto.svg")


def main() -> None:
    """Rewrites the pages and pictures, or checks the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")
    arguments = parser.parse_args()
    outdated = outdated_pages()
    for path, text in outdated.items():
        if not arguments.check:
            write_text(path, text)
        print(f"{'out of date' if arguments.check else 'rewrote'}: {path.relative_to(ROOT)}")
    if arguments.check:
        raise SystemExit(1 if outdated else 0)
    draw_pictures()


if __name__ == "__main__":
    main()
