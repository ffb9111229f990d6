import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etchscope.cli.app import main
from etchscope.foil import as_pits
from etchscope.store import FindRecord, Store
from etchscope.store.catalogue import VERSION


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "F1"
    root.mkdir()
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (9, 11), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{i}.png")
    return root


@pytest.fixture
def store(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "store"
    assert main(["init", str(path)]) == 0
    assert main(["add", str(path), str(pictures)]) == 0
    assert capsys.readouterr().out == "F1-front: 5 tiles added\n"
    return path


def test_adding_again_says_so(store, pictures, capsys):
    assert main(["add", str(store), str(pictures), "--workers", "1"]) == 0
    assert "has this scan already, nothing changed" in capsys.readouterr().out


def test_add_tells_a_program_what_it_left_out(store, pictures, capsys):
    (pictures / "2.png").write_bytes(b"")
    words = ["add", str(store), str(pictures), "--scan", "second", "--skip-bad", "--json"]
    assert main(words) == 0
    (added,) = json.loads(capsys.readouterr().out)
    assert (added["scan"], added["tiles"], added["is_new"]) == ("second", 4, True)
    assert [x["tile"] for x in added["left_out"]] == [3]
    assert added["left_out"][0]["file"] == str(pictures / "2.png")
    assert [x.tile for x in Store.open(store).scans.left_out("second")] == [3]
    assert main([*words[:-2], "--skip-bad"]) == 0
    assert f"second: left out tile 3: {pictures / '2.png'}: " in capsys.readouterr().out


def test_a_bad_file_is_one_line_and_status_2(store, pictures, capsys):
    (pictures / "2.png").write_bytes(b"no picture")
    assert main(["add", str(store), str(pictures), "--scan", "second"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"Error: {pictures / '2.png'}: expected a picture")
    assert err.count("\n") == 1
    assert Store.open(store).scans.names() == ["F1-front"]


def test_several_scans_cannot_have_one_name(store, pictures, capsys):
    words = ["add", str(store), str(pictures), str(pictures / "1.png"), "--scan", "x"]
    assert main(words) == 2
    assert "--scan: expected one scan to name, found 2 scans" in capsys.readouterr().err


def test_ls_lists_scans_and_tiles(store, capsys):
    assert main(["ls", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "foil": "F1",
            "stack": None,
            "side": "front",
            "scan": "F1-front",
            "layout": "plain",
            "channels": 1,
            "tiles": 5,
            "excluded": 0,
            "left_out": 0,
            "runs": 0,
            "injected_from": None,
            "compressed": 0,
            "kept_share": None,
            "saved_bytes": None,
        }
    ]
    assert main(["ls", str(store), "--tiles", "--where", "tile > 3", "--json"]) == 0
    assert [row["tile"] for row in json.loads(capsys.readouterr().out)] == [4, 5]
    assert main(["ls", str(store)]) == 0
    assert "F1-front" in capsys.readouterr().out
    assert main(["ls", str(store), "--foil", "none' or 'a'='a"]) == 0
    assert capsys.readouterr().out == "no tiles\n"


def test_a_wrong_condition_names_the_columns(store, capsys):
    assert main(["ls", str(store), "--where", "exposure > 3"]) == 2
    assert "columns foil, stack, side, scan, tile, stage_x_mm" in capsys.readouterr().err


def test_exclude_and_include(store, capsys):
    assert main(["exclude", str(store), "--where", "tile < 3", "--why", "a fibre"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "F1-front: excluded 2 tiles: 1, 2"
    assert "`etchscope find` makes new ones" in said[1]
    assert [t.number for t in Store.open(store).scans.get("F1-front").included] == [3, 4, 5]
    assert main(["include", str(store), "--scan", "F1-front", "--tile", "2"]) == 0
    assert [t.number for t in Store.open(store).scans.get("F1-front").included] == [2, 3, 4, 5]
    assert main(["exclude", str(store), "--tile", "77", "--why", "x"]) == 2
    assert "tile = 77: expected tiles that match, found none" in capsys.readouterr().err
    assert main(["include", str(store)]) == 2
    assert "expected --where, --foil, --scan or --tile" in capsys.readouterr().err


def test_rm_says_what_goes_and_needs_a_yes(store, capsys, monkeypatch):
    opened = Store.open(store)
    record = FindRecord(stage="find", version="0.1.0", scan="F1-front", tiles=(1,))
    opened.runs.commit("r1", as_pits({"x_px": [1.0], "y_px": [1.0]}), record)
    assert main(["rm", str(store), "--scan", "F1-front"]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "These will be removed:",
        "  scan F1-front, all tiles",
        "  run r1",
        "  foil F1",
    ]
    assert err == "Error: rm: expected `--yes`, or a terminal to ask at, found neither\n"
    assert opened.scans.names() == ["F1-front"]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    assert main(["rm", str(store), "--tile", "1"]) == 0
    assert len(opened.scans.get("F1-front").tiles) == 4
    assert main(["rm", str(store), "--scan", "F1-front", "--yes"]) == 0
    assert opened.scans.names() == []
    assert main(["rm", str(store), "--tile", "1", "--yes"]) == 2
    assert main(["check", str(store)]) == 0


def test_check_tells_sound_from_damaged(store, capsys):
    assert main(["check", str(store)]) == 0
    assert capsys.readouterr().out == "sound\n"
    (store / "images/.F9.zarr.partial").mkdir()
    assert main(["check", str(store)]) == 0
    assert capsys.readouterr().out == (
        "leftover: images/.F9.zarr.partial: unfinished work\nsound\n"
    )
    (store / "images/F1-front.zarr/0/c/0/0/0/0").unlink()
    assert main(["check", str(store), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["is_damaged"] is True
    assert told["findings"][0]["what"] == "scan F1-front, tile 1"


def make_old(store):
    """Make of a store what Etchscope made before the version stood in Alembic's table."""
    with closing(sqlite3.connect(store / "catalogue.sqlite")) as connection, connection:
        for later in ("alembic_version", "compression", "compressed_tile"):
            connection.execute(f"DROP TABLE {later}")
        connection.execute("CREATE TABLE schema_version (version INTEGER PRIMARY KEY NOT NULL)")
        connection.execute("INSERT INTO schema_version VALUES (2)")


def test_an_old_store_is_refused_in_one_line_and_migrated(store, capsys):
    make_old(store)
    assert main(["ls", str(store)]) == 2
    err = capsys.readouterr().err
    assert "found version 0002, which can be migrated. Migrate it with `etchscope migrate" in err
    assert err.count("\n") == 1
    assert main(["migrate", str(store)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"Migrated from version 0002 to {VERSION}."
    assert said[1].endswith(f"is kept in {store / 'catalogue-0002.sqlite'}.")
    assert main(["migrate", str(store)]) == 0
    assert capsys.readouterr().out.startswith("Nothing is to be done: the store is of version 0")
    assert main(["check", str(store)]) == 0


def test_a_montage_by_options(tmp_path, store, capsys):
    page = np.zeros((22, 32), np.uint8)
    for i in range(6):
        page[1 + 10 * (i // 3) :, 1 + 10 * (i % 3) :][:9, :9] = 100 + i
    page[[0, 10, 20, 21]] = 0
    page[:, [0, 10, 20, 30, 31]] = 0
    Image.fromarray(page).save(tmp_path / "sheet.bmp")
    words = ["add", str(store), str(tmp_path / "sheet.bmp"), "--layout", "montage"]
    assert main([*words, "--rows", "3", "--columns", "3"]) == 2
    assert "expected 3 between dark lines, found 2" in capsys.readouterr().err
    assert main([*words, "--rows", "2", "--columns", "3", "--pixel-size-um", "2"]) == 0
    scan = Store.open(store).scans.get("sheet-front")
    assert (len(scan.tiles), scan.image_size, scan.pixel_size_um) == (6, (9, 9), 2.0)


def test_a_mask_is_kept_with_what_is_added(store, pictures, tmp_path, capsys):
    mask = tmp_path / "mask.json"
    mask.write_text("[[0, 0], [5, 0], [0, 5]]")
    assert main(["add", str(store), str(pictures), "--mask", str(mask)]) == 0
    assert f"searches will stay inside the mask {mask}" in capsys.readouterr().out
    opened = Store.open(store)
    assert opened.fits.mask(opened.scans.names()[0]) is not None
    mask.write_text("[[0, 0], [5, 0]]")
    assert main(["add", str(store), str(pictures), "--mask", str(mask)]) == 2
    assert "three or more corners, or several, found 2 corners" in capsys.readouterr().err
