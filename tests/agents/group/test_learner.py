"""The trainer: every part on every problem, what it keeps, what it learns, and that it can be stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from stable_baselines3.common.callbacks import BaseCallback

from agents.checkpoint import load_checkpoint
from agents.group.config import GroupConfig
from agents.group.learner import make_learner
from agents.group.lessons import Batch, plan, silent_groups
from agents.group.rollouts import collect
from agents.policy_dispatcher import PolicyDispatcher
from agents.registry import agent_named
from agents.rollout import roll_out
from agents.run import TrainingRun, ValidationConfig
from agents.training import train
from envs.core import GraphVectorEnv, UsageError, problem, problems
from models.config import ModelConfig

CONF = Path(__file__).parents[3] / "conf" / "agent"


class Notes(BaseCallback):
    """Keeps what is logged before it is written."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def _on_training_start(self):
        dump = self.logger.dump

        def kept(step=0):
            self.rows.append(dict(self.logger.name_to_value))
            dump(step)

        self.logger.dump = kept

    def _on_step(self):
        return True


def learnt(learner, decisions):
    notes = Notes()
    learner.learn(decisions, callback=notes)
    return notes.rows


PARTS = [
    {"update": "reinforce", "advantage": "leave_one_out", "minibatch": 0, "entropy": 0.01, "value": 0.1},
    {"selection": "max_variance", "experts": "rule:*", "shaping": "nonlinear", "weighting": "episode"},
    {"selection": "best", "update": "cross_entropy", "replacement": False},
    {"selection": "pairs", "update": "preference", "greedy": True},
    {"pool": 4, "budget": "variance", "experts": "rule:*", "shaping": "anchor"},
    {"pool": 4, "budget": "binary", "success": "bound", "selection": "random", "shaping": "downscale"},
]


def parts_and_problems():
    """Every part with every problem; the slow ones leave a part a problem and two problems a part at least."""
    for i, settings in enumerate(PARTS):
        for j, name in enumerate(problems()):
            marks = () if (i + j) % len(PARTS) == 0 else (pytest.mark.slow,)
            part = settings.get("selection", settings.get("update", "pool"))
            yield pytest.param(name, settings, id=f"{part}-{i}-{name}", marks=marks)


@pytest.mark.parametrize(("name", "settings"), parts_and_problems())
def test_every_part_runs_on_every_problem(name, settings):
    definition = problem(name)
    settings = {
        key: value.replace("*", next(iter(definition.rules))) if key == "experts" else value
        for key, value in settings.items()
    }
    config = GroupConfig(**{"decisions": 60, "instances": 2, "rollouts": 3, "threads": 1, "minibatch": 64, **settings})
    learner = make_learner(definition, definition.variants[0], ModelConfig(hidden=8, heads=2, encoder_layers=1), config)
    before = {key: tensor.clone() for key, tensor in learner.policy.network.state_dict().items()}
    rows = learnt(learner, 60)
    after = learner.policy.network.state_dict()
    assert all(tensor.isfinite().all() for tensor in after.values())
    assert any(not before[key].equal(tensor) for key, tensor in after.items()) == any(
        row.get("train/gradient_l2", 0.0) > 0 for row in rows
    )
    assert learner.num_timesteps >= 60


@pytest.mark.parametrize("kind", ["pomo", "grpo", "slim", "d3s", "bopo"])
def test_the_seed_decides_everything(small_groups, kind):
    def weights(seed):
        learner = small_groups.learner(kind, seed=seed)
        learner.learn(200)
        return {name: tensor.numpy().tobytes() for name, tensor in learner.policy.network.state_dict().items()}

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def batch_of(small_groups, kind="grpo", **settings):
    learner = small_groups.learner(kind, **settings)
    learner.env.reset()
    groups = learner.source.next(learner.shuffling)
    done = [collect(learner.policy.network, start, learner.policy.sampler) for start in groups.starts]
    return learner, Batch(done)


def test_down_sampling_keeps_the_shares_it_should(small_groups):
    shares = {"keep_rollouts": 0.25, "final_keep_rollouts": 0.75, "keep_steps": 0.2, "final_keep_steps": 1.0}
    learner, batch = batch_of(small_groups, "d3s", instances=8, rollouts=8, **shares)
    rng = np.random.default_rng(0)
    for remaining, rollouts, steps in ((1.0, 16, 0.2), (0.5, 32, 0.6), (0.0, 48, 1.0)):
        plans = plan(learner.config, batch, remaining, rng)
        whole = replace(learner.config, keep_steps=1.0, final_keep_steps=1.0)
        offered = sum(int(each.keep.sum()) for each in plan(whole, batch, remaining, rng))
        kept = sum(int(each.keep.sum()) for each in plan(learner.config, batch, remaining, rng))
        assert kept == round(steps * offered)
        assert sum(int(each.keep.any(axis=1).sum()) for each in plan(whole, batch, remaining, rng)) == rollouts
        assert all((each.keep <= each.rollouts.free).all() for each in plans)


def test_down_sampling_takes_the_extremes_and_the_control_does_not(small_groups):
    shares = {"keep_rollouts": 0.25, "keep_steps": 1.0}
    learner, batch = batch_of(small_groups, "d3s", instances=8, rollouts=8, **shares)
    spreads = {}
    for selection in ("max_variance", "random"):
        plans = plan(replace(learner.config, selection=selection), batch, 1.0, np.random.default_rng(0))
        kept = np.concatenate([each.advantage[each.keep.any(axis=1)] for each in plans])
        assert len(kept) == 16
        spreads[selection] = kept.var()
    assert spreads["max_variance"] > 1.5 * spreads["random"]


def test_episodes_count_alike_where_asked(small_groups):
    learner, batch = batch_of(
        small_groups, options={"builder": "active", "sizes": ((2, 2), (4, 4))}, weighting="episode"
    )
    plans = plan(learner.config, batch, 1.0, np.random.default_rng(0))
    sums = np.concatenate([(each.keep * each.weight[:, None]).sum(axis=1) for each in plans])
    trained = np.concatenate([each.keep.any(axis=1) for each in plans])
    assert sums[trained] == pytest.approx(np.full(trained.sum(), sums[trained][0]))
    total = sum(int(each.keep.sum()) for each in plans)
    assert sums.sum() == pytest.approx(total)


def test_every_size_has_arrays_of_its_own_up_to_a_number_of_sizes(small_groups):
    options = {"builder": "active", "sizes": ((2, 2), (3, 3), (4, 4))}
    for most, count in ((4, 3), (2, 1)):
        learner = small_groups.learner(options=options, instances=12, size_classes=most, seed=1)
        learner.env.reset()
        groups = learner.source.next(learner.shuffling)
        assert len(groups.starts) == count
        sizes = [start.problem.spec.node("job").capacity for start in groups.starts]
        assert sorted(sizes) == ([2, 3, 4] if count == 3 else [4])
        members = np.concatenate([np.unique(start.group) for start in groups.starts])
        assert sorted(members.tolist()) == list(range(12))


def test_groups_that_say_nothing_are_counted(small_groups):
    _, batch = batch_of(small_groups, options={"builder": "append", "sizes": ((1, 3),)})
    assert silent_groups(batch) == 1.0
    rows = learnt(small_groups.learner(options={"builder": "append", "sizes": ((1, 3),)}), 20)
    assert all(row["train/decisions_trained"] == 0 for row in rows)


def test_what_is_learnt_does_not_depend_on_how_much_is_held_at_once(small_groups):
    """One gradient step a pass over pieces of whole lanes uses the same decisions."""
    learner, batch = batch_of(small_groups, instances=6, rollouts=6, stored=40)
    plans = plan(learner.config, batch, 1.0, np.random.default_rng(0))
    pieces = learner._pieces(plans)
    assert len(pieces) > 3
    assert all(sum(int(each.keep.sum()) for each in piece) <= 40 for piece in pieces)
    for whole in plans:
        parts = [each.keep for piece in pieces for each in piece if each.rollouts is whole.rollouts]
        np.testing.assert_array_equal(np.sum(parts, axis=0), whole.keep)


def test_chunks_add_up_to_the_same_step(small_groups):
    weights = []
    for chunk in (7, 10_000):
        learner = small_groups.learner(
            "pomo", chunk=chunk, instances=4, options={"builder": "active", "sizes": ((3, 3), (4, 3))}
        )
        learner.learn(1)
        weights.append({name: tensor.clone() for name, tensor in learner.policy.network.state_dict().items()})
    for name, tensor in weights[0].items():
        np.testing.assert_allclose(tensor, weights[1][name], atol=2e-4)


def test_experts_are_one_more_member_and_counted(small_groups):
    rows = learnt(small_groups.learner(experts="rule:mopnr", options={"builder": "active", "sizes": ((4, 4),)}), 200)
    assert all(row["experts/dropped_share"] == 0 for row in rows)
    assert all(row["rollout/solutions"] == 12 for row in rows)
    _learner, batch = batch_of(small_groups, experts="rule:mopnr")
    assert batch.expert.sum() == 3
    assert np.bincount(batch.group).tolist() == [5, 5, 5]


def test_the_pool_learns_of_its_instances_and_spends_its_budget(small_groups):
    learner = small_groups.learner(pool=4, instances=4, rollouts=6, budget="variance", budget_high=20)
    rows = learnt(learner, 600)
    pool = learner.source.pool
    assert (pool.visits == len(rows)).all()
    assert all(row["rollout/solutions"] == 24 for row in rows)
    assert (pool.variance > 0).any()
    assert len(set(pool.budget(np.arange(4)).tolist())) > 1


def excess(network, instances):
    """Mean greedy makespan over the bound, above 1."""
    outcomes = roll_out(problem("job_shop"), {"builder": "active"}, instances, PolicyDispatcher(network, "p"))
    return np.mean([o.objective / o.instance.lower_bound for o in outcomes]) - 1


@pytest.fixture(scope="module")
def test_instances():
    env = GraphVectorEnv(problem("job_shop").bind({"builder": "active", "sizes": ((6, 6),)}), 40)
    env.reset(seed=99_000)
    return [env.instance(lane) for lane in range(40)]


@pytest.mark.parametrize("kind", ["slim", "grpo", "d3s"])
def test_it_learns(small_groups, test_instances, kind):
    shares = {"keep_rollouts": 0.25, "keep_steps": 0.4} if kind == "d3s" else {}
    settings = {"decisions": 12_000, "instances": 6, "rollouts": 12, "learning_rate": 5e-3, "minibatch": 128, **shares}
    options = {"builder": "active", "sizes": ((6, 6),)}
    learner = small_groups.learner(kind, options=options, model={"hidden": 16, "encoder_layers": 0}, **settings)
    untrained = excess(learner.policy.network, test_instances)
    learner.learn(12_000)
    assert excess(learner.policy.network, test_instances) < 0.75 * untrained


class Stop(BaseCallback):
    """Breaks off in the middle of collecting."""

    def _on_step(self):
        if self.n_calls == 190:
            raise KeyboardInterrupt
        return True


@pytest.mark.parametrize("settings", [{"pool": 5, "budget": "variance", "experts": "rule:mopnr"}, {}])
def test_a_stopped_run_ends_with_the_bytes_of_one_that_was_not(small_groups, tmp_path, settings):
    run = TrainingRun(
        "stopped",
        "job_shop",
        {"builder": "active", "sizes": [[4, 3], [3, 4]]},
        small_groups.model(),
        small_groups.config("d3s", decisions=900, **settings),
        ValidationConfig({"sizes": [[4, 4]]}, instances=4, every=2),
        save_every=2,
    )
    train(small_groups.definition, run, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(small_groups.definition, run, tmp_path / "stopped", callbacks=[Stop()])
    assert (tmp_path / "stopped" / "state" / "latest").exists()
    train(small_groups.definition, run, tmp_path / "stopped")

    def state(folder):
        (last,) = (folder / "state").glob("step_*")
        arrays = {path.name: path.read_bytes() for path in last.glob("*.safetensors")}
        data = json.loads((last / "training.json").read_text(encoding="utf-8"))
        memory = {}
        if (last / "replay.npz").exists():
            with np.load(last / "replay.npz") as held:
                memory = {key: held[key].tolist() for key in held}
        return arrays, data, memory

    assert state(tmp_path / "stopped") == state(tmp_path / "whole")
    assert bool(state(tmp_path / "whole")[2]) == bool(settings)
    one, other = (load_checkpoint(tmp_path / name / "policy") for name in ("stopped", "whole"))
    assert one.training == other.training


def test_presets_are_settings_of_the_learner(small_groups):
    base = yaml.safe_load((CONF / "group.yaml").read_text(encoding="utf-8"))
    assert set(base["settings"]) == {name for name in GroupConfig.__dataclass_fields__ if name != "name"}
    agent = agent_named(base["name"])
    for kind in small_groups.kinds:
        own = yaml.safe_load((CONF / f"group_{kind}.yaml").read_text(encoding="utf-8"))
        assert own["defaults"] == ["group"]
        config = agent.settings.from_mapping({**base["settings"], **own["settings"]})
        given = {key: value for key, value in small_groups.kinds[kind].items() if key != "minibatch"}
        assert {key: getattr(config, key) for key in given} == given


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rollouts": 1}, "agent.settings.rollouts is 1; expected at least 2, for there is nothing to compare"),
        ({"update": "cross_entropy"}, "selection is 'all'; expected 'best', as update is 'cross_entropy'"),
        ({"selection": "pairs"}, "update is 'clip'; expected 'preference' if and only if selection is 'pairs'"),
        ({"budget": "binary"}, "pool is 0; expected at least 1, as budget is 'binary'"),
        ({"pool": 4}, "pool is 4; expected 0 or at least instances, 16"),
        ({"pool": 20, "experts": "file:x"}, "pool is 20; expected 0, as the recorded solutions bring instances"),
        ({"replacement": False, "greedy": True}, "greedy is True; expected false, as replacement is false"),
        ({"keep_steps": 0.0}, "keep_steps is 0.0; expected a number above 0, up to 1"),
        ({"advantage": "median"}, "advantage is 'median'; expected one of mean, normalised, leave_one_out"),
        ({"colour": 1}, "agent.settings has no field 'colour'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(UsageError, match=message):
        GroupConfig.from_mapping(settings)
