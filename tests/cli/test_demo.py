import re
from dataclasses import replace

import numpy as np
import pytest

from etchscope import simulation
from etchscope.cli.app import main
from etchscope.files.tables import read_table
from etchscope.simulation import Optics
from etchscope.store import Store


def _fewer(monkeypatch, **given):
    def preset(name, *, seed, columns, rows):
        (drawn,) = simulation.preset(name, seed=seed, columns=2, rows=1)
        return [replace(drawn, **given)]

    monkeypatch.setattr("etchscope.run.demonstration.preset", preset)


@pytest.fixture
def two_tiles(monkeypatch):
    """Two tiles instead of twenty."""
    _fewer(monkeypatch)


@pytest.fixture
def two_small_tiles(monkeypatch):
    _fewer(monkeypatch, optics=Optics(image_size=(96, 128)))


@pytest.mark.slow
def test_the_demo_leaves_a_scan_a_store_tables_and_a_report(
    tmp_path, capsys, two_tiles, beside_progress
):
    folder = tmp_path / "new" / "demo"
    assert main(["demo", str(folder), "--background", "40", "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    assert beside_progress(err) == ""
    assert {p.name for p in folder.iterdir()} == {
        "scan",
        "store",
        "pits.csv",
        "truth.csv",
        "candidates.csv",
        "candidates",
        "report",
    }
    assert f"Open the report: {folder / 'report' / 'report.html'}" in out
    assert "The best" in (folder / "report" / "report.html").read_text()
    assert (folder / "candidates" / "index.html").is_file()
    store = Store.open(folder / "store")
    assert store.scans.names() == ["demo-front"]
    assert store.check() == []
    pits, truth = read_table(folder / "pits.csv"), read_table(folder / "truth.csv")
    assert pits["run"].unique().tolist() == [store.runs.latest("demo-front")]
    assert f"{len(pits)} rows; truth.csv: {len(truth)} true openings" in out
    assert truth["pit"].is_unique
    assert {"hip", "top", "bottom"} <= set(truth["class"])
    told = re.search(r"efficiency ([\d.]+) %.*purity ([\d.]+) %", out)
    assert told is not None
    # The foil is as rough as the experiment's: many a pit hardly shows.
    for value, least in zip(told.groups(), (60, 60), strict=True):
        assert float(value) > least
    best = read_table(folder / "candidates.csv")
    signal = truth[truth["class"] == "hip"][["x_mm", "y_mm"]].to_numpy()
    place = best[["x_mm", "y_mm"]].head(5).to_numpy()
    apart = np.hypot(*(place[:, None] - signal[None]).transpose(2, 0, 1)).min(axis=1)
    assert (apart < 10 * 6.4516e-3).sum() >= 4


@pytest.fixture
def no_pages(monkeypatch):
    """Leave out the pages, which take longer than all before them."""
    monkeypatch.setattr("etchscope.pages.write_report", lambda _, folder, **__: folder)
    monkeypatch.setattr(
        "etchscope.pages.candidates.write_candidates", lambda _, folder, **__: folder
    )


@pytest.mark.slow
def test_the_same_seed_is_the_same_demo(tmp_path, two_small_tiles, no_pages):
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert main(["demo", str(tmp_path / name), "--background", "10", "--seed", seed]) == 0
    tables = [(tmp_path / name / "pits.csv").read_bytes() for name in "abc"]
    assert tables[0] == tables[1] != tables[2]


def test_a_folder_with_files_is_refused(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert main(["demo", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"Error: {tmp_path}: expected a new or empty folder, found files in it\n"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    assert main(["demo", str(tmp_path / "mine.txt")]) == 2
    assert "mine.txt: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [("--background", "-1"), ("--background", "20001"), ("--seed", "-1"), ("--seed", "x")],
)
def test_an_option_out_of_range_is_named(tmp_path, capsys, words):
    assert main(["demo", str(tmp_path / "new"), *words]) == 2
    assert words[0] in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
