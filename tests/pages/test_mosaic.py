import numpy as np
import pytest

from etchscope.draw.maps import paint_mosaic
from etchscope.draw.placement import Canvas, place_tiles
from etchscope.foil import Foil
from etchscope.foil.debugging import DEBUG
from etchscope.pages.gather import Thumbnails
from etchscope.pages.mosaic import paint_in_pieces
from etchscope.pages.report import write_report
from etchscope.store import Store, TilePictures

TILES = 40


@pytest.fixture
def content(make, scan_of, tmp_path):
    """A report on 40 tiles that overlap, whose pictures a store holds."""
    scan = scan_of(8, 5)
    store = Store.create(tmp_path / "store")
    rng = np.random.default_rng(3)
    pictures = {t.number: rng.integers(0, 255, (1, *scan.image_size), np.uint8) for t in scan.tiles}
    store.scans.add(scan, Foil(name=scan.foil), lambda n: TilePictures(pictures[n], ("a.tga",)))
    record = {"scan_digest": store.scans.digest(scan.name)}
    return make(scan=scan, record=record, thumbnails=Thumbnails(store, scan))


@pytest.fixture
def canvas(content):
    return Canvas.over(place_tiles(content.scan), 150)


@pytest.fixture
def count_tiles(monkeypatch):
    """Return a list that gets the number of each tile that is read."""
    read = []
    once = Thumbnails.__call__

    def counting(self, number):
        read.append(number)
        return once(self, number)

    monkeypatch.setattr(Thumbnails, "__call__", counting)
    return read


def stop(units):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["inline", "threads", "processes"])
def test_every_executor_paints_what_one_loop_paints(content, canvas, tmp_path, monkeypatch, name):
    monkeypatch.setenv(DEBUG, "1")
    units = []
    painted = paint_in_pieces(
        canvas, content, tmp_path / "parts", workers=2, executor=name, progress=units.append
    )
    np.testing.assert_array_equal(painted, paint_mosaic(canvas, content.scan, content.thumbnails))
    assert sum(units) == TILES


def test_a_report_that_was_killed_goes_on(content, tmp_path, count_tiles):
    whole = write_report(content, tmp_path / "whole", executor="inline").parent
    of_report = len(count_tiles)
    folder = tmp_path / "killed"
    count_tiles.clear()
    with pytest.raises(KeyboardInterrupt):
        write_report(content, folder, executor="inline", progress=stop)
    assert len(count_tiles) == 16
    write_report(content, folder, executor="inline")
    assert len(count_tiles) == of_report
    assert {p.name for p in folder.iterdir()} == {p.name for p in whole.iterdir()}
    for file in whole.iterdir():
        assert file.read_bytes() == (folder / file.name).read_bytes(), file.name


def test_parts_of_other_pictures_are_made_again(make, content, canvas, tmp_path, count_tiles):
    parts = tmp_path / "parts"
    paint_in_pieces(canvas, content, parts)
    paint_in_pieces(canvas, content, parts)
    assert len(count_tiles) == TILES
    thumbnails = content.thumbnails
    other = make(scan=content.scan, record={"scan_digest": "other"}, thumbnails=thumbnails)
    paint_in_pieces(canvas, other, parts)
    assert len(count_tiles) == 2 * TILES
    unknown = make(scan=content.scan, record={}, thumbnails=thumbnails)
    paint_in_pieces(canvas, unknown, parts)
    paint_in_pieces(canvas, unknown, parts)
    assert len(count_tiles) == 4 * TILES


def test_parts_that_are_gone_meanwhile_are_painted_in_the_end(content, canvas, tmp_path):
    parts = tmp_path / "parts"

    def drop(units):
        for part in parts.iterdir():
            part.unlink()

    painted = paint_in_pieces(canvas, content, parts, executor="inline", progress=drop)
    np.testing.assert_array_equal(painted, paint_mosaic(canvas, content.scan, content.thumbnails))
