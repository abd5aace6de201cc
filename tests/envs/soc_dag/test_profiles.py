"""Profiles: the published tables."""

import numpy as np
import pytest

from envs.core import UsageError
from envs.soc_dag.profiles import PROFILES, canonical, load_profile, single_job, with_job_types

# Topcuoglu, Hariri and Wu (2002), Table 1 and Figure 2.
TIMES = [
    [14, 16, 9], [13, 19, 18], [11, 13, 19], [13, 8, 17], [12, 13, 10],
    [13, 16, 9], [7, 15, 11], [5, 11, 14], [18, 12, 20], [21, 7, 16],
]  # fmt: skip
EDGES = {
    (0, 1): 18, (0, 2): 12, (0, 3): 9, (0, 4): 11, (0, 5): 14, (1, 7): 19, (1, 8): 16, (2, 6): 23, (3, 7): 27,
    (3, 8): 23, (4, 8): 13, (5, 7): 15, (6, 9): 17, (7, 9): 11, (8, 9): 13,
}  # fmt: skip


def edges(job_type):
    return {
        (int(source), int(target)): volume
        for source, target, volume in zip(job_type.sources, job_type.targets, job_type.volumes, strict=True)
    }


def test_canonical_profile_is_the_published_table():
    profile = load_profile("canonical")
    assert [job_type.name for job_type in profile.job_types] == [f"Top_{i}" for i in range(1, 11)]
    for job_type in profile.job_types:
        np.testing.assert_array_equal(job_type.times, TIMES)
    assert edges(profile.job_types[0]) == EDGES
    off = ~np.eye(3, dtype=bool)
    assert (profile.chip.bandwidth[off] == 1).all()
    assert np.isinf(np.diag(profile.chip.bandwidth)).all()
    assert profile.chip.memory_bandwidth.tolist() == [2, 2, 2]
    assert profile.whole_ticks
    assert profile.objective == "mean_latency"


def test_canonical_jobs_have_one_head_and_one_tail():
    for job_type in load_profile("canonical").job_types:
        assert [task for task, before in enumerate(job_type.predecessors) if not before] == [0]
        assert [task for task, after in enumerate(job_type.successors) if not after] == [9]


@pytest.mark.parametrize(
    ("name", "tasks", "edge_count"),
    [
        ("wifi_tx", 27, 30),
        ("wifi_rx", 34, 37),
        ("range_detection", 7, 7),
        ("sc_tx", 8, 7),
        ("sc_rx", 8, 7),
        ("temporal_mitigation", 10, 12),
    ],
)
def test_released_applications_have_the_published_size(name, tasks, edge_count):
    job_type = single_job("ds3_released", name).job_types[0]
    assert (job_type.num_tasks, len(job_type.sources)) == (tasks, edge_count)


def test_pulse_doppler_has_64_pulses():
    job_type = single_job("ds3_paper", "pulse_doppler").job_types[0]
    assert (job_type.num_tasks, len(job_type.sources)) == (451, 640)
    realign = job_type.tasks.index("realign")
    assert len(job_type.predecessors[realign]) == len(job_type.successors[realign]) == 64


def time_of(profile, application, task):
    instance = single_job(profile, application)
    job_type = instance.job_types[0]
    row = job_type.times[job_type.tasks.index(task)]
    return {kind: time for kind, time in zip(instance.chip.kinds, row, strict=True) if np.isfinite(time)}


def test_times_of_kernels():
    assert time_of("ds3_released", "wifi_tx", "ifft_3") == {"A7": 296, "A15": 118, "FFT": 16}
    assert time_of("ds3_released", "wifi_rx", "viterbi_decoder") == {"A7": 1828, "A15": 739, "VIT": 2}
    assert time_of("ds3_released", "sc_rx", "viterbi_decoder") == {"A7": 3130, "A15": 987, "VIT": 2}
    assert time_of("ds3_released", "temporal_mitigation", "cmm_3") == {"A7": 210, "A15": 44, "MM": 22}
    assert time_of("ds3_released", "wifi_tx", "scrambler_encoder") == {"A7": 22, "A15": 10}
    assert time_of("ds3_paper", "wifi_tx", "scrambler_encoder") == {"A7": 22, "A15": 10, "SCE": 8}
    assert time_of("ds3_paper", "pulse_doppler", "amplitude_63") == {"A7": 70, "A15": 40}


def test_ds3_chips():
    released, paper = load_profile("ds3_released").chip, load_profile("ds3_paper").chip
    assert {kind: released.kinds.count(kind) for kind in released.kinds} == {
        "A7": 4, "A15": 4, "MM": 2, "FFT": 4, "VIT": 2,
    }  # fmt: skip
    assert {kind: paper.kinds.count(kind) for kind in paper.kinds} == {"A7": 4, "A15": 4, "SCE": 2, "FFT": 4, "VIT": 2}
    for chip in (released, paper):
        cpu, fft, viterbi = chip.kinds.index("A15"), chip.kinds.index("FFT"), chip.kinds.index("VIT")
        assert chip.bandwidth[cpu, fft] == chip.bandwidth[fft, cpu] == 10
        assert chip.bandwidth[cpu, viterbi] == chip.bandwidth[cpu, cpu + 1] == chip.bandwidth[fft, fft + 1] == 1000
        assert chip.active_power[chip.kinds.index("A15")] * 4 == pytest.approx(6.91)


def test_copies_are_written_out_chain_by_chain():
    tasks = single_job("ds3_released", "wifi_tx").job_types[0].tasks
    assert tasks[:7] == (
        "scrambler_encoder", "interleaver_1", "qpsk_1", "pilot_insertion_1", "ifft_1", "crc_1", "interleaver_2",
    )  # fmt: skip


def test_transfer_times_are_cut_to_whole_microseconds():
    instance = single_job("ds3_paper", "wifi_tx")
    cpu, fft = instance.chip.kinds.index("A15"), instance.chip.kinds.index("FFT")
    assert instance.transfer_time(80, fft, cpu) == 8
    assert instance.transfer_time(3000, cpu, cpu + 1) == 3
    assert instance.transfer_time(999, cpu, cpu + 1) == 0
    assert instance.transfer_time(3000, cpu, cpu) == 0


def test_canonical_streams():
    instance = canonical(5, 3)
    assert instance.name == "p5_q3"
    assert len(instance.job_types) == 5
    assert (instance.arrivals.mode, instance.arrivals.scale, instance.arrivals.window) == ("blocking", 25, 5000)
    assert canonical(1, 3, noise=0.3).name == "top_q3_noise0.3"
    assert canonical(1, 3, scale=50, window=100, mode="open", name="mine").name == "mine"


@pytest.mark.parametrize("count", [0, 11])
def test_canonical_has_ten_job_types(count):
    with pytest.raises(UsageError, match=f"job_types is {count}; expected 1 to 10"):
        canonical(count, 3)


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="no profile 'ds4'; expected one of canonical"):
        load_profile("ds4")
    with pytest.raises(UsageError, match="has no job type 'lte'; it has wifi_tx"):
        single_job("ds3_paper", "lte")


def test_some_job_types_of_a_profile():
    instance = with_job_types(load_profile("ds3_released"), ["wifi_rx", "wifi_tx"], [0.8, 0.2])
    assert [job_type.name for job_type in instance.job_types] == ["wifi_rx", "wifi_tx"]
    assert instance.arrivals.probabilities == (0.8, 0.2)
    assert instance.arrivals.limit == 12


def test_every_profile_loads_and_says_what_it_is():
    assert {load_profile(name).name for name in PROFILES} == set(PROFILES)
