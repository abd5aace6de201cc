"""Dispatchers and roll-outs against schedules worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.dispatcher import RandomDispatcher, RuleDispatcher
from agents.rollout import VerificationError, best_of, roll_out, verified_objective
from envs.core import Rule, UsageError, problem
from envs.job_shop.types import JobShopInstance

JOB_SHOP = problem("job_shop")
NON_DELAY = {"builder": "non_delay"}


def instance(name, machines, times):
    return JobShopInstance(name, np.array(machines), np.array(times), 1 + max(max(row) for row in machines))


# Both jobs visit machine 0, then machine 1. Shorter first (job 1): machine 0 is busy 0-2-5, machine 1 runs job 1 from 2
# to 6 and job 0 from 6 to 8. Longer first (job 0): machine 0 is busy 0-3-5, machine 1 runs 3-5 and 5-9.
TWO = instance("two", [[0, 1], [0, 1]], [[3, 2], [2, 4]])
THREE = instance("three", [[0, 1, 2], [2, 0, 1], [1, 2, 0]], [[4, 1, 3], [2, 2, 2], [3, 5, 1]])


def test_spt_and_lpt_give_the_schedules_worked_out_by_hand():
    (spt,) = roll_out(JOB_SHOP, NON_DELAY, [TWO], RuleDispatcher(JOB_SHOP.rules["spt"]))
    assert spt.objective == 8
    assert spt.solution.starts.tolist() == [[2, 6], [0, 2]]
    assert spt.decisions == 2  # the other two have one candidate each
    (lpt,) = roll_out(JOB_SHOP, NON_DELAY, [TWO], RuleDispatcher(JOB_SHOP.rules["lpt"]))
    assert lpt.objective == 9
    assert lpt.solution.starts.tolist() == [[0, 3], [3, 5]]


def test_outcomes_come_in_the_order_given_whatever_the_sizes_and_the_batch():
    instances = [TWO, THREE, TWO, THREE, TWO]
    rule = RuleDispatcher(JOB_SHOP.rules["mwkr"])
    together = roll_out(JOB_SHOP, NON_DELAY, instances, rule)
    alone = [roll_out(JOB_SHOP, NON_DELAY, [one], rule, max_lanes=1)[0] for one in instances]
    assert [outcome.instance for outcome in together] == instances
    assert [outcome.objective for outcome in together] == [outcome.objective for outcome in alone]
    assert [outcome.decisions for outcome in together] == [outcome.decisions for outcome in alone]


def test_best_of_finds_the_optimum_of_a_tiny_instance_and_counts_every_decision():
    outcome = best_of(JOB_SHOP, NON_DELAY, TWO, RandomDispatcher(seed=1), 40, max_lanes=16)
    assert outcome.objective == 8
    assert outcome.decisions == 40 * 2  # whoever goes first, the last two operations have no rival


def test_a_limit_of_time_ends_between_batches():
    def run(samples, **limit):
        return best_of(JOB_SHOP, NON_DELAY, THREE, RandomDispatcher(seed=1), samples, max_lanes=8, **limit)

    cut, first, whole = run(64, time_limit=1e-9), run(8), run(64, time_limit=1e9)
    assert (cut.objective, cut.decisions) == (first.objective, first.decisions)
    assert whole.decisions > 4 * cut.decisions


def test_best_of_repeats_with_its_seed():
    rule = JOB_SHOP.rules["spt"]

    def run(samples, seed):
        return best_of(JOB_SHOP, NON_DELAY, THREE, RuleDispatcher(rule, noise=1.0, seed=seed), samples).solution.starts

    assert run(8, 3).tolist() == run(8, 3).tolist()


def test_noise_keeps_actions_legal_and_changes_them():
    rule = JOB_SHOP.rules["spt"]
    plain = roll_out(JOB_SHOP, {"builder": "append"}, [THREE], RuleDispatcher(rule))[0]
    noisy = [
        roll_out(JOB_SHOP, {"builder": "append"}, [THREE], RuleDispatcher(rule, noise=2.0, seed=seed))[0]
        for seed in range(10)
    ]
    assert len({outcome.solution.starts.tobytes() for outcome in [plain, *noisy]}) > 1


def test_rules_leave_the_wait_action_alone_unless_it_is_the_only_legal_one():
    options = {"builder": "non_delay", "wait": True}
    waiting = roll_out(JOB_SHOP, options, [THREE], RuleDispatcher(JOB_SHOP.rules["spt"]))[0]
    plain = roll_out(JOB_SHOP, NON_DELAY, [THREE], RuleDispatcher(JOB_SHOP.rules["spt"]))[0]
    assert waiting.objective == plain.objective


def test_an_infinite_priority_still_beats_an_illegal_action():
    stubborn = Rule("stubborn", lambda state: np.full(state.job_time.shape, np.inf), "none")
    assert roll_out(JOB_SHOP, NON_DELAY, [TWO], RuleDispatcher(stubborn))[0].objective == 9


def test_an_objective_that_the_verifier_does_not_confirm_is_an_error():
    liar = replace(JOB_SHOP, verify=lambda instance, solution: JOB_SHOP.verify(instance, solution) + 1)
    with pytest.raises(VerificationError, match=r"two: makespan claimed is 8.0, the verifier finds 9"):
        roll_out(liar, NON_DELAY, [TWO], RuleDispatcher(JOB_SHOP.rules["spt"]))


def test_an_invalid_solution_is_an_error():
    outcome = roll_out(JOB_SHOP, NON_DELAY, [TWO], RuleDispatcher(JOB_SHOP.rules["spt"]))[0]
    broken = replace(outcome.solution, starts=outcome.solution.starts * 0)
    with pytest.raises(VerificationError, match="two: the solution is invalid"):
        verified_objective(JOB_SHOP, TWO, broken, 8)


def test_a_dispatcher_that_takes_an_illegal_action_is_stopped():
    class Stubborn(RandomDispatcher):
        name = "stubborn"

        def decide(self, env, observation):
            return env.action_masks().argmin(axis=1)

    with pytest.raises(UsageError, match=r"stubborn took the illegal action \d on three"):
        roll_out(JOB_SHOP, NON_DELAY, [THREE], Stubborn())


def test_bad_arguments_are_named():
    with pytest.raises(UsageError, match="samples is 0"):
        best_of(JOB_SHOP, NON_DELAY, TWO, RandomDispatcher(), 0)
    with pytest.raises(UsageError, match="noise of rule spt is -1"):
        RuleDispatcher(JOB_SHOP.rules["spt"], noise=-1.0)
