"""Writes a trained policy as one ONNX file, after comparing it with PyTorch on many states.

    python scripts/export.py checkpoint=runs/job_shop_demo/policy output=policy.onnx

What the file expects and returns: docs/deploying.md. All options: conf/export.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from envs.core import UsageError
from envs.core.errors import exit_on_usage_error
from scripts.hydra_command import run_command


def main() -> None:
    """Runs the command line."""
    run_command("export", _hydra_main)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="export")
def _hydra_main(config: DictConfig) -> None:
    settings = OmegaConf.to_container(config)
    assert isinstance(settings, dict)
    exit_on_usage_error(lambda: run({str(key): value for key, value in settings.items()}))


def run(settings: Mapping[str, Any]) -> None:
    """Exports as the settings of conf/export.yaml say.

    Raises:
        UsageError: A setting is missing, or the checkpoint cannot be exported.
    """
    for name in ("checkpoint", "output"):
        if settings[name] in (None, "???"):
            raise UsageError(f"{name} is missing; expected checkpoint=FOLDER output=FILE.onnx")
    checkpoint, output = Path(str(settings["checkpoint"])), Path(str(settings["output"]))
    if output.is_dir():
        raise UsageError(f"output {output} is a folder; expected the name of a file")
    from agents.checkpoint import load_checkpoint
    from agents.export import export_onnx

    parity = export_onnx(load_checkpoint(checkpoint), output, str(checkpoint))
    print(
        f"{output} ({output.stat().st_size / 1e6:.1f} MB) agrees with PyTorch on {parity.states} decisions: "
        f"logits differ by at most {parity.max_difference:.1e}, the best candidate is always the same"
    )


if __name__ == "__main__":
    main()
