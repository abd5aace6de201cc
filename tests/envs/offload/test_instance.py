"""Instances and their files."""

import json

import numpy as np
import pytest

from envs.core import UsageError
from envs.offload.generators import episode
from envs.offload.instance import instance_json, read_instance, write_instance
from envs.offload.types import System


@pytest.mark.parametrize("system", [System(horizon=12), System(edge_hertz=(), channel="physical", deadline_factor=2.0)])
def test_files_give_back_what_was_written(tmp_path, system):
    weights = (0.5, 0.5) if not system.deadline_factor else (0.2, 0.3, 0.5)
    instance = episode(system, 4, "lunch", weights)
    write_instance(tmp_path / "lunch.json", instance)
    again = read_instance(tmp_path / "lunch.json")
    assert again == instance
    assert (again.name, hash(again)) == ("lunch", hash(instance))
    assert instance != episode(system, 5, "lunch", weights)


def test_a_short_file_gets_the_published_constants(tmp_path):
    path = tmp_path / "short.json"
    document = {
        "system": {"users": 1, "edge_hertz": [2e9]},
        "bits_per_second": [[1e8, 2e8]],
        "tasks": [{"arrival": 3, "bits": 1e6, "user": 0}, {"arrival": 3, "bits": 2e6, "user": 0}],
    }
    path.write_text(json.dumps(document))
    instance = read_instance(path)
    assert (instance.name, instance.preference) == ("short", (1.0, 0.0))
    np.testing.assert_array_equal(instance.dispatch, [3, 4])  # one leaves the line a step
    assert (instance.system.cloud_hertz, instance.system.horizon) == (4e9, 100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": None}, "lacks the field 'system'"),
        ({"tasks": []}, r"tasks is \[\]; expected a list of at least one task"),
        ({"system": {"users": 1.5}}, "system.users is 1.5; expected a whole number"),
        ({"system": {"colour": 1}}, "system has no field 'colour'"),
        ({"system": {"channel": "radio"}}, "channel is 'radio'; expected one of as_published, physical"),
        ({"system": {"cloud_hertz": -1.0}}, "cloud_hertz is -1.0; expected a finite number above 0"),
        ({"system": {"load_peak": 2}}, "load_peak is 2.0; expected a number from 0 to 1"),
        ({"bits_per_second": [[1.0]]}, r"bits_per_second has the shape \(1, 1\); expected \(10, 7\)"),
        ({"preference": [0.5, 0.6]}, r"preference is \[0.5, 0.6\]; expected 2 weights of at least 0 and of sum 1"),
        ({"tasks": [{"arrival": 0, "bits": "x", "user": 0}]}, r"tasks\[0\].bits is 'x'; expected a number"),
        ({"tasks": [{"arrival": 0, "user": 0}]}, r"tasks\[0\] is .*; expected an object with arrival, bits, user"),
        ({"tasks": [{"arrival": 0, "bits": 1.0, "user": 10}]}, r"task 0: user is 10; expected 0..9"),
        ({"tasks": [{"arrival": 200, "bits": 1.0, "user": 0}]}, "task 0: dispatch is step 200; expected one after -1"),
        (
            {"tasks": [{"arrival": 2, "dispatch": 1, "bits": 1.0, "user": 0}]},
            "task 0: arrival is step 2; expected 0..1",
        ),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path, change, message):
    document = {**instance_json(episode(System(), 1, "good")), **change}
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
    with pytest.raises(UsageError, match=message) as caught:
        read_instance(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[1]", "holds list; expected an object")])
def test_files_of_another_kind_are_refused(tmp_path, text, message):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_instance(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.json cannot be read"):
        read_instance(tmp_path / "absent.json")
