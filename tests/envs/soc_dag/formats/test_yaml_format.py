"""The YAML format: round trips, a file written by hand, and mistakes that name file, field and value."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.soc_dag.formats.yaml_format import dump_instance, write_yaml
from envs.soc_dag.generators import SCENARIOS
from envs.soc_dag.instance import read_instance
from envs.soc_dag.profiles import PROFILES, load_profile
from envs.soc_dag.types import Failures
from tests.envs.soc_dag.formats.samples import assert_same, refused


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
    page = Path(__file__).parents[4] / "docs" / "soc_dag_formats.md"
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


@pytest.mark.parametrize(("text", "expected"), BAD_YAML.values(), ids=BAD_YAML.keys())
def test_mistakes_in_yaml(tmp_path, text, expected):
    (tmp_path / "bad.yaml").write_text(text)
    assert expected in refused(tmp_path / "bad.yaml")
