import numpy as np
import pytest

from etchscope.draw.maps import draw_density, draw_mosaic, measure_area_mm2, paint_mosaic
from etchscope.draw.placement import Canvas, place_tiles
from etchscope.foil import as_pits

DATUM = ((1, 32.0, 24.0), (2, 40.0, 20.0), (5, 30.0, 40.0))


@pytest.mark.parametrize("changes", [{}, {"side": "back"}, {"datum": DATUM}])
@pytest.mark.parametrize("longest_px", [10_000, 120])
def test_a_bright_spot_comes_out_where_the_plane_says(scan_of, changes, longest_px):
    scan = scan_of(**changes)
    canvas = Canvas.over(place_tiles(scan), longest_px)

    def spot(number):
        picture = np.zeros(scan.image_size, np.uint8)
        if number == 4:
            picture[10:17, 40:47] = 200
        return picture

    mosaic = np.nan_to_num(paint_mosaic(canvas, scan, spot))
    bright = mosaic > 100
    x, y = (v.mean() for v in canvas.centres(bright))
    expected = canvas.placement.points([4], [43.0], [13.0])
    assert (x, y) == pytest.approx((expected[0][0], expected[1][0]), abs=0.5 * canvas.step)
    assert bright.sum() * canvas.step**2 == pytest.approx(49e-4, rel=0.3)


def test_a_reduced_tile_is_not_shifted(scan_of):
    """A ramp stays that ramp: each raster pixel has the value of its own place."""
    scan = scan_of(datum=DATUM)
    canvas = Canvas.over(place_tiles(scan), 60)
    ramp = np.add.outer(1000 + 3.0 * np.arange(48), 5.0 * np.arange(64))
    mosaic = paint_mosaic(canvas, scan, lambda n: ramp if n == 4 else 0 * ramp)
    m = canvas.from_tile(4)
    row, column = np.nonzero(mosaic > 0)
    x, y = np.linalg.solve(m[:, :2], np.stack([column, row]) - m[:, 2:])
    inner = (x > 5) & (x < 58) & (y > 5) & (y < 42)
    assert inner.sum() > 50
    expected = 1000 + 3 * y + 5 * x
    np.testing.assert_allclose(mosaic[row, column][inner], expected[inner], atol=0.5)


def test_tiles_are_read_one_by_one_and_excluded_ones_are_not(scan):
    tiles = tuple(t.model_copy(update={"excluded": t.number == 2}) for t in scan.tiles)
    some = scan.model_copy(update={"tiles": tiles})
    read, done = [], []
    canvas = Canvas.over(place_tiles(some), 500)
    picture = paint_mosaic(
        canvas, some, lambda n: (read.append(n), np.full(some.image_size, n))[1], done.append
    )
    assert read == [1, 3, 4, 5, 6]
    assert done == [1] * 5
    assert np.isnan(picture).any()
    assert set(np.unique(picture[np.isfinite(picture)])) == {1, 3, 4, 5, 6}


def test_area(scan, without_place):
    assert measure_area_mm2(place_tiles(scan), scan) == pytest.approx(184 * 92 * 1e-4)
    plain = without_place(scan)
    assert measure_area_mm2(place_tiles(plain), plain) is None
    scaled = plain.model_copy(update={"pixel_size_um": 10.0})
    assert measure_area_mm2(place_tiles(scaled), scaled) == pytest.approx(6 * 64 * 48 * 1e-4)


def _densities(figure):
    meshes = [c for c in figure.axes[0].collections if c.get_array() is not None]
    return np.ma.concatenate([np.ma.ravel(m.get_array()) for m in meshes]).compressed()


def test_density_is_pits_over_scanned_area(scan, pits_of):
    pits = pits_of(scan, per_tile=60)
    ranges = []
    figure = draw_density(place_tiles(scan), scan, pits, title=lambda t: ranges.append(t) or t)
    mean = len(pits) / (184 * 92 * 1e-4)
    assert _densities(figure).mean() == pytest.approx(mean, rel=0.1)
    assert ranges[0].endswith("pits/mm²")


def test_density_of_a_bin_scanned_in_part_is_not_diluted(scan_of):
    scan = scan_of(1, 2, datum=((1, 10.0, 10.0), (1, 0.0, 0.0), (1, 40.0, 30.0)))
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 63, 6000), rng.uniform(0, 47, 6000)
    pits = as_pits({"tile": np.repeat([1, 2], 3000), "x_px": x, "y_px": y})
    densities = _densities(draw_density(place_tiles(scan), scan, pits, title=str))
    assert len(densities) > 30
    assert np.percentile(densities, [10, 50]) == pytest.approx(3000 / (64 * 48e-4), rel=0.2)


def test_in_a_grid_of_many_tiles_a_bin_is_a_tile(scan_of, without_place):
    plain = without_place(scan_of(4, 4))
    pits = as_pits({"tile": [1, 1, 6], "x_px": [1.0, 60, 9], "y_px": [1.0, 40, 9]})
    figure = draw_density(place_tiles(plain), plain, pits, title=str)
    per_pit = 1e6 / (64 * 48)
    seen = _densities(figure)
    assert sorted(seen[seen > 0]) == pytest.approx([per_pit, 2 * per_pit], rel=0.05)


def test_density_without_a_scale_is_per_million_pixels(scan, without_place, pits_of):
    plain = without_place(scan)
    figure = draw_density(place_tiles(plain), plain, pits_of(plain, 60), title=str)
    expected = 720 / (6 * 64 * 48 * 1e-6)
    assert _densities(figure).mean() == pytest.approx(expected, rel=0.15)
    assert "10⁶ px" in figure.get_suptitle()


def test_one_density_everywhere_is_stated_once(scan_of, without_place):
    grid = without_place(scan_of(4, 4))
    pits = as_pits({"tile": np.arange(1, 17), "x_px": np.full(16, 9.0), "y_px": np.full(16, 9.0)})
    figure = draw_density(place_tiles(grid), grid, pits, title=str)
    assert figure.get_suptitle() == "326 pits/10⁶ px"


def test_no_pit_at_all(scan):
    figure = draw_density(place_tiles(scan), scan, as_pits({}), title=str)
    assert figure.get_suptitle() == "no pits"
    assert (_densities(figure) == 0).all()


def test_the_mosaic_counts_what_it_draws(scan, pits_of):
    canvas = Canvas.over(place_tiles(scan), 500)
    picture = paint_mosaic(canvas, scan, lambda n: np.full(scan.image_size, n))
    figure = draw_mosaic(canvas, picture, scan, pits_of(scan), "t")
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert labels == ["top (60)", "bottom (60)", "pair (60)"]
    drawn = {tuple(line.get_data()[0].shape) for line in figure.axes[0].lines}
    assert drawn == {(60,)}
