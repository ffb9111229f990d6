import hashlib

import numpy as np
import pytest

from etchscope.align import find_holes
from etchscope.foil import BadInput, Channel, Foil, Scan, Tile
from etchscope.foil.debugging import DEBUG
from etchscope.run.stages import datum
from etchscope.run.stages.datum import find_datum
from etchscope.store import Store, TilePictures

TILES = 40
HOLES = {3: (30.0, 22.0), 17: (50.0, 30.0), 38: (41.0, 25.0)}
"""Tile → centre of its datum hole, (x_px, y_px)."""


def picture(number):
    """Return 60 × 80 px of noise, with a dark hole on some tiles."""
    grey = np.random.default_rng(number).normal(150, 2, (60, 80))
    if number in HOLES:
        x_px, y_px = HOLES[number]
        y, x = np.mgrid[:60, :80]
        grey[np.hypot(x - x_px, y - y_px) <= 12] = 20
    return grey.round().astype(np.uint8)


@pytest.fixture
def make_store(tmp_path):
    def make(name="store"):
        store = Store.create(tmp_path / name)
        scan = Scan(
            name="F1-front",
            foil="F1",
            layout="plain",
            pixel_size_um=20.0,
            image_size=(60, 80),
            channels=(Channel(step=1, role="halo"), Channel(step=2, role="backlit")),
            tiles=tuple(
                Tile(number=n, stage_x_mm=2.0 * (n % 8), stage_y_mm=2.0 * (n // 8))
                for n in range(TILES)
            ),
        )

        def read(number):
            return TilePictures(np.stack([picture(99), picture(number)]), ("one", "two"))

        store.scans.add(scan, Foil(name="F1"), read)
        return store

    return make


@pytest.fixture
def count_tiles(monkeypatch):
    """Return a list that gets an entry for each tile that is searched."""
    searched = []

    def counting(*given):
        searched.append(given)
        return find_holes(*given)

    monkeypatch.setattr(datum, "find_holes", counting)
    return searched


def bytes_of_fits(store):
    return {p.name: hashlib.sha256(p.read_bytes()).digest() for p in store.path.glob("fits/*")}


def test_holes_are_found_where_they_were_drilled(make_store):
    units, totals = [], []
    found = find_datum(make_store(), "F1-front", progress=units.append, total=totals.append)
    assert (sum(units), totals) == (TILES, [TILES])
    assert [tile for tile, _, _ in found] == list(HOLES)
    np.testing.assert_allclose([hole[1:] for hole in found], list(HOLES.values()), atol=1)


@pytest.mark.parametrize("name", ["inline", "threads", "processes"])
def test_every_executor_finds_and_keeps_the_same(make_store, monkeypatch, name):
    monkeypatch.setenv(DEBUG, "1")
    reference, other = make_store(), make_store(name)
    assert find_datum(other, "F1-front", executor=name, workers=2) == find_datum(
        reference, "F1-front", executor="inline"
    )
    kept = bytes_of_fits(other)
    assert kept == bytes_of_fits(reference)
    assert len(kept) == 1


def test_a_search_that_was_killed_goes_on(make_store, count_tiles):
    store = make_store()

    def stop(units):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_datum(store, "F1-front", executor="inline", progress=stop)
    assert len(count_tiles) == 16
    found = find_datum(store, "F1-front", executor="inline")
    assert len(count_tiles) == TILES
    whole = make_store("whole")
    assert found == find_datum(whole, "F1-front")
    assert bytes_of_fits(store) == bytes_of_fits(whole)


def test_a_search_that_was_done_is_not_done_again(make_store, count_tiles):
    store = make_store()
    found = find_datum(store, "F1-front")
    assert find_datum(store, "F1-front") == found
    assert len(count_tiles) == TILES
    store.scans.exclude("tile = 17", "dirt")
    assert find_datum(store, "F1-front") == tuple(hole for hole in found if hole[0] != 17)
    assert len(count_tiles) == 2 * TILES - 1


def test_a_scan_without_a_scale_is_refused(make_store):
    store = make_store()
    scan = store.scans.get("F1-front").model_copy(update={"name": "F2", "pixel_size_um": None})
    pictures = TilePictures(np.stack([picture(99)] * 2), ("one", "two"))
    store.scans.add(scan, Foil(name="F1"), lambda number: pictures)
    with pytest.raises(BadInput, match="scan F2: expected a pixel size"):
        find_datum(store, "F2")
