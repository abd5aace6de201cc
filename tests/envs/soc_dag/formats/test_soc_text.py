"""DS3 and SoCRATES text: a chip file and job files in a folder."""

import numpy as np
import pytest

from envs.core import UsageError
from envs.soc_dag.instance import read_instance
from envs.soc_dag.profiles import load_profile
from tests.envs.soc_dag.formats.samples import assert_same

CHIP = """# a chip
add_new_resource CPU P1 0 1 2 performance
opp 600 900
scan 5 5
merge 4 4
scan 9 9
add_new_resource resource_type ACC_1 resource_name FFT resource_ID 7 capacity 2 num_supported_functionalities 1
power_profile 1000 0.1 0.15
power_profile 2000 0.2 0.3
scan 2
add_new_resource MEM M1 3 1 1 none
None 0 0
comm_band_self 10000
comm_band 0 7 10
comm_band 0 3 2
comm_band 3 3 0
"""
JOB = """job_name pair
add_new_tasks 2
scan 0
scan HEAD
scan earliest_start 0 deadline 3 input_vol 1 output_vol 2
merge 1 0
merge TAIL
merge earliest_start 0 deadline 3
comm_vol 0 1 30
"""


@pytest.fixture
def soc_folder(tmp_path):
    (tmp_path / "SoC.x.txt").write_text(CHIP)
    for number in (2, 10):
        (tmp_path / f"job_x{number}.txt").write_text(JOB.replace("pair", f"pair{number}"))
    (tmp_path / "notes.txt").write_text("nothing of interest")
    return tmp_path


def test_soc_text_folder(soc_folder):
    instance = read_instance(soc_folder)
    assert [job_type.name for job_type in instance.job_types] == ["pair2", "pair10"]
    chip, job = instance.chip, instance.job_types[0]
    assert chip.processors == ("P1", "FFT_0", "FFT_1")
    assert chip.bandwidth.tolist() == [[np.inf, 10, 10], [10, np.inf, 1], [10, 1, np.inf]]
    assert chip.memory_bandwidth.tolist() == [2, 1, 1]
    assert chip.active_power.tolist() == [1, 0.15, 0.15]
    assert job.times.tolist() == [[5, 2, 2], [4, np.inf, np.inf]]  # of two times the first counts
    assert (job.sources.tolist(), job.targets.tolist(), job.volumes.tolist()) == ([0], [1], [30])
    assert (instance.arrivals.mode, instance.arrivals.limit, instance.whole_ticks) == ("blocking", 3, True)


def test_soc_text_files(soc_folder):
    assert len(read_instance(soc_folder / "SoC.x.txt").job_types) == 2
    single = read_instance(soc_folder / "job_x2.txt")
    assert (single.name, single.arrivals.mode, single.objective) == ("job_x2", "static", "makespan")


def test_published_socrates_files_are_the_canonical_profile(data):
    instance = read_instance(data / "socrates_mit")
    assert_same(instance, load_profile("canonical"), ignore=("name", "chip"))
    assert_same(instance.chip, load_profile("canonical").chip, ignore=("name",))


BAD_SOC = {
    "time": ("SoC.x.txt", CHIP.replace("merge 4 4", "merge four"), "line 5: time of merge is 'four'"),
    "no time": ("SoC.x.txt", CHIP.replace("merge 4 4", "merge"), "line 5: task 'merge' has no execution time"),
    "capacity": ("SoC.x.txt", CHIP.replace("capacity 2", "capacity 0"), "line 7: capacity is 0"),
    "same id": ("SoC.x.txt", CHIP.replace("resource_ID 7", "resource_ID 0"), "resource id 0 is used twice"),
    "unknown id": ("SoC.x.txt", CHIP.replace("comm_band 0 7", "comm_band 0 8"), "line 14: comm_band names resource 8"),
    "no bandwidth": ("SoC.x.txt", CHIP.replace("comm_band 0 7 10", "comm_band 0 7 0"), "comm_band is 0 between"),
    "two chips": ("second.txt", CHIP, "has 2 chip files"),
    "task count": ("job_x2.txt", JOB.replace("add_new_tasks 2", "add_new_tasks 3"), "has 2 tasks; expected 3"),
    "task id": ("job_x2.txt", JOB.replace("merge 1 0", "merge 2 0"), "line 6: task id is 2; expected 1"),
    "predecessor": ("job_x2.txt", JOB.replace("merge 1 0", "merge 1 5"), "task merge has predecessor 5"),
    "volume": ("job_x2.txt", JOB.replace("comm_vol 0 1 30", "comm_vol 0 1"), "line 9: volume is ''"),
    "no edge": ("job_x2.txt", JOB.replace("comm_vol 0 1", "comm_vol 1 0"), "comm_vol 1 0 belongs to no dependency"),
    "unsupported": ("job_x2.txt", JOB.replace("merge", "sort"), "task sort of job type pair"),
}


@pytest.mark.parametrize(("name", "text", "expected"), BAD_SOC.values(), ids=BAD_SOC.keys())
def test_mistakes_in_soc_text(soc_folder, name, text, expected):
    (soc_folder / name).write_text(text)
    with pytest.raises(UsageError) as error:
        read_instance(soc_folder)
    assert expected in str(error.value)
    assert str(soc_folder) in str(error.value)


def test_folder_without_jobs(tmp_path):
    (tmp_path / "SoC.x.txt").write_text(CHIP)
    with pytest.raises(UsageError, match=r"has no job files \(with add_new_tasks\)"):
        read_instance(tmp_path)
