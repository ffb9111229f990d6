import os
import threading

import pytest

from etchscope.files.foreign import read_bytes, require_file
from etchscope.foil import BadInput


def test_a_regular_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert read_bytes(tmp_path / "a") == b"abc"
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_bytes(tmp_path / "link") == b"abc"


def test_a_pipe_a_device_and_a_folder_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused = []

    def read(path):
        with pytest.raises(BadInput, match="a regular file") as caught:
            read_bytes(path)
        refused.append(caught.value.found)

    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        worker = threading.Thread(target=read, args=(type(tmp_path)(path),), daemon=True)
        worker.start()
        worker.join(10)
    assert refused == ["a pipe, a socket or a device"] * 2 + ["a folder"]


def test_what_is_absent_too_large_or_no_name_is_refused(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        require_file(tmp_path / "a")
    with pytest.raises(BadInput, match="null byte"):
        require_file(tmp_path / "a\0b")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(300 * 2**20)
    with pytest.raises(BadInput, match="at most 256 MB, found one of 300 MB"):
        read_bytes(tmp_path / "sparse")
