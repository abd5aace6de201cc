"""What the tests of binary offloading share."""

import os
from pathlib import Path

import numpy as np
import pytest

from envs.binary_offload.draws import DATA_VARIABLE, FILES, FOLDER, file_name, load_draws
from envs.binary_offload.types import BinaryOffloadInstance, System


def build(seed, devices=None):
    """Draws an instance: channels over four decades, weights over one, and now and then another system."""
    rng = np.random.default_rng(seed)
    devices = int(rng.integers(1, 8)) if devices is None else devices
    weights = rng.choice([0.5, 1.0, 1.5, 4.0], devices) if rng.random() < 0.5 else rng.uniform(0.5, 5.0, devices)
    system = System() if rng.random() < 0.7 else System(power=10.0, bandwidth=1e5, noise=1e-12, cycles_per_bit=20.0)
    return BinaryOffloadInstance(f"drawn_{seed}", 10.0 ** rng.uniform(-8, -4, devices), weights, system)


@pytest.fixture(scope="session", name="build")
def build_fixture():
    """Returns `build`."""
    return build


@pytest.fixture(scope="session", name="draws")
def draws_fixture():
    """Returns `load_draws`; skips the test where the files are not there."""
    folder = Path(os.environ.get(DATA_VARIABLE, ""), FOLDER)
    if DATA_VARIABLE not in os.environ or not all((folder / file_name(devices)).is_file() for devices in FILES):
        pytest.skip(f"{DATA_VARIABLE} names no folder with {FOLDER}")
    return load_draws
