"""Published chips and job types, as package data: the canonical three-PE chip, and DS3's chips and applications.

The files under ``data/`` are instances in the project's YAML format and say where every figure comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files

from envs.core.errors import UsageError
from envs.soc_dag.formats.yaml_format import read_yaml
from envs.soc_dag.types import Arrivals, SocInstance

PROFILES = ("canonical", "ds3_released", "ds3_paper", "peft")
"""Names of the profiles that `load_profile` knows."""


@cache
def load_profile(name: str) -> SocInstance:
    """Returns a published profile.

    Args:
        name: "canonical": three PEs and the ten job types ``Top_1`` to ``Top_10`` of SoCRATES; "ds3_released": the 16
            PEs of DS3's released profile with its six applications; "ds3_paper": the 16 PEs of the scheduler study in
            DS3's paper with its four applications, pulse Doppler included; "peft": the example of the PEFT paper.

    Raises:
        UsageError: There is no such profile.
    """
    if name not in PROFILES:
        raise UsageError(f"there is no profile {name!r}; expected one of {', '.join(PROFILES)}")
    with as_file(files("envs.soc_dag").joinpath("data")) as folder:
        return read_yaml(folder / f"{name}.yaml")


def canonical(
    job_types: int,
    limit: int,
    *,
    scale: float = 25.0,
    window: float = 5000.0,
    noise: float = 0.0,
    mode: str = "blocking",
    name: str | None = None,
) -> SocInstance:
    """Returns a stream of the first ``job_types`` canonical job types, in equal shares, on the canonical chip.

    Args:
        job_types: Number of job types, 1 to 10.
        limit: Most jobs in the system at a time.
        scale: Mean time between arrivals, in microseconds.
        window: Time at which the stream ends, in microseconds.
        noise: Standard deviation of the execution times as a share of their mean.
        mode: How jobs arrive: "blocking" as in SoCRATES, or "open".
        name: Name of the instance; by default ``top_q<limit>`` or ``p<job types>_q<limit>``, and the noise.

    Raises:
        UsageError: There are not that many job types, or another argument is out of range.
    """
    profile = load_profile("canonical")
    if not 1 <= job_types <= len(profile.job_types):
        raise UsageError(f"job_types is {job_types}; expected 1 to {len(profile.job_types)}")
    usual = f"{'top' if job_types == 1 else f'p{job_types}'}_q{limit}" + (f"_noise{noise:g}" if noise else "")
    return replace(
        profile,
        name=name or usual,
        job_types=profile.job_types[:job_types],
        arrivals=Arrivals(mode=mode, scale=scale, window=window, limit=limit),
        noise=noise,
    )


def single_job(profile: str, job_type: str, name: str | None = None) -> SocInstance:
    """Returns the static instance of one job of a profile's type, with the makespan as its objective.

    Raises:
        UsageError: There is no such profile or job type.
    """
    chosen = with_job_types(load_profile(profile), [job_type])
    return replace(chosen, name=name or job_type, arrivals=Arrivals(), objective="makespan")


def with_job_types(instance: SocInstance, names: Sequence[str], shares: Sequence[float] = ()) -> SocInstance:
    """Returns ``instance`` with only the named job types, in that order.

    Args:
        instance: The instance.
        names: Names of job types.
        shares: Share of each in a stream; empty for equal shares.

    Raises:
        UsageError: The instance has no such job type.
    """
    known = {job_type.name: job_type for job_type in instance.job_types}
    for name in names:
        if name not in known:
            raise UsageError(f"instance {instance.name} has no job type {name!r}; it has {', '.join(known)}")
    arrivals = replace(instance.arrivals, probabilities=tuple(shares), releases=((0, 0.0),))
    return replace(instance, job_types=tuple(known[name] for name in names), arrivals=arrivals)
