"""The searched area of runs, and how it is shared between classes of density."""

import numpy as np
import pandas as pd
import pytest
from tests.run.conftest import SMALL, add_to

from etchscope.foil import NotScored
from etchscope.geometry import area_cm2, tile_to_foil
from etchscope.run import injected
from etchscope.run.injected import (
    area_by_density,
    false_by_density,
    searched_areas,
    searched_cm2,
)
from etchscope.store import Store
from etchscope.store.records import FindRecord, ScoreRecord

NUMBERS = tuple(t.number for t in SMALL.scan.tiles)
PIXELS = int(np.prod(SMALL.scan.image_size))


def test_a_pit_stands_for_the_area_that_its_density_leaves_it():
    crowd = pd.DataFrame({"tile": 7, "density_per_mm2": [90.0] * 9 + [10.0]})
    lonely = pd.DataFrame({"tile": 8, "density_per_mm2": [0.0, 5.0]})
    unknown = pd.DataFrame({"tile": 9, "density_per_mm2": [np.nan]})
    elsewhere = pd.DataFrame({"tile": 3, "density_per_mm2": [500.0]})
    pits = pd.concat([crowd, lonely, unknown, elsewhere])
    areas = pd.Series(0.02, index=[7, 8, 9, 10])
    share = area_by_density(pits, areas, np.array([0.0, 5.0, 50.0, np.inf])) / 0.02
    assert share.sum(axis=1) == pytest.approx(1)
    assert share[0] == pytest.approx([0, 0.5, 0.5])  # nine pits in the crowd, and one beside it
    assert share[1] == pytest.approx([10 / 11, 1 / 11, 0])  # at most 2 mm², and 0.2 mm²
    assert share[2] == pytest.approx([1, 0, 0])
    assert share[3] == pytest.approx([1, 0, 0])


@pytest.fixture
def store(tmp_path):
    made = Store.create(tmp_path / "store")
    add_to(made, SMALL)
    return made


def remember(store, monkeypatch, **changes):
    """Let the store hold a search, and a run that was scored on other tiles."""
    common = {"version": "1", "scan": SMALL.scan.name, **changes}
    usable = tuple(PIXELS // 2 if n == 2 else PIXELS for n in NUMBERS)
    found = FindRecord(stage="find", tiles=NUMBERS, usable_px=usable, **common)
    scored = ScoreRecord(
        stage="score",
        search="found",
        tiles=NUMBERS[1:],
        usable_px=usable,
        model={"name": "m", "signal": "hip", "weights_sha256": "0"},
        **common,
    )
    records = {"found": found, "scored": scored}
    monkeypatch.setattr(store.runs, "record", records.__getitem__)


def test_only_included_tiles_count_by_their_usable_part(store, monkeypatch):
    remember(store, monkeypatch, left_out=((4, "it was damaged"),))
    store.scans.exclude(None, "stained", scan=SMALL.scan.name, tile=5)
    each = area_cm2(SMALL.scan, [1])
    for run, tiles in (("found", NUMBERS), ("scored", NUMBERS[1:])):
        areas = searched_areas(store, run)
        assert areas.index.tolist() == [n for n in tiles if n not in (4, 5)]
        assert areas[2] == pytest.approx(each / 2, rel=1e-3)
        assert areas[3] == pytest.approx(each, rel=1e-3)
        assert searched_cm2(store, run) == pytest.approx((len(areas) - 0.5) * each, rel=1e-3)


def test_only_the_part_in_the_region_counts(store, monkeypatch):
    height, width = SMALL.scan.image_size
    x, y = np.array([0.0, width / 2, width / 2, 0.0]), np.array([0.0, 0.0, height, height])
    corner = np.column_stack(tile_to_foil(np.full(4, 3), x, y, SMALL.scan))
    remember(store, monkeypatch, region_mm=tuple(map(tuple, corner.tolist())))
    areas = searched_areas(store, "found")
    assert areas[3] == pytest.approx(area_cm2(SMALL.scan, [3]) / 2, rel=0.05)
    assert areas.drop(3).sum() == pytest.approx(0, abs=1e-12)


def test_false_candidates_are_those_of_a_control_that_was_scored_alike(store, monkeypatch):
    remember(store, monkeypatch)
    scored = store.runs.record("scored")
    elsewhere = scored.model_copy(update={"prior": "model"})
    records = {"found": store.runs.record("found"), "scored": scored, "elsewhere": elsewhere}
    crowd = pd.DataFrame({"tile": [2, 2, 3], "density_per_mm2": [10.0, 90.0, 10.0]})
    pits = {"scored": crowd, "elsewhere": crowd.iloc[:0]}
    monkeypatch.setattr(store.runs, "record", records.__getitem__)
    monkeypatch.setattr(store.runs, "score_record", records.__getitem__)
    monkeypatch.setattr(store.runs, "names", lambda _: ["found", "elsewhere", "scored"])
    monkeypatch.setattr(store.runs, "pits", lambda run, *_: pits[run])
    monkeypatch.setattr(injected, "selected_candidates", lambda table, _: table.iloc[1:2])
    edges = np.array([0.0, 50.0, 200.0])
    table = false_by_density(store, "scored", SMALL.scan.name, edges, 6.45)
    assert table["candidates"].tolist() == [0, 1]
    assert table["valid"].all()
    areas = searched_areas(store, "scored")
    assert table["area_cm2"].sum() == pytest.approx(areas.sum())
    assert table["area_cm2"][1] == pytest.approx(0.1 * areas[2])
    assert table["scan_area_cm2"].tolist() == table["area_cm2"].tolist()
    own = false_by_density(store, "scored", None, edges, 6.45)
    assert not own["valid"].any()
    monkeypatch.setattr(store.runs, "names", lambda _: ["elsewhere"])
    with pytest.raises(NotScored, match="a scan that the same model scored"):
        false_by_density(store, "scored", SMALL.scan.name, edges, 6.45)
