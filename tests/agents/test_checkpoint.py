"""Checkpoints: what is saved is what is loaded, and whatever is wrong with a folder is one sentence."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from agents.checkpoint import Checkpoint, build_network, load_checkpoint, load_dispatcher, save_checkpoint
from agents.evaluation.methods import build_methods
from agents.rollout import roll_out
from envs.core import UsageError, problem
from envs.job_shop.generators import uniform
from models.config import ModelConfig
from models.network import PolicyNetwork

JOB_SHOP = problem("job_shop")
OPTIONS = {"builder": "active", "wait": False}


def make_checkpoint(seed=0, **training):
    spec = JOB_SHOP.bind(OPTIONS).spec
    shape = ModelConfig(hidden=8, heads=2, encoder_layers=1)
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: 0.3 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in PolicyNetwork(spec, shape).state_dict().items()
    }
    return Checkpoint("job_shop", OPTIONS, shape, spec.to_metadata(), {"name": "mine", **training}, weights)


@pytest.fixture
def folder(tmp_path):
    save_checkpoint(tmp_path / "policy", make_checkpoint(decisions=7))
    return tmp_path / "policy"


def test_what_is_saved_is_loaded(folder):
    expected, actual = make_checkpoint(decisions=7), load_checkpoint(folder)
    assert replace(actual, weights={}) == replace(expected, weights={})
    assert actual.weights.keys() == expected.weights.keys()
    for name, tensor in expected.weights.items():
        assert torch.equal(actual.weights[name], tensor)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "weights.safetensors"]


def test_a_checkpoint_of_the_first_layout_without_a_digest_is_read(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["weights_sha256"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert load_checkpoint(folder).training == {"name": "mine", "decisions": 7}


def test_a_checkpoint_evaluates_end_to_end(folder):
    instances = [uniform(5, 4, np.random.default_rng(seed), name=f"i{seed}") for seed in range(3)]
    greedy, sampled = build_methods(
        JOB_SHOP, [f"checkpoint:{folder}", f"checkpoint:{folder};samples=16"], {"builder": "non_delay"}, 8
    )
    assert (greedy.name, greedy.kind, greedy.variant) == ("mine", "learned", "builder=active")
    outcomes = [outcome for batch in greedy.run(instances, [0] * 3) for outcome in batch]
    direct = roll_out(JOB_SHOP, OPTIONS, instances, load_dispatcher(folder, JOB_SHOP))
    assert [outcome.objective for outcome in outcomes] == [outcome.objective for outcome in direct]
    assert [JOB_SHOP.verify(o.instance, o.solution) for o in outcomes] == [o.objective for o in outcomes]
    drawn = [outcome for batch in sampled.run(instances, [1] * 3) for outcome in batch]
    again = [outcome for batch in sampled.run(instances, [1] * 3) for outcome in batch]
    assert all(16 < outcome.decisions <= 16 * 20 for outcome in drawn)
    assert [outcome.objective for outcome in drawn] == [outcome.objective for outcome in again]
    assert sum(outcome.objective for outcome in drawn) < sum(outcome.objective for outcome in outcomes)


def damage_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for name, value in changes.items():
        config.pop(name)
        if value is not None:
            config[name] = value
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def change_weights(folder, change):
    weights = load_checkpoint(folder).weights
    change(weights)
    save_file(weights, folder / "weights.safetensors")
    damage_config(folder, weights_sha256=None)


def other_interface():
    spec = JOB_SHOP.bind({"builder": "non_delay", "wait": True}).spec
    return spec.to_metadata()


MISTAKES = {
    "no folder": (
        shutil.rmtree,
        "weights.safetensors cannot be read: No such file or directory; expected",
    ),
    "no weights": (lambda f: (f / "weights.safetensors").unlink(), "weights.safetensors cannot be read: No such file"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json cannot be read: No such file"),
    "weights cut": (
        lambda f: (f / "weights.safetensors").write_bytes((f / "weights.safetensors").read_bytes()[:-9]),
        "weights.safetensors is not the file that .*config.json was written with",
    ),
    "weights broken": (
        lambda f: (damage_config(f, weights_sha256=None), (f / "weights.safetensors").write_bytes(b"nonsense")),
        "weights.safetensors cannot be read as safetensors",
    ),
    "weights of another run": (
        lambda f: save_file(make_checkpoint(seed=3).weights, f / "weights.safetensors"),
        "weights.safetensors is not the file that",
    ),
    "config not JSON": (lambda f: (f / "config.json").write_text("{", encoding="utf-8"), "config.json is not JSON"),
    "config a list": (lambda f: (f / "config.json").write_text("[]", encoding="utf-8"), "is not a checkpoint's config"),
    "later format": (lambda f: damage_config(f, format=2), "is not a checkpoint's config of format 1"),
    "field missing": (lambda f: damage_config(f, options=None), "config.json lacks the field 'options'"),
    "field of another type": (
        lambda f: damage_config(f, options=[1]),
        r"config.json has \[1\] in the field 'options'; expected an object",
    ),
    "unknown shape": (
        lambda f: damage_config(f, model={"depth": 3}),
        "config.json: model has no field 'depth'; it has convolution",
    ),
    "shape of another type": (
        lambda f: damage_config(f, model={"hidden": "wide"}),
        "config.json: model.hidden is 'wide'; expected a whole number",
    ),
    "unknown option": (lambda f: damage_config(f, options={"brick": 1}), "has no option 'brick'"),
    "wrong option": (lambda f: damage_config(f, options={"builder": "brick"}), "builder is 'brick'"),
    "another problem": (
        lambda f: damage_config(f, problem="flow_shop"),
        "holds a policy for 'flow_shop'; expected one for 'job_shop'",
    ),
    "another interface": (
        lambda f: damage_config(f, interface=other_interface()),
        "was trained on other observations than this environment's: interface.nodes.wait is only on one side",
    ),
    "another shape": (
        lambda f: damage_config(f, model={"hidden": 16, "heads": 2, "encoder_layers": 1}),
        r"the weights do not fit the network its config describes: weights.encoder.* is \(8, 13\); expected \(16, 13\)",
    ),
    "a weight too few": (
        lambda f: change_weights(f, lambda weights: weights.pop("whole.weight")),
        "weights.whole.weight is only on one side",
    ),
    "a weight too many": (
        lambda f: change_weights(f, lambda weights: weights.update(extra=torch.zeros(1))),
        "weights.extra is only on one side",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_whatever_is_wrong_is_one_sentence(folder, mistake):
    damage, message = MISTAKES[mistake]
    damage(folder)
    with pytest.raises(UsageError, match=message) as error:
        load_dispatcher(folder, JOB_SHOP)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.write_text, (self.path, "code ran"))


@pytest.mark.parametrize("save", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb))])
def test_nothing_is_ever_unpickled(folder, tmp_path, save):
    mark = tmp_path / "mark"
    for name in ("weights.safetensors", "config.json"):
        victim = tmp_path / f"victim_{name}"
        shutil.copytree(folder, victim)
        save(Bomb(mark), victim / name)
        with pytest.raises(UsageError):
            load_checkpoint(victim)
    damage_config(folder, weights_sha256=None)
    save(Bomb(mark), folder / "weights.safetensors")
    with pytest.raises(UsageError, match="cannot be read as safetensors"):
        load_checkpoint(folder)
    assert not mark.exists()


def test_a_save_killed_at_any_moment_leaves_the_old_checkpoint_or_the_new(folder, tmp_path, killed_at_every_moment):
    pristine = tmp_path / "pristine"
    (folder / "model_card.md").write_text("about it", encoding="utf-8")
    shutil.copytree(folder, pristine)
    new = make_checkpoint(seed=1, decisions=8)
    old = load_checkpoint(folder)

    def again():
        shutil.rmtree(folder)
        shutil.copytree(pristine, folder)

    seen = []
    for _ in killed_at_every_moment(again, lambda: save_checkpoint(folder, new)):
        found = load_checkpoint(folder)
        expected = {7: old, 8: new}[found.training["decisions"]]
        assert all(torch.equal(found.weights[name], tensor) for name, tensor in expected.weights.items())
        seen.append(found.training["decisions"])
        save_checkpoint(folder, make_checkpoint(seed=2, decisions=9))
        assert load_checkpoint(folder).training["decisions"] == 9
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["config.json", "model_card.md", "weights.safetensors"]
    assert seen == sorted(seen)
    assert set(seen) == {7, 8}
    assert (folder / "model_card.md").read_text(encoding="utf-8") == "about it"


def test_one_network_runs_on_any_capacity(folder):
    checkpoint = load_checkpoint(folder)
    for sizes in (((1, 1),), ((8, 3),)):
        spec = JOB_SHOP.bind({**OPTIONS, "sizes": sizes}).spec
        network = build_network(checkpoint, spec, "here")
        assert not network.training
