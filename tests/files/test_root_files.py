import datetime
import time

import numpy as np
import pandas as pd
import pytest
import uproot

from etchscope.files import read_table, write_table
from etchscope.files.root_files import read_root, write_root
from etchscope.foil import BadInput, as_pits


def test_a_pit_table_comes_back(tmp_path):
    pits = as_pits(
        {
            "foil": ["F1", "F1"],
            "x_px": [1.5, 2],
            "y_px": [3, 4.0],
            "partner": pd.array([1, None], "Int64"),
            "selected": pd.array([True, None], "boolean"),
            "surface": ["top", None],
        }
    )
    path = tmp_path / "pits.root"
    write_table(path, pits)
    pd.testing.assert_frame_equal(read_table(path)[list(pits.columns)], pits)


def test_an_empty_table_is_one(tmp_path):
    write_root(tmp_path / "f.root", pd.DataFrame({"x_mm": pd.Series([], dtype=float)}))
    assert read_root(tmp_path / "f.root").shape == (0, 1)


def test_the_only_tree_is_taken_and_one_of_several_must_be_named(tmp_path):
    path = tmp_path / "f.root"
    with uproot.recreate(path) as file:
        file.mktree("events", {"x_mm": "float64"})
        file["events"].extend({"x_mm": np.array([1.0])})
    assert read_root(path)["x_mm"].tolist() == [1]
    with uproot.update(path) as file:
        file.mktree("more", {"x_mm": "float64"})
    with pytest.raises(BadInput, match="a tree pits, found events, more"):
        read_root(path)
    assert read_root(path, "events")["x_mm"].tolist() == [1]


def test_branches_with_several_values_are_refused(tmp_path):
    path = tmp_path / "f.root"
    with uproot.recreate(path) as file:
        file.mktree("pits", {"x_mm": ("float64", (2,))})
        file["pits"].extend({"x_mm": np.ones((3, 2))})
    with pytest.raises(BadInput, match="branch x_mm: expected one value an entry, found several"):
        read_root(path)


def test_absent_and_damaged_files_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"absent\.root: expected a readable file, found No such"):
        read_root(tmp_path / "absent.root")
    (tmp_path / "bad.root").write_bytes(b"root but not really")
    with pytest.raises(BadInput, match=r"bad\.root"):
        read_root(tmp_path / "bad.root")


def test_equal_tables_give_equal_bytes_at_any_time_and_place(tmp_path):
    table = pd.DataFrame({"x_px": [1.0, 2.0], "surface": ["top", None]})
    write_root(tmp_path / "a.root", table)
    time.sleep(1.1)  # ROOT's times are whole seconds
    write_root(tmp_path / "longer-name.root", table)
    assert (tmp_path / "a.root").read_bytes() == (tmp_path / "longer-name.root").read_bytes()
    pd.testing.assert_frame_equal(read_root(tmp_path / "a.root"), table, check_dtype=False)


def test_the_clock_of_uproot_goes_on_afterwards(tmp_path):
    write_root(tmp_path / "a.root", pd.DataFrame({"x_px": [1.0]}))
    assert uproot.writing._cascade.datetime is datetime


def test_branches_of_different_lengths_are_refused(tmp_path):
    path = tmp_path / "f.root"
    write_root(path, pd.DataFrame({"x_mm": np.arange(1234.0), "n": np.arange(1234)}))
    whole, entries, other = path.read_bytes(), (1234).to_bytes(8), (77).to_bytes(8)
    messages = []
    for place in [i for i in range(len(whole)) if whole.startswith(entries, i)]:
        path.write_bytes(whole[:place] + other + whole[place + 8 :])
        try:
            assert read_root(path).shape == (1234, 2)
        except BadInput as error:
            messages.append(str(error).removeprefix(f"{path}: "))
    assert "branch n: expected 1234 entries, found 77" in messages
    assert "branch x_mm: expected 77 entries, found 1234" in messages


def test_many_entries_in_a_small_file_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "f.root"
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        file.mktree("pits", {"x_mm": "float64", "y_mm": "float64"})
        for _ in range(11):
            file["pits"].extend({n: np.zeros(1_000_000) for n in ("x_mm", "y_mm")})
    with pytest.raises(BadInput, match=r"at most 20,000,000 cells .*found 11,000,000 rows of 2"):
        read_root(path)
