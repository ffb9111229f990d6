import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from etchscope.foil import (
    BadInput,
    Channel,
    Scan,
    Tile,
)
from etchscope.geometry.masks import fill_polygon
from etchscope.ingest import Overrides, add_scan, open_source, read_mask
from etchscope.store import Store

SQUARE = [[0, 0], [8, 0], [8, 6], [0, 6]]


def _scan(layout="plain", scale=None, tiles=2):
    return Scan(
        name="F1",
        foil="F1",
        layout=layout,
        pixel_size_um=scale,
        image_size=(12, 16),
        channels=(Channel(step=1, role="backlit"),),
        tiles=tuple(
            Tile(number=n, stage_x_mm=None if scale is None else n, stage_y_mm=0.0)
            if scale
            else Tile(number=n)
            for n in range(1, tiles + 1)
        ),
    )


def _written(path, value):
    if path.suffix == ".json":
        path.write_text(value if isinstance(value, str) else json.dumps(value))
    elif path.suffix == ".tif":
        tifffile.imwrite(path, value)
    else:
        Image.fromarray(value).save(path)
    return path


def test_polygons_are_px_of_pictures_without_scale(tmp_path):
    scan = _scan()
    mask = read_mask(_written(tmp_path / "m.json", SQUARE), scan)
    assert mask.unit == "px"
    expected = fill_polygon(np.array(SQUARE, float), (12, 16))
    np.testing.assert_array_equal(mask.of_tile(scan, 2), expected)
    closed = read_mask(_written(tmp_path / "c.json", [*SQUARE, SQUARE[0]]), scan)
    assert closed.digest == mask.digest
    two = read_mask(_written(tmp_path / "t.json", [SQUARE, [[9, 9], [12, 9], [9, 12]]]), scan)
    assert two.of_tile(scan, 1).sum() > mask.of_tile(scan, 1).sum()


def test_polygons_are_mm_of_the_foil_where_there_is_a_scale(tmp_path):
    scan = _scan(scale=10.0)
    mask = read_mask(_written(tmp_path / "m.json", [[-1, -1], [0, -1], [0, 1], [-1, 1]]), scan)
    assert mask.unit == "mm"
    # The first tile's reference pixel, (8, 6), is the foil's origin.
    np.testing.assert_array_equal(mask.of_tile(scan, 1)[5], np.arange(16) < 8)
    assert not mask.of_tile(scan, 2).any()


@pytest.mark.parametrize("name", ["m.png", "m.tif"])
@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint8", 1), ("uint16", 65535)])
def test_pictures_of_a_tile_hold_for_every_tile(tmp_path, name, dtype, white):
    scan = _scan()
    where = np.random.default_rng(1).random((12, 16)) > 0.5
    path = _written(tmp_path / name, np.where(where, white, 0).astype(dtype))
    np.testing.assert_array_equal(read_mask(path, scan).of_tile(scan, 2), where)


def test_a_white_picture_searches_all(tmp_path):
    path = _written(tmp_path / "m.png", np.full((12, 16), 255, np.uint8))
    assert read_mask(path, _scan()).of_tile(_scan(), 1).all()


GREY = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("m.json", "[[0, 0], [1", "m.json: line 1, column 12: expected JSON"),
        ("m.json", {"a": 1}, "three or more corners, or several, found dict"),
        ("m.json", [], "three or more corners, or several, found an empty list"),
        ("m.json", [[0, 0], [5, 5]], "three or more corners, or several, found 2 corners"),
        ("m.json", [[0, 0], [5, 5], [0, 0]], "found 2 corners"),
        ("m.json", [SQUARE, [[0, 0]]], "m.json: polygon 2: expected .* found 1 corners"),
        ("m.json", [[0, 0], [5, "x"], [0, 5]], r"several, found \[5, 'x'\]"),
        ("m.json", [[0, 0], [5, True], [0, 5]], r"several, found \[5, True\]"),
        ("m.json", "[[0, 0], [5, 1e999], [0, 5]]", r"several, found \[5, inf\]"),
        ("m.json", [[0, 0, 0]] * 3, r"several, found \[0, 0, 0\]"),
        ("m.json", [5, 6, 7], "several, found 5"),
        (
            "m.json",
            [[50, 0], [58, 0], [58, 6]],
            r"leaves some of scan F1, found polygons on none of its 2 tiles \(x from 50 to 58, ",
        ),
        ("m.png", GREY, r"0 and one other grey level, found 192 grey levels \(0, 1, 2, 3, …\)"),
        ("m.png", GREY[:, :15] * 0, "16 × 12 pixels, the size of a tile, found 15 × 12 pixels"),
        ("m.png", GREY * 0, "leaves some of scan F1, found black everywhere"),
        ("m.tif", np.zeros((2, 12, 16), np.uint8), "expected one picture, found 2 pages"),
        ("m.png", np.full((12, 16, 3), 255, np.uint8)[:5], "found 16 × 5 pixels"),
    ],
)
def test_a_mask_that_does_not_fit_names_file_expected_and_found(tmp_path, name, value, words):
    path = _written(tmp_path / name, value)
    with pytest.raises(BadInput, match=words) as error:
        read_mask(path, _scan())
    assert str(path) in str(error.value)


def test_what_is_no_mask_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="found no such file"):
        read_mask(tmp_path / "m.json", _scan())
    with pytest.raises(BadInput, match="found a folder"):
        read_mask(tmp_path, _scan())
    (tmp_path / "m.txt").write_text("x")
    with pytest.raises(BadInput, match=r"ends in .json, .png or .tif, found '.txt'"):
        read_mask(tmp_path / "m.txt", _scan())


@pytest.fixture
def montage(tmp_path):
    """A montage of 2 × 3 cells of 20 × 30 px between dark lines, and each cell's place."""
    page = np.zeros((2 * 21 + 1, 3 * 31 + 1), np.uint8)
    cells = [(1 + 21 * i, 1 + 31 * j) for i in range(2) for j in range(3)]
    for y, x in cells:
        page[y : y + 20, x : x + 30] = np.random.default_rng(y * 100 + x).integers(150, 170)
    return _written(tmp_path / "sheet.png", page), page.shape, cells


@pytest.mark.parametrize("kind", ["png", "json"])
def test_a_mask_of_a_whole_montage_is_cut_like_it(tmp_path, montage, kind):
    path, shape, cells = montage
    source = open_source(path, Overrides(layout="montage", rows=2, columns=3))
    corners = np.array([[5, 3], [60, 3], [60, 30], [5, 30.0]])
    whole = fill_polygon(corners, shape)
    value = corners.tolist() if kind == "json" else whole.astype(np.uint8) * 255
    mask = read_mask(_written(tmp_path / f"m.{kind}", value), source.scan, source.sheet)
    for number, (y, x) in enumerate(cells, 1):
        found = mask.of_tile(source.scan, number)
        np.testing.assert_array_equal(found, whole[y : y + 20, x : x + 30])
    assert mask.touched(source.scan) == (1, 2, 4, 5)


def test_a_stored_montage_takes_pictures_of_a_tile_only(tmp_path, montage):
    path, shape, _ = montage
    scan = open_source(path, Overrides(layout="montage", rows=2, columns=3)).scan
    with pytest.raises(BadInput, match="Give polygons to `add`, which sees the whole montage"):
        read_mask(_written(tmp_path / "m.json", SQUARE), scan)
    whole = np.full(shape, 255, np.uint8)
    with pytest.raises(BadInput, match=r"30 × 20 pixels.* found 94 × 43 pixels. `add` sees"):
        read_mask(_written(tmp_path / "m.png", whole), scan)
    cell = _written(tmp_path / "c.png", np.full((20, 30), 255, np.uint8))
    assert read_mask(cell, scan).of_tile(scan, 6).all()


def test_add_keeps_the_mask_with_the_scan_and_refuses_a_bad_one_first(tmp_path, montage):
    path, _, _ = montage
    store = Store.create(tmp_path / "store")
    overrides = Overrides(layout="montage", rows=2, columns=3)
    bad = _written(tmp_path / "bad.json", [[0, 0]])
    with pytest.raises(BadInput, match="1 corners"):
        add_scan(store, path, overrides=overrides, mask=bad)
    assert store.scans.names() == []
    good = _written(tmp_path / "good.json", [[5, 3], [60, 3], [60, 30]])
    assert add_scan(store, path, overrides=overrides).is_new
    (name,) = store.scans.names()
    assert store.fits.mask(name) is None
    assert not add_scan(store, path, overrides=overrides, mask=good).is_new
    mask = store.fits.mask(name)
    assert mask is not None
    assert mask.touched(store.scans.get(name)) == (1, 2, 5)
