import numpy as np
import pytest

from etchscope.foil import (
    BadInput,
    Channel,
    Scan,
    Tile,
)
from etchscope.geometry import (
    Mask,
    foil_frame,
    in_polygon,
    mask_unit,
    masks,
    tile_to_foil,
)
from etchscope.geometry.masks import fill_polygon

LIGHT = (Channel(step=1, role="backlit"),)
rng = np.random.default_rng(0)


def _scan(*, side="front", datum=(), placed=True, scale=6.4516, numbers=(4, 1, 2)):
    places = {4: (10.0, -3.0), 1: (10.0, 0.0), 2: (14.0, 0.1)}
    tiles = tuple(
        Tile(
            number=n,
            stage_x_mm=places[n][0] if placed else None,
            stage_y_mm=places[n][1] if placed else None,
        )
        for n in numbers
    )
    return Scan(
        name="F1",
        foil="F1",
        side=side,
        layout="smartscope",
        pixel_size_um=scale,
        image_size=(48, 64),
        channels=LIGHT,
        datum=datum,
        tiles=tiles,
    )


HOLES = ((1, 3.0, 4.5), (2, 5.0, 1.0), (4, 30.0, 20.0))


@pytest.mark.parametrize("corners", [3, 4, 7, 12])
def test_fill_polygon_is_in_polygon_of_every_pixel(corners):
    y, x = np.mgrid[:48, :64].astype(float)
    for _ in range(20):
        polygon = rng.uniform(-30, 90, (corners, 2))
        expected = in_polygon(x.ravel(), y.ravel(), polygon).reshape(48, 64)
        np.testing.assert_array_equal(fill_polygon(polygon, (48, 64)), expected)
    whole = np.array([[3, 5], [20, 5], [20, 9], [3, 9.0]])
    assert fill_polygon(whole, (48, 64)).sum() == 17 * 4


@pytest.mark.parametrize("side", ["front", "back"])
@pytest.mark.parametrize("datum", [(), HOLES])
def test_polygons_in_mm_lie_where_the_foil_frame_says(datum, side):
    scan = _scan(side=side, datum=datum)
    y, x = np.mgrid[:48, :64]
    n = x.size
    for tile in (1, 2, 4):
        numbers = np.full(n, tile, np.int64)
        mm = tile_to_foil(numbers, x.ravel().astype(float), y.ravel().astype(float), scan)
        middle = np.array([np.mean(mm[0]), np.mean(mm[1])])
        polygon = middle + rng.uniform(-0.15, 0.15, (5, 2))
        found = Mask(polygons=(polygon,)).of_tile(scan, tile)
        expected = in_polygon(mm[0], mm[1], polygon).reshape(48, 64)
        assert expected.any()
        # Rounding may decide of a pixel that the edge goes through.
        assert (found != expected).sum() <= 1
        assert Mask(polygons=(polygon,)).touched(scan) == (tile,)


def test_polygons_join_and_pixels_hold_for_every_tile():
    scan = _scan(scale=None)
    one, other = np.array([[0, 0], [10, 0], [0, 10.0]]), np.array([[5, 0], [20, 0], [20, 9.0]])
    mask = Mask(polygons=(one, other), unit="px")
    expected = fill_polygon(one, (48, 64)) | fill_polygon(other, (48, 64))
    for tile in (1, 4):
        np.testing.assert_array_equal(mask.of_tile(scan, tile), expected)
    assert mask.touched(scan) == (4, 1, 2)


def test_the_frame_of_a_scan_is_made_once_for_all_its_tiles(monkeypatch):
    """It reads the positions of all tiles, of which a scan may have a million."""
    calls = []
    monkeypatch.setattr(masks, "foil_frame", lambda scan: calls.append(1) or foil_frame(scan))
    corners = np.array([[-9, -9], [9, -9], [9, 9], [-9, 9.0]])
    assert Mask(polygons=(corners,)).touched(_scan()) == tuple(t.number for t in _scan().tiles)
    assert len(calls) == 1


def test_pictures_are_one_for_all_or_one_a_tile():
    scan = _scan()
    one = rng.random((1, 48, 64)) > 0.5
    np.testing.assert_array_equal(Mask(pictures=one).of_tile(scan, 2), one[0])
    three = np.stack([one[0], ~one[0], np.zeros((48, 64), bool)])
    mask = Mask(pictures=three, tiles=(1, 2, 4))
    np.testing.assert_array_equal(mask.of_tile(scan, 2), ~one[0])
    assert mask.touched(scan) == (1, 2)
    with pytest.raises(BadInput, match="expected a picture of every tile, found none of tile 4"):
        Mask(pictures=three[:2], tiles=(1, 2)).of_tile(scan, 4)
    with pytest.raises(BadInput, match=r"pictures of shape \(48, 64\), found \(64, 48\)"):
        Mask(pictures=np.ones((1, 64, 48), bool)).of_tile(scan, 1)
    with pytest.raises(BadInput, match="one of its tiles, found tile 7"):
        Mask(pictures=one).of_tile(scan, 7)


def test_a_mask_comes_back_from_its_arrays_and_its_digest_is_what_it_does():
    polygons = tuple(rng.uniform(0, 9, (n, 2)) for n in (3, 5))
    masks = [
        Mask(polygons=polygons),
        Mask(polygons=polygons, unit="px"),
        Mask(polygons=polygons[:1]),
        Mask(pictures=rng.random((1, 5, 11)) > 0.5),
        Mask(pictures=rng.random((2, 5, 11)) > 0.5, tiles=(3, 9)),
    ]
    assert len({mask.digest for mask in masks}) == len(masks)
    for mask in masks:
        again = Mask.from_arrays(mask.to_arrays())
        assert again.digest == mask.digest
        assert (again.unit, again.tiles) == (mask.unit, mask.tiles)
        assert len(again.polygons) == len(mask.polygons)
        if mask.pictures is not None:
            np.testing.assert_array_equal(again.pictures, mask.pictures)
    with pytest.raises(BadInput, match="the arrays of a mask"):
        Mask.from_arrays({"gain": np.ones(3)})


def test_the_unit_is_px_without_scale_or_positions():
    assert mask_unit(_scan()) == "mm"
    assert mask_unit(_scan(scale=None)) == "px"
    assert mask_unit(_scan(placed=False)) == "px"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "polygons or pictures, found neither"),
        ({"polygons": (np.ones((3, 2)),), "pictures": np.ones((1, 2, 2), bool)}, "found both"),
        ({"polygons": (np.ones((2, 2)),)}, r"three or more corners, found \(2, 2\)"),
        ({"polygons": (np.full((3, 2), np.nan),)}, "finite corners"),
        ({"pictures": np.ones((2, 3, 3), bool)}, "1 pictures, one per tile or one for all"),
    ],
)
def test_what_is_no_mask_is_refused(given, words):
    with pytest.raises(BadInput, match=words):
        Mask(**given)
