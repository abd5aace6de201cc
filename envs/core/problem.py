"""What a scheduling problem hands to the shared machinery: its binding to the protocol and its catalogue entry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.settings import build_settings
from envs.core.spec import ACTION_MASK, GraphSpec, Observation
from envs.core.trade_off import Criterion, TradeOff

StateT = TypeVar("StateT", bound=NamedTuple)
InstanceT = TypeVar("InstanceT", bound="Instance")
SolutionT = TypeVar("SolutionT")

Floats = NDArray[np.float64]
Lanes = NDArray[np.int64]


class Instance(Protocol):
    """One problem instance: immutable, with a name for reports."""

    @property
    def name(self) -> str:
        """Name that reports and result files use."""
        ...


class Problem(ABC, Generic[StateT, InstanceT, SolutionT]):
    """Binds one problem's compiled, batched rules to the decision protocol, for one configuration.

    A state is a ``NamedTuple`` of arrays whose leading axis is the lane. It holds everything an episode depends on,
    including ``generator``, a ``(lanes,)`` uint64 array. Methods write into the state and the given arrays and touch
    nothing else.

    The objective is minimised. `objective` is, at every moment, a bound on (or the part already incurred of) the
    objective of the finished episode, and equals it at the end; where a solution `improves`, it is what the solution
    is worth as it stands. The reward of a step is the decrease of `potential`, which is the objective unless a
    problem's options say otherwise, divided by `reward_unit`; so an episode's return telescopes exactly to
    ``(potential at reset - final potential) / unit``.

    Attributes:
        spec: What an observation holds.
        illegal_action_penalty: What a refused action costs.
        improves: Whether the solution is whole from the beginning, and decisions improve it.
        post_decision: Whether a step is `decide` and then `advance`, with a state between them that can be observed.
        criteria: The costs of a problem with several objectives, empty for one with a single one. Then the objective
            (and the potential) is the sum over the criteria of weight, scale and cost, with the weights of the
            instance's preference.
    """

    spec: GraphSpec
    illegal_action_penalty: float
    improves: ClassVar[bool] = False
    post_decision: ClassVar[bool] = False
    criteria: tuple[Criterion, ...] = ()

    @abstractmethod
    def allocate(self, lanes: int) -> StateT:
        """Returns the zeroed state of ``lanes`` lanes."""

    @abstractmethod
    def draw(self, state: StateT, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes`` on an instance drawn with the lane's generator."""

    @abstractmethod
    def load(self, state: StateT, lane: int, instance: InstanceT) -> None:
        """Begins a new episode in ``lane`` on ``instance``.

        Raises:
            UsageError: The instance exceeds the capacity of the spec.
        """

    @abstractmethod
    def step(self, state: StateT, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the ``(lanes,)`` flags of refused (illegal) actions.

        A refused action leaves its lane as it was.
        """

    def step_to_choice(self, state: StateT, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Steps, then takes every following decision with a single legal action; lanes that refused stand.

        Problems with a compiled loop of their own override this; the outcome must be the same.
        """
        refused = self.step(state, actions, active)
        lanes = active & ~refused
        while True:
            masks = self.action_masks(state)
            forced = lanes & ~self.finished(state) & (masks.sum(axis=1) == 1)
            if not forced.any():
                return refused
            self.step(state, masks.argmax(axis=1), forced)

    @abstractmethod
    def observe(self, state: StateT, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``; static arrays only when asked."""

    def observe_in_place(self, state: StateT, lanes: Lanes, out: Observation) -> None:
        """Writes all arrays of each of ``lanes`` into the lane's own row of ``out``; the other rows stand.

        Problems that can write to any row override this; the outcome must be the same.
        """
        if len(lanes) == lanes[-1] - lanes[0] + 1:
            rows = {key: array[lanes[0] : lanes[-1] + 1] for key, array in out.items()}
            self.observe(state, lanes, rows, static=True)
            return
        rows = self.spec.allocate(len(lanes))
        self.observe(state, lanes, rows, static=True)
        for key, array in rows.items():
            out[key][lanes] = array

    def action_masks(self, state: StateT) -> NDArray[np.bool_]:
        """Returns the ``(lanes, actions)`` masks; problems that keep them in their state hand those out instead."""
        lanes = len(self.finished(state))
        out = self.spec.allocate(lanes)
        self.observe(state, np.arange(lanes), out, static=False)
        mask: NDArray[np.bool_] = out[ACTION_MASK]
        return mask

    @abstractmethod
    def finished(self, state: StateT) -> NDArray[np.bool_]:
        """Returns the ``(lanes,)`` flags of finished episodes."""

    @abstractmethod
    def objective(self, state: StateT) -> Floats:
        """Returns the ``(lanes,)`` bounds on the objective; the objective itself where the episode is finished."""

    def potential(self, state: StateT) -> Floats:
        """Returns the ``(lanes,)`` values whose decrease is rewarded: the objective, or what stands in for it."""
        return self.objective(state)

    def costs(self, state: StateT) -> Floats:
        """Returns the ``(lanes, criteria)`` costs that the objective is made of, in the criteria's units."""
        return np.empty((len(self.finished(state)), 0))

    def preferences(self, state: StateT) -> Floats:
        """Returns the ``(lanes, criteria)`` weights that the lanes' instances carry."""
        return np.empty((len(self.finished(state)), 0))

    def clock(self, state: StateT) -> Floats | None:
        """Returns the ``(lanes,)`` simulated times; None for a problem in which no time passes."""
        return None

    def resample(self, state: StateT, lanes: Lanes) -> None:
        """Draws another future for each of ``lanes`` with its generator, in keeping with what has been observed.

        Plans of environments that draw at random are made on such states. Problems that can do so override this.

        Raises:
            UsageError: The problem cannot.
        """
        del state, lanes
        raise UsageError(f"{type(self).__name__} cannot draw another future, so that nothing can be planned in it")

    def decide(self, state: StateT, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies what follows from one action alone, before time passes or anything is drawn.

        The state then is the post-decision state: it can be observed, but takes no action before `advance`. Problems
        that can stop there override both and set `post_decision`.

        Raises:
            UsageError: The problem cannot.
        """
        del state, actions, active
        raise UsageError(f"{type(self).__name__} has no state between a decision and what follows")

    def advance(self, state: StateT, active: NDArray[np.bool_]) -> None:
        """Lets time pass in every active lane until its next decision or its end.

        Raises:
            UsageError: The problem has no post-decision state.
        """
        del state, active
        raise UsageError(f"{type(self).__name__} has no state between a decision and what follows")

    @abstractmethod
    def reward_unit(self, state: StateT) -> Floats:
        """Returns, for each lane, the decrease of the potential that is worth a reward of 1."""

    @abstractmethod
    def instance(self, state: StateT, lane: int) -> InstanceT:
        """Returns the instance that ``lane`` is running."""

    @abstractmethod
    def solution(self, state: StateT, lane: int) -> SolutionT:
        """Returns the solution that ``lane`` has built so far."""

    @abstractmethod
    def render(self, state: StateT, lane: int, mode: str) -> Any:
        """Draws ``lane``: an ``(height, width, 3)`` uint8 picture for ``"rgb_array"``, text for ``"ansi"``."""


Priority = Callable[[Any], Floats]
"""Maps a problem's state to ``(lanes, actions)`` priorities, smaller is better; masked entries are ignored."""


@dataclass(frozen=True)
class Rule:
    """A classical dispatching rule.

    Attributes:
        name: Its usual name, lower case with underscores; it stands in result files.
        priority: What it minimises over the legal candidates; ties go to the smaller action index.
        source: Where it was published.
        expected: Whether the priority estimates the objective that follows on the choice (up to what all candidates
            share), in the objective's unit, so that differences mean something.
    """

    name: str
    priority: Priority
    source: str
    expected: bool = False


class SolverResult(NamedTuple):
    """What a solver found.

    Attributes:
        solution: The best solution found.
        objective: Its objective by the solver's own account.
        bound: A proven lower bound, or None.
        status: The solver's verdict: "optimal", "feasible" or "heuristic".
    """

    solution: Any
    objective: float
    bound: float | None
    status: str


class Solver(Protocol):
    """Solves whole instances: a constructive heuristic, or an exact method within its limits."""

    def __call__(self, instance: Any, /, *, seed: int = 0) -> SolverResult:
        """Returns the best solution found."""
        ...


@dataclass(frozen=True)
class Reference:
    """A best-known objective value.

    Attributes:
        value: The objective value that gaps are taken against.
        source: Who reported it and when.
        is_bound: True when ``value`` is not proven optimal but only the best known (an open instance).
        lower_bound: The best proven lower bound, equal to ``value`` for a closed instance.
    """

    value: float
    source: str
    is_bound: bool
    lower_bound: float


@dataclass(frozen=True)
class Benchmark:
    """A named set of instances with their reference values.

    Attributes:
        name: Name that result files use.
        instances: The instances, in their usual order.
        references: Best-known values by instance name; may be empty for instances nobody has solved.
        groups: Group (usually the size) of each instance by name, for tables.
    """

    name: str
    instances: tuple[Any, ...]
    references: Mapping[str, Reference] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)

    def select(self, names: Sequence[str]) -> Benchmark:
        """Returns the benchmark cut down to the named instances.

        Raises:
            UsageError: A name is not in the benchmark.
        """
        known = {instance.name: instance for instance in self.instances}
        for name in names:
            if name not in known:
                raise UsageError(f"benchmark {self.name} has no instance {name!r}; it has {', '.join(known)}")
        return Benchmark(
            self.name,
            tuple(known[name] for name in names),
            {name: self.references[name] for name in names if name in self.references},
            {name: self.groups[name] for name in names if name in self.groups},
        )


def deterministic(instance: Any) -> bool:
    """Says of every instance that the environment draws nothing while it runs it."""
    return False


@dataclass(frozen=True)
class ProblemDefinition:
    """The catalogue entry of a problem: everything that generic code may ask of it.

    A folder ``envs/<name>`` whose ``__init__`` has a ``PROBLEM`` of this type, or a tuple ``PROBLEMS`` of several tasks
    that share its rules, is found and registered by itself.

    Attributes:
        name: Name, e.g. ``"job_shop"``; the folder's where it is the only one in it.
        env_id: Gymnasium identifier, e.g. ``"dispatchlab/JobShop-v0"``.
        config: Frozen dataclass of the environment's options, all with defaults.
        make: Builds the binding from a config.
        fit: Returns options under which the given instances fit (capacities), e.g. ``{"max_jobs": 20}``.
        verify: Checks a finished solution independently and returns its objective; raises `UsageError` if invalid.
        read_instance: Reads an instance from a file in any format of the field that the problem supports.
        solution_to_json: Turns an instance and its solution into JSON-ready data.
        solution_to_rows: Turns an instance and its solution into rows for a CSV file, all with the same keys.
        rules: Dispatching rules by name.
        solvers: Solver factories by name: keyword options (time limit, ...) in, `Solver` out.
        benchmarks: Benchmark factories by name.
        variants: Small option sets that together reach every option; the conformance suite runs each.
        objective_name: Name of the objective, e.g. ``"makespan"``.
        objective_unit: Its unit.
        chart_html: Draws a solution as a self-contained HTML fragment (SVG, no scripts from elsewhere).
        behaviour: Options that say how decisions are taken, apart from which instances are drawn; a policy must be
            run with the ones that it was trained with.
        metrics: Further measures of a finished solution, all with the same names for one kind of instance.
        shown_metrics: Names of those that belong beside the objective in tables.
        stochastic: Whether the environment draws at random while it runs an instance, so that another seed gives
            another objective for the same decisions.
        expected: The instance in which all that would be drawn while it runs is as expected, for plans that are made
            before; None for a problem that does not say, or that draws nothing.
        trade_off: How several objectives are judged; None for a problem with a single one.
        summary: What it is, in a line; by default the first line of the folder's docstring.
        decisions: ``(options of the environment, instance, solution)`` to all actions of an episode that builds the
            solution, or one at least as good, or None where there is no such episode; None for a problem that cannot.
    """

    name: str
    env_id: str
    config: type[Any]
    make: Callable[[Any], Problem[Any, Any, Any]]
    fit: Callable[[Sequence[Any]], dict[str, Any]]
    verify: Callable[[Any, Any], float]
    read_instance: Callable[[Path], Any]
    solution_to_json: Callable[[Any, Any], Any]
    solution_to_rows: Callable[[Any, Any], list[dict[str, Any]]]
    rules: Mapping[str, Rule]
    solvers: Mapping[str, Callable[..., Solver]]
    benchmarks: Mapping[str, Callable[[], Benchmark]]
    variants: tuple[Mapping[str, Any], ...]
    objective_name: str
    objective_unit: str
    chart_html: Callable[[Any, Any], str]
    behaviour: tuple[str, ...] = ()
    metrics: Callable[[Any, Any], Mapping[str, float]] | None = None
    shown_metrics: tuple[str, ...] = ()
    stochastic: Callable[[Any], bool] = deterministic
    expected: Callable[[Any], Any] | None = None
    trade_off: TradeOff | None = None
    summary: str = ""
    decisions: Callable[[Mapping[str, Any], Any, Any], Sequence[int] | None] | None = None

    def configure(self, options: Mapping[str, Any]) -> Any:
        """Builds the config dataclass from plain options.

        Raises:
            UsageError: An option does not exist or cannot have that value.
        """
        known = [f.name for f in fields(self.config)]
        for option in options:
            if option not in known:
                raise UsageError(f"{self.env_id} has no option {option!r}; it has {', '.join(known)}")
        try:
            return build_settings(self.config, options, "options")
        except UsageError:
            raise
        except (TypeError, ValueError) as error:
            raise UsageError(f"the options of {self.env_id} cannot be used: {error}") from error

    @property
    def vector_env_id(self) -> str:
        """Gymnasium identifier of the environment with a vector of rewards, for a problem with several objectives."""
        namespace, _, name = self.env_id.rpartition("/")
        return f"{namespace}/mo-{name}"

    def bind(self, options: Mapping[str, Any]) -> Problem[Any, Any, Any]:
        """Builds the protocol binding from plain options."""
        return self.make(self.configure(options))
