"""Solutions of others as members of the groups: of rules, of solvers, or recorded ones."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.dispatcher import least_legal
from agents.group.lanes import State
from agents.rollout import verified_objective
from envs.core import GraphVectorEnv, Problem, ProblemDefinition, UnsolvedError, UsageError
from envs.core.files import write_text

Integers = NDArray[np.int64]


class Proposal(NamedTuple):
    """A solution as the decisions that lead to it.

    Attributes:
        actions: All actions of the episode, forced ones too.
        objective: The objective that they are said to reach; the replay may be better, but not worse.
    """

    actions: Sequence[int]
    objective: float


@dataclass(frozen=True)
class Beginnings:
    """Where experts begin.

    Attributes:
        problem: The problem's binding, which the actions are for.
        state: States at the start of episodes, one a row.
        instances: The instance of every row.
        numbers: Number of every instance in the pool, -1 for one that comes once.
    """

    problem: Problem[Any, Any, Any]
    state: State
    instances: Sequence[Any]
    numbers: Integers


class Experts(Protocol):
    """Supplies solutions."""

    def propose(self, beginnings: Beginnings) -> list[Proposal | None]:
        """Returns one solution an instance, None where there is none."""
        ...


class RuleExperts:
    """The best of several dispatching rules.

    Args:
        definition: The problem.
        names: Names of the rules.
    """

    def __init__(self, definition: ProblemDefinition, names: Sequence[str]) -> None:
        """Looks the rules up."""
        self._rules = [definition.rules[name] for name in names]

    def propose(self, beginnings: Beginnings) -> list[Proposal | None]:
        """Runs every rule from every state."""
        best: list[Proposal | None] = [None] * len(beginnings.instances)
        for rule in self._rules:
            for i, proposal in enumerate(self._run(rule, beginnings)):
                held = best[i]
                if held is None or proposal.objective < held.objective:
                    best[i] = proposal
        return best

    def _run(self, rule: Any, beginnings: Beginnings) -> list[Proposal]:
        problem = beginnings.problem
        state = _copied(beginnings)
        taken: list[list[int]] = [[] for _ in beginnings.instances]
        active = ~problem.finished(state)
        while active.any():
            actions = least_legal(rule.priority(state), problem.action_masks(state))
            for lane in np.flatnonzero(active):
                taken[lane].append(int(actions[lane]))
            if problem.step(state, actions, active).any():
                raise RuntimeError(f"rule {rule.name} took an illegal action")
            active = ~problem.finished(state)
        return [Proposal(t, float(o)) for t, o in zip(taken, problem.objective(state), strict=True)]


class SolverExperts:
    """A solver whose solutions the problem turns into decisions; instances of a pool are solved once.

    Args:
        definition: The problem.
        options: Options of its environment.
        name: Name of the solver.
        settings: Options of the solver.
    """

    def __init__(
        self, definition: ProblemDefinition, options: Mapping[str, Any], name: str, settings: Mapping[str, Any]
    ) -> None:
        """Builds the solver."""
        self._definition = definition
        self._options = options
        self._solver = definition.solvers[name](**settings)
        self._known: dict[int, Proposal | None] = {}

    def propose(self, beginnings: Beginnings) -> list[Proposal | None]:
        """Solves what has not been solved."""
        proposals = []
        for instance, number in zip(beginnings.instances, beginnings.numbers.tolist(), strict=True):
            if number not in self._known:
                self._known[number] = self._solve(instance)
            proposals.append(self._known[number] if number >= 0 else self._known.pop(number))
        return proposals

    def _solve(self, instance: Any) -> Proposal | None:
        try:
            solved = self._solver(instance)
        except UnsolvedError:
            return None  # a limit that is too short for this instance, or on this day: counted as none
        assert self._definition.decisions is not None
        actions = self._definition.decisions(self._options, instance, solved.solution)
        return None if actions is None else Proposal(actions, solved.objective)


@dataclass(frozen=True)
class Recording:
    """An instance and a solution of it.

    Attributes:
        instance: The instance.
        proposal: The solution.
    """

    instance: Any
    proposal: Proposal


class RecordedExperts:
    """Solutions from a file, of the instances that it brings; they are numbered as in the file.

    Args:
        recordings: What the file holds.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        """Keeps the recordings."""
        self._recordings = recordings

    def propose(self, beginnings: Beginnings) -> list[Proposal | None]:
        """Looks the solutions up."""
        return [self._recordings[number].proposal for number in beginnings.numbers]


def read_recordings(definition: ProblemDefinition, options: Mapping[str, Any], path: Path) -> list[Recording]:
    """Reads recorded solutions: one JSON object a line with ``actions``, ``objective`` and where the instance is from.

    That is either ``seed``, for the instance that a lane of the environment with these options draws first when it is
    seeded with it, or ``instance``, a file in a format of the problem, relative to the folder of ``path``.

    Raises:
        UsageError: A file or line cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"agent.settings.experts: cannot read {path}: {error}") from None
    env = GraphVectorEnv(definition.bind(options), 1)
    recordings = [
        _recording(definition, env, line, f"{path}, line {number}", path.parent)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not recordings:
        raise UsageError(f"{path} holds no recorded solutions; expected one JSON object a line")
    return recordings


def write_recordings(path: Path, recordings: Sequence[tuple[int | str, Proposal]]) -> None:
    """Writes solutions as `read_recordings` reads them, with a seed (a number) or the file of the instance (text)."""
    lines = [
        json.dumps(
            {
                "seed" if isinstance(origin, int) else "instance": origin,
                "actions": [int(action) for action in proposal.actions],
                "objective": float(proposal.objective),
            }
        )
        for origin, proposal in recordings
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))


def make_experts(
    definition: ProblemDefinition, options: Mapping[str, Any], source: str, settings: Mapping[str, Any]
) -> tuple[Experts | None, list[Any]]:
    """Returns what ``agent.settings.experts`` names, and the instances that it brings.

    Raises:
        UsageError: There is no such source.
    """
    check_source(definition, source)
    kind, _, rest = source.partition(":")
    if kind == "file":
        recordings = read_recordings(definition, options, Path(rest))
        return RecordedExperts(recordings), [recording.instance for recording in recordings]
    if kind == "rule":
        return RuleExperts(definition, rest.split(",")), []
    if kind == "solver":
        try:
            return SolverExperts(definition, options, rest, settings), []
        except TypeError as error:
            raise UsageError(f"agent.settings.expert_options: {error}") from None
    return None, []


def check_source(definition: ProblemDefinition, source: str) -> None:
    """Checks what can be checked of a source of experts without asking it.

    Raises:
        UsageError: There is no such source.
    """
    kind, _, rest = source.partition(":")
    if source and (kind not in ("rule", "solver", "file") or not rest):
        raise UsageError(f"agent.settings.experts is {source!r}; expected '', rule:NAME,..., solver:NAME or file:PATH")
    if kind == "rule":
        for name in rest.split(","):
            _check_known("rule", name, definition.name, definition.rules)
    if kind == "solver":
        _check_known("solver", rest, definition.name, definition.solvers)
        if definition.decisions is None:
            raise UsageError(
                f"agent.settings.experts is {source!r}, but {definition.name} cannot turn solutions into decisions; "
                "expected rules or a file"
            )
    if kind == "file" and not Path(rest).is_file():
        raise UsageError(f"agent.settings.experts is {source!r}; {rest} is no file")


@dataclass(frozen=True)
class Demonstrations:
    """Checked solutions.

    Attributes:
        choices: ``(instances, steps)`` actions, forced ones left out (but the first decision); -1 beyond the end.
        held: ``(instances,)`` whether there is a solution.
        proposed: How many there were before the check.
        seconds: Time that proposing and checking took.
    """

    choices: Integers
    held: NDArray[np.bool_]
    proposed: int
    seconds: float


def demonstrate(definition: ProblemDefinition, experts: Experts, beginnings: Beginnings) -> Demonstrations:
    """Asks the experts and replays what they propose; what fails or gets worse than claimed is dropped.

    A replay that reaches the end is also verified by the problem's independent checker.
    """
    began = time.perf_counter()
    proposals = experts.propose(beginnings)
    problem, state = beginnings.problem, _copied(beginnings)
    count = len(proposals)
    choices: list[list[int]] = [[] for _ in proposals]
    active = np.array([proposal is not None for proposal in proposals]) & ~problem.finished(state)
    held = active.copy()
    step = 0
    while active.any():
        masks = problem.action_masks(state)
        actions = np.zeros(count, np.int64)
        for lane in np.flatnonzero(active).tolist():
            action = _action(proposals[lane], step)
            if not (0 <= action < masks.shape[1] and masks[lane, action]):
                held[lane] = active[lane] = False
                continue
            actions[lane] = action
            if step == 0 or masks[lane].sum() > 1:
                choices[lane].append(action)
        problem.step(state, actions, active)
        active &= ~problem.finished(state)
        step += 1
    objective = problem.objective(state)
    for lane in np.flatnonzero(held).tolist():
        claimed = proposals[lane]
        assert claimed is not None
        verified_objective(
            definition, problem.instance(state, lane), problem.solution(state, lane), float(objective[lane])
        )
        held[lane] = objective[lane] <= claimed.objective + 1e-9 * max(1.0, abs(claimed.objective))
    longest = max((len(each) for each in choices), default=0)
    table = np.full((count, longest), -1, np.int64)
    for lane in np.flatnonzero(held).tolist():
        table[lane, : len(choices[lane])] = choices[lane]
    proposed = sum(proposal is not None for proposal in proposals)
    return Demonstrations(table, held, proposed, time.perf_counter() - began)


def _action(proposal: Proposal | None, step: int) -> int:
    return int(proposal.actions[step]) if proposal is not None and step < len(proposal.actions) else -1


def _copied(beginnings: Beginnings) -> Any:
    state = beginnings.problem.allocate(len(beginnings.instances))
    for array, saved in zip(state, beginnings.state, strict=True):
        array[...] = saved
    return state


def _recording(definition: ProblemDefinition, env: GraphVectorEnv, line: str, where: str, folder: Path) -> Recording:
    try:
        data = json.loads(line)
        proposal = Proposal([int(action) for action in data["actions"]], float(data["objective"]))
        seed, file = data.get("seed"), data.get("instance")
        if (seed is None) == (file is None):
            raise ValueError("it needs either a seed or an instance")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{where}: expected an object with actions, objective and seed or instance: {error}") from None
    if file is not None:
        return Recording(definition.read_instance(folder / file), proposal)
    env.reset(seed=int(seed))
    return Recording(env.instance(0), proposal)


def _check_known(kind: str, name: str, problem: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise UsageError(f"agent.settings.experts names the {kind} {name!r}; {problem} has {', '.join(known)}")
