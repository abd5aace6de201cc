"""Readers and writers of job shop instances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.core import UsageError
from envs.job_shop.instance import (
    format_standard,
    format_taillard,
    parse_instance,
    read_instance,
    write_standard,
    write_taillard,
)
from envs.job_shop.types import JobShopInstance

TWO_BY_THREE = JobShopInstance("two_by_three", [[2, 0, 1], [1, 2, 0]], [[5, 6, 7], [8, 9, 10]], 3)


@st.composite
def instances(draw):
    jobs, machines, operations = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    shape = (jobs, operations)
    routes = draw(arrays(np.int32, shape, elements=st.integers(0, machines - 1)))
    times = draw(arrays(np.int32, shape, elements=st.integers(0, 2**31 - 1)))
    return JobShopInstance("drawn", routes, times, machines)


@given(instances())
def test_standard_format_round_trip(instance):
    assert parse_instance(format_standard(instance), "drawn", "text") == instance


@given(instances())
def test_taillard_format_round_trip(instance):
    assert parse_instance(format_taillard(instance), "drawn", "text") == instance


def test_standard_format_as_published():
    text = "2 3\n2 5 0 6 1 7\n1 8 2 9 0 10\n"
    assert format_standard(TWO_BY_THREE) == text
    assert parse_instance(text, "x", "x") == TWO_BY_THREE


def test_taillard_format_as_published():
    text = "2 3\n5 6 7\n8 9 10\n3 1 2\n2 3 1\n"
    assert format_taillard(TWO_BY_THREE) == text
    assert parse_instance(text, "x", "x") == TWO_BY_THREE


def test_taillards_original_layout_with_words_and_seeds():
    text = """Nb of jobs, Nb of Machines, Time seed, Machine seed, Upper bound, Lower bound
           2           3    840612802    398197754         1231         1005
Times
  5  6  7
  8  9 10
Machines
  3  1  2
  2  3  1
"""
    assert parse_instance(text, "x", "x") == TWO_BY_THREE


def test_comments_ornaments_and_foreign_line_ends_are_skipped():
    lines = ["# by hand", " instance demo", " +++++", "2 3 # size", "", "2 5 0 6 1 7", "1 8 2 9 0 10", "+++++", ""]
    assert parse_instance("\r\n".join(lines), "x", "x") == TWO_BY_THREE


def test_a_job_may_visit_a_machine_twice():
    instance = parse_instance("1 2\n0 3 0 4\n", "x", "x")
    assert instance.machines.tolist() == [[0, 0]]


def test_third_number_of_the_header_is_the_operations_of_a_job():
    instance = parse_instance("1 2 3\n0 3 1 4 0 5\n", "x", "x")
    assert (instance.num_operations, instance.num_machines) == (3, 2)


@pytest.mark.parametrize("write", [write_standard, write_taillard])
def test_files_are_named_after_their_path(tmp_path, write):
    path = tmp_path / "new" / "shop.txt"
    write(TWO_BY_THREE, path)
    assert read_instance(path) == TWO_BY_THREE
    assert read_instance(path).name == "shop"


BAD = {
    "empty": ("", "holds no numbers"),
    "words only": ("# nothing\nhere\n", "holds no numbers"),
    "header alone": ("2 3\n", "0 lines of numbers after the header of line 1; expected 2"),
    "header too short": ("2\n", "line 1: expected a header 'jobs machines', found 2 alone"),
    "no jobs": ("0 3\n", "line 1: number of jobs is 0; expected at least 1"),
    "no machines": ("2 -3\n", "line 1: number of machines is -3; expected at least 1"),
    "ragged": ("2 2\n0 1 1 2\n0 1 1\n", "line 3: 3 numbers; expected 4"),
    "too few operations": ("2 3\n0 1 1 2\n0 1 1 2\n", "line 2: 4 numbers; expected 6"),
    "job missing": ("3 2\n0 1 1 2\n0 1 1 2\n", "2 lines of numbers after the header of line 1; expected 3"),
    "job too many": ("1 2\n0 1 1 2\n0 1 1 2\n", "2 lines of numbers after the header of line 1; expected 1"),
    "machine too large": ("2 2\n0 1 1 2\n0 1 2 2\n", "line 3: machine 2 is out of range; expected 0 to 1"),
    "machine negative": ("1 2\n0 1 -1 2\n", "line 2: machine -1 is out of range; expected 0 to 1"),
    "time negative": ("1 2\n0 1 1 -2\n", "line 2: processing time -2 is negative"),
    "time fractional": ("1 2\n0 1 1 2.5\n", "line 2: expected an integer, found '2.5'"),
    "time too large": ("1 1\n0 2147483648\n", "line 2: 2147483648 is out of range"),
    "number of a thousand digits": ("1 1\n0 " + "9" * 5000 + "\n", "line 2: 999999999999999999999999... is out of"),
    "word among numbers": ("1 2\n0 1 one 2\n", "line 2: expected an integer, found 'one'"),
    "word before numbers": ("1 2\njob 0 1 1 2\n", "line 2: expected an integer, found 'job'"),
    "other alphabet's digits": ("1 1\n0 ٣\n", "line 2: expected an integer, found '٣'"),
    "Taillard machine zero": ("1 2\n5 6\n0 1\n", "line 3: machine 0 is out of range; expected 1 to 2"),
    "Taillard time negative": ("1 2\n5 -6\n2 1\n", "line 2: processing time -6 is negative"),
    "Taillard without machines": ("2 2\n5 6\n7 8\n", "2 lines of numbers after the header of line 1; expected 4"),
    "Taillard ragged": ("1 2\n5 6\n2 1 2\n", "line 3: 3 numbers; expected 2"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_bad_text_is_one_sentence_with_source_line_and_value(text, message):
    with pytest.raises(UsageError) as error:
        parse_instance(text, "x", "shop.txt")
    assert str(error.value).startswith("shop.txt")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text() | st.text("0123 -\n", min_size=1))
def test_any_text_is_an_instance_or_a_usage_error(text):
    try:
        instance = parse_instance(text, "x", "x")
    except UsageError:
        return
    assert parse_instance(format_standard(instance), "x", "x") == instance
    assert parse_instance(format_taillard(instance), "x", "x") == instance


def test_missing_file(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.txt: cannot read the instance file: No such file"):
        read_instance(tmp_path / "nowhere.txt")


def test_folder_instead_of_a_file(tmp_path):
    with pytest.raises(UsageError, match="cannot read the instance file: Is a directory"):
        read_instance(tmp_path)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\x00\x00", b"1 1\n0 5\n\x00", b"\xff\xfe1\x00"])
def test_binary_file(tmp_path, data):
    path = tmp_path / "picture.txt"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"picture\.txt: expected a text file"):
        read_instance(path)


def test_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "shop.txt"
    path.write_bytes(b"\xef\xbb\xbf1 1\n0 5\n")
    assert read_instance(path).times.tolist() == [[5]]
