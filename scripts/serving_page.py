"""Tables and the picture of docs/serving.md, made from the committed results of scripts/serving_study.py."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agents.evaluation.statistics import stratified_bootstrap
from envs.core.files import atomic_path
from envs.serving.presets import PRESETS
from scripts.markdown import table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "serving"

Row = dict[str, str]


def preset_table(_: str) -> str:
    """The schedulers with their sources."""
    return table(("preset", "what it is"), ((f"`{name}`", preset.source) for name, preset in PRESETS.items()))


def results_tables(_: str) -> str:
    """All studies, each with the command that made it."""
    sections = (
        ("A measured vLLM run", "validation", _validation),
        ("Load within a promise", "capacity", _capacity),
        ("Sarathi-Serve taken apart", "ablation", _ablation),
        ("Swapping", "swapping", _swapping),
        ("Layered prefill", "layered", _layered),
        ("All schedulers", "presets", _presets),
        ("Trained policies on the same workloads", "policies", _policies),
        ("Trained policies against the best fixed rule", "learned", _learned),
    )
    parts = []
    for title, name, make in sections:
        rows = read_rows(name)
        parts.append(f"### {title}\n\n{make(rows)}\n`{rows[0]['command']}`\n")
    return "\n".join(parts)


def read_rows(name: str) -> list[Row]:
    """Returns the rows of a study."""
    with open(RESULTS / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _validation(rows: Sequence[Row]) -> str:
    text = (
        "300 ShareGPT requests on an RTX PRO 6000, vLLM 0.19 with Llama-3.1-8B (run and profile published by "
        "LLMServingSim). The profile was fitted to kernel times, never to the run; the engine's overhead of 0.4 ms was "
        "fixed beforehand. Seconds, and the error of the simulation in percent; `roofline` uses the data "
        "sheet alone.\n\n"
    )
    runs = list(dict.fromkeys(row["run"] for row in rows))
    cells = []
    for metric in dict.fromkeys(row["metric"] for row in rows):
        found = {row["run"]: row for row in rows if row["metric"] == metric}
        errors = [f"{float(found[run]['error_percent']):+.1f} %" for run in runs]
        cells.append((metric, f"{float(found[runs[0]]['measured']):.4g}", *errors))
    return text + table(("statistic", "measured", *(run.split()[-1] for run in runs)), cells)


def _capacity(rows: Sequence[Row]) -> str:
    text = (
        "The highest rate at which the 99th percentile of the gaps between tokens and the median scheduling "
        "delay (2 s) "
        "stay within the promise, Llama-3-8B on one A100, ShareGPT lengths; means over seeds with 95 % bootstrap "
        "intervals. Sarathi-Serve reports 2.6 times vLLM and 2.78 times Orca for Mistral-7B under the strict "
        "promise.\n\n"
    )
    cells = []
    for promise, scheduler in _keys(rows, "promise", "scheduler"):
        chosen = [row for row in rows if (row["promise"], row["scheduler"]) == (promise, scheduler)]
        limit = float(chosen[0]["tbt_p99_limit"])
        rate = _interval([float(row["requests_per_second"]) for row in chosen])
        ratio = _interval([float(row["sarathi_over_it"]) for row in chosen])
        cells.append((f"{promise} ({limit:g} s)", scheduler, rate, ratio))
    return text + table(("promise", "scheduler", "requests/s", "Sarathi over it"), cells)


def _ablation(rows: Sequence[Row]) -> str:
    text = (
        "Yi-34B on two A100 by data sheet, at three quarters of the load that both parts together bear. The paper's "
        "order (table 4): the median TTFT is shortest with hybrid batches alone and longest with chunks alone; the "
        "99th percentile of TBT is largest with hybrid batches alone and smallest with both.\n\n"
    )
    cells = [
        (
            workload,
            scheduler,
            *(_of(rows, name, workload=workload, scheduler=scheduler) for name in ("ttft_p50", "tbt_p99")),
        )
        for workload, scheduler in _keys(rows, "workload", "scheduler")
    ]
    return text + table(("workload", "scheduler", "TTFT P50 (s)", "TBT P99 (s)"), cells)


def _swapping(rows: Sequence[Row]) -> str:
    text = (
        "Conversations with priorities that change every 25 iterations, Llama-3-8B on an A10. FastSwitch reports tail "
        "TTFT 1.4 to 5.8 times and P99.9 TBT up to 11.2 times better than vLLM with swapping; the factors "
        "here are those "
        "of the means over seeds.\n\n"
    )
    cells = []
    for trace, rate, scheduler in _keys(rows, "trace", "rate", "scheduler"):
        where = {"trace": trace, "rate": rate}
        values = []
        for name in ("ttft_p99", "tbt_p99_9", "stall_seconds"):
            found = _mean(rows, name, scheduler=scheduler, **where)
            base = _mean(rows, name, scheduler="priority_swap", **where)
            values.append(f"{found:.3g} ({base / found:.1f}×)")
        cells.append((trace, rate, scheduler, *values))
    return text + table(("priorities", "rate", "scheduler", "TTFT P99 (s)", "TBT P99.9 (s)", "stalled (s)"), cells)


def _layered(rows: Sequence[Row]) -> str:
    text = (
        "Two H100 by data sheet. The paper reports a lower TTFT and TBT than chunks of 512 tokens on the mixture of "
        "experts, expert traffic of 21.7 instead of 35.6 TB on arXiv prompts of mean 9,194 tokens (here at "
        "most 4,096), "
        "and a loss on a dense model.\n\n"
    )
    cells = []
    for model, workload, rate, scheduler in _keys(rows, "model", "workload", "rate", "scheduler"):
        where = {"model": model, "workload": workload, "rate": rate, "scheduler": scheduler}
        traffic = _mean(rows, "expert_bytes", **where) / 1e12
        values = [_of(rows, name, **where) for name in ("ttft_mean", "tbt_mean", "tbt_p99")]
        cells.append((model, workload, rate, scheduler, *values, f"{traffic:.0f}" if traffic else "–"))
    header = ("model", "workload", "rate", "scheduler", "TTFT (s)", "TBT (s)", "TBT P99 (s)", "experts (TB)")
    return text + table(header, cells)


def _presets(rows: Sequence[Row]) -> str:
    text = (
        "Llama-3-8B on one A100, promises of 2 s and 0.1 s; means over seeds. `priority_swap` and "
        "`fastswitch` serve by "
        "changing priorities, which the measures of all requests do not reward. The picture has the trained policies "
        "too.\n\n"
        "![Median time to the first token and tail time between tokens of all "
        "schedulers](images/serving_pareto.svg)\n\n"
    )
    return text + _schedulers([row for row in rows if row["rate"] == _middle_rate(rows, row["workload"])])


def _policies(rows: Sequence[Row]) -> str:
    text = (
        "The policies of `checkpoints/` at the middle load, in the place of one decision of an engine like "
        "`sarathi_512`. They were trained with other promises (1 s and 0.05 s) and fewer requests.\n\n"
    )
    return text + _schedulers(rows)


def _schedulers(rows: Sequence[Row]) -> str:
    names = ("ttft_p50", "ttft_p99", "tbt_p99", "attainment", "fairness", "preemptions")
    cells = [
        (
            workload,
            rate,
            f"`{name}`",
            *(_of(rows, each, workload=workload, rate=rate, scheduler=name) for each in names),
        )
        for workload, rate, name in _keys(rows, "workload", "rate", "scheduler")
    ]
    header = (
        "workload",
        "rate",
        "scheduler",
        "TTFT P50",
        "TTFT P99",
        "TBT P99",
        "attainment",
        "fairness",
        "preemptions",
    )
    return table(header, cells)


def _learned(rows: Sequence[Row]) -> str:
    text = (
        "The mean loss of the trained policy and of the fixed rule that is best on the whole benchmark, as known "
        "afterwards; the difference on the same instances with its 95 % bootstrap interval, below 0 where the policy "
        "is better. The workloads are named by their lengths and requests a second; training sees ShareGPT lengths "
        "only.\n\n"
    )
    cells = []
    for row in rows:
        numbers = {name: float(row[name]) for name in ("policy_objective", "rule_objective", "difference")}
        interval = f"{numbers['difference']:+.4f} ({float(row['low']):+.4f} to {float(row['high']):+.4f})"
        objectives = (f"{numbers['policy_objective']:.4f}", f"{numbers['rule_objective']:.4f}")
        cells.append((row["task"], row["workload"], f"`{row['best_rule']}`", *objectives, interval))
    return text + table(("task", "workload", "best rule", "policy", "rule", "difference"), cells)


def draw_pareto(path: Path) -> None:
    """Draws median TTFT against the tail of TBT for every scheduler, one panel a workload."""
    import matplotlib
    from matplotlib.figure import Figure

    rows = read_rows("presets")
    policies = read_rows("policies")
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, len(workloads), squeeze=False)[0]
    for axes, workload in zip(panels, workloads, strict=True):
        rate = _middle_rate(rows, workload)
        shown = [row for row in (*rows, *policies) if row["workload"] == workload and row["rate"] == rate]
        for name in dict.fromkeys(row["scheduler"] for row in shown):
            x, y = (_mean(shown, measure, scheduler=name) for measure in ("ttft_p50", "tbt_p99"))
            axes.plot(x, y, "*" if name.startswith("serving_") else "o", markersize=4)
            axes.annotate(name, (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(f"{workload}, {rate} requests/s", fontsize=10)
        axes.set_xlabel("TTFT, median (s)")
        axes.set_ylabel("TBT, 99th percentile (s)")
    with atomic_path(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "serving"}):
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def _middle_rate(rows: Sequence[Row], workload: str) -> str:
    rates = list(dict.fromkeys(row["rate"] for row in rows if row["workload"] == workload))
    return rates[len(rates) // 2]


def _keys(rows: Sequence[Row], *names: str) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(tuple(row[name] for name in names) for row in rows))


def _values(rows: Sequence[Row], measure: str, where: dict[str, str]) -> list[float]:
    return [float(row[measure]) for row in rows if all(row[name] == value for name, value in where.items())]


def _mean(rows: Sequence[Row], measure: str, **where: str) -> float:
    return float(np.mean(_values(rows, measure, where)))


def _of(rows: Sequence[Row], measure: str, **where: str) -> str:
    return f"{_mean(rows, measure, **where):.3g}"


def _interval(values: Sequence[float]) -> str:
    """Mean with a 95 % bootstrap interval."""
    found = stratified_bootstrap(values)
    return f"{found.estimate:.2f} ({found.low:.2f} to {found.high:.2f})"
