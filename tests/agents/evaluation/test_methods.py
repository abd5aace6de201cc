"""Method specifications, and what becomes of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from agents.dispatcher import RuleDispatcher
from agents.evaluation.method import describe_settings
from agents.evaluation.methods import GreedyMethod, SampledMethod, build_methods
from agents.evaluation.specification import MethodSpecification, parse_method
from envs.core import SolverResult, UsageError, problem
from envs.job_shop.types import JobShopInstance, Schedule

JOB_SHOP = problem("job_shop")
NON_DELAY = {"builder": "non_delay"}
TWO = JobShopInstance("two", np.array([[0, 1], [0, 1]]), np.array([[3, 2], [2, 4]]), 2)


@dataclass(frozen=True)
class FixedSolver:
    """Always answers with the schedule of `TWO` that takes 8, and claims what it is told to."""

    time_limit: float = 10.0
    workers: int = 2
    claim: float = 8.0

    def __call__(self, instance, /, *, seed=0):
        return SolverResult(Schedule(np.array([[2, 6], [0, 2]])), self.claim, None, "feasible")


def fixed(*, time_limit=10.0, workers=2, claim=8.0):
    return FixedSolver(time_limit, workers, claim)


WITH_SOLVER = replace(JOB_SHOP, solvers=MappingProxyType({"fixed": fixed}))


def build(*entries, options=NON_DELAY, definition=WITH_SOLVER):
    return build_methods(definition, entries, options, 128)


def test_strings_and_mappings_say_the_same():
    text = parse_method("rule:spt;noise=0.5;samples=128;builder=active")
    assert text == MethodSpecification("rule", "spt", {"noise": 0.5, "samples": 128, "builder": "active"})
    assert text == parse_method({"rule": "spt", "noise": 0.5, "samples": 128, "builder": "active"})
    assert parse_method(str(text)) == text
    assert parse_method("checkpoint:a/b c;wait=true").settings == {"wait": True}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("spt", "must start with KIND:NAME"),
        ("heuristic:spt", "KIND one of rule, solver, checkpoint, onnx"),
        ("rule:", "must start with KIND:NAME"),
        ("rule:spt;noise", "'noise' must be key=value"),
        ("rule:spt;noise=1;noise=2", "gives noise twice"),
        ({"noise": 0.5}, "must have exactly one of the keys"),
        ({"rule": "spt", "noise": [1]}, r"noise is \[1\]"),
        ("rule:nope", "job_shop has no rule 'nope'; it has spt,"),
        ("rule:spt;nose=1", "there is no setting 'nose'; there are name, noise, samples"),
        ("rule:spt;noise=-1", "noise is -1; expected a number of at least 0"),
        ("rule:spt;noise=0.5;samples=1.5", "samples is 1.5; expected a whole number"),
        ("rule:spt;samples=8", "draws the same schedule every time"),
        ("rule:spt;noise=1;time_limit=3", "time_limit is 3; expected a positive number of seconds, beside samples"),
        ("rule:spt;noise=1;samples=8;time_limit=0", "time_limit is 0; expected a positive number"),
        ("rule:random;noise=1", "noise means nothing to the random rule"),
        ("rule:spt;builder=brick", "builder is 'brick'"),
        ("solver:nope", "job_shop has no solver 'nope'; it has fixed"),
        ("solver:fixed;time=3", "unexpected keyword argument 'time'"),
        ("checkpoint:no/such/folder", "there is no checkpoint folder no/such/folder"),
    ],
)
def test_mistakes_are_named(entry, message):
    with pytest.raises(UsageError, match=message):
        build(entry)


def test_one_method_twice_is_a_mistake():
    with pytest.raises(UsageError, match="same name and variant"):
        build("rule:spt", "rule:spt")
    assert [method.name for method in build("rule:spt", "rule:spt;name=again")] == ["spt", "again"]


def test_variants_name_builder_and_sampling():
    plain, noisy, active, uniform, solver = build(
        "rule:spt_mwkr",
        "rule:spt_mwkr;noise=0.5;samples=128",
        "rule:spt;builder=active",
        "rule:random;samples=4",
        "solver:fixed;workers=4",
    )
    assert (plain.kind, plain.name, plain.variant) == ("rule", "spt_mwkr", "builder=non_delay")
    assert noisy.variant == "builder=non_delay;samples=128;noise=0.5"
    assert active.variant == "builder=active"
    assert uniform.variant == "builder=non_delay;samples=4"
    assert (solver.kind, solver.variant) == ("solver", "time_limit=10;workers=4;claim=8")
    assert [method.stochastic for method in (plain, noisy, active, uniform, solver)] == [False, True, False, True, True]
    assert describe_settings({"a": 1.0, "b": None, "c": 0.25}) == "a=1;c=0.25"


def test_all_stands_for_every_rule_once():
    names = [method.name for method in build("rule:all")]
    assert names == list(dict.fromkeys([*JOB_SHOP.rules, "random"]))


def test_a_solver_is_timed_and_checked():
    (outcome,) = next(build("solver:fixed")[0].run([TWO], [0]))
    assert (outcome.objective, outcome.decisions) == (8.0, 0)
    with pytest.raises(RuntimeError, match=r"claimed is 7.0, the verifier finds 8"):
        next(build("solver:fixed;claim=7.0")[0].run([TWO], [0]))


class Learned(RuleDispatcher):
    """Stands for a trained dispatcher."""

    options = MappingProxyType({"builder": "active", "reward": "raw", "sizes": ((4, 4),), "max_jobs": 9})

    def __init__(self, temperature=0.0, seed=0):
        super().__init__(JOB_SHOP.rules["spt"], temperature, seed)
        self.name = "policy"

    def sampling(self, seed, temperature=1.0, threshold=0.0):
        return Learned(temperature, seed)


def test_a_checkpoint_runs_in_the_builder_it_was_trained_in(tmp_path, monkeypatch):
    loader = SimpleNamespace(load_dispatcher=lambda path, definition: Learned())
    monkeypatch.setitem(sys.modules, "agents.checkpoint", loader)
    greedy, sampled, hot, narrow = build(
        f"checkpoint:{tmp_path}",
        f"checkpoint:{tmp_path};samples=16",
        f"checkpoint:{tmp_path};samples=16;temperature=2;builder=non_delay",
        f"checkpoint:{tmp_path};samples=16;threshold=0.25",
    )
    assert isinstance(greedy, GreedyMethod)
    assert (greedy.kind, greedy.name, greedy.variant) == ("learned", "policy", "builder=active")
    assert isinstance(sampled, SampledMethod)
    assert sampled.variant == "builder=active;samples=16"
    assert hot.variant == "builder=non_delay;samples=16;temperature=2"
    assert narrow.variant == "builder=active;samples=16;threshold=0.25"
    # Giffler and Thompson's conflict set on machine 1 holds both jobs; the shorter one starts at 5, the other at 7.
    assert next(greedy.run([TWO], [0]))[0].objective == 11
    assert 16 <= next(sampled.run([TWO], [0]))[0].decisions <= 32  # one or two of the four have two candidates
    with pytest.raises(UsageError, match="temperature needs samples"):
        build(f"checkpoint:{tmp_path};temperature=2")
    with pytest.raises(UsageError, match="threshold needs samples"):
        build(f"checkpoint:{tmp_path};threshold=0.5")
    with pytest.raises(UsageError, match="threshold is 2; expected a number from 0 to 1"):
        build(f"checkpoint:{tmp_path};samples=4;threshold=2")
    with pytest.raises(UsageError, match=r"trained on other observations: interface\.nodes\.wait is only on one side"):
        build(f"checkpoint:{tmp_path};builder=non_delay;wait=true")


def test_draws_depend_on_seed_and_instance_alone():
    (method,) = build("rule:random;samples=2")
    other = JobShopInstance("other", np.array([[0, 1], [1, 0]]), np.array([[1, 5], [2, 2]]), 2)
    together = [batch[0].solution.starts.tolist() for batch in method.run([other, TWO], [5, 5])]
    alone = [batch[0].solution.starts.tolist() for batch in method.run([TWO], [5])]
    assert together[1] == alone[0]


def test_lists_of_names_are_part_of_a_variant():
    options = {"roll_outs": ("spt_mwkr", "mopnr")}
    methods = build_methods(problem("job_shop"), ["rule:pilot;builder=active"], options, 128)
    assert "roll_outs=spt_mwkr+mopnr" in methods[0].variant


@dataclass(frozen=True)
class Recorder:
    """A solver that notes what it is made with and returns its hint, or something worse than allowed."""

    notes: list

    def factory(self, *, time_limit=10.0, workers=1, hint=None):
        """Makes the solver."""
        self.notes.append((time_limit, workers, hint))
        return lambda instance, *, seed=0: SolverResult(
            hint, float(max(hint.starts[:, 1] + instance.times[:, 1])), 0, ""
        )


def improving(recorder):
    return replace(JOB_SHOP, solvers=MappingProxyType({"keep": recorder.factory, "fixed": fixed}))


def test_an_improving_solver_goes_on_from_the_schedule_within_the_time_that_is_left():
    recorder = Recorder([])
    entry = "rule:mwkr;builder=active;improve=keep;time_limit=5;workers=2"
    (method,) = build(entry, definition=improving(recorder))
    assert (method.name, method.kind, method.entry) == ("mwkr", "search", entry)
    assert method.variant == "builder=active;improve=keep;time_limit=5;workers=2"
    (plain,) = build("rule:mwkr;builder=active")
    recorder.notes.clear()
    ((outcome,),) = method.run([TWO], [3])
    ((expected,),) = plain.run([TWO], [3])
    (note,) = recorder.notes
    assert 0 < note[0] < 5.0
    assert note[1] == 2
    assert np.array_equal(note[2].starts, expected.solution.starts)
    assert outcome.objective == expected.objective
    assert outcome.seed == 3
    assert outcome.decisions == expected.decisions


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("rule:spt;improve=nope;time_limit=1", "has no solver 'nope'; it has keep, fixed"),
        ("rule:spt;improve=fixed;time_limit=1", "solver fixed: .* unexpected keyword argument 'hint'"),
        ("rule:spt;improve=keep", "time_limit is None; expected the seconds"),
        ("rule:spt;improve=keep;time_limit=0", "time_limit is 0; expected the seconds"),
        ("rule:spt;improve=keep;time_limit=1;nose=2", "unexpected keyword argument 'nose'"),
    ],
)
def test_mistakes_of_improving_are_named(entry, message):
    with pytest.raises(UsageError, match=message):
        build(entry, definition=improving(Recorder([])))


@pytest.mark.parametrize("solver", ["lns", "cp_sat"])
def test_an_improved_rule_reaches_the_optimum(solver):
    pytest.importorskip("ortools")
    plain, improved = build("rule:lwkr", f"rule:lwkr;improve={solver};time_limit=5;workers=1", definition=JOB_SHOP)
    assert [next(method.run([TWO], [0]))[0].objective for method in (plain, improved)] == [9.0, 8.0]
