"""What a policy must not depend on, on the job shop: padding, neighbours in the batch, names of jobs and machines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from agents.policy_dispatcher import PolicyDispatcher
from envs.core import GraphVectorEnv, problem
from envs.core.spec import ACTION_MASK
from envs.job_shop.generators import uniform
from envs.job_shop.types import JobShopInstance
from models.batch import decision_graph, static_graph
from models.config import CONVOLUTIONS, DECISIONS, ModelConfig
from models.network import PolicyNetwork, masked

JOB_SHOP = problem("job_shop")
VARIANTS = list(itertools.product(CONVOLUTIONS, DECISIONS))


def instance(jobs, machines, seed):
    return uniform(jobs, machines, np.random.default_rng(seed), name=f"{jobs}x{machines}_{seed}")


def make_env(instances, **options):
    bound = JOB_SHOP.bind({"builder": "non_delay", **JOB_SHOP.fit(instances), **options})
    env = GraphVectorEnv(bound, len(instances), autoreset_mode=AutoresetMode.DISABLED)
    observation, _ = env.reset(seed=0, options={"instances": instances})
    return env, observation


def make_network(spec, seed=0, **shape):
    """Weights are large, so that every input shows in the logits."""
    network = PolicyNetwork(spec, ModelConfig(**{"hidden": 16, **shape}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network


def evaluate(network, spec, observation):
    arrays = {key: torch.from_numpy(array) for key, array in observation.items()}
    rows = torch.arange(len(arrays[ACTION_MASK]))
    return network.decide(network.encode(static_graph(spec, arrays)), decision_graph(spec, arrays, arrays, rows))


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def legal_actions(env, rng):
    mask = env.action_masks()
    return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)


@pytest.mark.parametrize(("convolution", "decision"), VARIANTS)
def test_padding_changes_nothing(convolution, decision):
    one = instance(4, 3, seed=1)
    tight, small = make_env([one], wait=True)
    loose, large = make_env([one], wait=True, max_jobs=7, max_machines=6, max_operations=5)
    network = make_network(tight.problem.spec, convolution=convolution, decision=decision)
    rng = np.random.default_rng(0)
    for _ in range(8):
        logits, values = evaluate(network, tight.problem.spec, small)
        padded, padded_values = evaluate(network, loose.problem.spec, large)
        assert_close(padded[:, :4], logits[:, :4])
        assert_close(padded[:, 7], logits[:, 4])  # the wait action comes after the capacity for jobs
        assert_close(padded_values, values)
        assert logits[0].std() > 0.01
        action = legal_actions(tight, rng)
        small = tight.step(action)[0]
        large = loose.step(np.where(action == 4, 7, action))[0]


@pytest.mark.parametrize(("convolution", "decision"), VARIANTS)
def test_a_decision_does_not_see_its_neighbours_in_the_batch(convolution, decision):
    instances = [instance(4, 3, 1), instance(2, 5, 2), instance(6, 2, 3)]
    env, observation = make_env(instances)
    rng = np.random.default_rng(1)
    for _ in range(4):
        observation = env.step(legal_actions(env, rng))[0]
    spec = env.problem.spec
    network = make_network(spec, convolution=convolution, decision=decision)
    logits, values = evaluate(network, spec, observation)
    for lane in range(3):
        alone, value = evaluate(network, spec, {key: array[lane : lane + 1] for key, array in observation.items()})
        assert_close(logits[lane : lane + 1], alone)
        assert_close(values[lane : lane + 1], value)
    order = [2, 0, 1]
    shuffled, _ = evaluate(network, spec, {key: array[order] for key, array in observation.items()})
    assert_close(shuffled, logits[order])


@pytest.mark.parametrize("builder", ["non_delay", "insertion"])
@pytest.mark.parametrize(("convolution", "decision"), VARIANTS)
def test_renaming_jobs_and_machines_renames_the_logits(convolution, decision, builder):
    one = instance(5, 4, seed=3)
    jobs, machines = np.array([3, 0, 4, 1, 2]), np.array([2, 3, 1, 0])
    other = JobShopInstance("renamed", machines[one.machines[jobs]], one.times[jobs], 4)
    env, observation = make_env([one], builder=builder)
    renamed, other_observation = make_env([other], builder=builder)
    spec = env.problem.spec
    network = make_network(spec, convolution=convolution, decision=decision)
    place = np.argsort(jobs)
    rng = np.random.default_rng(2)
    for _ in range(12):
        logits, values = evaluate(network, spec, observation)
        other_logits, other_values = evaluate(network, spec, other_observation)
        assert_close(other_logits, logits[:, jobs])
        assert_close(other_values, values)
        action = legal_actions(env, rng)
        observation = env.step(action)[0]
        other_observation = renamed.step(place[action])[0]


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("copies", [False, True], ids=["different instances", "one instance"])
def test_encoding_once_equals_encoding_at_every_decision(decision, copies):
    instances = [instance(4, 3, 0 if copies else seed) for seed in range(3)]
    env, observation = make_env(instances)
    spec = env.problem.spec
    network = make_network(spec, decision=decision)
    dispatcher = PolicyDispatcher(network, "policy")
    dispatcher.reset(env, observation)
    rng = np.random.default_rng(3)
    for _ in range(12):
        logits, _ = evaluate(network, spec, observation)
        mask = torch.from_numpy(observation[ACTION_MASK])
        assert_close(dispatcher.logits(spec, observation)[mask], logits[mask].detach())
        observation = env.step(legal_actions(env, rng))[0]


@pytest.mark.parametrize(("convolution", "decision"), VARIANTS)
@pytest.mark.parametrize(("jobs", "machines"), [(1, 1), (1, 4), (7, 1), (6, 4)])
def test_one_network_scores_every_size(convolution, decision, jobs, machines):
    small, _ = make_env([instance(2, 2, 0)], wait=True)
    network = make_network(small.problem.spec, convolution=convolution, decision=decision)
    env, observation = make_env([instance(jobs, machines, 5)], wait=True)
    rng = np.random.default_rng(4)
    for _ in range(jobs * machines):
        logits, values = evaluate(network, env.problem.spec, observation)
        assert logits.shape == (1, jobs + 1)
        assert values.shape == (1,)
        assert torch.isfinite(logits).all()
        assert torch.isfinite(values).all()
        observation = env.step(legal_actions(env, rng))[0]


@pytest.mark.parametrize(("convolution", "decision"), VARIANTS)
@pytest.mark.parametrize("layers", [(0, 1), (1, 1), (2, 2)])
def test_the_gradient_reaches_every_parameter(convolution, decision, layers):
    env, observation = make_env([instance(4, 3, 1), instance(3, 3, 2)], wait=True)
    encoder, decisions = layers
    network = PolicyNetwork(
        env.problem.spec, ModelConfig(convolution, decision, 16, 4, encoder_layers=encoder, decision_layers=decisions)
    )
    logits, values = evaluate(network, env.problem.spec, observation)
    (logits.square().sum() + values.sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_untrained_policy_is_nearly_uniform():
    env, observation = make_env([instance(6, 4, 1)])
    logits, _ = evaluate(PolicyNetwork(env.problem.spec, ModelConfig()), env.problem.spec, observation)
    assert (torch.softmax(logits, dim=1) - 1 / 6).abs().max() < 0.02


def test_masked_actions_have_a_probability_of_exactly_zero():
    logits = torch.tensor([[500.0, -500.0, 3.0], [1.0, 2.0, -1e6]])
    mask = torch.tensor([[False, True, True], [False, False, True]])
    probabilities = torch.softmax(masked(logits, mask), dim=1)
    assert (probabilities[~mask] == 0).all()
    assert probabilities.sum(dim=1).tolist() == [1.0, 1.0]
    assert torch.equal(masked(logits, mask)[mask], logits[mask])
