import errno
import hashlib
import os
import signal

import pytest

from etchscope.files.atomic import (
    is_dead_aside,
    translate_disk_errors,
    write_aside,
    write_folder_aside,
)
from etchscope.files.digests import sha256_of
from etchscope.files.strict_json import canonical_json
from etchscope.foil import MachineFailed


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")

    def fail() -> None:
        with write_aside(path) as aside:
            aside.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    with write_aside(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_whole_or_absent(tmp_path):
    def fail() -> None:
        with write_folder_aside(tmp_path / "a", within=tmp_path) as aside:
            (aside / "file").write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []
    with write_folder_aside(tmp_path / "a", within=tmp_path) as aside:
        (aside / "file").write_text("whole")
        assert not (tmp_path / "a").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "file").read_text() == "whole"


def test_a_folder_that_another_process_made_meanwhile_stays(tmp_path):
    with write_folder_aside(tmp_path / "a", within=tmp_path) as aside:
        (aside / "file").write_text("second")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "file").write_text("first")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "file").read_text() == "first"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_full_disk_is_the_machines_failure(code):
    with pytest.raises(MachineFailed, match="writing x: "), translate_disk_errors("writing x"):
        raise OSError(code, "no")


def test_other_errors_stay_what_they_are():
    with pytest.raises(PermissionError, match="no"), translate_disk_errors("x"):
        raise OSError(errno.EACCES, "no")


def test_digests_and_json_are_canonical(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"x" * 100_000).hexdigest()
    assert canonical_json({"ä": 1.0, "a": None}) == '{"a":null,"ä":1.0}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_two_writers_of_one_file_write_aside_under_two_names(tmp_path):
    path = tmp_path / "a"
    with write_aside(path) as one, write_aside(path) as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_the_next_writer_deletes_what_a_killed_one_has_left_and_nothing_else(tmp_path):
    path, other = tmp_path / "a", tmp_path / "a.b"
    for target in (path, other):
        child = os.fork()
        if not child:
            with write_aside(target) as aside:
                aside.write_text("half")
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
    dead = {p.name: p for p in tmp_path.iterdir()}
    (left,) = [p for p in dead.values() if not p.name.startswith(".a.b.")]
    assert is_dead_aside(left)
    place, process, chance = left.name.split(".")[-2].split("-")
    elsewhere = f".a.{'0' * 8}-{process}-{chance}.aside"  # such a process on another host
    alive = f".a.{place}-{os.getppid()}-{chance}.aside"
    for name in (elsewhere, alive, ".a.1-2.aside", ".a.notes"):
        (tmp_path / name).touch()
        assert not is_dead_aside(tmp_path / name)
    with write_aside(path) as aside:
        aside.write_text("whole")
    kept = {p.name for p in tmp_path.iterdir()} - {"a", elsewhere, alive, ".a.1-2.aside"}
    assert kept == {".a.notes"} | {name for name in dead if name.startswith(".a.b.")}
