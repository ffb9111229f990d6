import errno
import os

import pytest

from etchscope.foil import BadInput, MachineFailed
from etchscope.pages.writing import make_page_folder, write_page, write_picture


def test_a_folder_is_made_or_named(tmp_path):
    folder = make_page_folder(tmp_path / "a" / "b", what="report")
    assert folder.is_dir()
    assert make_page_folder(folder, what="report") == folder
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="a folder for the letter, found a file"):
        make_page_folder(tmp_path / "file", what="letter")


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    picture, page = tmp_path / "a.png", tmp_path / "a.html"
    assert write_picture(b"old", picture) == picture
    assert write_page("χ²", page) == page
    assert page.read_text(encoding="utf-8") == "χ²"

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("etchscope.files.atomic.sync_path", full)
    with pytest.raises(MachineFailed, match=r"writing .*a\.png"):
        write_picture(b"new", picture)
    with pytest.raises(MachineFailed, match=r"writing .*a\.html"):
        write_page("new", page)
    assert picture.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.png"]
