import numpy as np
import pytest

from etchscope.draw.placement import Canvas, grid_columns, place_tiles
from etchscope.geometry import tile_to_foil

DATUM = ((1, 32.0, 24.0), (2, 40.0, 20.0), (5, 30.0, 40.0))


@pytest.mark.parametrize("changes", [{}, {"side": "back"}, {"datum": DATUM}])
def test_points_are_foil_millimetres(scan_of, changes):
    scan = scan_of(**changes)
    tile, x, y = np.array([1, 4, 6]), np.array([0.0, 10.5, 63.0]), np.array([47.0, 3.25, 0.0])
    placement = place_tiles(scan)
    assert placement.unit == "mm"
    np.testing.assert_allclose(placement.points(tile, x, y), tile_to_foil(tile, x, y, scan))


def test_without_positions_tiles_lie_in_a_grid_row_by_row(scan, without_place):
    placement = place_tiles(without_place(scan))
    assert placement.unit == "px"
    assert grid_columns(scan) == 3
    x, y = placement.points([1, 2, 3, 4], [5.0] * 4, [7.0] * 4)
    assert y.tolist() == [7, 7, 7, 7 + 48 + 3]
    assert x.tolist() == [5, 5 + 67, 5 + 134, 5]


def test_a_montage_keeps_its_columns(scan, without_place):
    montage = without_place(scan).model_copy(update={"metadata": {"columns": 2}})
    assert grid_columns(montage) == 2
    assert grid_columns(montage.model_copy(update={"metadata": {"columns": 50}})) == 6


def test_a_tile_that_is_not_placed_is_nan(scan):
    x, y = place_tiles(scan).points([99], [1.0], [1.0])
    assert np.isnan([x[0], y[0]]).all()


def test_coverage_counts_overlaps_once(scan):
    canvas = Canvas.over(place_tiles(scan), 10_000)
    covered = canvas.coverage(t.number for t in scan.tiles)
    assert canvas.step == pytest.approx(0.01)
    assert covered.sum() == (3 * 60 + 4) * (2 * 44 + 4)
    assert canvas.coverage([1, 2]).sum() == 64 * (2 * 44 + 4)


def test_coverage_of_a_turned_and_reduced_scan_is_right_to_a_percent(scan_of):
    scan = scan_of(12, 16, datum=((1, 32, 24), (2, 0, 0), (180, 60, 40)))
    canvas = Canvas.over(place_tiles(scan), 500)
    assert max(canvas.shape) == 500
    area = canvas.coverage(t.number for t in scan.tiles).sum() * canvas.step**2
    assert area == pytest.approx((12 * 60 + 4) * (16 * 44 + 4) * 1e-4, rel=0.01)


@pytest.mark.parametrize("changes", [{}, {"side": "back"}, {"datum": DATUM}])
def test_the_raster_and_the_plane_agree(scan_of, changes):
    """A raster pixel's centre, found in a tile, lies where the plane says."""
    canvas = Canvas.over(place_tiles(scan_of(**changes)), 150)
    (rows, columns), is_in = canvas.inside(4)
    where = np.zeros(canvas.shape, bool)
    where[rows, columns] = is_in
    m = canvas.from_tile(4)
    row, column = np.nonzero(where)
    xy = np.linalg.solve(m[:, :2], np.stack([column, row]) - m[:, 2:])
    x, y = canvas.placement.points(np.full(len(row), 4), xy[0], xy[1])
    np.testing.assert_allclose(np.stack([x, y]), canvas.centres(where))
