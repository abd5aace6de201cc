"""What is drawn around a workflow that has one runtime a task."""

from dataclasses import replace

import numpy as np
import pytest

from envs.core import UsageError
from envs.soc_dag.formats.synthesis import GIGABIT, Synthesis
from envs.soc_dag.instance import read_instance
from tests.envs.soc_dag.formats.samples import STG, WFCOMMONS, assert_same, write_json


def test_execution_times_are_drawn_around_the_runtime(tmp_path):
    (tmp_path / "g.stg").write_text(STG)
    options = Synthesis(processors=50, heterogeneity=1.0, seed=3)
    instance = read_instance(tmp_path / "g.stg", options)
    times = instance.job_types[0].times[1]
    assert instance.name == "g_p50_h1_s3"
    assert times.min() >= 2
    assert times.max() <= 6
    assert times.std() > 0.5
    assert_same(instance, read_instance(tmp_path / "g.stg", options))
    other = read_instance(tmp_path / "g.stg", replace(options, seed=4))
    assert (other.job_types[0].times[1] != times).any()


def mean_ratio(instance):
    job = instance.job_types[0]
    transfers = [instance.transfer_time(volume, 0, 1) for volume in job.volumes]
    return np.mean(transfers) / job.times.mean()


def test_ratio_of_communication_to_computation(tmp_path):
    path = write_json(tmp_path / "w.json", WFCOMMONS)
    assert mean_ratio(read_instance(path, Synthesis(ccr=2.0))) == pytest.approx(2.0)
    assert read_instance(path, Synthesis(ccr=2.0)).name == "w_p8_h0.5_ccr2_s0"
    assert read_instance(path).chip.bandwidth[0, 1] == GIGABIT
    assert read_instance(path, Synthesis(bandwidth=7.0)).chip.bandwidth[0, 1] == 7
    (tmp_path / "g.stg").write_text(STG)
    drawn = read_instance(tmp_path / "g.stg", Synthesis(ccr=5.0))
    bound = 2 * 5 * drawn.job_types[0].times.mean()
    assert 0 < drawn.job_types[0].volumes.max() <= bound


@pytest.mark.parametrize(
    "options",
    [
        {"processors": 0},
        {"heterogeneity": 3.0},
        {"bandwidth": 0.0},
        {"ccr": -1.0},
        {"ccr": 1.0, "bandwidth": 1.0},
        {"seed": -1},
    ],
)
def test_options_out_of_range(options):
    with pytest.raises(UsageError, match="expected"):
        Synthesis(**options)
