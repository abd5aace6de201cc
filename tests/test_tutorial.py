"""The example of "Add a problem" is one folder that, dropped into `envs`, is found and passes the conformance suite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "weighted_completion"
IGNORED = shutil.ignore_patterns("__pycache__", ".*")


@pytest.fixture(scope="module")
def project_with_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("project")
    for folder in ("envs", "agents", "models", "tests/conformance"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=IGNORED)
    shutil.copy(ROOT / "pyproject.toml", tree)
    shutil.copytree(EXAMPLE, tree / "envs" / "weighted_completion", ignore=IGNORED)
    return tree


def run(tree: Path, *arguments: str) -> str:
    """Runs Python in ``tree`` with its packages before the installed ones; returns what it printed."""
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_smiths_rule_dispatches_the_optimum(project_with_example: Path):
    """The rule, the solver, the verifier and all 120 sequences agree on drawn instances of five jobs."""
    program = """
import itertools
import numpy as np
from envs.core import make_vector_env, problem
definition = problem("weighted_completion")
env = make_vector_env("weighted_completion", 20, jobs=(5, 5))
env.reset(seed=0)
instances = [env.instance(lane) for lane in range(20)]
for _ in range(5):
    priority = np.where(env.action_masks(), definition.rules["wspt"].priority(env.state), np.inf)
    *_, info = env.step(priority.argmin(axis=1))
for instance, objective in zip(instances, info["final_info"]["objective"]):
    costs = []
    for order in itertools.permutations(range(5)):
        ends = itertools.accumulate(instance.times[job] for job in order)
        costs.append(sum(instance.weights[job] * end for job, end in zip(order, ends)))
    solved = definition.solvers["smith"]()(instance)
    assert objective == min(costs) == solved.objective == definition.verify(instance, solved.solution)
print("agreed on", len(instances))
"""
    assert run(project_with_example, "-c", program) == "agreed on 20\n"


@pytest.mark.slow
def test_example_is_found_and_passes_the_conformance_suite(project_with_example: Path):
    output = run(
        project_with_example,
        "-m",
        "pytest",
        "tests/conformance",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "weighted_completion",
    )
    assert " passed" in output
    assert "failed" not in output


@pytest.mark.slow
def test_example_is_typed_like_the_rest(project_with_example: Path):
    assert "Success" in run(project_with_example, "-m", "mypy", "-p", "envs.weighted_completion")
