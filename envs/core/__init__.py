"""The decision protocol and the environments every problem shares."""

from envs.core.errors import IllegalActionError, UnsolvedError, UsageError
from envs.core.problem import (
    Benchmark,
    Problem,
    ProblemDefinition,
    Reference,
    Rule,
    Solver,
    SolverResult,
)
from envs.core.registry import make_env, make_vector_env, problem, problems
from envs.core.single import GraphEnv
from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType, Observation
from envs.core.trade_off import Criterion, TradeOff
from envs.core.vector import GraphVectorEnv, Snapshot

__all__ = [
    "Benchmark",
    "Criterion",
    "EdgeType",
    "Feature",
    "GraphEnv",
    "GraphSpec",
    "GraphVectorEnv",
    "IllegalActionError",
    "NodeType",
    "Observation",
    "Problem",
    "ProblemDefinition",
    "Reference",
    "Rule",
    "Snapshot",
    "Solver",
    "SolverResult",
    "TradeOff",
    "UnsolvedError",
    "UsageError",
    "make_env",
    "make_vector_env",
    "problem",
    "problems",
]
