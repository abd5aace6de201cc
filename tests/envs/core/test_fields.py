"""Files are read whole, packed or not, and every mistake is one sentence that names the file."""

import gzip

import pytest

from envs.core import UsageError
from envs.core.fields import naming, read_text, shorten


def test_text_is_read_packed_or_not_and_without_its_byte_order_mark(tmp_path):
    data = "\ufeffgrößer\n".encode()
    (tmp_path / "plain.txt").write_bytes(data)
    (tmp_path / "packed").write_bytes(gzip.compress(data))
    assert read_text(tmp_path / "plain.txt") == read_text(tmp_path / "packed") == "größer\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\xff", "expected a text file, found binary data"),
        (b"a\x00b", "expected a text file, found binary data"),
        (gzip.compress(b"a text", mtime=0)[:-4], "cannot be unpacked; expected a whole gzip file"),
        (None, "cannot read the instance file: No such file or directory"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, data, message):
    path = tmp_path / "x.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError) as error:
        read_text(path)
    assert str(error.value) == f"{path}: {message}"


def test_the_file_is_named_once():
    for message in ("cores is -1", "a.json: cores is -1"):
        with pytest.raises(UsageError) as error, naming("a.json"):
            raise UsageError(message)
        assert str(error.value) == "a.json: cores is -1"


def test_values_are_shown_on_one_line_and_cut():
    assert shorten("a\nb") == "'a\\nb'"
    assert shorten([1, [2]]) == "[1, [2]]"
    assert shorten("x" * 50) == "'" + 39 * "x" + "..."
