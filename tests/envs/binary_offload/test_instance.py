"""Instance files and MATLAB files: round trips and mistakes."""

import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.binary_offload.instance import read_instance, write_instance
from envs.binary_offload.mat5 import read_matrices
from envs.binary_offload.types import BinaryOffloadInstance, Modes, System
from envs.binary_offload.verify import verify
from envs.core import UsageError

GOOD = {"format": "binary_offload/1", "gains": [1e-6, 2e-6], "weights": [1, 1.5]}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), optimal=st.none() | st.floats(1.0, 1e9))
def test_files_come_back_as_they_were(tmp_path_factory, build, seed, optimal):
    drawn = build(seed)
    instance = BinaryOffloadInstance(drawn.name, drawn.gains, drawn.weights, drawn.system, optimal)
    path = tmp_path_factory.mktemp("instance") / "some.json"
    write_instance(instance, path)
    assert read_instance(path) == instance
    assert hash(read_instance(path)) == hash(instance)


def test_what_is_left_out_has_defaults(tmp_path):
    path = tmp_path / "plain.json"
    path.write_text(json.dumps({"format": "binary_offload/1", "gains": [1e-6], "system": {"noise": 1e-12}}))
    assert read_instance(path) == BinaryOffloadInstance("plain", [1e-6], [1.0], System(noise=1e-12))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other/1"}, "format is 'other/1'; expected 'binary_offload/1'"),
        ({"gains": None}, "gains is None; expected a list of numbers"),
        ({"gains": [1e-6, "x"]}, "gains is .*; expected a list of numbers"),
        ({"gains": []}, "at least one device"),
        ({"gains": [1e-6]}, r"gains and weights have shapes \(1,\) and \(2,\)"),
        ({"gains": [1e-6, 0]}, r"gains\[1\] is 0.0; expected a number above 0, at most 1"),
        ({"gains": [1e-6, 1e-200]}, r"gains\[1\] is 1e-200"),
        ({"gains": [2, 1e-6]}, r"gains\[0\] is 2.0"),
        ({"weights": [1, -1]}, r"weights\[1\] is -1.0; expected a finite number above 0"),
        ({"weights": [1, True]}, "weights is .*; expected a list of numbers"),
        ({"system": {"noise": 0}}, "system.noise is 0.0; expected a finite number above 0"),
        ({"system": {"sound": 1}}, "system has no field 'sound'"),
        ({"system": 3}, "system is 3"),
        ({"optimal_rate": "high"}, "optimal_rate is 'high'; expected a number"),
        ({"optimal_rate": -1}, "optimal_rate is -1.0"),
        ({"name": 3}, "name is 3; expected a text"),
        ({"gain": [1]}, "unknown field 'gain'"),
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path, change, message):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(UsageError, match=message) as error:
        read_instance(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", ["[1, 2]", "3", "{", '{"format": NaN'])
def test_other_content_is_refused(tmp_path, content):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"bad\.json"):
        read_instance(path)


@pytest.mark.parametrize("offloads", [np.array([True]), np.array([1, 0]), np.array([[True, False]])])
def test_the_verifier_refuses_what_is_not_one_mode_a_device(offloads):
    instance = BinaryOffloadInstance("two", [1e-6, 2e-6], [1.0, 1.0])
    with pytest.raises(UsageError, match="two: offloads has type"):
        verify(instance, Modes(offloads))


def element(kind, data, order="<"):
    return struct.pack(f"{order}II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def matrix(name, values, kind, order="<", flags=6):
    """A MATLAB matrix element by hand."""
    values = np.atleast_2d(values)
    shape = np.array(values.shape, f"{order}i4").tobytes()
    short = struct.pack(f"{order}I", len(name) << 16 | 1) + name.encode().ljust(4, b"\0")
    label = short if len(name) <= 4 else element(1, name.encode(), order)
    head = element(6, struct.pack(f"{order}II", flags, 0), order) + element(5, shape, order)
    return element(14, head + label + element(kind, values.tobytes(order="F"), order), order)


def file_with(tmp_path, *elements, order="<"):
    path = tmp_path / "some.mat"
    mark = b"IM" if order == "<" else b"MI"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124, b" ") + b"\x00\x01" + mark + b"".join(elements))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_matrices_of_matlab_files(tmp_path, order):
    real = np.arange(6.0).reshape(2, 3).astype(f"{order}f8")
    bytes_ = np.array([[1, 0, 1]], np.uint8)
    compressed = zlib.compress(matrix("bits", bytes_, 2, order))
    packed = struct.pack(f"{order}II", 15, len(compressed)) + compressed
    path = file_with(
        tmp_path, packed, matrix("longer_name", real, 9, order), matrix("c", real, 9, order, 0x806), order=order
    )
    found = read_matrices(path)
    assert list(found) == ["bits", "longer_name"]  # complex values are left out
    np.testing.assert_array_equal(found["bits"], bytes_)
    np.testing.assert_array_equal(found["longer_name"], real)


def test_broken_matlab_files_are_refused(tmp_path):
    whole = matrix("x", np.eye(3), 9)
    with pytest.raises(UsageError, match=r"some\.mat: is not a whole MATLAB file"):
        read_matrices(file_with(tmp_path, whole[:-16]))
    with pytest.raises(UsageError, match=r"some\.mat: is not a whole MATLAB file"):
        read_matrices(file_with(tmp_path, struct.pack("<II", 15, 8) + b"12345678"))
    with pytest.raises(UsageError, match=r"some\.mat: is not a whole MATLAB file"):
        read_matrices(file_with(tmp_path, matrix("x", np.eye(3), 99)))
    (tmp_path / "some.mat").write_bytes(b"short")
    with pytest.raises(UsageError, match="expected a MATLAB file of level 5"):
        read_matrices(tmp_path / "some.mat")
    with pytest.raises(UsageError, match="cannot read the MATLAB file"):
        read_matrices(tmp_path / "none.mat")
