"""Fits the execution-time profiles of the serving engine and writes them with their errors and sources.

    python scripts/fit_serving.py DATA --output envs/serving/data/profiles.json
    python scripts/fit_serving.py DATA --only llama_3_8b/rtx_4090

DATA is a folder with the published measurements: llmservingsim/<device>/ (vLLM layer profiles of LLMServingSim),
splitwise/perf_model.csv (of splitwise-sim), distserve/profiler-a100-80g.distserve.json (of DistServe) and
vidur/profiling/<device>_<model>/mlp.csv (of vidur). What a folder lacks is kept from the file that is already there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from envs.core.errors import UsageError, exit_on_usage_error
from envs.core.files import write_text
from envs.serving.execution import Execution
from envs.serving.fitting import Fit, fit_end_to_end, fit_experts, fit_layer_profile, fit_vidur
from envs.serving.hardware import DEVICES, MODELS, attention, profile_name

_DIGITS = 5
_LLMSERVINGSIM = "vLLM 0.19 layer profiles of LLMServingSim, commit 5daddb2 (MIT)"
_VIDUR = "linear operators from vidur, commit 7d47513 (MIT); attention, output layer and links by data sheet"
_SPLITWISE = "medians of splitwise-sim's perf_model.csv, commit 8f99e7d (MIT)"
_DISTSERVE = "DistServe, profiler-a100-80g.distserve.json, commit 82831f1 (Apache-2.0)"

Entry = dict[str, Any]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the measurements")
    parser.add_argument("--output", type=Path, help="JSON file to write; without it, only the errors are printed")
    parser.add_argument("--only", help="name of a single profile")
    arguments = parser.parse_args()
    exit_on_usage_error(lambda: run(arguments.data, arguments.output, arguments.only))


def run(data: Path, output: Path | None, only: str | None) -> None:
    """Fits every profile whose data are there.

    Raises:
        UsageError: The folder has no data for any profile, or a file is not what it should be.
    """
    entries: dict[str, Entry] = {}
    for name, (path, make) in sources(data).items():
        if path.exists() and only in (None, name):
            entries[name] = make()
            errors = ", ".join(f"{part} {error:.1f} %" for part, error in entries[name]["errors_percent"].items())
            print(f"{name}: {errors or 'published coefficients'}")
    if not entries:
        raise UsageError(f"{data} has no measurements for {only or 'any profile'}")
    if output is not None:
        known = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
        write_text(output, json.dumps(dict(sorted({**known, **entries}.items())), indent=1) + "\n")


def sources(data: Path) -> Mapping[str, tuple[Path, Callable[[], Entry]]]:
    """Returns, by name of the profile, what it is fitted to and how."""
    result: dict[str, tuple[Path, Callable[[], Entry]]] = {}
    for model, device, folder in (
        ("llama_3_8b", "rtx_pro_6000", "RTXPRO6000"),
        ("llama_3_8b", "rtx_4090", "RTX4090"),
        ("qwen_3_30b_a3b", "rtx_pro_6000", "RTXPRO6000_Qwen3-30B-A3B"),
    ):
        path = data / "llmservingsim" / folder
        result[profile_name(model, device, 1)] = path, lambda path=path, model=model: _layers(path, model)
    for model, device, folder in (
        ("llama_2_7b", "a100", "a100_Llama-2-7b"),
        ("llama_3_8b", "a100", "a100_Llama-3-8B"),
        ("llama_2_7b", "h100", "h100_Llama-2-7b"),
    ):
        path = data / "vidur" / "profiling" / folder / "mlp.csv"
        for devices in (1, 2, 4):
            result[profile_name(model, device, devices)] = (
                path,
                lambda path=path, model=model, device=device, devices=devices: _vidur(path, model, device, devices),
            )
    path = data / "splitwise" / "perf_model.csv"
    for device, hardware, devices in (("a100", "a100-80gb", 8), ("h100", "h100-80gb", 8), ("h100", "h100-80gb", 4)):
        result[profile_name("llama_2_70b", device, devices)] = (
            path,
            lambda hardware=hardware, devices=devices: _entry(
                "splitwise", fit_end_to_end(path, "llama2-70b", hardware, devices), _SPLITWISE
            ),
        )
    published = data / "distserve" / "profiler-a100-80g.distserve.json"
    for model, key in (("opt_13b", "facebook/opt-13b"), ("opt_66b", "facebook/opt-66b")):
        for devices in (1, 2, 4):
            if published.exists() and str(devices) in json.loads(published.read_text(encoding="utf-8")).get(key, {}):
                result[profile_name(model, "a100", devices)] = (
                    published,
                    lambda key=key, devices=devices: _distserve(published, key, devices),
                )
    return result


def _entry(form: str, fit: Fit, source: str, base: Execution | None = None) -> Entry:
    execution = replace(base or Execution(), form=form, **dict(fit.coefficients))
    numbers = {name: float(f"{value:.{_DIGITS}g}") for name, value in execution.coefficients().items() if value}
    errors = {part: round(error, 2) for part, error in fit.errors.items()}
    return {"source": source, "errors_percent": errors, "execution": {"form": form, **numbers}}


def _layers(path: Path, model: str) -> Entry:
    shape = MODELS[model]
    fit = fit_layer_profile(path, shape.layers)
    if shape.experts == 0:
        return _entry("fitted", fit, _LLMSERVINGSIM)
    experts = fit_experts(path / "moe.csv", shape.layers)
    base = Execution(
        experts=shape.experts,
        experts_per_token=shape.experts_per_token,
        expert_bytes=2.0 * shape.layers * shape.expert_parameters,
    )
    named = {**fit.coefficients, "expert0": experts.coefficients["expert0"], "expert1": experts.coefficients["expert1"]}
    named["head0"] += experts.coefficients["once"]
    return _entry("fitted", Fit(named, {**fit.errors, **experts.errors}), _LLMSERVINGSIM, base)


def _vidur(path: Path, model: str, device: str, devices: int) -> Entry:
    fit = fit_vidur(path, MODELS[model].layers, devices)
    return _entry("fitted", fit, _VIDUR, attention(MODELS[model], DEVICES[device], devices))


def _distserve(path: Path, key: str, devices: int) -> Entry:
    row = json.loads(path.read_text(encoding="utf-8"))[key][str(devices)]
    named = dict(zip(("a", "b", "c"), row["prefill"], strict=True))
    named |= dict(zip(("d0", "d2", "d1"), row["decoding_smallbs"], strict=True))
    named |= dict(zip(("m0", "m2", "m1"), row["decoding_largebs"], strict=True))
    named["large_batch"] = row["decoding_large_small_bs_threshold"]
    return _entry("distserve", Fit(named, {}), _DISTSERVE)


if __name__ == "__main__":
    main()
