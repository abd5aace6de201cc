"""Classical benchmarks: the published data and the best-known values."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from envs.core import UsageError
from envs.job_shop.benchmarks import BENCHMARKS, COLLECTION_NAME, DATA_VARIABLE, best_known, digest
from envs.job_shop.instance import write_standard, write_taillard
from envs.job_shop.types import JobShopInstance

SELF_CONTAINED = {"taillard": 80, "demirkol": 80, "fisher_thompson": 3}
FROM_FILES = {"lawrence": 40, "adams": 5, "applegate_cook": 10, "storer": 20, "yamada_nakano": 4}


@pytest.fixture
def collection():
    """The folder that holds the classical sets."""
    folder = Path(os.environ.get(DATA_VARIABLE, "")) / "jobshop"
    if DATA_VARIABLE not in os.environ or not (folder / COLLECTION_NAME).is_file():
        pytest.skip(f"{DATA_VARIABLE} names no folder with jobshop/{COLLECTION_NAME}")
    return folder


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty folder for the user's files."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    (tmp_path / "jobshop").mkdir()
    return tmp_path / "jobshop"


def test_every_classical_set_is_listed():
    assert set(BENCHMARKS) == set(SELF_CONTAINED) | set(FROM_FILES) | {"classical", "taillard_every_fifth"}
    assert len(best_known()) == sum(SELF_CONTAINED.values()) + sum(FROM_FILES.values()) == 242


@pytest.mark.parametrize(("name", "count"), SELF_CONTAINED.items())
def test_generated_instances_are_the_published_ones(name, count):
    instances = BENCHMARKS[name]().instances
    assert len(instances) == count
    for instance in instances:
        assert digest(instance) == best_known()[instance.name].sha256, instance.name


def test_every_fifth_taillard_instance_covers_all_sizes():
    whole, some = BENCHMARKS["taillard"](), BENCHMARKS["taillard_every_fifth"]()
    assert some.name == "taillard_every_fifth"
    assert [instance.name for instance in some.instances][:3] == ["ta01", "ta06", "ta11"]
    counts = Counter(some.groups[instance.name] for instance in some.instances)
    assert counts == dict.fromkeys(whole.groups.values(), 2)
    assert some.references == {one.name: whole.references[one.name] for one in some.instances}
    assert list(some.groups) == list(some.references)


def test_first_and_last_taillard_instance_hold_known_values():
    by_name = {instance.name: instance for instance in BENCHMARKS["taillard"]().instances}
    assert (by_name["ta01"].num_jobs, by_name["ta01"].num_machines) == (15, 15)
    assert by_name["ta01"].times[0, :5].tolist() == [94, 66, 10, 53, 26]
    assert (by_name["ta80"].num_jobs, by_name["ta80"].num_machines) == (100, 20)
    assert by_name["ta80"].lower_bound == 5183  # equals the optimum


def test_dmu29_holds_the_published_time_where_exact_arithmetic_differs():
    by_name = {instance.name: instance for instance in BENCHMARKS["demirkol"]().instances}
    assert by_name["dmu29"].times[12, 5] == 102


def test_fisher_and_thompson_optima():
    references = BENCHMARKS["fisher_thompson"]().references
    assert {name: reference.value for name, reference in references.items()} == {"ft06": 55, "ft10": 930, "ft20": 1165}
    assert not any(reference.is_bound for reference in references.values())


@pytest.mark.parametrize("name", SELF_CONTAINED)
def test_bounds_are_in_order(name):
    benchmark = BENCHMARKS[name]()
    for instance in benchmark.instances:
        reference = benchmark.references[instance.name]
        assert instance.lower_bound <= reference.lower_bound <= reference.value, instance.name
        assert reference.is_bound == (reference.lower_bound < reference.value)
        assert reference.source


def test_open_taillard_instances():
    references = BENCHMARKS["taillard"]().references
    open_instances = [name for name, reference in references.items() if reference.is_bound]
    assert open_instances == [
        "ta30",
        "ta32",
        "ta40",
        "ta41",
        "ta42",
        "ta43",
        "ta44",
        "ta46",
        "ta47",
        "ta48",
        "ta49",
        "ta50",
    ]
    assert (references["ta30"].lower_bound, references["ta30"].value) == (1562, 1584)


def test_groups_are_the_sizes():
    benchmark = BENCHMARKS["taillard"]()
    assert list(dict.fromkeys(benchmark.groups.values())) == [
        "15x15", "20x15", "20x20", "30x15", "30x20", "50x15", "50x20", "100x20",
    ]  # fmt: skip
    assert benchmark.groups["ta80"] == "100x20"


@pytest.mark.parametrize(("name", "count"), FROM_FILES.items())
def test_collection_holds_the_published_instances(collection, name, count):
    benchmark = BENCHMARKS[name]()
    assert len(benchmark.instances) == count
    for instance in benchmark.instances:
        assert instance.lower_bound <= benchmark.references[instance.name].lower_bound


def test_older_sets_together_are_grouped_by_set(collection):
    benchmark = BENCHMARKS["classical"]()
    sizes = Counter(benchmark.groups[instance.name] for instance in benchmark.instances)
    assert sizes == {"fisher_thompson": 3, **FROM_FILES}
    assert {benchmark.references[name].value for name in ("ft06", "la01", "abz5", "orb01", "swv01", "yn1")} == {
        55, 666, 1234, 1059, 1407, 884,
    }  # fmt: skip


def test_one_file_an_instance_in_either_format(collection, data_folder, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(collection.parent))
    published = BENCHMARKS["yamada_nakano"]()
    monkeypatch.setenv(DATA_VARIABLE, str(data_folder.parent))
    for index, instance in enumerate(published.instances):
        write = write_standard if index % 2 else write_taillard
        write(instance, data_folder / (f"{instance.name}.txt" if index < 2 else instance.name))
    assert BENCHMARKS["yamada_nakano"]().instances == published.instances


def test_without_the_variable_the_message_says_what_to_set(monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(UsageError, match="benchmark lawrence is read from your files: set the environment variable"):
        BENCHMARKS["lawrence"]()


def test_without_the_folder_the_message_names_it(data_folder):
    shutil.rmtree(data_folder)
    with pytest.raises(UsageError, match=r"jobshop is not a folder: put <name>\.txt files or"):
        BENCHMARKS["adams"]()


def test_missing_instance_is_named(data_folder):
    with pytest.raises(UsageError, match=r"has no instance yn1: expected yn1\.txt"):
        BENCHMARKS["yamada_nakano"]()


def test_other_data_under_a_classical_name_is_refused(data_folder):
    write_standard(JobShopInstance("yn1", [[0]], [[1]], 1), data_folder / "yn1.txt")
    with pytest.raises(UsageError, match=r"instance yn1 \(1 x 1\) differs from the published one \(20 x 20\)"):
        BENCHMARKS["yamada_nakano"]()


BAD_LINES = {
    "no JSON": "0 1 2",
    "another schema": json.dumps({"name": "yn1", "ops": []}),
    "ragged": json.dumps({"name": "yn1", "machine": [[0, 1], [0]], "duration": [[1, 2], [3]]}),
    "no table": json.dumps({"name": "yn1", "machine": 3, "duration": 4}),
    "fractions": json.dumps({"name": "yn1", "machine": [[0]], "duration": [[0.5]]}),
    "unequal": json.dumps({"name": "yn1", "machine": [[0, 1]], "duration": [[1]]}),
    "negative": json.dumps({"name": "yn1", "machine": [[0]], "duration": [[-1]]}),
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_bad_collection_names_file_and_line(data_folder, line):
    good = json.dumps({"name": "x", "machine": [[0]], "duration": [[1]]})
    (data_folder / COLLECTION_NAME).write_text(f"{good}\n{line}\n")
    with pytest.raises(UsageError, match=rf"{COLLECTION_NAME}, line 2: "):
        BENCHMARKS["yamada_nakano"]()


def test_digest_is_of_the_data_alone():
    first = JobShopInstance("a", [[0, 1]], [[1, 2]], 2)
    assert digest(first) == digest(JobShopInstance("b", [[0, 1]], [[1, 2]], 2))
    assert digest(first) != digest(JobShopInstance("a", [[0, 1]], [[2, 1]], 2))
