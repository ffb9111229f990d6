import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etchscope.foil import (
    BadInput,
    Channel,
    Scan,
    Tile,
)
from etchscope.geometry import (
    FoilFrame,
    foil_frame,
    foil_to_tile,
    in_polygon,
    stage_to_tile,
    tile_to_foil,
    tile_to_stage,
)

PB = Path(__file__).parents[3] / "shared" / "data" / "moedal_pb"
PIXEL_UM = 6.4516
HOLES = ((1, 12.0, 30.0), (0, 30.0, 20.0), (2, 55.0, 11.0))

number = st.floats(-200, 200, allow_nan=False)
angle = st.floats(-np.pi, np.pi)


@given(x=number, y=number, x0=number, y0=number, angle_rad=angle, mirrored=st.booleans())
def test_foil_frame_round_trip(x, y, x0, y0, angle_rad, mirrored):
    frame = FoilFrame(x0, y0, angle_rad, mirrored)
    back = frame.to_stage(*frame.from_stage(np.array([x]), np.array([y])))
    np.testing.assert_allclose(np.ravel(back), [x, y], atol=1e-9)


def test_foil_frame_is_rigid():
    one, other = np.array([0.0, 3.0]), np.array([0.0, 4.0])
    for mirrored in (False, True):
        x, y = FoilFrame(2.0, -1.0, 0.7, mirrored).from_stage(one, other)
        assert np.hypot(x[1] - x[0], y[1] - y[0]) == pytest.approx(5)


def test_foil_frame_turns_and_mirrors_the_stated_way():
    x, y = np.array([2.0]), np.array([1.0])
    # The foil's x axis points along the stage's +y, so stage +y is foil +x.
    np.testing.assert_allclose(FoilFrame(0, 0, np.pi / 2).from_stage(x, y), [[1], [-2]], atol=1e-12)
    np.testing.assert_allclose(FoilFrame(1, 1, 0, True).from_stage(x, y), [[-3], [0]])


def test_tile_centre_and_directions(make_scan):
    scan = make_scan()
    at = tile_to_stage(np.array([30.0, 31.0]), np.array([20.0, 21.0]), *np.array([7.0, 3.0]), scan)
    np.testing.assert_allclose(at, [[7.0, 7.01], [3.0, 2.99]])  # x right, y up


@given(x=number, y=number)
def test_tile_to_stage_round_trip(x, y):
    scan = Scan(
        name="s",
        foil="f",
        layout="plain",
        pixel_size_um=PIXEL_UM,
        image_size=(480, 640),
        channels=(Channel(step=1, role="backlit"),),
        tiles=(Tile(number=1, stage_x_mm=0, stage_y_mm=0),),
    )
    centre = np.array(100.6), np.array(-3.2)
    back = stage_to_tile(*tile_to_stage(np.array(x), np.array(y), *centre, scan), *centre, scan)
    np.testing.assert_allclose(back, [x, y], atol=1e-8)


@pytest.mark.parametrize("side", ["front", "back"])
def test_own_frame_starts_at_the_first_tile(make_scan, side):
    scan = make_scan(side=side)
    sign = -1 if side == "back" else 1
    x, y = tile_to_foil(np.array([0, 2, 1]), np.full(3, 30.0), np.full(3, 20.0), scan)
    np.testing.assert_allclose(x, [0, 0.5 * sign, 0], atol=1e-12)
    np.testing.assert_allclose(y, [0, 0, -0.3], atol=1e-12)


@pytest.mark.parametrize("side", ["front", "back"])
def test_datum_holes_1_and_3_span_the_axis(make_scan, side):
    scan = make_scan(side=side, datum=HOLES)
    holes = np.array(HOLES)
    x, y = tile_to_foil(holes[:, 0].astype(int), holes[:, 1], holes[:, 2], scan)
    np.testing.assert_allclose([x[0], y[0], y[2]], 0, atol=1e-12)
    assert x[2] > 0
    # Hole 2, by hand: stage shifts from hole 1 are (0.18, 0.4) and, to hole 3, (0.93, 0.49) mm.
    sign = -1 if side == "back" else 1
    axis = np.array([sign * 0.93, 0.49]) / np.hypot(0.93, 0.49)
    shift = np.array([sign * 0.18, 0.4])
    expected = [shift @ axis, shift @ np.array([-axis[1], axis[0]])]
    np.testing.assert_allclose([x[1], y[1]], expected)


@pytest.mark.parametrize("side", ["front", "back"])
@pytest.mark.parametrize("datum", [(), HOLES])
def test_tile_to_foil_and_back(make_scan, side, datum):
    scan = make_scan(side=side, datum=datum)
    rng = np.random.default_rng(1)
    tile = rng.integers(0, 4, 50)
    x, y = rng.uniform(0, 60, 50), rng.uniform(0, 40, 50)
    stage = foil_frame(scan).to_stage(*tile_to_foil(tile, x, y, scan))
    centre = np.array([(t.stage_x_mm, t.stage_y_mm) for t in scan.tiles])[tile]
    back = stage_to_tile(*stage, centre[:, 0], centre[:, 1], scan)
    np.testing.assert_allclose(back, [x, y], atol=1e-9)


def test_order_of_the_tiles_does_not_count(make_scan):
    scan = make_scan()
    shuffled = make_scan(tiles=scan.tiles[::-1])
    points = np.array([3, 0, 2]), np.array([1.0, 2.0, 3.0]), np.array([9.0, 8.0, 7.0])
    np.testing.assert_array_equal(tile_to_foil(*points, scan), tile_to_foil(*points, shuffled))


@pytest.mark.parametrize(
    "tile",
    [
        Tile(number=0),
        Tile(number=0, stage_x_mm=1.0),
        Tile(number=0, stage_y_mm=1.0),
    ],
)
def test_no_place_without_positions(make_scan, tile):
    x, y = tile_to_foil(np.array([0, 0]), np.ones(2), np.ones(2), make_scan(tiles=(tile,)))
    assert np.isnan([x, y]).all()
    with pytest.raises(BadInput, match="scan s: tile 0: expected a stage position"):
        foil_frame(make_scan(tiles=(tile,)))


def test_no_place_without_a_scale(make_scan):
    scan = make_scan(pixel_size_um=None)
    x, y = tile_to_foil(np.array([0]), np.ones(1), np.ones(1), scan)
    assert np.isnan([x, y]).all()
    with pytest.raises(BadInput, match="expected a pixel size, found none"):
        tile_to_stage(np.ones(1), np.ones(1), np.ones(1), np.ones(1), scan)


def test_unknown_tile_and_coinciding_holes_are_refused(make_scan):
    with pytest.raises(BadInput, match="tiles of the scan, found tile 8"):
        tile_to_foil(np.array([0, 8]), np.ones(2), np.ones(2), make_scan())
    twice = ((0, 5.0, 5.0), (1, 5.0, 5.0), (0, 5.5, 5.0))
    with pytest.raises(BadInput, match="holes 1 and 3 apart"):
        foil_frame(make_scan(datum=twice))


def test_no_pits(make_scan):
    x, y = tile_to_foil(np.empty(0, int), np.empty(0), np.empty(0), make_scan())
    assert x.shape == y.shape == (0,)


def test_in_polygon_with_a_notch():
    notched = np.array([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4.0]])
    x = np.array([2.0, 2.0, 0.5, 3.5, -1.0, 5.0, np.nan])
    y = np.array([0.5, 2.0, 2.0, 2.0, 0.5, 0.5, 1.0])
    inside = [True, False, True, True, False, False, False]
    assert in_polygon(x, y, notched).tolist() == inside
    assert in_polygon(x, y, notched[::-1]).tolist() == inside
    assert in_polygon(x, y, np.roll(notched, 2, axis=0)).tolist() == inside


@given(st.integers(3, 9), st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 6))
def test_in_polygon_is_a_half_plane_test_on_convex_ones(corners, x, y, phase):
    turn = phase + 2 * np.pi * np.arange(corners) / corners
    polygon = 2 * np.column_stack([np.cos(turn), np.sin(turn)])
    normal = np.cos(turn + np.pi / corners), np.sin(turn + np.pi / corners)
    beyond = x * normal[0] + y * normal[1] - 2 * np.cos(np.pi / corners)
    if np.abs(beyond).min() > 1e-9:
        assert bool(in_polygon(np.array([x]), np.array([y]), polygon)[0]) == (beyond < 0).all()


@pytest.mark.parametrize("polygon", [np.zeros((2, 2)), np.zeros((3, 3)), np.zeros(6)])
def test_in_polygon_needs_corners(polygon):
    with pytest.raises(BadInput, match="at least three"):
        in_polygon(np.zeros(1), np.zeros(1), polygon)


def _real_scan(name: str) -> Scan:
    stage = json.loads((PB / "stage_positions_inch.json").read_text())[name]
    datum = json.loads((PB / "datum_holes.json").read_text())[name]
    return Scan(
        name=name,
        foil="foil",
        side="back" if name.endswith("r") else "front",
        layout="smartscope",
        pixel_size_um=PIXEL_UM,
        image_size=(480, 640),
        channels=(Channel(step=9, role="backlit"),),
        datum=tuple(tuple(hole) for hole in datum),
        tiles=tuple(
            Tile(number=int(n), stage_x_mm=25.4 * x, stage_y_mm=25.4 * y)
            for n, (x, y) in stage.items()
        ),
    )


@pytest.mark.real_data
@pytest.mark.skipif(not PB.is_dir(), reason="the real coordinates (moedal_pb) are absent")
@pytest.mark.parametrize("name", ["c1", "c2", "cr"])
def test_published_foil_coordinates_come_out(name):
    pits = np.array(json.loads((PB / "pits_tile_xy.json").read_text())[name], float)
    published = np.array(json.loads((PB / "pits_foil_xy_px.json").read_text())[name], float)
    x_px = pits[:, 1]
    if name == "cr":  # its pits were listed in mirrored pictures, see the data's README
        x_px = 640 - x_px
    x_mm, y_mm = tile_to_foil(pits[:, 0].astype(int), x_px, pits[:, 2], _real_scan(name))
    ours = np.column_stack([x_mm, -y_mm]) * 1000 / PIXEL_UM
    # The list is in whole pixels, cut off towards 0; a few lie within rounding of the next one.
    assert np.abs(ours - published).max() < 1.001
    assert (np.trunc(ours) == published).mean() > 0.999


@given(angle_rad=angle, mirrored=st.booleans(), x=number, y=number)
def test_a_frames_transform_is_the_frame(angle_rad, mirrored, x, y):
    frame = FoilFrame(2.0, -3.0, angle_rad, mirrored)
    expected = np.column_stack(frame.from_stage(np.array([x]), np.array([y])))
    np.testing.assert_allclose(frame.transform.apply([[x, y]]), expected, atol=1e-9)


@pytest.mark.parametrize("side", ["front", "back"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_points_of_the_foil_come_back_into_their_tile(make_scan, side, order):
    scan = make_scan(side=side)
    scan = scan.model_copy(update={"tiles": tuple(scan.tiles[n] for n in order)})
    tile, x_px, y_px = np.array([0, 1, 2, 3]), np.array([5.0, 30, 40, 20]), np.full(4, 20.0)
    x_mm, y_mm = tile_to_foil(tile, x_px, y_px, scan)
    back = foil_to_tile(x_mm, y_mm, scan)
    assert back["tile"].tolist() == tile.tolist()
    np.testing.assert_allclose(back[["x_px", "y_px"]], np.column_stack([x_px, y_px]))


def test_of_overlapping_tiles_it_is_the_one_that_shows_more(make_scan):
    scan = make_scan()  # tiles 0 and 2 overlap by 10 px: 50 in one is 0 in the other
    x_mm, y_mm = tile_to_foil(np.array([0, 0]), np.array([53.0, 56.0]), np.full(2, 20.0), scan)
    back = foil_to_tile(x_mm, y_mm, scan)
    assert back["tile"].tolist() == [0, 2]
    np.testing.assert_allclose(back["x_px"], [53, 6])


def test_a_point_outside_every_tile_says_so(make_scan):
    scan = make_scan()
    x_mm, y_mm = tile_to_foil(np.array([0, 0, 0]), np.array([-0.4, -0.6, 9]), np.full(3, 9.0), scan)
    back = foil_to_tile(np.append(x_mm, 900.0), np.append(y_mm, 0.0), scan)
    assert back["tile"].isna().tolist() == [False, True, False, True]
    assert back["x_px"].isna().tolist() == [False, True, False, True]
    assert foil_to_tile(np.empty(0), np.empty(0), scan)["tile"].dtype == "Int64"
