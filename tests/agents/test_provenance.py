"""Commands that rows say they come from."""

import shlex

import pytest

from agents.provenance import command_line, command_of_method, join_commands

TWO = (
    "python scripts/evaluate.py benchmark=taillard "
    """'methods=["rule:spt","solver:cp_sat;time_limit=10"]' report=false"""
)


def test_where_output_goes_is_left_out():
    typed = ["scripts/evaluate.py", "benchmark=taillard", "output=runs/x", "csv=rows.csv", "instances=[ta01,ta02]"]
    assert command_line(typed) == "python scripts/evaluate.py benchmark=taillard 'instances=[ta01,ta02]'"


@pytest.mark.parametrize("method", ["rule:spt", "checkpoint:a folder/ö'x;samples=2"])
def test_a_command_is_cut_to_one_method(method):
    words = shlex.split(command_of_method(TWO, method))
    assert words == [*shlex.split(TWO)[:3], f'methods=["{method}"]', "report=false"]
    assert shlex.split(command_of_method("dispatchlab-evaluate", method)) == [
        "dispatchlab-evaluate", f'methods=["{method}"]',
    ]  # fmt: skip


def test_commands_of_single_methods_join_to_what_was_typed():
    parts = [command_of_method(TWO, method) for method in ("rule:spt", "solver:cp_sat;time_limit=10", "rule:spt")]
    assert join_commands(parts) == [TWO]
    assert join_commands([TWO, parts[0]]) == [TWO]


def test_commands_that_differ_in_more_stay_apart():
    others = [
        "python scripts/evaluate.py",
        "python scripts/evaluate.py methods=[rule:spt,rule:mwkr]",
        TWO,
        TWO + " seeds=1",
    ]
    assert join_commands([*others, *others]) == others
