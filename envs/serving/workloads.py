"""Synthetic workloads: arrival processes and lengths of prompts and outputs, calibrated on published traces.

Lengths are drawn from tables of quantiles (data/lengths.json), with the rank correlation of prompt and output through a
Gaussian copula; they need no file of the user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.serving.types import Requests, make_requests

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

QUANTILES = np.concatenate([[0.0, 0.001, 0.005], np.arange(1, 100) / 100, [0.995, 0.999, 1.0]])
"""Levels of the tables."""


@dataclass(frozen=True)
class LengthTable:
    """Lengths of prompts and outputs.

    Attributes:
        prompt: Quantiles of the prompts' tokens at `QUANTILES`.
        output: Quantiles of the outputs' tokens.
        correlation: Correlation of the normal scores of their ranks.
        source: Where they come from.
    """

    prompt: tuple[float, ...]
    output: tuple[float, ...]
    correlation: float
    source: str

    def draw(self, count: int, generator: np.random.Generator, longest: int | None = None) -> tuple[Indices, Indices]:
        """Draws lengths; a pair longer than ``longest`` in all is drawn again."""
        prompt, output = self._draw(count, generator)
        if longest is not None:
            for _ in range(_ATTEMPTS):
                wrong = np.flatnonzero(prompt + output > longest)
                if len(wrong) == 0:
                    break
                prompt[wrong], output[wrong] = self._draw(len(wrong), generator)
            else:
                raise UsageError(f"longest is {longest}; hardly any request of the workload is as short")
        return prompt, output

    def _draw(self, count: int, generator: np.random.Generator) -> tuple[Indices, Indices]:
        from scipy.special import ndtr

        first = generator.standard_normal(count)
        rest = np.sqrt(1.0 - self.correlation**2)
        second = self.correlation * first + rest * generator.standard_normal(count)
        pair = [
            np.maximum(np.rint(np.interp(ndtr(score), QUANTILES, table)), 1).astype(np.int64)
            for score, table in ((first, self.prompt), (second, self.output))
        ]
        return pair[0], pair[1]


_ATTEMPTS = 1000


@cache
def length_tables() -> Mapping[str, LengthTable]:
    """Returns the committed tables by name."""
    path = Path(__file__).parent / "data" / "lengths.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    return MappingProxyType(
        {
            name: LengthTable(tuple(entry["prompt"]), tuple(entry["output"]), entry["correlation"], entry["source"])
            for name, entry in document.items()
        }
    )


def fit_lengths(prompt: Indices, output: Indices, source: str) -> LengthTable:
    """Returns the table of measured lengths."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    scores = [ndtri((rankdata(lengths) - 0.5) / len(lengths)) for lengths in (prompt, output)]
    correlation = float(np.corrcoef(scores[0], scores[1])[0, 1])
    tables = [tuple(np.quantile(lengths, QUANTILES).round(1).tolist()) for lengths in (prompt, output)]
    return LengthTable(tables[0], tables[1], round(correlation, 4), source)


def arrivals(count: int, rate: float, generator: np.random.Generator, variation: float = 1.0) -> Floats:
    """Draws arrival times with Gamma gaps.

    Args:
        count: Number of arrivals.
        rate: Mean arrivals a second.
        generator: Source of randomness.
        variation: Coefficient of variation of the gaps; 1 is a Poisson process, 0 is even.
    """
    if not (np.isfinite(rate) and rate > 0.0):
        raise UsageError(f"rate is {rate}; expected a finite number above 0")
    if not (np.isfinite(variation) and variation >= 0.0):
        raise UsageError(f"variation is {variation}; expected a finite number of at least 0")
    if variation == 0.0:
        return np.arange(1, count + 1) / rate
    shape = 1.0 / variation**2
    return np.cumsum(generator.gamma(shape, 1.0 / (shape * rate), count))


def synthetic(
    lengths: str,
    count: int,
    rate: float,
    seed: int,
    *,
    variation: float = 1.0,
    users: int = 1,
    prediction_noise: float = 0.0,
    longest: int | None = None,
) -> Requests:
    """Draws a workload.

    Args:
        lengths: Name of a table of `length_tables`.
        count: Number of requests.
        rate: Mean arrivals a second.
        seed: Seed of everything.
        variation: Coefficient of variation of the gaps between arrivals.
        users: Number of users, equally likely.
        prediction_noise: Standard deviation of the logarithm of predicted over true output.
        longest: Tokens of a request at most, prompt and output together.

    Raises:
        UsageError: An argument is out of its range.
    """
    if lengths not in length_tables():
        raise UsageError(f"lengths is {lengths!r}; expected one of {', '.join(length_tables())}")
    for name, value in (("count", count), ("users", users)):
        if value < 1:
            raise UsageError(f"{name} is {value}; expected at least 1")
    generator = np.random.default_rng(seed)
    times = arrivals(count, rate, generator, variation)
    prompt, output = length_tables()[lengths].draw(count, generator, longest)
    noise = np.exp(prediction_noise * generator.standard_normal(count))
    return make_requests(
        times, prompt, output, predicted=output.astype(np.float64) * noise, user=generator.integers(0, users, count)
    )


def conversations(
    lengths: str,
    count: int,
    rate: float,
    seed: int,
    *,
    turns: float = 5.5,
    pause: float = 10.0,
    users: int | None = None,
    longest: int = 8192,
) -> Requests:
    """Draws conversations of several turns, each with all turns before in its prompt.

    Args:
        lengths: Name of a table of `length_tables`, which gives the new tokens of a turn and its output.
        count: Number of conversations.
        rate: Mean beginnings of conversations a second.
        seed: Seed of everything.
        turns: Mean number of turns (geometric, at least 1).
        pause: Mean seconds (exponential) between an answer and the next turn.
        users: Number of users; by default a user for every conversation.
        longest: A conversation ends before it has so many tokens.
    """
    generator = np.random.default_rng(seed)
    starts = arrivals(count, rate, generator)
    owners = np.arange(count) if users is None else generator.integers(0, users, count)
    table = length_tables()[lengths]
    rows: list[tuple[float, int, int, int, int]] = []
    for start, owner in zip(starts.tolist(), owners.tolist(), strict=True):
        context, previous = 0, -1
        number = int(generator.geometric(1.0 / turns))
        new, out = table.draw(number, generator)
        for turn in range(number):
            prompt, output = context + int(new[turn]), int(out[turn])
            if prompt + output > longest:
                break
            moment = start if previous < 0 else float(generator.exponential(pause))
            rows.append((moment, prompt, output, owner, previous))
            previous, context = len(rows) - 1, prompt + output
    if not rows:
        raise UsageError(f"longest is {longest}; no conversation of the workload is as short")
    arrival, prompts, outputs, users_of, follows = zip(*rows, strict=True)
    return make_requests(arrival, prompts, outputs, user=np.unique(users_of, return_inverse=True)[1], follows=follows)
