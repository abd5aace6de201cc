"""The training script, from the command line to the folder of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from agents.checkpoint import load_checkpoint
from agents.export import export_onnx
from agents.registry import agent_named
from agents.run import TrainingRun
from envs.core import UsageError, problem
from scripts import train
from scripts.hydra_command import check_overrides

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
TINY = (
    "agent.settings.decisions=128",
    "agent.settings.lanes=4",
    "agent.settings.steps=16",
    "agent.settings.minibatch=32",
    "agent.settings.threads=1",
    "env.options.sizes=[[3,3]]",
    "env.validation_options.sizes=[[3,3]]",
    "validation.instances=2",
    "model.hidden=8",
    "model.heads=2",
    "tracker=none",
    "progress_bar=false",
)


def choices(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def settings(*overrides):
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("train", overrides=list(overrides))
    return OmegaConf.to_container(config, resolve=True)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["scripts/train.py", *arguments])
    train.main()


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_makes_a_run_and_a_learner(experiment):
    chosen = settings(f"experiment={experiment}")
    source = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{experiment}.yaml"))
    for group, values in source.items():
        if group != "defaults":
            assert_contains(chosen[group], values)
    made = train.training_run(chosen)
    assert isinstance(made, TrainingRun)
    assert made.name == experiment
    small = settings(
        f"experiment={experiment}", "agent.settings.lanes=2", "agent.settings.steps=4", "agent.settings.minibatch=8"
    )
    tiny = train.training_run(small)
    try:
        agent = agent_named(tiny.agent.name)
        parts = agent.parts(agent.make(problem(tiny.problem), tiny.options, tiny.model, tiny.agent))
    except UsageError as error:
        if "DISPATCHLAB_DATA" not in str(error):
            raise
        pytest.skip(str(error))
    assert parts.adapter.num_envs == 2
    built, wanted = parts.network.config.to_mapping(), made.model.to_mapping()
    assert {**built, "capacities": {}} == {**wanted, "capacities": {}}  # a flat network gets its room when it is built


def assert_contains(whole, part):
    if isinstance(part, dict):
        for key, value in part.items():
            assert_contains(whole[key], value)
    else:
        assert whole == part


NEEDED = {("agent", "imitation"): ("agent.settings.rule=spt",)}
"""What a choice leaves to its user."""


@pytest.mark.parametrize(
    ("group", "choice"),
    [(group, choice) for group in ("env", "agent", "model", "tracker", "launcher") for choice in choices(group)],
)
def test_every_choice_of_every_group_makes_a_run(group, choice):
    also = NEEDED.get((group, choice), ())
    chosen = settings(f"{group}={choice}", *also)
    made = train.training_run(chosen)
    assert made.name == f"{chosen['env']['problem']}_{chosen['agent']['name']}"
    check_overrides("train", [f"{group}={choice}", *also, "hydra.run.dir=no/such/folder"], train._check)


@pytest.mark.parametrize("group", ["agent", "model"])
def test_a_group_s_defaults_name_every_setting_once(group):
    chosen = settings()
    made = train.training_run(chosen)
    known = {"agent": made.agent, "model": made.model}[group].to_mapping()
    given = {"agent": chosen["agent"]["settings"], "model": chosen["model"]}[group]
    assert given.keys() == known.keys()


def test_models_differ():
    models = {choice: train.training_run(settings(f"model={choice}")).model for choice in choices("model")}
    assert len({repr(model.to_mapping()) for model in models.values()}) == len(models)


def test_one_command_trains_and_the_same_command_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, *TINY)
    folder = tmp_path / "runs" / "job_shop_ppo"
    assert f"best policy by validation: {folder / 'policy'}" in capsys.readouterr().out
    checkpoint = load_checkpoint(folder / "policy")
    assert checkpoint.training["ppo"]["lanes"] == 4
    assert checkpoint.options == {"builder": "non_delay", "wait": False, "roll_outs": []}
    before = (folder / "policy" / "config.json").read_bytes()
    run(monkeypatch, *TINY)
    assert (folder / "policy" / "config.json").read_bytes() == before
    run(monkeypatch, *TINY, "output=elsewhere")
    assert load_checkpoint("elsewhere/policy").weights.keys() == checkpoint.weights.keys()


def test_soft_actor_critic_trains_from_the_command_line_and_exports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = [each for each in TINY if "agent.settings.steps" not in each]
    run(monkeypatch, "agent=sac", *ours, "agent.settings.warm_up=32", "agent.settings.buffer=64")
    folder = tmp_path / "runs" / "job_shop_sac"
    training = load_checkpoint(folder / "policy").training
    assert (training["learner"], training["sac"]["buffer"]) == ("sac", 64)
    parity = export_onnx(load_checkpoint(folder / "policy"), tmp_path / "policy.onnx")
    assert parity.states > 0
    assert (tmp_path / "policy.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope=1"], "Could not override 'nope'"),
        (["agent.settings.nope=1"], "Could not override 'agent.settings.nope'"),
        (["+agent.settings.nope=1"], "agent.settings has no field 'nope'; it has decisions"),
        (["agent.settings.lanes=0"], "agent.settings.lanes is 0; expected at least 1"),
        (["agent.settings.lanes=many"], "agent.settings.lanes is 'many'; expected a whole number"),
        (["agent.settings.minibatch=1"], "agent.settings.minibatch is 1; expected 2 to"),
        (["agent=nope"], "Could not find 'agent/nope'"),
        (["agent.name=dqn"], "agent.name is 'dqn'; expected one of ppo, sac"),
        (["experiment=nope"], "Could not find 'experiment/nope'"),
        (["model=nope"], "Could not find 'model/nope'"),
        (["model.heads=3"], "model.heads is 3; expected a divisor of model.hidden, 64"),
        (["env=nope"], "Could not find 'env/nope'"),
        (["env.problem=nope"], "there is no problem 'nope'; there are "),
        (["env.options=3"], "env.options is 3; expected options by name"),
        (["env.options.builder=brick"], "builder is 'brick'; expected one of"),
        (["env.options.sizes=[[3]]"], "sizes has the entry (3,)"),
        (["env.options.sizes=few"], "the options of dispatchlab/JobShop-v0 cannot be used"),
        (["env.options.wait=perhaps"], "options.wait is 'perhaps'; expected true or false"),
        (["+env.options.max_jobs=4"], "sizes entry (10, 10) has 10 jobs; the environment was made with max_jobs=4"),
        (["env.validation_options.sizes=[]"], "sizes is empty"),
        (["validation.instances=0"], "validation.instances is 0; expected at least 1"),
        (["+validation.nope=1"], "validation has no field 'nope'"),
        (["save_every=often"], "save_every is 'often'; expected a whole number"),
        (["tracker=nope"], "Could not find 'tracker/nope'"),
        (["tracker.name=nope"], "tracker.name is 'nope'; expected one of none, tensorboard, wandb"),
        (["tracker=wandb", "tracker.mode=later"], "tracker.mode is 'later'; expected one of offline, online, disabled"),
        (["device=abacus"], "device is 'abacus', which torch cannot use here"),
        (["agent.settings.seed=0,1"], "To sweep over it, add --multirun"),
        (["-m", "agent.settings.lanes=4,0"], "agent.settings.lanes is 0; expected at least 1"),
        (["agent.settings.seed=0,1", "-m", "output=one"], "output is one folder, but a sweep (-m) needs one a run"),
        (["-m", "launcher=nope"], "Could not find 'launcher/nope'"),
        (["a=["], "no viable alternative"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, *arguments)
    printed = capsys.readouterr()
    assert stop.value.code == 2
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_configuration_is_refused_and_left_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, *TINY)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    with pytest.raises(SystemExit):
        run(monkeypatch, *TINY, "agent.settings.seed=1")
    message = "cannot be resumed with another configuration: config.ppo.seed is 1; expected 0; choose another folder"
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_only_a_sweeper_can_expand_is_left_to_it():
    check_overrides("train", ["-m", "model=glob(*)", "agent.settings.learning_rate=interval(0,1)"], train._check)
    with pytest.raises(UsageError, match="heads is 5"):
        check_overrides("train", ["model=glob(*)", "model.heads=5", "-m"], train._check)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", choices("launcher"))
def test_a_sweep_trains_every_combination(tmp_path, launcher):
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *TINY, "-m", f"launcher={launcher}"]
    command += ["agent.settings.seed=0,1", "model=gnn,gin", "name=swept"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = set()
    for policy in (tmp_path / "runs" / "swept_sweep").glob("*/policy"):
        training = load_checkpoint(policy).training
        seen.add((training["ppo"]["seed"], training["model"]["convolution"]))
        overrides = OmegaConf.load(policy.parent / ".hydra" / "overrides.yaml")
        assert f"agent.settings.seed={training['ppo']['seed']}" in overrides
    assert seen == {(0, "gatv2"), (0, "gin"), (1, "gatv2"), (1, "gin")}
    states = {json.loads(p.read_text())["config"]["name"] for p in tmp_path.glob("runs/*/*/state/step_*/training.json")}
    assert states == {"swept"}
