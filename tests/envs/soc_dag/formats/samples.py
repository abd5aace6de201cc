"""Small files of the formats, and what their tests share."""

import json
from dataclasses import fields

import numpy as np
import pytest

from envs.core import UsageError
from envs.soc_dag.formats.synthesis import Synthesis
from envs.soc_dag.instance import read_instance

PLAIN = Synthesis(processors=1, heterogeneity=0.0)

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

STG = """2
0 0 0
1 4 1 0   # first
2 6 1 0
3 0 2 1 2
# a comment
"""


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


def refused(path):
    """The message of the error; it is one sentence that begins with a path."""
    with pytest.raises(UsageError) as error:
        read_instance(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path.parent) in message
    return message


def write_json(path, data):
    path.write_text(json.dumps(data))
    return path


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
