import errno
import hashlib

import pytest

from etchscope.files.atomic import translate_disk_errors, write_aside, write_folder_aside
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
