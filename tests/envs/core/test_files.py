"""Files are written whole or not at all."""

import os
import stat

import pytest

from envs.core.files import atomic_path, write_text


def test_text_arrives_in_new_folders(tmp_path):
    path = tmp_path / "a" / "b" / "note.txt"
    write_text(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "note.txt"
    write_text(path, "old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="disk on fire"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["note.txt"]


def test_target_is_untouched_until_the_end(tmp_path):
    path = tmp_path / "note.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["note.txt"]


def test_permissions_follow_the_umask(tmp_path):
    path = tmp_path / "note.txt"
    old = os.umask(0o027)
    try:
        write_text(path, "")
        assert os.umask(0o027) == 0o027, "the umask was changed"
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
