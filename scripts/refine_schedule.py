"""Turns the log of a training into a learning-rate schedule for the next one (experimental).

    python scripts/refine_schedule.py runs/job_shop_ppo --output schedule.json
    python scripts/train.py agent.settings.schedule=schedule.json

Every learner but SAC logs the norms of its gradients before clipping. From them follows the schedule for which the
last iterate's guarantee would have been best (Defazio et al. 2023, arXiv 2310.07831). The theory is of convex problems,
and gradients in reinforcement learning change with the policy: compare with the linear schedule over several seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from agents.schedule import SUFFIX, refine
from envs.core import UsageError
from envs.core.errors import exit_on_usage_error
from envs.core.files import write_text

POWERS = {"l1": 1.0, "l2": 2.0}
STEP, CLIPPED = "time/total_timesteps", "train/gradient_clipped_share"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder of the training, with progress_*.csv")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help=f"schedule to write, {SUFFIX}")
    parser.add_argument("--norm", choices=sorted(POWERS), default="l1", help="l1 for Adam (default), l2 for plain SGD")
    options = parser.parse_args(arguments)
    exit_on_usage_error(lambda: run(options.run, options.output, str(options.norm)))


def run(folder: Path, output: Path, norm: str) -> None:
    """Writes the schedule and says what it looks like.

    Raises:
        UsageError: The output has another suffix, or the log does not hold enough norms.
    """
    if output.suffix != SUFFIX:
        raise UsageError(f"--output is {output}; expected a name that ends in {SUFFIX}")
    rows = read_log(folder)
    name = f"train/gradient_{norm}"
    norms = [float(row[name]) for row in rows if row.get(name)]
    norms = [value for value in norms if math.isfinite(value) and value > 0.0]
    if len(norms) < 2:
        raise UsageError(f"{folder} logs {len(norms)} values of {name}; expected at least 2")
    clipped = [float(row[CLIPPED]) for row in rows if row.get(CLIPPED)]
    factors = refine(norms, POWERS[norm]).round(6)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, json.dumps({"norm": norm, "updates": len(norms), "factors": factors.tolist()}) + "\n")
    print(f"{output}: {len(norms)} updates, largest after {100 * int(factors.argmax()) / (len(norms) - 1):.0f} %")
    share = sum(clipped) / max(len(clipped), 1)
    if share > 0.5:
        print(
            f"warning: {100 * share:.0f} % of the gradients were clipped, so that steps did not follow them in length "
            "as the theory assumes",
            file=sys.stderr,
        )


def read_log(folder: Path) -> list[dict[str, str]]:
    """Returns the rows of a training's log in order; what an interrupted run did twice counts once.

    Raises:
        UsageError: There is no log.
    """
    begins = re.compile(r"progress_(\d+)\.csv")
    found = [(int(match[1]), path) for path in folder.glob("progress_*.csv") if (match := begins.fullmatch(path.name))]
    if not found:
        raise UsageError(f"{folder} has no progress_*.csv; expected the folder of a training")
    rows: list[dict[str, str]] = []
    for start, path in sorted(found):
        rows = [row for row in rows if float(row[STEP]) <= start]
        with path.open(encoding="utf-8", newline="") as handle:
            rows.extend(row for row in csv.DictReader(handle) if row.get(STEP))
    return rows


if __name__ == "__main__":
    main()
