"""Readers of the traces that this field publishes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.serving.tables import read_columns
from envs.serving.types import Requests, make_requests

Floats = NDArray[np.float64]


def read_azure(path: Path) -> Requests:
    """Reads an Azure LLM inference trace: TIMESTAMP, ContextTokens, GeneratedTokens (2023 and 2024).

    Raises:
        UsageError: The file is not such a trace.
    """
    table = read_columns(path, ("ContextTokens", "GeneratedTokens"), text=("TIMESTAMP",))
    try:
        # The trailing digits beyond nanoseconds and zones that the 2024 file has are of no use here.
        stamps = np.array([stamp[:26].split("+")[0] for stamp in table["TIMESTAMP"].tolist()], "datetime64[ns]")
    except ValueError as error:
        raise UsageError(f"{path}: TIMESTAMP cannot be read: {error}") from error
    seconds = (stamps - stamps[0]).astype(np.int64) / 1e9
    return _ordered(path, seconds, table["ContextTokens"], np.maximum(table["GeneratedTokens"], 1))


def read_mooncake(path: Path, *, jitter: float = 0.0, seed: int = 0) -> Requests:
    """Reads a Mooncake trace: JSON lines of timestamp (ms), input_length, output_length; hashes are not used.

    Args:
        path: The file.
        jitter: Seconds over which arrivals are spread evenly; the conversation trace has stamps on a grid of 3 seconds.
        seed: Seed of the jitter.

    Raises:
        UsageError: The file is not such a trace.
    """
    rows = _json_lines(path)
    stamp, prompt, output = (_field(path, rows, name) for name in ("timestamp", "input_length", "output_length"))
    seconds = stamp / 1e3
    if jitter > 0.0:
        seconds = seconds + jitter * np.random.default_rng(seed).random(len(seconds))
    return _ordered(path, seconds, prompt, np.maximum(output, 1))


def read_lengths(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Reads lengths as vidur and Sarathi-Serve store them: num_prefill_tokens, num_decode_tokens.

    Raises:
        UsageError: The file is not such a table.
    """
    table = read_columns(path, ("num_prefill_tokens", "num_decode_tokens"))
    prompt, output = (np.maximum(table[name], 1).astype(np.int64) for name in table)
    return prompt, output


def read_request_log(path: Path) -> tuple[Requests, Mapping[str, Floats]]:
    """Reads the measured requests of a vLLM run: JSON lines of input_toks, output_toks and time stamps in seconds.

    Returns:
        The requests by arrival at the engine, and what was measured, in their order: ``ttft``, ``tpot`` and
        ``latency`` in seconds (``tpot`` is not a number for a single token).

    Raises:
        UsageError: The file is not such a log.
    """
    rows = sorted(_json_lines(path), key=lambda row: float(row.get("queued_ts", 0.0)))
    prompt, output, queued, first, last = (
        _field(path, rows, name)
        for name in ("input_toks", "output_toks", "queued_ts", "first_token_ts", "last_token_ts")
    )
    gaps = np.where(output > 1, output - 1, np.nan)
    measured = {"ttft": first - queued, "tpot": (last - first) / gaps, "latency": last - queued}
    return make_requests(queued - queued[0], prompt.astype(np.int64), output.astype(np.int64)), measured


def read_sessions(path: Path) -> Requests:
    """Reads agentic sessions as LLMServingSim stores them.

    JSON lines of session_id, arrival_time_ns and sub_requests, each with input_toks, output_toks and tool_duration_ns:
    the time of the tool that runs between this answer and the next sub-request.

    Raises:
        UsageError: The file is not such a list of sessions.
    """
    sessions = sorted(_json_lines(path), key=lambda row: float(row.get("arrival_time_ns", 0.0)))
    starts = _field(path, sessions, "arrival_time_ns") / 1e9
    rows: list[tuple[float, float, float, int, int]] = []
    for number, session in enumerate(sessions):
        parts = session.get("sub_requests")
        if not isinstance(parts, list) or not parts:
            raise UsageError(f"{path}: session {number} has no sub_requests; expected a list of them")
        prompt, output = (_field(path, parts, name) for name in ("input_toks", "output_toks"))
        tool = np.array([float(part.get("tool_duration_ns", 0.0)) / 1e9 for part in parts])
        for turn in range(len(parts)):
            moment = starts[number] - starts[0] if turn == 0 else tool[turn - 1]
            rows.append((moment, prompt[turn], max(output[turn], 1), number, -1 if turn == 0 else len(rows) - 1))
    arrival, prompts, outputs, users, follows = zip(*rows, strict=True)
    return make_requests(arrival, np.array(prompts, np.int64), np.array(outputs, np.int64), user=users, follows=follows)


def _ordered(path: Path, seconds: Floats, prompt: Floats, output: Floats) -> Requests:
    order = np.argsort(seconds, kind="stable")
    try:
        return make_requests(
            seconds[order] - seconds[order[0]], prompt[order].astype(np.int64), output[order].astype(np.int64)
        )
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _json_lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise UsageError(f"{path}, line {number}: found {type(row).__name__}; expected an object")
                    rows.append(row)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise UsageError(f"{path} has no requests")
    return rows


def _field(path: Path, rows: list[dict[str, Any]], name: str) -> Floats:
    values = np.empty(len(rows))
    for number, row in enumerate(rows):
        value = row.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise UsageError(f"{path}, entry {number + 1}: {name} is {value!r}; expected a finite number")
        values[number] = value
    return values
