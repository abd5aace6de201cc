"""The observation of the serving tasks: the specification that `envs.serving.observe` fills, in its order.

Only what an online scheduler knows is shown: predictions instead of true output lengths, requests of the replica that
asks (or the one to be dispatched). Times are divided by the promise that they count towards.
"""

from __future__ import annotations

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType

THOUSAND = "1000 tokens"


def _ratio(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


REQUEST = (
    _ratio("waiting"),
    _ratio("legal"),
    Feature("tokens_to_compute", THOUSAND, 0.0),
    Feature("tokens_in_cache", THOUSAND, 0.0),
    Feature("generated", THOUSAND, 0.0),
    Feature("predicted_left", THOUSAND, 0.0),
    Feature("age_at_first_token", "promised TTFT", 0.0),
    Feature("since_last_token", "promised TBT", 0.0),
    _ratio("share_of_blocks"),
    Feature("preemptions", "1", 0.0),
    Feature("service_of_user_above_least", THOUSAND),
    Feature("requests_of_user", "1", 0.0),
)

REPLICA = (
    _ratio("asks"),
    _ratio("free_blocks"),
    _ratio("running"),
    Feature("waiting", "batch size", 0.0),
    Feature("tokens_outstanding", THOUSAND, 0.0),
    Feature("context_of_running", THOUSAND, 0.0),
    Feature("prompt_tokens_waiting", THOUSAND, 0.0),
    Feature("busy_for", "promised TBT", 0.0),
    Feature("oldest_since_last_token", "promised TBT", 0.0),
    Feature("time_of_a_decode", "promised TBT", 0.0),
    Feature("time_of_a_prompt_of_1000_tokens", "promised TTFT", 0.0),
    Feature("time_of_tokens_outstanding", "promised TTFT", 0.0),
    Feature("time_of_a_decode_of_all", "promised TBT", 0.0),
)

LEVEL_STATIC = (Feature("budget", THOUSAND, 0.0), Feature("log2_of_budget", "1", 0.0))

LEVEL = (
    _ratio("legal"),
    Feature("time_of_the_iteration", "promised TBT", 0.0),
    Feature("oldest_token_then", "promised TBT", 0.0),
    _ratio("share_of_prompt_tokens"),
)

CONTEXT = (
    _ratio("asks_for_budget"),
    _ratio("asks_for_first"),
    _ratio("asks_for_victim"),
    _ratio("fraction_answered"),
    Feature("in_system", "batch size", 0.0),
)


def serving_spec(task: str, visible: int, replicas: int, levels: int) -> GraphSpec:
    """Returns the specification of a task ("chunk", "preempt" or "route")."""
    nodes = [NodeType("request", visible, dynamic=REQUEST), NodeType("replica", replicas, dynamic=REPLICA)]
    edges = [
        EdgeType("request", "competes_on", "replica", visible * (replicas if task == "route" else 1), static=False),
    ]
    candidates: tuple[str, ...] = {"chunk": ("level", "request"), "preempt": ("request",), "route": ("replica",)}[task]
    if task == "chunk":
        nodes.append(NodeType("level", levels, LEVEL_STATIC, LEVEL))
        edges.append(EdgeType("level", "offered_by", "replica", levels, static=False))
    return GraphSpec(tuple(nodes), tuple(edges), candidates, CONTEXT)
