import json

import numpy as np
import pandas as pd
import pytest
import typer

from etchscope.align import HOLE_MM, MERGE_MM, TOLERANCE_MM
from etchscope.cli import align
from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    Scan,
    Tile,
    as_pits,
)
from etchscope.geometry import Similarity
from etchscope.store import FindRecord, Store, TilePictures

PLACES = np.random.default_rng(5).uniform(0, [6.0, 4.0], (120, 2))


def run(*arguments):
    app = typer.Typer()
    app.command(name="align")(align.command)
    app([str(a) for a in arguments], standalone_mode=False)


@pytest.fixture
def lists(tmp_path):
    way = Similarity(0.02, shift_x=0.1, shift_y=-0.05)
    for name, xy in (("a", PLACES), ("b", PLACES + 0.03), ("d", way.apply(PLACES[:90]))):
        table = pd.DataFrame({"x_mm": xy[:, 0], "y_mm": xy[:, 1]})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return [tmp_path / f"{name}.csv" for name in ("a", "b", "d")]


def test_lists_are_aligned_and_everything_is_written(lists, tmp_path, capsys):
    out = tmp_path / "out"
    run(*lists, "-o", out, "--max-rotation-deg", "3")
    text = capsys.readouterr().out
    assert "matches within 77.42 µm, one to one" in text
    assert "-1.1459" in text  # 0.02 rad back
    written = {p.name for p in out.iterdir()}
    assert {"alignment.json", "alignment.html", "places.parquet", "d.parquet"} <= written
    assert {"residuals-d-a.png", "map-d-a.png", "matches-d-a.png"} <= written
    page = (out / "alignment.html").read_text()
    assert "Efficiencies, from the other surfaces" in page


def test_json_for_a_program(lists, tmp_path, capsys):
    run(*lists[:2], "-o", tmp_path / "out", "--max-rotation-deg", "1", "--json")
    told = json.loads(capsys.readouterr().out)
    found = told["members"][1]["registration"]
    assert found["matches"]["one-to-one"]["counted"] == 120
    assert found["matches"]["one-to-one"]["by_chance"]["expected"] < 30
    assert told["efficiencies"][0]["passed"]["trials"] > 100


def test_lists_that_do_not_match_write_nothing(lists, tmp_path):
    pd.DataFrame(PLACES * [-1, 1], columns=["x_mm", "y_mm"]).to_csv(tmp_path / "m.csv")
    out = tmp_path / "out"
    with pytest.raises(BadInput, match=r"alignment of m with a: .* The mirror is given the wrong"):
        run(lists[0], tmp_path / "m.csv", "-o", out, "--max-rotation-deg", "1")
    assert not out.exists()
    run(lists[0], tmp_path / "m.csv", "-o", out, "--mirror", "find", "--max-rotation-deg", "1")
    assert (out / "alignment.json").exists()


def test_what_is_no_list_is_named(lists, tmp_path):
    with pytest.raises(BadInput, match=r"align: expected a file of pits, found 'absent\.csv'"):
        run(lists[0], "absent.csv", "-o", tmp_path / "out")


def _searched(path, *several):
    """A store of scans of one tile, 10 µm a pixel, that show pits at (n, 2) mm of their frame."""
    store = Store.create(path)
    for name, xy in several:
        scan = Scan(
            name=name,
            foil=name,
            layout="plain",
            pixel_size_um=10.0,
            image_size=(1000, 1000),
            channels=(Channel(step=9, role="backlit"),),
            tiles=(Tile(number=1, stage_x_mm=0.0, stage_y_mm=0.0),),
        )
        picture = TilePictures(np.full((1, 1000, 1000), 100, np.uint8), ("one",))
        store.scans.add(scan, Foil(name=name), lambda number, p=picture: p)
        pits = {"foil": name, "side": "front", "scan": name, "tile": 1, "run": f"find-{name}"}
        places = pd.DataFrame({"x_mm": xy[:, 0], "y_mm": xy[:, 1], "pit": np.arange(len(xy))})
        places = places.assign(x_px=500 + 100 * xy[:, 0], y_px=500 - 100 * xy[:, 1])
        table = as_pits(places.assign(surface="top", **pits))
        record = FindRecord(stage="find", version="0.1.0", scan=name, tiles=(1,))
        store.runs.commit(f"find-{name}", table, record)
    return store


def test_the_store_keeps_how_its_scans_lie(lists, tmp_path, capsys):
    way, at = Similarity(0.02, shift_x=0.1, shift_y=-0.05), PLACES - [3, 2]
    store = _searched(tmp_path / "store", ("one", at), ("two", way.apply(at)))
    words = ("one", "two", "--store", store.path, "-o", tmp_path / "out")
    run(*words, "--max-rotation-deg", "3")
    run(*words, "--max-rotation-deg", "3", "--name", "again")
    newest, oldest = store.alignments.newest_first()
    assert (newest.name, oldest.name) == ("again", "out")
    assert [m.scan for m in oldest.members] == ["one", "two"]
    back = oldest.members[1].transform
    np.testing.assert_allclose(back.then(way).apply(at), at, atol=0.003)
    # Lists that are no scans of it are not kept.
    run(*lists[:2], "--store", store.path, "-o", tmp_path / "lists", "--max-rotation-deg", "1")
    assert len(store.alignments.newest_first()) == 2
    with pytest.raises(BadInput, match="--name: expected letters, digits"):
        run(*words[:-1], tmp_path / "with a space")
    assert not (tmp_path / "with a space").exists()


def test_the_defaults_are_those_of_the_library():
    assert align._TOLERANCE_UM == 1000 * TOLERANCE_MM
    assert align._MERGE_UM == 1000 * MERGE_MM
    assert align._HOLE_UM == 1000 * HOLE_MM
