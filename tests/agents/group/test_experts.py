"""Experts' solutions are replayed in the environment's own builder, or dropped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.dispatcher import RuleDispatcher
from agents.group.experts import Beginnings, Proposal, demonstrate, make_experts, read_recordings, write_recordings
from agents.group.learner import check_experts
from agents.rollout import roll_out
from envs.core import GraphVectorEnv, UsageError, problem

DEFINITION = problem("job_shop")
OPTIONS = {"builder": "append", "sizes": ((5, 4),)}


def beginnings(options=OPTIONS, seed=3, count=4):
    env = GraphVectorEnv(DEFINITION.bind(options), count)
    env.reset(seed=seed)
    instances = [env.instance(lane) for lane in range(count)]
    return Beginnings(env.problem, tuple(array.copy() for array in env.state), instances, np.full(count, -1))


def ends(begin, shown):
    """Objectives at the end of the demonstrated choices, where forced decisions are left to the environment."""
    state = begin.problem.allocate(len(begin.instances))
    for array, saved in zip(state, begin.state, strict=True):
        array[...] = saved
    for step in range(shown.choices.shape[1]):
        active = shown.choices[:, step] >= 0
        assert not begin.problem.step_to_choice(state, shown.choices[:, step], active).any()
    assert begin.problem.finished(state)[shown.held].all()
    return begin.problem.objective(state)


@pytest.mark.parametrize("builder", ["append", "active", "non_delay"])
def test_the_better_of_two_rules_is_shown(builder):
    options = {**OPTIONS, "builder": builder}
    begin = beginnings(options)
    experts, brought = make_experts(DEFINITION, options, "rule:mopnr,spt_mwkr", {})
    assert not brought
    shown = demonstrate(DEFINITION, experts, begin)
    assert shown.held.all()
    assert shown.proposed == 4
    each = [
        [o.objective for o in roll_out(DEFINITION, {"builder": builder}, begin.instances, RuleDispatcher(rule))]
        for rule in (DEFINITION.rules["mopnr"], DEFINITION.rules["spt_mwkr"])
    ]
    assert ends(begin, shown).tolist() == np.minimum(*each).tolist()


@pytest.mark.parametrize("builder", ["append", "insertion"])
def test_optimal_schedules_are_replayed_by_the_free_builders(builder):
    options = {**OPTIONS, "builder": builder}
    begin = beginnings(options)
    experts, _ = make_experts(DEFINITION, options, "solver:cp_sat", {"time_limit": 5.0, "workers": 1})
    shown = demonstrate(DEFINITION, experts, begin)
    assert shown.held.all()
    solver = DEFINITION.solvers["cp_sat"](time_limit=5.0, workers=1)
    assert ends(begin, shown).tolist() == [solver(instance).objective for instance in begin.instances]


def test_what_cannot_be_replayed_or_is_worse_than_claimed_is_dropped():
    begin = beginnings()
    rules, _ = make_experts(DEFINITION, OPTIONS, "rule:mopnr", {})
    good = rules.propose(begin)

    class Liars:
        def propose(self, _):
            illegal = Proposal([0] * 20, good[0].objective)
            boast = good[1]._replace(objective=good[1].objective - 1)
            short = good[2]._replace(actions=good[2].actions[:-1])
            return [illegal, boast, short, None]

    shown = demonstrate(DEFINITION, Liars(), begin)
    assert not shown.held.any()
    assert (shown.choices == -1).all()
    assert shown.proposed == 3

    class Modest:
        def propose(self, _):
            return [each._replace(objective=each.objective + 1) for each in good]

    assert demonstrate(DEFINITION, Modest(), begin).held.all()


def test_a_solver_that_runs_out_of_time_proposes_nothing():
    begin = beginnings()
    experts, _ = make_experts(DEFINITION, OPTIONS, "solver:cp_sat", {"time_limit": 1e-6, "workers": 1})
    shown = demonstrate(DEFINITION, experts, begin)
    assert shown.proposed == 0
    assert not shown.held.any()


def test_recordings_are_read_as_they_were_written(tmp_path):
    begin = beginnings(seed=7, count=2)
    rules, _ = make_experts(DEFINITION, OPTIONS, "rule:mopnr", {})
    proposals = rules.propose(begin)
    file = tmp_path / "instance.txt"
    instance = begin.instances[1]
    rows = (
        "".join(f" {m} {t}" for m, t in zip(*pair, strict=True))
        for pair in zip(instance.machines, instance.times, strict=True)
    )
    file.write_text("5 4\n" + "\n".join(rows) + "\n", encoding="utf-8")
    write_recordings(tmp_path / "r.jsonl", [(7, proposals[0]), ("instance.txt", proposals[1])])
    read = read_recordings(DEFINITION, OPTIONS, tmp_path / "r.jsonl")
    assert [each.instance for each in read] == begin.instances
    assert [list(each.proposal.actions) for each in read] == [list(each.actions) for each in proposals]
    experts, brought = make_experts(DEFINITION, OPTIONS, f"file:{tmp_path / 'r.jsonl'}", {})
    assert brought == begin.instances
    assert demonstrate(DEFINITION, experts, replace(begin, numbers=np.arange(2))).held.all()


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"actions": [0]}',
        '{"actions": [0], "objective": 1}',
        '{"actions": ["x"], "objective": 1, "seed": 1}',
    ],
)
def test_a_bad_line_is_named(tmp_path, line):
    (tmp_path / "r.jsonl").write_text('{"actions": [0], "objective": 1, "seed": 1}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"r\.jsonl, line 2: expected an object with actions, objective and seed"):
        read_recordings(DEFINITION, OPTIONS, tmp_path / "r.jsonl")


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("job_shop", "rules:spt", r"experts is 'rules:spt'; expected '', rule:NAME,..., solver:NAME or file:PATH"),
        ("job_shop", "rule:heft", r"experts names the rule 'heft'; job_shop has spt"),
        ("job_shop", "solver:gurobi", r"experts names the solver 'gurobi'; job_shop has"),
        ("job_shop", "file:nowhere", r"experts is 'file:nowhere'; nowhere is no file"),
        ("binary_offload", "solver:*", r"binary_offload cannot turn solutions into decisions"),
    ],
)
def test_unknown_experts_are_named(small_groups, name, source, message):
    definition = problem(name)
    source = source.replace("*", next(iter(definition.solvers)))
    with pytest.raises(UsageError, match=message):
        check_experts(definition.bind({}), name, small_groups.config(experts=source))
