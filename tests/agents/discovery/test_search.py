"""Rules that are formulas: what they read and decide, their files, the search, and proposals from outside."""

import json
import sys

import numpy as np
import pytest

from agents.discovery.config import DiscoveryConfig
from agents.discovery.expression import parse
from agents.discovery.features import readers
from agents.discovery.propose import proposals
from agents.discovery.rule import FormulaDispatcher, FormulaFile, Formulas, check_kinds, read_formulas
from agents.discovery.search import Search, drawn_instances
from agents.discovery.trial import Trial, scales_of
from agents.discovery.variation import Variation
from agents.dispatcher import RuleDispatcher
from agents.rollout import roll_out
from envs.core import GraphVectorEnv, UsageError, problem, problems
from envs.single_machine.types import SingleMachineInstance

JOB_SHOP = problem("job_shop")
OPTIONS = {"builder": "non_delay", "sizes": ((4, 3), (3, 3))}
TINY = {"generations": 4, "population": 12, "instances": 6, "validation_instances": 5, "finalists": 3, "minutes": 5.0}


def formulas(text, kind="job"):
    return Formulas({kind: parse(text)})


@pytest.fixture(scope="module")
def instances():
    return drawn_instances(JOB_SHOP, OPTIONS, 8, 3)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("processing_time_over_remaining_work", "spt_mwkr"),
        ("2 - 3 / log_processing_time_over_remaining_work", None),
        ("-remaining_work", "mwkr"),
        ("processing_time", "spt"),
    ],
)
def test_formulas_that_are_rules_decide_like_them(instances, text, rule):
    behaviour = {"builder": "non_delay"}
    found = roll_out(JOB_SHOP, behaviour, instances, FormulaDispatcher("found", formulas(text), behaviour))
    if rule is not None:
        known = roll_out(JOB_SHOP, behaviour, instances, RuleDispatcher(JOB_SHOP.rules[rule]))
        assert [each.objective for each in found] == [each.objective for each in known]
    units = [instance.lower_bound for instance in instances]
    assert scales_of(JOB_SHOP, behaviour, instances, "unit", 0) == units
    cost = Trial(JOB_SHOP, behaviour, instances, units, 0).costs([formulas(text)])
    assert cost == pytest.approx([np.mean([each.objective / unit for each, unit in zip(found, units, strict=True)])])


def test_features_of_neighbours_and_context_by_hand():
    env = GraphVectorEnv(JOB_SHOP.bind(OPTIONS), 3)
    observation, _ = env.reset(seed=0)
    spec = env.problem.spec
    known = readers(spec)["job"]
    column = [feature.name for feature in spec.node("machine").dynamic].index("remaining_load")
    values = known["machine.remaining_load"](observation)
    for lane in range(3):
        index = observation["job_needs_machine_index"][lane]
        for job in range(spec.node("job").capacity):
            machines = [machine for one, machine in index.T.tolist() if one == job]
            loads = [observation["machine_dynamic"][lane, machine, column] for machine in machines]
            assert values[lane, job] == pytest.approx(np.mean(loads) if loads else 0.0)
    np.testing.assert_array_equal(known["context.log_jobs"](observation)[:, 0], observation["context"][:, 3])


FAST = ("job_shop", "flexible_job_shop", "vm_rescheduling")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in problems()]
)
def test_any_formula_runs_on_any_problem(name):
    definition = problem(name)
    options = definition.variants[0]
    env = GraphVectorEnv(definition.bind(options), 2)
    observation, _ = env.reset(seed=0)
    known = readers(env.problem.spec)
    rng = np.random.default_rng(0)
    for _ in range(5):
        rule = Formulas({kind: Variation(list(each), 3, 25, rng).random() for kind, each in known.items()})
        assert check_kinds(env.problem.spec, rule.texts()).texts() == rule.texts()
        dispatcher = FormulaDispatcher("random", rule, options)
        dispatcher.reset(env, observation)
        actions = dispatcher.decide(env, observation)
        assert observation["action_mask"][[0, 1], actions].all()


def test_the_best_rule_of_every_instance_is_a_scale(instances):
    """The objectives of the rules that follow roll-outs are among them: no rule is below 1."""
    behaviour = {"builder": "non_delay"}
    scales = scales_of(JOB_SHOP, behaviour, instances, "best_rule", 0)
    runs = [
        [each.objective for each in roll_out(JOB_SHOP, behaviour, instances, RuleDispatcher(rule))]
        for rule in JOB_SHOP.rules.values()
    ]
    assert scales == np.min(runs, axis=0).tolist()


def test_scales_of_nothing_are_kept_from_deciding_alone():
    """Of two single machines one is in time under every good rule: it counts as if its scale were a fiftieth."""
    late, early = (
        SingleMachineInstance(name, [4, 5], [1, 1], [due, due]) for name, due in (("late", 0), ("early", 90))
    )
    scales = scales_of(problem("single_machine"), {}, [late, early], "best_rule", 0)
    assert scales == [13.0, pytest.approx(0.02 * 6.5)]


def test_formulas_that_decide_alike_are_told(instances):
    trial = Trial(JOB_SHOP, {"builder": "non_delay"}, instances, [1.0] * len(instances), 0)
    same = [
        trial.signature(formulas(text)) for text in ("processing_time", "2 * processing_time", "exp(processing_time)")
    ]
    assert same[0] == same[1] == same[2]
    assert trial.signature(formulas("-processing_time")) != same[0]


def test_the_search_finds_better_rules_and_repeats():
    config = DiscoveryConfig(**{**TINY, "generations": 6, "population": 40})
    seen = []
    search = Search(JOB_SHOP, OPTIONS, {"sizes": ((4, 4),)}, config, seen.append)
    found = search.run()
    assert seen[-1].cost <= seen[0].cost
    assert [each.validation for each in found] == sorted(each.validation for each in found)
    assert found[0].validation == search.validation_cost(found[0].formulas)
    assert found[0].validation < search.cost_of(RuleDispatcher(JOB_SHOP.rules["lwkr"]))
    again = Search(JOB_SHOP, OPTIONS, {"sizes": ((4, 4),)}, config).run()
    assert [(str(each.formulas), each.validation) for each in again] == [
        (str(each.formulas), each.validation) for each in found
    ]


def test_files_come_back_and_mistakes_are_named(tmp_path):
    path = tmp_path / "rule.json"
    file = FormulaFile("mine", "job_shop", {"builder": "non_delay"}, formulas("processing_time + 0.5"), {"tried": 3})
    file.write(path)
    assert read_formulas(path, JOB_SHOP) == file
    good = json.loads(path.read_text())
    for change, message in (
        ({"format": "other"}, "format is 'other'"),
        ({"problem": "soc_dag"}, "the rule is for soc_dag, not for job_shop"),
        ({"formulas": {}}, "formulas are for nothing; expected one for job"),
        ({"formulas": {"job": 3}}, r"formulas.job is 3; expected a text"),
        ({"formulas": {"job": "colour"}}, "reads 'colour'"),
        ({"name": None}, "name is None"),
    ):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(UsageError, match=r"rule\.json: .*" + message):
            read_formulas(path, JOB_SHOP)
    for text in ("[]", "{"):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"rule\.json"):
            read_formulas(path, JOB_SHOP)


def test_a_command_may_propose(tmp_path):
    script = tmp_path / "propose.py"
    script.write_text(
        "import json, sys\n"
        "asked = json.load(sys.stdin)\n"
        "assert 'processing_time' in asked['features']['job'] and asked['best'][0]['cost'] == 1.5\n"
        "print('processing_time * 2')\n"
        "print(json.dumps({'job': '-remaining_work'}))\n"
        "print('no formula at all')\n"
    )
    spec = JOB_SHOP.bind(OPTIONS).spec
    command = f"{sys.executable} {script}"
    read, refused = proposals(command, "job_shop", spec, [(formulas("slack"), 1.5)])
    assert [str(rule) for rule in read] == ["processing_time * 2", "-remaining_work"]
    assert refused == 1
    with pytest.raises(UsageError, match=r"search.propose: the command 'no_such_program' failed"):
        proposals("no_such_program", "job_shop", spec, [])
    config = DiscoveryConfig(
        **{**TINY, "propose": f"{sys.executable} -c \"print('processing_time')\"", "propose_every": 1}
    )
    search = Search(JOB_SHOP, OPTIONS, {}, config)
    search.run()
    assert search.refused == 0
    assert "processing_time" in search._known


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population": 3}, "search.population is 3"),
        ({"minutes": 0.0}, "search.minutes is 0.0"),
        ({"elite": 2.0}, "search.elite is 2.0"),
        ({"parsimony": -1.0}, "search.parsimony is -1.0"),
        ({"depth": 0}, "search.depth is 0"),
        ({"reset": 0}, "search.reset is 0"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(UsageError, match=message):
        DiscoveryConfig(**settings)
