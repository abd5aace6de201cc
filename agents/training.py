"""A whole training run: learn, validate, keep the best policy, survive a kill."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from torch import Tensor

from agents.checkpoint import Checkpoint, build_network, load_checkpoint, save_checkpoint
from agents.device import check_device
from agents.interface import first_difference
from agents.policy_dispatcher import PolicyDispatcher
from agents.provenance import git_revision, package_versions
from agents.registry import agent_named
from agents.rollout import roll_out
from agents.run import TrainingRun
from agents.state import LearnerParts, check_state, restore_state, save_state
from agents.trackers import check_tracker, make_logger
from envs.core import GraphSpec, GraphVectorEnv, ProblemDefinition, UsageError
from models.config import FlatConfig, NetworkConfig


def check_training(
    definition: ProblemDefinition,
    run: TrainingRun,
    folder: Path | None,
    *,
    tracker: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> None:
    """Checks what can be checked without starting, so that a mistake is found before anything is written.

    Args:
        definition: The problem.
        run: The configuration.
        folder: Folder of the run, None if it is not known yet.
        tracker: See `agents.trackers.make_logger`.
        device: Torch device of the network.

    Raises:
        UsageError: A setting is not possible here, or the folder holds a run of another configuration.
    """
    check_tracker(tracker or {})
    check_device(device)
    if folder is not None:
        check_state(folder / "state", run.to_mapping())
    for options in (run.options, {**run.options, **run.validation.options}):
        problem = definition.bind(options)
        agent_named(run.agent.name).check(problem, definition.name, run.agent)
        GraphVectorEnv(problem, 1).reset(seed=0)
    model = _fitting_model(definition, run)
    if run.initial is not None:
        initial_weights(run.initial, definition.bind(run.options).spec, model)


def train(
    definition: ProblemDefinition,
    run: TrainingRun,
    folder: Path,
    *,
    tracker: Mapping[str, Any] | None = None,
    progress_bar: bool = False,
    device: str = "cpu",
    callbacks: Sequence[BaseCallback] = (),
) -> Path:
    """Trains, or goes on where an interrupted training of the same configuration stopped.

    Args:
        definition: The problem.
        run: The configuration.
        folder: Folder of the run: ``state`` (for resuming), ``policy`` (the best by validation), curves.
        tracker: See `agents.trackers.make_logger`.
        progress_bar: Show a progress bar.
        device: Torch device of the network.
        callbacks: Further stable-baselines3 callbacks.

    Returns:
        The folder of the best policy.
    """
    check_training(definition, run, folder, tracker=tracker, device=device)
    agent, model = agent_named(run.agent.name), _fitting_model(definition, run)
    learner = agent.make(definition, run.options, model, run.agent, device=device)
    parts, config = agent.parts(learner), run.to_mapping()
    keeper = RunKeeper(definition, run, folder, parts)
    extra = restore_state(folder / "state", parts, config)
    if extra is not None:
        keeper.resume(extra)
    elif run.initial is not None:
        parts.network.load_state_dict(initial_weights(run.initial, parts.adapter.env.problem.spec, model))
    learner.set_logger(make_logger(folder, tracker or {}, config, f"_{learner.num_timesteps}"))
    remaining = run.agent.decisions - learner.num_timesteps
    if remaining > 0:
        learner.learn(
            remaining if extra is not None else run.agent.decisions,
            callback=CallbackList([keeper, *callbacks]),
            reset_num_timesteps=extra is None,
            progress_bar=progress_bar,
        )
        keeper.finish()
    learner.logger.close()
    return folder / "policy"


class RunKeeper(BaseCallback):
    """Validates and saves between updates.

    Args:
        definition: The problem.
        run: The configuration.
        folder: Folder of the run.
        parts: Parts of the learner.
    """

    def __init__(self, definition: ProblemDefinition, run: TrainingRun, folder: Path, parts: LearnerParts) -> None:
        """Draws the validation instances."""
        super().__init__()
        self.definition = definition
        self.run = run
        self.folder = folder
        self.parts = parts
        self.updates = 0
        self.best = math.inf
        self._revision = git_revision()  # of the code that was loaded, whatever happens to the files while it runs
        self._settled = 0
        self._instances = draw_instances(definition, run)
        self._bounds = _initial_objectives(definition, run, self._instances)

    def resume(self, extra: Mapping[str, Any]) -> None:
        """Takes over the counters of an interrupted run."""
        self.updates = self._settled = int(extra["updates"])
        self.best = float(extra["best"])

    def finish(self) -> None:
        """Validates and saves the last policy of a completed run."""
        self._validate()
        self.logger.dump(self.num_timesteps)
        self._save()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        """Runs between two updates, when nothing is half done."""
        if self._due(self.run.validation.every):
            self._validate()
        if self._due(self.run.save_every):
            self._save()
        self.updates += 1

    def _due(self, every: int) -> bool:
        """Whether something is due now and was not done before the run was interrupted here."""
        return every > 0 and self.updates > self._settled and self.updates % every == 0

    def _save(self) -> None:
        extra = {"updates": self.updates, "best": self.best}
        save_state(self.folder / "state", self.parts, self.run.to_mapping(), extra)

    def _validate(self) -> None:
        """Measures the greedy policy: the mean ratio of the objective to its bound at the start."""
        dispatcher = PolicyDispatcher(self.parts.network, self.run.name)
        outcomes = roll_out(self.definition, _behaviour(self.definition, self.run), self._instances, dispatcher)
        ratio = float(np.mean([o.objective / b for o, b in zip(outcomes, self._bounds, strict=True)]))
        self.logger.record("validation/objective_over_bound", ratio)
        if ratio < self.best:
            self.best = ratio
            save_checkpoint(self.folder / "policy", self._checkpoint(ratio))

    def _checkpoint(self, ratio: float) -> Checkpoint:
        training = {
            **self.run.to_mapping(),
            "learner": self.run.agent.name,
            "decisions_trained": self.num_timesteps,
            "validation_objective_over_bound": ratio,
            "git_revision": self._revision,
            "versions": package_versions(),
        }
        network = self.parts.network
        return Checkpoint(
            self.run.problem,
            _behaviour(self.definition, self.run),
            network.config,
            self.parts.adapter.env.problem.spec.to_metadata(),
            training,
            network.state_dict(),
        )


def initial_weights(source: str, spec: GraphSpec, model: NetworkConfig) -> dict[str, Tensor]:
    """Returns the weights of the checkpoint that a run starts from.

    Args:
        source: Folder of the checkpoint.
        spec: The graph spec of the training environment.
        model: Shape of the run's network.

    Raises:
        UsageError: The checkpoint is unreadable, was trained on other observations or has another shape.
    """
    checkpoint = load_checkpoint(source)
    difference = first_difference(model.to_mapping(), checkpoint.model.to_mapping(), "its model")
    if difference:
        raise UsageError(f"initial is {source}, whose network has not the shape of this run's: {difference}")
    return build_network(checkpoint, spec, f"initial: {source}").state_dict()


def draw_instances(definition: ProblemDefinition, run: TrainingRun) -> list[Any]:
    """Draws the validation instances from the environment's own generator."""
    validation = run.validation
    env = GraphVectorEnv(definition.bind({**run.options, **validation.options}), validation.instances)
    env.reset(seed=validation.seed)
    return [env.instance(lane) for lane in range(validation.instances)]


def _initial_objectives(definition: ProblemDefinition, run: TrainingRun, instances: list[Any]) -> list[float]:
    options = {**_behaviour(definition, run), **definition.fit(instances)}
    env = GraphVectorEnv(definition.bind(options), len(instances))
    _, info = env.reset(seed=0, options={"instances": instances})
    bounds = [float(value) for value in info["reward_unit"]]
    if min(bounds) <= 0:
        raise UsageError(
            f"validation: an instance of {run.problem} starts with the objective bound {min(bounds)}; "
            "expected a positive one"
        )
    return bounds


def _fitting_model(definition: ProblemDefinition, run: TrainingRun) -> NetworkConfig:
    """Returns the run's model; a flat network gets room for the training and the validation, unless it names its own.

    Raises:
        UsageError: The room that a flat network names is too small.
    """
    if not isinstance(run.model, FlatConfig):
        return run.model
    validation = {**_behaviour(definition, run), **definition.fit(draw_instances(definition, run))}
    needed = {"training": definition.bind(run.options).spec.capacities}
    needed["validation"] = definition.bind(validation).spec.capacities
    for use, capacities in needed.items():
        for name, own in run.model.capacities.items():
            if capacities.get(name, 0) > own:
                raise UsageError(
                    f"model.capacities is {own} for {name}, but {use} needs room for {capacities[name]}; expected more"
                )
    if run.model.capacities:
        return run.model
    room = {name: max(each[name] for each in needed.values()) for name in needed["training"]}
    return replace(run.model, capacities=room)


def _behaviour(definition: ProblemDefinition, run: TrainingRun) -> dict[str, Any]:
    """Options that say how decisions are taken, without those that only say which instances are drawn."""
    return {key: value for key, value in run.options.items() if key in definition.behaviour}
