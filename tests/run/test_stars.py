import numpy as np
import pandas as pd
import pytest

import etchscope as es
from etchscope.background.stars import StarSearch
from etchscope.cli.app import main
from etchscope.files.tables import read_columns
from etchscope.foil import BadInput, Foil, NoPositions
from etchscope.foil.stars import PRONG_COLUMNS, STAR_COLUMNS
from etchscope.preselect import FindSettings
from etchscope.run import find, stars
from etchscope.run.drawn import add_simulated
from etchscope.run.stars import search_stars
from etchscope.simulation import Fragments, Hips, Optics, Population, SimulatedScan, Stage, Stars
from etchscope.store import Store, TilePictures
from etchscope.store.records import FindRecord


def _foil(side):
    population = Population(
        Hips(per_tile=3), Fragments(per_tile=100), Stars(per_tile=150, v=4.5, range_um=300)
    )
    optics, stage = Optics(image_size=(240, 320)), Stage(rotation_deg=1.0, offset_mm=(0.4, -0.3))
    return SimulatedScan(3, 2, 1, population, optics=optics, stage=stage, side=side, foil="F1")


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A store with both sides of a foil with stars, and the run of each."""
    store = Store.create(tmp_path_factory.mktemp("stars") / "store")
    runs = {}
    for side in ("front", "back"):
        foil = _foil(side)
        add_simulated(foil, store)
        settings = FindSettings(finder="classical")
        runs[side] = find(store, foil.scan.name, settings=settings, executor="inline").run
    return store, runs


@pytest.mark.parametrize("side", ["front", "back"])
def test_a_vertex_lies_on_the_foil_where_its_pits_do(searched, side):
    store, runs = searched
    search = search_stars(store, runs[side], copies=2)
    pits = store.runs.pits(runs[side]).set_index("pit")
    assert len(search.stars) >= 5
    of = search.prongs.join(search.stars.set_index("star")[["x_mm", "y_mm"]], on="star")
    at = pits.loc[of["pit"], ["x_mm", "y_mm"]].to_numpy()
    away_px = np.hypot(*(of[["x_mm", "y_mm"]].to_numpy() - at).T) * 1000 / 6.4516
    assert np.allclose(away_px, of["distance_px"], atol=0.05)
    assert (pits.loc[of["pit"], "tile"].to_numpy() == of["tile"]).all()


def test_pits_on_tiles_that_are_excluded_by_now_are_left_out(tmp_path, monkeypatch):
    store, foil, given = Store.create(tmp_path / "store"), _foil("front"), {}
    add_simulated(foil, store)
    record = FindRecord(stage="find", version="1", scan="F1-front", tiles=(1, 2))
    pits = pd.DataFrame({"tile": [2, 1, 2], "x_px": 5.0, "y_px": [1.0, 2.0, 3.0]})
    monkeypatch.setattr(store.runs, "record", lambda _: record)
    monkeypatch.setattr(store.runs, "pits", lambda _: pits)

    def find_none(rows, place_px, rectangles_px, **_):
        given.update(rows=rows, place=place_px, rectangles=rectangles_px)
        none = pd.DataFrame({"x_px": [], "y_px": []})
        return StarSearch(none, none, none, 1)

    monkeypatch.setattr(stars, "find_stars", find_none)
    search_stars(store, "run")
    assert len(given["rows"]) == 3
    assert len(given["rectangles"]) == 2
    corner = given["rectangles"][[1, 0, 1]][:, [0, 2]] + 0.5
    assert given["place"] - corner == pytest.approx(pits[["x_px", "y_px"]].to_numpy())
    store.scans.exclude(None, "stained", scan="F1-front", tile=2)
    search_stars(store, "run")
    assert given["rows"]["tile"].tolist() == [1]
    assert len(given["rectangles"]) == 1
    store.scans.exclude(None, "stained", scan="F1-front", tile=1)
    with pytest.raises(BadInput, match="run run: expected a searched tile that is included"):
        search_stars(store, "run")


def test_the_command_writes_tables_and_a_picture_and_leaves_the_run(searched, tmp_path, capsys):
    store, runs = searched
    before = store.runs.pits(runs["front"])
    words = ["stars", str(store.path), "--scan", "F1-front", "--copies", "2", "--purity", "0"]
    assert main([*words, "-o", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    stars = read_columns(tmp_path / "out" / "stars.csv")
    assert list(stars) == [c.name for c in STAR_COLUMNS]
    assert lines[-1] == f"{len(stars)} stars of {len(stars)} vertices"
    prongs = read_columns(tmp_path / "out" / "prongs.csv")
    assert list(prongs) == [c.name for c in PRONG_COLUMNS]
    assert (prongs.groupby("star").size().to_numpy() == stars["prongs"]).all()
    assert (tmp_path / "out" / "stars.png").read_bytes().startswith(b"\x89PNG")
    assert store.runs.pits(runs["front"]).equals(before)


def test_a_search_knows_its_run(searched, tmp_path):
    store, runs = searched
    opened = es.open(store.path)
    search = opened.stars("F1-back", copies=1)
    assert search.run == runs["back"]
    folder = opened.write_stars(tmp_path / "out", search)
    written = read_columns(folder / "prongs.csv")
    assert written["pit"].tolist() == search.prongs["pit"].tolist()


def test_what_the_model_needs_is_named(tmp_path):
    store = Store.create(tmp_path / "store")
    foil = _foil("front")
    read = foil.read_tile
    store.scans.add(foil.scan, Foil(name="F1"), lambda n: TilePictures(read(n), ("a",) * 10))
    run = find(store, "F1-front", settings=FindSettings(finder="classical")).run
    with pytest.raises(BadInput, match=r"foil F1: thickness_um: expected a number, .*none"):
        search_stars(store, run)


def test_a_scan_without_scale_is_refused(tmp_path):
    store = Store.create(tmp_path / "store")
    foil = _foil("front")
    scan = foil.scan.model_copy(update={"pixel_size_um": None})
    store.scans.add(scan, foil.foil_record, lambda n: TilePictures(foil.read_tile(n), ("a",) * 10))
    run = find(store, "F1-front", settings=FindSettings(finder="classical")).run
    with pytest.raises(NoPositions, match=r"scan F1-front: expected a pixel size.* no pixel size"):
        search_stars(store, run)
