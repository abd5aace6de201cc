"""Solutions drawn without replacement."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from agents.evaluation.methods import build_methods
from agents.evaluation.planned import BeamMethod
from agents.planning.beam import best_of_beam
from agents.policy_dispatcher import PolicyDispatcher
from envs.core import GraphVectorEnv, UsageError, problem
from models.build import make_network
from models.config import ModelConfig

APPEND = {"builder": "append"}
CHECKPOINT = "checkpoint:checkpoints/job_shop/default"


@pytest.fixture
def policy():
    """A policy with drawn weights."""
    torch.manual_seed(3)
    spec = problem("job_shop").bind(APPEND).spec
    return PolicyDispatcher(make_network(spec, ModelConfig(hidden=8, heads=2, encoder_layers=1)), "policy", APPEND)


def instances(count, size):
    env = GraphVectorEnv(problem("job_shop").bind({"sizes": (size,)}), count)
    env.reset(seed=11)
    return [env.instance(lane) for lane in range(count)]


def test_a_beam_as_wide_as_there_are_solutions_holds_the_optimum(policy):
    """Three jobs of two operations have 6! / (2! 2! 2!) = 90 orders, among which is every optimal schedule."""
    pytest.importorskip("ortools")
    exact = problem("job_shop").solvers["cp_sat"](time_limit=10.0, workers=1)
    for instance in instances(5, (3, 2)):
        outcome = best_of_beam(problem("job_shop"), APPEND, instance, policy, 90)
        assert outcome.objective == exact(instance).objective


def test_a_beam_of_one_is_a_single_draw_and_a_wider_one_looks_at_more(policy):
    (instance,) = instances(1, (6, 4))
    narrow, wide = (best_of_beam(problem("job_shop"), APPEND, instance, policy, count) for count in (1, 64))
    assert narrow.decisions <= 24 < wide.decisions
    assert wide.objective <= narrow.objective
    again = best_of_beam(problem("job_shop"), APPEND, instance, policy, 64)
    assert (again.objective, again.decisions) == (wide.objective, wide.decisions)


def test_a_checkpoint_is_drawn_from_without_replacement_when_it_is_told_to():
    (method,) = build_methods(problem("job_shop"), [f"{CHECKPOINT};samples=8;replacement=false"], APPEND, 16)
    assert isinstance(method, BeamMethod)
    assert (method.kind, method.variant) == ("search", "builder=append;samples=8;replacement=False")
    (instance,) = instances(1, (6, 4))
    ((outcome,),) = method.run([instance], [2])
    assert outcome.seed == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("replacement=false", "replacement needs samples"),
        ("samples=4;replacement=2", "replacement is 2; expected true or false"),
        ("samples=4;replacement=false;temperature=2", "which temperature, threshold and time_limit do not go with"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(UsageError, match=message):
        build_methods(problem("job_shop"), [f"{CHECKPOINT};{settings}"], {}, 8)


def test_several_solutions_mean_nothing_where_the_environment_draws(policy):
    definition = replace(problem("job_shop"), stochastic=lambda instance: True)
    (instance,) = instances(1, (3, 2))
    with pytest.raises(UsageError, match="the luckiest one"):
        BeamMethod("p", "search", "v", definition, APPEND, policy, 4).check(instance)
