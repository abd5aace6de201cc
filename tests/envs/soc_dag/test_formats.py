"""Readers and the writer: published files, round trips, and mistakes that name file, field and value."""

import json
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.soc_dag.formats.synthesis import GIGABIT, Synthesis
from envs.soc_dag.formats.yaml_format import dump_instance, write_yaml
from envs.soc_dag.generators import SCENARIOS
from envs.soc_dag.instance import read_instance
from envs.soc_dag.profiles import PROFILES, load_profile
from envs.soc_dag.types import Failures

PLAIN = Synthesis(processors=1, heterogeneity=0.0)


@pytest.fixture
def data():
    """The folder with published files."""
    folder = Path(os.environ.get("DISPATCHLAB_DATA", "")) / "soc"
    if "DISPATCHLAB_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("DISPATCHLAB_DATA names no folder with soc/")
    return folder


def assert_same(first, second, ignore=()):
    """Two instances, chips or job types hold the same values."""
    for field in fields(first):
        if field.name in ignore:
            continue
        here, there = getattr(first, field.name), getattr(second, field.name)
        if field.name == "job_types":
            assert len(here) == len(there)
            for one, other in zip(here, there, strict=True):
                assert_same(one, other)
        elif field.name == "chip":
            assert_same(here, there)
        elif isinstance(here, np.ndarray):
            np.testing.assert_array_equal(here, there)
        else:
            assert here == there, field.name


# ---- YAML


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_survive_a_round_trip(tmp_path, name):
    profile = load_profile(name)
    write_yaml(profile, tmp_path / "x.yaml")
    assert_same(read_instance(tmp_path / "x.yaml"), profile)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(SCENARIOS)), st.integers(0, 2**32))
def test_drawn_instances_survive_a_round_trip(tmp_path_factory, name, seed):
    instance = replace(
        SCENARIOS[name](np.random.default_rng(seed)), transfer="shared_memory", failures=Failures(1000.0, 10.5)
    )
    path = tmp_path_factory.mktemp("yaml") / "x.yml"
    path.write_text(dump_instance(instance))
    assert_same(read_instance(path), instance)


HAND_WRITTEN = """
format: soc_dag/1
chip:
  processors:
    - {kind: CPU, count: 2, active_power: 2}
    - {name: acc, kind: FFT, idle_power: 0.5}
  bandwidth: {default: 4, between: [{source: CPU, target: acc, value: 2}]}
  latency: [[0, 1, 2], [1, 0, 2], [2, 2, 0]]
  memory_bandwidth: [1, 2, 3]
kernels:
  transform: {CPU: 8, CPU_1: 6, acc: 1}
job_types:
  - name: radio
    tasks: {head: {CPU: 3}, "fft_[1-2]": transform, "mix_[1-2]": {CPU: 2}, tail: [5, null, 7]}
    edges: [[head, "fft_[1-2]", 10], ["fft_[1-2]", "mix_[1-2]", 20], ["mix_[1-2]", tail]]
  - {name: other, tasks: [{name: "a[1-2]", times: [1, 2, 3]}]}
arrivals: {releases: [[radio, 0], [1, 2.5]]}
"""


def test_hand_written_file(tmp_path):
    (tmp_path / "mine.yaml").write_text(HAND_WRITTEN)
    instance = read_instance(tmp_path / "mine.yaml")
    chip, radio = instance.chip, instance.job_types[0]
    assert instance.name == "mine"
    assert chip.processors == ("CPU_0", "CPU_1", "acc")
    assert chip.kinds == ("CPU", "CPU", "FFT")
    assert chip.active_power.tolist() == [2, 2, 1]
    assert chip.idle_power.tolist() == [0, 0, 0.5]
    assert chip.bandwidth.tolist() == [[np.inf, 4, 2], [4, np.inf, 2], [2, 2, np.inf]]
    assert chip.latency.tolist() == [[0, 1, 2], [1, 0, 2], [2, 2, 0]]
    assert chip.memory_bandwidth.tolist() == [1, 2, 3]
    assert radio.tasks == ("head", "fft_1", "mix_1", "fft_2", "mix_2", "tail")
    assert radio.times.tolist() == [
        [3, 3, np.inf], [8, 6, 1], [2, 2, np.inf], [8, 6, 1], [2, 2, np.inf], [5, np.inf, 7],
    ]  # fmt: skip
    edges = zip(radio.sources.tolist(), radio.targets.tolist(), radio.volumes.tolist(), strict=True)
    assert list(edges) == [(0, 1, 10), (0, 3, 10), (1, 2, 20), (3, 4, 20), (2, 5, 0), (4, 5, 0)]
    assert instance.job_types[1].tasks == ("a[1-2]",)  # names in a list are taken as they are
    assert instance.arrivals.releases == ((0, 0.0), (1, 2.5))


def test_the_example_of_the_documentation_is_an_instance(tmp_path):
    page = Path(__file__).parents[3] / "docs" / "soc_dag_formats.md"
    example = page.read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "example.yaml").write_text(example)
    instance = read_instance(tmp_path / "example.yaml")
    assert instance.chip.num_processors == 5
    assert (instance.job_types[0].num_tasks, len(instance.job_types[0].sources)) == (11, 10)


def test_included_kernels_and_job_types(tmp_path):
    (tmp_path / "library.yaml").write_text(
        "format: soc_dag/1\nkernels: {k: {P: 5}}\n"
        "job_types: [{name: one, tasks: {a: k}}, {name: two, tasks: {a: k, b: k}, edges: [[a, b, 1]]}]\n"
    )
    (tmp_path / "chip.yaml").write_text(
        "format: soc_dag/1\ninclude: library.yaml\nchip: {processors: [{name: P}]}\n"
        "kernels: {k: {P: 6}}\njob_types: [two, {name: own, tasks: {x: k}}]\n"
    )
    instance = read_instance(tmp_path / "chip.yaml")
    assert [job_type.name for job_type in instance.job_types] == ["two", "own"]
    assert instance.job_types[0].times.tolist() == [[6], [6]]


BAD_YAML = {
    "no YAML": ("a: [1", "is not YAML"),
    "no mapping": ("- 1", "the file is [1]; expected a mapping"),
    "other format": ("format: other/1", "format is 'other/1'; expected 'soc_dag/1'"),
    "unknown field": (HAND_WRITTEN + "colour: red", "unknown field colour"),
    "no chip": ("format: soc_dag/1", "field chip is missing"),
    "bandwidth text": (HAND_WRITTEN.replace("default: 4", "default: fast"), "chip.bandwidth.default is 'fast'"),
    "bandwidth zero": (HAND_WRITTEN.replace("default: 4", "default: 0"), "bandwidth of chip chip is 0 somewhere"),
    "unknown kind": (HAND_WRITTEN.replace("source: CPU", "source: GPU"), "between[0].source is 'GPU'"),
    "latency shape": (HAND_WRITTEN.replace(", [2, 2, 0]]", "]"), "expected 3 rows of 3 numbers"),
    "memory": (HAND_WRITTEN.replace("[1, 2, 3]\nkernels", "[1, 2]\nkernels"), "chip.memory_bandwidth has 2 numbers"),
    "no count": (HAND_WRITTEN.replace("count: 2", "count: 0"), "chip.processors[0].count is 0"),
    "unknown kernel": (HAND_WRITTEN.replace('2]": transform', '2]": filter'), "job_types[0].tasks.fft_1 is 'filter'"),
    "negative time": (HAND_WRITTEN.replace("head: {CPU: 3}", "head: {CPU: -3}"), "tasks.head.CPU is -3"),
    "nan": (HAND_WRITTEN.replace("head: {CPU: 3}", "head: {CPU: .nan}"), "tasks.head.CPU is nan"),
    "nobody can": (HAND_WRITTEN.replace("head: {CPU: 3}", "head: {GPU: 3}"), "task head of job type radio"),
    "times short": (HAND_WRITTEN.replace("[5, null, 7]", "[5, 7]"), "tasks.tail has 2 times"),
    "unknown task": (HAND_WRITTEN.replace("[head, ", "[start, "), "edges[0] names task 'start'"),
    "edge number": (HAND_WRITTEN.replace("[head, ", "[9, "), "edges[0] names task 9; expected 0 to 5"),
    "edge short": (HAND_WRITTEN.replace('["mix_[1-2]", tail]', "[tail]"), "edges[2] is ['tail']"),
    "cycle": (HAND_WRITTEN.replace('["mix_[1-2]", tail]', '["mix_[1-2]", head]'), "form a cycle"),
    "bad range": (HAND_WRITTEN.replace('"fft_[1-2]": ', '"fft_[2-1]": '), "'fft_[2-1]' has a bad range"),
    "unknown job": (HAND_WRITTEN.replace("[[radio, 0]", "[[phone, 0]"), "releases[0] names job type 'phone'"),
    "mode": (HAND_WRITTEN.replace("{releases", "{mode: often, releases"), "arrivals.mode is 'often'"),
    "noise": (HAND_WRITTEN + "noise: -1", "noise is -1"),
    "flag": (HAND_WRITTEN + "whole_ticks: 1", "whole_ticks is 1; expected true or false"),
    "include away": (HAND_WRITTEN + "include: ../x.yaml", "include is '../x.yaml'"),
    "missing include": (HAND_WRITTEN + "include: x.yaml", "x.yaml: cannot read the instance file"),
}


def refused(path):
    """The message of the error; it is one sentence that begins with a path."""
    with pytest.raises(UsageError) as error:
        read_instance(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path.parent) in message
    return message


@pytest.mark.parametrize(("text", "expected"), BAD_YAML.values(), ids=BAD_YAML.keys())
def test_mistakes_in_yaml(tmp_path, text, expected):
    (tmp_path / "bad.yaml").write_text(text)
    assert expected in refused(tmp_path / "bad.yaml")


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from([".yaml", ".json", ".xml", ".stg", ".txt"]))
def test_any_text_is_an_instance_or_a_usage_error(tmp_path_factory, text, suffix):
    path = tmp_path_factory.mktemp("any") / f"x{suffix}"
    path.write_text(text, encoding="utf-8", errors="replace")
    refused(path)


@settings(deadline=None)
@given(st.data())
def test_damaged_files_are_an_instance_or_a_usage_error(tmp_path_factory, data):
    """Any value of a good file is replaced by something else."""
    suffix, good = data.draw(st.sampled_from([(".json", WFCOMMONS), (".json", SAGA)]))
    damaged = json.loads(json.dumps(good))
    places = []

    def walk(node):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(damaged)
    node, key = data.draw(st.sampled_from(places))
    node[key] = data.draw(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]) | st.just({})
    )
    path = tmp_path_factory.mktemp("damaged") / f"x{suffix}"
    path.write_text(json.dumps(damaged))
    try:
        instance = read_instance(path)
    except UsageError as error:
        assert str(path) in str(error)
        return
    assert instance.job_types[0].num_tasks >= 1


# ---- DS3 and SoCRATES text

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


# ---- workflows with one runtime a task

WFCOMMONS = {
    "workflow": {
        "specification": {
            "tasks": [
                {"id": "a", "name": "a", "parents": [], "children": ["b", "c"], "outputFiles": ["x", "y"]},
                {"id": "b", "name": "b", "parents": ["a"], "children": [], "inputFiles": ["x", "y"]},
                {"id": "c", "name": "c", "parents": ["a"], "children": [], "inputFiles": ["x", "z"]},
            ],
            "files": [{"id": "x", "sizeInBytes": 10}, {"id": "y", "sizeInBytes": 5}, {"id": "z", "sizeInBytes": 7}],
        },
        "execution": {
            "tasks": [{"id": name, "runtimeInSeconds": time} for name, time in (("a", 1), ("b", 2), ("c", 3))]
        },
    }
}
OLD_WFCOMMONS = {
    "workflow": {
        "tasks": [
            {
                "name": "a",
                "runtime": 1.5,
                "parents": [],
                "files": [{"link": "output", "name": "x", "size": 8}],
            },
            {
                "name": "b",
                "runtimeInSeconds": 2,
                "parents": ["a"],
                "files": [{"link": "input", "name": "x", "sizeInBytes": 8}],
            },
        ]
    }
}


def write_json(path, data):
    path.write_text(json.dumps(data))
    return path


def test_wfcommons_edges_carry_the_shared_files(tmp_path):
    job = read_instance(write_json(tmp_path / "w.json", WFCOMMONS), PLAIN).job_types[0]
    assert job.tasks == ("a", "b", "c")
    assert job.times.ravel().tolist() == [1, 2, 3]
    assert list(zip(job.sources.tolist(), job.targets.tolist(), job.volumes.tolist(), strict=True)) == [
        (0, 1, 15), (0, 2, 10),
    ]  # fmt: skip


def test_old_wfcommons_schema(tmp_path):
    job = read_instance(write_json(tmp_path / "w.json", OLD_WFCOMMONS), PLAIN).job_types[0]
    assert (job.times.ravel().tolist(), job.volumes.tolist()) == ([1.5, 2], [8])


@pytest.mark.parametrize(
    ("name", "tasks"),
    [("helloworld/helloworld-chain-5-chameleon", 5), ("helloworld/helloworld-forkjoin-10-chameleon", 10)],
)
def test_published_wfcommons_files(data, name, tasks):
    instance = read_instance(data / "wfinstances_lgpl3" / f"{name}.json")
    assert instance.job_types[0].num_tasks == tasks
    assert instance.chip.num_processors == 8
    assert instance.time_unit == "s"
    assert instance.name.endswith("_p8_h0.5_s0")


@pytest.mark.parametrize(
    ("name", "tasks", "edges", "runtime"),
    [
        ("Montage_25", 25, 45, None),
        ("Montage_50", 50, 106, None),
        ("Montage_100", 100, 233, 1_079),
        ("Montage_1000", 1000, 2485, None),
        ("Epigenomics_100", 100, None, 403_400),
        ("CyberShake_100", 100, None, 3_216),
        ("Epigenomics_46", 47, None, None),
        ("Sipht_60", 58, None, None),
        ("HEFT_paper", 10, 15, 14 + 13 + 11 + 13 + 12 + 13 + 7 + 5 + 18 + 21),
    ],
)
def test_published_dax_files(data, name, tasks, edges, runtime):
    job = read_instance(data / "workflowsim_dax" / "config" / "dax" / f"{name}.xml", PLAIN).job_types[0]
    assert job.num_tasks == tasks
    if edges is not None:
        assert len(job.sources) == edges
    if runtime is not None:
        assert job.times.sum() == pytest.approx(runtime, rel=1e-3)


def test_dax_of_the_heft_paper_has_its_volumes_in_units_of_125(data):
    job = read_instance(data / "workflowsim_dax" / "config" / "dax" / "HEFT_paper.xml", PLAIN).job_types[0]
    published = load_profile("canonical").job_types[0]
    ends = zip(published.sources.tolist(), published.targets.tolist(), published.volumes, strict=True)
    expected = {(source, target): 125 * volume for source, target, volume in ends}
    expected[2, 6] = 125 * 20  # 23 in the paper; a slip of that file
    assert expected == dict(zip(zip(job.sources.tolist(), job.targets.tolist(), strict=True), job.volumes, strict=True))
    np.testing.assert_array_equal(job.times[:, 0], published.times[:, 0])


DAX = """<adag><job id="a" runtime="1.5"><uses file="f" link="output" size="8"/></job>
<job id="b" runtime="2"><uses name="f" link="input" size="8"/></job>
<child ref="b"><parent ref="a"/></child></adag>"""

STG = """2
0 0 0
1 4 1 0   # first
2 6 1 0
3 0 2 1 2
# a comment
"""


def test_dax(tmp_path):
    (tmp_path / "d.dax").write_text(DAX)
    job = read_instance(tmp_path / "d.dax", PLAIN).job_types[0]
    assert (job.tasks, job.times.ravel().tolist(), job.volumes.tolist()) == (("a", "b"), [1.5, 2], [8])


def test_stg_counts_the_dummies_and_has_no_communication(tmp_path):
    for name in ("g.stg", "g.txt"):
        (tmp_path / name).write_text(STG)
        instance = read_instance(tmp_path / name, PLAIN)
        job = instance.job_types[0]
        assert job.times.ravel().tolist() == [0, 4, 6, 0]
        assert list(zip(job.sources.tolist(), job.targets.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 3), (2, 3)]
        assert not job.volumes.any()


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


# ---- SAGA and DAGBench

SAGA = {
    "name": "small",
    "task_graph": {
        "tasks": [{"name": "A", "cost": 6}, {"name": "B", "cost": 3}],
        "dependencies": [{"source": "A", "target": "B", "size": 4}],
    },
    "network": {
        "nodes": [{"name": "x", "speed": 2}, {"name": "y", "speed": 3}],
        "edges": [{"source": "x", "target": "y", "speed": 0.5}, {"source": "x", "target": "x", "speed": 1e9}],
    },
}


def test_saga_has_related_machines(tmp_path):
    instance = read_instance(write_json(tmp_path / "s.json", SAGA))
    assert instance.name == "small"
    assert instance.job_types[0].times.tolist() == [[3, 2], [1.5, 1]]
    assert instance.transfer_time(4, 1, 0) == 8
    assert instance.transfer_time(4, 0, 0) == 0


def test_published_dagbench_graphs(data):
    import yaml

    graphs = sorted((data / "dagbench_apache2").rglob("graph.json"))
    assert len(graphs) == 84
    for graph in graphs:
        stated = yaml.safe_load((graph.parent / "metadata.yaml").read_text())["graph_stats"]
        job = read_instance(graph).job_types[0]
        assert (job.num_tasks, len(job.sources)) == (stated["num_tasks"], stated["num_edges"]), graph


def changed(data, path, value):
    """A copy of JSON data with the value at ``path`` replaced, or removed if it is None."""
    data = json.loads(json.dumps(data))
    node = data
    for key in path[:-1]:
        node = node[key]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return data


TASK = ("workflow", "specification", "tasks")
BAD_JSON = {
    "neither": ({"a": 1}, "has neither a field workflow"),
    "list": ([1], "has neither a field workflow"),
    "no runtimes": (changed(WFCOMMONS, ("workflow", "execution"), None), "field workflow.execution is missing"),
    "runtime missing": (changed(WFCOMMONS, ("workflow", "execution", "tasks", 1), {"id": "q", "runtimeInSeconds": 1}),
                        "task 'b' has no runtime"),
    "runtime text": (changed(WFCOMMONS, ("workflow", "execution", "tasks", 1, "runtimeInSeconds"), "long"),
                     "workflow.execution.tasks[1].runtimeInSeconds is 'long'"),
    "parent": (changed(WFCOMMONS, (*TASK, 1, "parents"), ["q"]), "workflow.specification.tasks[1].parents names 'q'"),
    "cycle": (changed(WFCOMMONS, (*TASK, 1, "children"), ["a"]), "form a cycle"),
    "no tasks": (changed(WFCOMMONS, TASK, []), "has no tasks"),
    "same id": (changed(WFCOMMONS, (*TASK, 1, "id"), "a"), "two tasks of the same id"),
    "no cost": (changed(SAGA, ("task_graph", "tasks", 0, "cost"), None), "field task_graph.tasks[0].cost is missing"),
    "negative": (changed(SAGA, ("task_graph", "tasks", 0, "cost"), -1), "task_graph.tasks[0].cost is -1"),
    "same name": (changed(SAGA, ("task_graph", "tasks", 0, "name"), "B"), "task_graph.tasks[1].name is 'B' again"),
    "unknown": (changed(SAGA, ("task_graph", "dependencies", 0, "source"), "Q"), "dependencies[0].source is 'Q'"),
    "no network": (changed(SAGA, ("network",), None), "field network is missing"),
    "no link": (changed(SAGA, ("network", "edges"), []), "has no link with a speed between nodes 'x' and 'y'"),
    "speed": (changed(SAGA, ("network", "nodes", 0, "speed"), 0), "network.nodes has a speed of 0"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), BAD_JSON.values(), ids=BAD_JSON.keys())
def test_mistakes_in_json(tmp_path, content, expected):
    assert expected in refused(write_json(tmp_path / "bad.json", content))


BAD_TEXT = {
    "JSON": ("x.json", '{"a":\n 1,,}', "line 2: is not JSON"),
    "XML": ("x.xml", "<adag>\n<job></adag>", "line 2: is not XML"),
    "XML root": ("x.xml", "<dag/>", "the root element is 'dag'; expected 'adag'"),
    "DAX runtime": ("x.xml", DAX.replace('"1.5"', '"-1"'), "runtime of job a is -1.0"),
    "DAX no runtime": ("x.xml", DAX.replace('runtime="1.5"', ""), "attribute runtime of job a is missing"),
    "DAX size": ("x.xml", DAX.replace('"8"', '"big"', 1), "size of 'f' in job a is 'big'"),
    "DAX edge": ("x.xml", DAX.replace('parent ref="a"', 'parent ref="q"'), "an edge refers to 'q'"),
    "DAX empty": ("x.xml", "<adag/>", "has no tasks"),
    "STG empty": ("x.stg", "", "has no first line"),
    "STG count": ("x.stg", STG.replace("2\n", "3\n", 1), "has 4 tasks; expected 5"),
    "STG id": ("x.stg", STG.replace("1 4 1 0", "7 4 1 0"), "line 3: id is 7; expected 1"),
    "STG time": ("x.stg", STG.replace("1 4 1 0", "1 x 1 0"), "line 3: time is 'x'"),
    "STG listed": ("x.stg", STG.replace("1 4 1 0", "1 4 2 0"), "line 3: number of predecessors is 2, but 1 are listed"),
    "STG predecessor": ("x.stg", STG.replace("1 4 1 0", "1 4 1 9"), "line 3: predecessor is 9"),
    "STG cycle": ("x.stg", STG.replace("1 4 1 0", "1 4 1 3"), "form a cycle"),
    "unknown": ("x.txt", "hello", "is of no known format"),
}


@pytest.mark.parametrize(("name", "text", "expected"), BAD_TEXT.values(), ids=BAD_TEXT.keys())
def test_mistakes_in_text(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert expected in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["x.yaml", "x.json", "x.xml", "x.stg", "x.txt"])
def test_missing_and_binary_files(tmp_path, name):
    assert "cannot read the instance file: No such file" in refused(tmp_path / name)
    (tmp_path / name).write_bytes(b"\x89PNG\x00\xff")
    assert "expected a text file" in refused(tmp_path / name)
