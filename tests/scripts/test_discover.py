"""The command: a search from beginning to end, its files, and the rule among the methods of an evaluation."""

import csv
import json

import pytest

from agents.evaluation.methods import build_methods
from envs.core import UsageError, problem
from scripts.discover import run

SETTINGS = {
    "env": {
        "problem": "single_machine",
        "options": {"jobs": (6, 6), "roll_outs": []},
        "validation_options": {"jobs": (8, 8)},
    },
    "name": "found",
    "search": {"generations": 3, "population": 10, "instances": 5, "validation_instances": 4, "finalists": 3},
    "rules": ["edd", "wmdd"],
}


def test_the_best_by_validation_is_written_and_can_be_evaluated(tmp_path, capsys):
    file = run({**SETTINGS, "output": str(tmp_path)})
    data = json.loads((tmp_path / "rule.json").read_text())
    assert data["formulas"] == file.formulas.texts()
    assert set(data["origin"]["rules_validation_cost"]) == {"edd", "wmdd"}
    rows = list(csv.DictReader((tmp_path / "finalists.csv").open()))
    assert float(rows[0]["validation_cost"]) == data["origin"]["validation_cost"]
    assert "wmdd" in capsys.readouterr().out
    definition = problem("single_machine")
    (method,) = build_methods(definition, [f"formula:{tmp_path / 'rule.json'}"], {}, 8)
    instance = definition.benchmarks["drawn_tardiness"]().instances[50]
    ((outcome,),) = method.run([instance], [0])
    assert (method.name, method.kind, method.stochastic) == ("found", "learned", False)
    assert outcome.objective == definition.verify(instance, outcome.solution)


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UsageError, match="rules names 'none'"):
        run({**SETTINGS, "rules": ["none"], "output": str(tmp_path)})
    with pytest.raises(UsageError, match="rules is 3"):
        run({**SETTINGS, "rules": 3, "output": str(tmp_path)})
    with pytest.raises(UsageError, match="there is no file nowhere"):
        build_methods(problem("single_machine"), ["formula:nowhere"], {}, 8)
