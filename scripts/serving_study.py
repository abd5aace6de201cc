r"""Compares schedulers of LLM serving, and simulated engines with measured ones.

    python scripts/serving_study.py validation --log vllm_requests.jsonl --model llama_3_8b --device rtx_pro_6000 \
        --kv-blocks 54400 --output results/serving/validation.csv
    python scripts/serving_study.py capacity --output results/serving/capacity.csv
    python scripts/serving_study.py ablation --output results/serving/ablation.csv
    python scripts/serving_study.py presets --output results/serving/presets.csv
    python scripts/serving_study.py swapping --output results/serving/swapping.csv
    python scripts/serving_study.py layered --output results/serving/layered.csv
    python scripts/serving_study.py policies --output results/serving/policies.csv
    python scripts/serving_study.py learned --output results/serving/learned.csv

"validation" replays the requests of a measured vLLM V1 run; "capacity" finds the highest rate that keeps P99 TBT and
the median scheduling delay; "ablation" takes Sarathi-Serve apart; "presets" runs every scheduler at several loads;
"swapping" holds FastSwitch against vLLM's swapping; "layered" holds Layered Prefill against chunks; "policies" runs the
trained policies on the workloads of "presets"; "learned" sums up what scripts/evaluate.py measured on the benchmarks of
the tasks: policies against the best fixed rules.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from agents.checkpoint import load_dispatcher
from agents.evaluation.rows import read_csv
from agents.evaluation.statistics import paired_difference
from agents.provenance import command_line, git_revision
from agents.rollout import roll_out
from envs.core import problem
from envs.core.errors import exit_on_usage_error
from envs.core.files import write_text
from envs.serving.hardware import replica
from envs.serving.metrics import measures
from envs.serving.presets import PRESETS
from envs.serving.readers import read_request_log
from envs.serving.strategy import Strategy
from envs.serving.studies import Target, capacity, compare, validate
from envs.serving.types import Replica, ServiceLevel, ServingInstance
from envs.serving.workloads import conversations, synthetic

Row = dict[str, str | float | int]

ROOT = Path(__file__).resolve().parent.parent
RESULTS, CHECKPOINTS = ROOT / "results", ROOT / "checkpoints"
PRESET_RATES: Mapping[str, tuple[float, ...]] = {"sharegpt": (1.0, 2.0, 3.0), "azure_conversation": (3.0, 6.0, 9.0)}
"""Requests a second at which all schedulers are compared."""

_STRICT, _RELAXED = Target(0.1), Target(0.5)
_SHOWN = (
    "ttft_mean",
    "ttft_p50",
    "ttft_p99",
    "tbt_mean",
    "tbt_p99",
    "tbt_p99_9",
    "tpot_mean",
    "latency_mean",
    "latency_p99",
    "normalised_mean",
    "jct_mean",
    "attainment",
    "goodput",
    "fairness",
    "preemptions",
    "swapped_blocks",
    "stall_seconds",
    "expert_bytes",
)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=("validation", *_STUDIES))
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--seeds", type=int, default=5, help="number of workloads, seeds from 0 (default: 5)")
    parser.add_argument("--requests", type=int, default=1000, help="requests of a workload (default: 1000)")
    parser.add_argument("--log", type=Path, help="measured requests, for validation")
    parser.add_argument("--model", default="llama_3_8b", help="model of the measured run")
    parser.add_argument("--device", default="rtx_pro_6000", help="device of the measured run")
    parser.add_argument("--kv-blocks", type=int, help="blocks of its cache")
    parser.add_argument("--max-running", type=int, default=128, help="its max_num_seqs (default: 128)")
    parser.add_argument("--budget", type=int, default=2048, help="its max_num_batched_tokens (default: 2048)")
    arguments = parser.parse_args()
    if arguments.study == "validation" and (arguments.log is None or arguments.kv_blocks is None):
        parser.error("validation needs --log and --kv-blocks")
    for name in ("seeds", "requests", "max_running", "budget"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(arguments, name)}; expected at least 1")
    exit_on_usage_error(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Runs a study, prints its rows and writes them.

    Raises:
        UsageError: A file or a name is not what it should be.
    """
    if arguments.study == "validation":
        rows = list(_validation(arguments))
    else:
        rows = []
        for row in _STUDIES[arguments.study](range(arguments.seeds), arguments.requests):
            rows.append(row)
            print("  ".join(f"{name} {_text(value)}" for name, value in row.items()), flush=True)
    origin = {"git_revision": git_revision(), "command": command_line(sys.argv)}
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*rows[0], *origin], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**{name: _text(value) for name, value in row.items()}, **origin})
    write_text(arguments.output, buffer.getvalue())


def _text(value: str | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _validation(arguments: argparse.Namespace) -> Iterator[Row]:
    requests, measured = read_request_log(arguments.log)
    strategy = replace(PRESETS["vllm_v1"].strategy, max_running=arguments.max_running, budget=arguments.budget)
    for backend in ("fitted", "roofline"):
        engine = replica(arguments.model, arguments.device, kv_blocks=arguments.kv_blocks, backend=backend)
        instance = ServingInstance(arguments.log.stem, (engine,), requests)
        for row in validate(instance, strategy, measured):
            print(f"{backend} {row['metric']}: {row['error_percent']:+.1f} %")
            yield {"run": f"{engine.name} {backend}", **row}


def _workload(
    engine: Replica, lengths: str, count: int, level: ServiceLevel
) -> Callable[[float, int], ServingInstance]:
    def make(rate: float, seed: int) -> ServingInstance:
        requests = synthetic(lengths, count, rate, seed, users=16, prediction_noise=0.3, longest=8192)
        return ServingInstance(f"{lengths}_{rate:g}_{seed}", (engine,), requests, level)

    return make


def _capacity(seeds: Sequence[int], count: int) -> Iterator[Row]:
    """Sarathi-Serve's strict and relaxed promise for a model of 7 to 8 billion weights on one A100."""
    engine = replica("llama_3_8b", "a100")
    make = _workload(engine, "sharegpt", count, ServiceLevel())
    v0 = PRESETS["vllm_v0"].strategy
    schedulers = {f"vllm_v0, batch {size}": replace(v0, max_running=size) for size in (32, 64, 128)}
    schedulers |= {name: PRESETS[name].strategy for name in ("orca", "vllm_v1", "dynamic_chunk")}
    budgets = {"strict": "sarathi_512", "relaxed": "sarathi_2048"}
    for promise, target in (("strict", _STRICT), ("relaxed", _RELAXED)):
        chosen = {**schedulers, "sarathi": PRESETS[budgets[promise]].strategy}
        for seed in seeds:
            found = {name: capacity(make, strategy, target, seed) for name, strategy in chosen.items()}
            for name, rate in found.items():
                yield {
                    "promise": promise,
                    "tbt_p99_limit": target.tbt_p99,
                    "scheduler": name,
                    "seed": seed,
                    "requests_per_second": rate,
                    "sarathi_over_it": found["sarathi"] / rate if rate > 0.0 else float("inf"),
                }


def _ablation(seeds: Sequence[int], count: int) -> Iterator[Row]:
    """Table 4 of Sarathi-Serve: Yi-34B on two A100, at a load of three quarters of what both parts together bear."""
    engine = replica("yi_34b", "a100", devices=2)
    names = ("sarathi_hybrid_only", "sarathi_chunk_only", "sarathi_1024")
    strategies = {name: PRESETS[name].strategy for name in names}
    for lengths in ("sharegpt", "arxiv"):
        make = _workload(engine, lengths, count, ServiceLevel())
        rate = 0.75 * capacity(make, strategies["sarathi_1024"], Target(0.2), seeds[0])
        for name, found in compare(make, strategies, rate, seeds).items():
            for seed, row in zip(seeds, found, strict=True):
                yield {"workload": lengths, "rate": rate, "scheduler": name, "seed": seed, **_chosen(row)}


def _presets(seeds: Sequence[int], count: int) -> Iterator[Row]:
    """Every scheduler on one A100 at several loads."""
    engine = replica("llama_3_8b", "a100")
    for lengths, rates in PRESET_RATES.items():
        make = _workload(engine, lengths, count, ServiceLevel(2.0, 0.1))
        strategies = {name: preset.strategy for name, preset in PRESETS.items()}
        for rate in rates:
            for name, found in compare(make, strategies, rate, seeds).items():
                for seed, row in zip(seeds, found, strict=True):
                    yield {"workload": lengths, "rate": rate, "scheduler": name, "seed": seed, **_chosen(row)}


def _swapping(seeds: Sequence[int], count: int) -> Iterator[Row]:
    """Conversations of several turns with changing priorities, an 8B model on an A10, after FastSwitch."""
    engine = replace(replica("llama_3_8b", "a10"), swap_bandwidth=25e9)

    def make(rate: float, seed: int) -> ServingInstance:
        requests = conversations("azure_conversation", max(count // 5, 1), rate, seed, users=64)
        return ServingInstance(f"conversations_{rate:g}_{seed}", (engine,), requests)

    base, fast = (PRESETS[name].strategy for name in ("priority_swap", "fastswitch"))
    strategies: dict[str, Strategy] = {
        "priority_swap": base,
        "with block groups": replace(base, group_blocks=fast.group_blocks),
        "with reuse": replace(base, group_blocks=fast.group_blocks, reuse=True),
        "fastswitch": fast,
    }
    for trace in ("random", "markov"):
        traced = {name: replace(strategy, priority_trace=trace) for name, strategy in strategies.items()}
        for rate in (0.2, 0.3):
            for name, found in compare(make, traced, rate, seeds).items():
                for seed, row in zip(seeds, found, strict=True):
                    yield {"trace": trace, "rate": rate, "scheduler": name, "seed": seed, **_chosen(row)}


def _layered(seeds: Sequence[int], count: int) -> Iterator[Row]:
    """A mixture of experts and a dense model of the same family on H100, after Layered Prefill."""
    for model, devices, rate in (("qwen_3_30b_a3b", 2, 1.3), ("qwen_3_8b", 2, 1.3), ("qwen_3_30b_a3b", 2, 4.0)):
        engine = replica(model, "h100", devices=devices)
        strategies = {
            "chunks of 512": replace(PRESETS["sarathi_512"].strategy),
            "chunks of 2048": replace(PRESETS["sarathi_2048"].strategy),
            "layered_prefill": PRESETS["layered_prefill"].strategy,
        }
        for lengths in ("arxiv", "sharegpt"):
            make = _workload(engine, lengths, count, ServiceLevel())
            for name, found in compare(make, strategies, rate, seeds).items():
                for seed, row in zip(seeds, found, strict=True):
                    yield {
                        "model": model,
                        "workload": lengths,
                        "rate": rate,
                        "scheduler": name,
                        "seed": seed,
                        **_chosen(row),
                    }


def _policies(seeds: Sequence[int], count: int) -> Iterator[Row]:
    """The trained policies of one replica on the workloads of the presets, at the middle load."""
    engine = replica("llama_3_8b", "a100")
    for lengths, rates in PRESET_RATES.items():
        make = _workload(engine, lengths, count, ServiceLevel(2.0, 0.1))
        instances = [make(rates[1], seed) for seed in seeds]
        for task in ("chunk", "preempt"):
            name = f"serving_{task}"
            definition = problem(name)
            dispatcher = load_dispatcher(CHECKPOINTS / name / "default", definition)
            options = {**dispatcher.options, "max_running": 128, "max_visible": 128}
            outcomes = roll_out(definition, options, instances, dispatcher)
            for seed, instance, found in zip(seeds, instances, outcomes, strict=True):
                row = measures(found.solution.outcome, instance.service_level)
                yield {"workload": lengths, "rate": rates[1], "scheduler": name, "seed": seed, **_chosen(row)}


def _learned(_: Sequence[int], __: int) -> Iterator[Row]:
    """Policies against the fixed rule that is best on the whole benchmark, as known afterwards."""
    for task in ("chunk", "preempt", "route"):
        name = f"serving_{task}"
        groups = problem(name).benchmarks[name]().groups
        objectives: dict[str, dict[str, float]] = {}
        kinds = {}
        for result in read_csv(RESULTS / name / f"{name}.csv"):
            objectives.setdefault(result.method, {})[result.instance] = result.objective
            kinds[result.method] = result.kind
        means = {method: float(np.mean(list(found.values()))) for method, found in objectives.items()}
        rule = min((method for method in means if kinds[method] == "rule"), key=means.__getitem__)
        (policy,) = (method for method in means if kinds[method] == "learned")
        for group in ("all", *dict.fromkeys(groups.values())):
            names = [each for each in groups if group in ("all", groups[each])]
            ours, theirs = ([objectives[method][each] for each in names] for method in (policy, rule))
            difference = paired_difference(ours, theirs, [groups[each] for each in names])
            yield {
                "task": task,
                "workload": group,
                "instances": len(names),
                "policy": policy,
                "best_rule": rule,
                "policy_objective": float(np.mean(ours)),
                "rule_objective": float(np.mean(theirs)),
                "difference": difference.estimate,
                "low": difference.low,
                "high": difference.high,
            }


def _chosen(row: Mapping[str, float]) -> Row:
    return {name: float(np.float64(row[name])) for name in _SHOWN}


_STUDIES: Mapping[str, Callable[[Sequence[int], int], Iterator[Row]]] = {
    "capacity": _capacity,
    "ablation": _ablation,
    "presets": _presets,
    "swapping": _swapping,
    "layered": _layered,
    "policies": _policies,
    "learned": _learned,
}

if __name__ == "__main__":
    main()
