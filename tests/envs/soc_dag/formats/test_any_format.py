"""Files of no format and damaged ones: an instance, or one sentence that names the file."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.soc_dag.instance import read_instance
from tests.envs.soc_dag.formats.samples import SAGA, WFCOMMONS, refused


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


MISTAKES = {
    "JSON": ("x.json", '{"a":\n 1,,}', "line 2: is not JSON"),
    "unknown": ("x.txt", "hello", "is of no known format"),
}


@pytest.mark.parametrize(("name", "text", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_in_text(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert expected in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["x.yaml", "x.json", "x.xml", "x.stg", "x.txt"])
def test_missing_and_binary_files(tmp_path, name):
    assert "cannot read the instance file: No such file" in refused(tmp_path / name)
    (tmp_path / name).write_bytes(b"\x89PNG\x00\xff")
    assert "expected a text file" in refused(tmp_path / name)
