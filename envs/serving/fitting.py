"""Fits the coefficients of `envs.serving.execution` to measured kernel times.

Three formats are read. vLLM layer profiles as LLMServingSim publishes them: ``dense.csv`` (layer, tokens, time_us),
``per_sequence.csv`` (layer, sequences, time_us), ``attention.csv`` (prefill_chunk, kv_prefill, n_decode, kv_decode,
time_us), all times of one layer of the model. Operator tables as vidur publishes them: ``mlp.csv``
(time_stats.<operator>.median in milliseconds, num_tokens, num_tensor_parallel_workers). And rows of end-to-end times as
Splitwise publishes them (prompt_size, batch_size, token_size, prompt_time, token_time in milliseconds).

All fits minimise relative errors, so that small batches count as much as large ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.serving.tables import read_columns

Floats = NDArray[np.float64]

_TWICE = ("layernorm",)
_ONCE = ("embedding", "final_layernorm")
_OPERATORS = (
    "input_layernorm",
    "attn_pre_proj",
    "attn_rope",
    "attn_post_proj",
    "post_attention_layernorm",
    "mlp_up_proj",
    "mlp_act",
    "mlp_down_proj",
    "add",
)
_POWERS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True)
class Fit:
    """Coefficients and how well they fit.

    Attributes:
        coefficients: Values by name, in milliseconds; see `envs.serving.execution.Execution`.
        errors: Mean absolute percentage error of every part.
    """

    coefficients: Mapping[str, float]
    errors: Mapping[str, float]


def fit_layer_profile(folder: Path, layers: int) -> Fit:
    """Fits a vLLM layer profile.

    Args:
        folder: Folder with dense.csv, per_sequence.csv and attention.csv.
        layers: Layers of the model.

    Raises:
        UsageError: A file is missing or is not such a profile.
    """
    tokens, linear = _whole_model(folder / "dense.csv", layers)
    first, linear_error = fit_linear(tokens, linear)
    sequences, head = _sum_of_layers(folder / "per_sequence.csv", "sequences", {})
    head_columns = np.stack([np.ones(len(sequences)), sequences], 1)
    head_fit = relative_least_squares(head_columns, head)
    attention = read_columns(
        folder / "attention.csv", ("prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us")
    )
    time = attention["time_us"] * layers / 1e3
    q, past, n = attention["prefill_chunk"], attention["kv_prefill"], attention["n_decode"]
    kv = n * attention["kv_decode"]
    alone = q == 0
    ones = np.ones(len(q))
    decode_columns = np.stack([ones, n, kv], 1)[alone]
    mixed_columns = np.stack([ones, q, past, q * (past + 0.5 * q), n, kv], 1)[~alone]
    decode = relative_least_squares(decode_columns, time[alone])
    mixed = relative_least_squares(mixed_columns, time[~alone])
    named = {
        **first,
        **dict(zip(("d0", "d1", "d2"), decode.tolist(), strict=True)),
        **dict(zip(("m0", "m1", "m2", "m3", "m4", "m5"), mixed.tolist(), strict=True)),
        **dict(zip(("head0", "head1"), head_fit.tolist(), strict=True)),
    }
    errors = {
        "linear": linear_error,
        "decode_attention": percentage_error(decode_columns @ decode, time[alone]),
        "mixed_attention": percentage_error(mixed_columns @ mixed, time[~alone]),
        "head": percentage_error(head_columns @ head_fit, head),
    }
    return Fit(named, errors)


def fit_experts(path: Path, layers: int) -> Fit:
    """Fits the mixture layers: tokens, activated_experts, time_us of one layer."""
    table = read_columns(path, ("tokens", "activated_experts", "time_us"))
    columns = np.stack([np.ones(len(table["tokens"])), table["activated_experts"], table["tokens"]], 1)
    time = table["time_us"] * layers / 1e3
    solution = relative_least_squares(columns, time)
    named = dict(zip(("once", "expert0", "expert1"), solution.tolist(), strict=True))
    return Fit(named, {"experts": percentage_error(columns @ solution, time)})


def fit_end_to_end(path: Path, model: str, hardware: str, devices: int) -> Fit:
    """Fits the "splitwise" form to medians over repeated runs.

    Raises:
        UsageError: There are no rows of that model, hardware and number of devices.
    """
    names = ("prompt_size", "batch_size", "token_size", "prompt_time", "token_time", "tensor_parallel")
    table = read_columns(path, names, text=("model", "hardware"))
    chosen = (table["model"] == model) & (table["hardware"] == hardware) & (table["tensor_parallel"] == devices)
    if not chosen.any():
        raise UsageError(f"{path}: there are no rows of {model} on {hardware} with tensor_parallel {devices}")
    points = np.stack([table[name][chosen] for name in names[:3]], 1).astype(np.float64)
    unique, inverse = np.unique(points, axis=0, return_inverse=True)
    medians = [
        [float(np.median(table[name][chosen][inverse == i].astype(np.float64))) for i in range(len(unique))]
        for name in ("prompt_time", "token_time")
    ]
    prefill, decode = np.array(medians)
    prompt, batch, output = unique.T
    ones = np.ones(len(unique))
    prefill_columns = np.stack([ones, prompt * batch], 1)
    decode_columns = np.stack([ones, batch, batch * (prompt + 0.5 * output)], 1)
    first, second = (
        relative_least_squares(columns, time)
        for columns, time in ((prefill_columns, prefill), (decode_columns, decode))
    )
    named = {**dict(zip("ac", first.tolist(), strict=True)), **dict(zip(("d0", "d1", "d2"), second, strict=True))}
    return Fit(
        {name: float(value) for name, value in named.items()},
        {
            "prefill": percentage_error(prefill_columns @ first, prefill),
            "decode": percentage_error(decode_columns @ second, decode),
        },
    )


def fit_vidur(path: Path, layers: int, devices: int) -> Fit:
    """Fits everything but attention, output layer and communication to a table of operators.

    Args:
        path: The file mlp.csv.
        layers: Layers of the model.
        devices: Devices that share the model.

    Raises:
        UsageError: The file is not such a table, or has no rows of so many devices.
    """
    names = [f"time_stats.{operator}.median" for operator in _OPERATORS]
    table = read_columns(path, ("num_tokens", "num_tensor_parallel_workers", *names))
    chosen = table["num_tensor_parallel_workers"] == devices
    if not chosen.any():
        raise UsageError(f"{path}: there are no rows with num_tensor_parallel_workers {devices}")
    tokens = table["num_tokens"][chosen]
    time = layers * np.sum([table[name][chosen] for name in names], axis=0)
    order = np.argsort(tokens)
    coefficients, error = fit_linear(tokens[order], time[order])
    return Fit(coefficients, {"linear": error})


def fit_linear(tokens: Floats, time: Floats) -> tuple[dict[str, float], float]:
    """Fits ``(a^p + (b + c T)^p)^(1/p)``; returns a, b, c, p and the mean absolute percentage error."""
    from scipy.optimize import least_squares

    best: tuple[float, dict[str, float]] | None = None
    slope = float((time[-1] - time[len(time) // 2]) / (tokens[-1] - tokens[len(tokens) // 2]))
    for power in _POWERS:

        def ratio(x: Floats, power: float = power) -> Floats:
            a, b, c = x
            predicted = (a**power + (b + c * tokens) ** power) ** (1.0 / power)
            return np.asarray(predicted / time - 1.0)

        start = np.array([0.9 * float(time.min()), 0.1 * float(time.min()), slope])
        found = least_squares(ratio, start, bounds=(0.0, np.inf), x_scale=start)
        error = 100.0 * float(np.abs(ratio(found.x)).mean())
        if best is None or error < best[0]:
            best = error, {**dict(zip("abc", found.x.tolist(), strict=True)), "p": power}
    assert best is not None
    return best[1], best[0]


def relative_least_squares(columns: Floats, time: Floats) -> Floats:
    """Returns the non-negative coefficients with the smallest sum of squared relative errors."""
    from scipy.optimize import nnls

    scale = np.linalg.norm(columns / time[:, None], axis=0)
    solution, _ = nnls(columns / time[:, None] / scale, np.ones(len(time)))
    return np.asarray(solution / scale)


def percentage_error(predicted: Floats, measured: Floats) -> float:
    """Returns the mean absolute percentage error."""
    return 100.0 * float(np.abs(predicted / measured - 1.0).mean())


def _whole_model(path: Path, layers: int) -> tuple[Floats, Floats]:
    """Sums the dense layers of the whole model, in milliseconds by number of tokens."""
    weights = dict.fromkeys(_TWICE, 2.0 * layers) | dict.fromkeys(_ONCE, 1.0)
    return _sum_of_layers(path, "tokens", weights, layers)


def _sum_of_layers(path: Path, axis: str, weights: Mapping[str, float], layers: float = 1.0) -> tuple[Floats, Floats]:
    table = read_columns(path, (axis, "time_us"), text=("layer",))
    points = np.unique(table[axis])
    total = np.zeros(len(points))
    for name in np.unique(table["layer"]):
        chosen = table["layer"] == name
        if set(table[axis][chosen]) != set(points):
            raise UsageError(f"{path}: layer {name} was not measured at every number of {axis}")
        order = np.argsort(table[axis][chosen])
        total += weights.get(str(name), layers) * table["time_us"][chosen][order] / 1e3
    return points.astype(np.float64), total
