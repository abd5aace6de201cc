"""LLM serving: engines that batch requests iteration by iteration, their schedulers, and what they are measured by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from envs.core.problem import Benchmark, ProblemDefinition, Rule
from envs.serving.benchmarks import CHUNK_BENCHMARKS, PREEMPT_BENCHMARKS, ROUTE_BENCHMARKS
from envs.serving.env import ChunkConfig, PreemptConfig, RouteConfig, Serving, ServingConfig, fit
from envs.serving.execution import Execution
from envs.serving.instance import read_instance
from envs.serving.metrics import task_measures
from envs.serving.rules import CHUNK_RULES, PREEMPT_RULES, ROUTE_RULES
from envs.serving.trace import Trace, trace_json, trace_rows
from envs.serving.types import Replica, ServiceLevel, ServingInstance, make_requests
from envs.serving.verify import verify_trace

__all__ = ["PROBLEMS"]


def _chart_html(instance: ServingInstance, trace: Trace) -> str:
    from envs.serving.render import timeline_html

    return timeline_html(instance, trace)


_FAST = Execution(a=5.0, b=1.0, c=0.05, p=2.0, d0=0.1, d2=0.001, m2=0.001, m3=1e-5, m5=0.002, head0=0.1, cpu0=0.4)
_SLOW = Execution(form="distserve", a=10.0, b=0.1, c=1e-5, d0=8.0, d1=0.1, d2=0.001, m0=9.0, large_batch=3.0)


def _fixed(replicas: int, blocks: int, prompt: int = 40) -> ServingInstance:
    """A small instance whose memory runs out."""
    engines = tuple(Replica(f"engine{k}", (_FAST, _SLOW)[k % 2], blocks, 4) for k in range(replicas))
    requests = make_requests(
        [0.0, 0.0, 0.001, 0.02, 0.03, 0.5],
        [prompt, 90, 20, 60, 130, prompt + 30],
        [12, 1, 30, 8, 15, 5],
        predicted=[10.0, 2.0, 40.0, 8.0, 10.0, 5.0],
        user=[0, 1, 0, 0, 2, 1],
        follows=[-1, -1, -1, -1, -1, 0],
    )
    return ServingInstance(f"fixed_{replicas}_{blocks}", engines, requests, ServiceLevel(0.05, 0.01, per_user=True))


def _definition(
    config: type[ServingConfig],
    env_id: str,
    summary: str,
    rules: Mapping[str, Rule],
    benchmarks: Mapping[str, Callable[[], Benchmark]],
    variants: tuple[Mapping[str, Any], ...],
) -> ProblemDefinition:
    return ProblemDefinition(
        name=f"serving_{config.task}",
        env_id=env_id,
        summary=summary,
        config=config,
        make=Serving,
        fit=fit,
        verify=verify_trace,
        read_instance=read_instance,
        solution_to_json=trace_json,
        solution_to_rows=trace_rows,
        rules=rules,
        solvers=MappingProxyType({}),
        benchmarks=benchmarks,
        variants=variants,
        objective_name="loss of goodput",
        objective_unit="share",
        chart_html=_chart_html,
        behaviour=("max_running", "budget", "max_visible"),
        metrics=task_measures,
        shown_metrics=("ttft_p99", "tbt_p99", "attainment"),
    )


_SMALL: Mapping[str, Any] = MappingProxyType(
    {
        "model": "llama_3_8b",
        "lengths": "azure_conversation",
        "requests": 6,
        "rates": (5.0, 20.0),
        "variation": 2.0,
        "longest": 250,
        "scales": (0.5, 1.0),
        "prediction_noise": 0.5,
        "first_token": 0.3,
        "between_tokens": 0.02,
        "max_visible": 8,
    }
)
_GIVEN: Mapping[str, Any] = MappingProxyType({"illegal_action_penalty": 0.5, "max_requests": 7, "max_replicas": 3})

PROBLEMS: tuple[ProblemDefinition, ...] = (
    _definition(
        ChunkConfig,
        "dispatchlab/ServingChunk-v0",
        "LLM serving: the token budget of every iteration of an engine, and the prompt that comes first in it",
        CHUNK_RULES,
        CHUNK_BENCHMARKS,
        (
            {
                **_SMALL,
                "devices": ("a40",),
                "kv_blocks": 100,
                "max_running": 4,
                "budget": 64,
                "users": 2,
                "per_user": True,
            },
            {
                **_GIVEN,
                "max_users": 4,
                "max_tokens": 99,
                "instances": (_fixed(1, 45), _fixed(1, 60, 10)),
                "max_running": 3,
                "max_visible": 3,
            },
        ),
    ),
    _definition(
        PreemptConfig,
        "dispatchlab/ServingPreempt-v0",
        "LLM serving with too little memory: who is admitted first and who is preempted, fairly to all users",
        PREEMPT_RULES,
        PREEMPT_BENCHMARKS,
        (
            {**_SMALL, "devices": ("a100",), "max_running": 8, "kv_blocks": 60, "users": 3, "per_user": False},
            {
                **_GIVEN,
                "max_users": 4,
                "max_tokens": 99,
                "instances": (_fixed(1, 40), _fixed(1, 70, 10)),
                "max_running": 4,
                "max_visible": 5,
                "budget": 64,
            },
        ),
    ),
    _definition(
        RouteConfig,
        "dispatchlab/ServingRoute-v0",
        "LLM serving: the engine replica that every request goes to",
        ROUTE_RULES,
        ROUTE_BENCHMARKS,
        (
            {
                **_SMALL,
                "devices": ("a100", "a40"),
                "kv_blocks": 200,
                "max_running": 4,
                "budget": 64,
                "users": 2,
                "per_user": True,
            },
            {
                **_GIVEN,
                "instances": (_fixed(2, 60), _fixed(3, 60, 10)),
                "max_running": 3,
                "max_users": 5,
                "max_tokens": 200,
            },
        ),
    ),
)
