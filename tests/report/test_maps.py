import numpy as np
import pytest

from etchscope.foil import as_pits
from etchscope.report.maps import area_mm2, density_figure, mosaic_figure, mosaic_picture
from etchscope.report.placement import Canvas, place

DATUM = ((1, 32.0, 24.0), (2, 40.0, 20.0), (5, 30.0, 40.0))


@pytest.mark.parametrize("changes", [{}, {"side": "back"}, {"datum": DATUM}])
@pytest.mark.parametrize("longest_px", [10_000, 120])
def test_a_bright_spot_comes_out_where_the_plane_says(scan_of, changes, longest_px):
    scan = scan_of(**changes)
    canvas = Canvas.over(place(scan), longest_px)

    def spot(number):
        picture = np.zeros(scan.image_size, np.uint8)
        if number == 4:
            picture[10:17, 40:47] = 200
        return picture

    mosaic = np.nan_to_num(mosaic_picture(canvas, scan, spot))
    bright = mosaic > 100
    x, y = (v.mean() for v in canvas.centres(bright))
    expected = canvas.placement.points([4], [43.0], [13.0])
    assert (x, y) == pytest.approx((expected[0][0], expected[1][0]), abs=0.5 * canvas.step)
    assert bright.sum() * canvas.step**2 == pytest.approx(49e-4, rel=0.3)


def test_tiles_are_read_one_by_one_and_excluded_ones_are_not(scan):
    tiles = tuple(t.model_copy(update={"excluded": t.number == 2}) for t in scan.tiles)
    some = scan.model_copy(update={"tiles": tiles})
    read, done = [], []
    canvas = Canvas.over(place(some), 500)
    picture = mosaic_picture(
        canvas, some, lambda n: (read.append(n), np.full(some.image_size, n))[1], done.append
    )
    assert read == [1, 3, 4, 5, 6]
    assert done == [1] * 5
    assert np.isnan(picture).any()
    assert set(np.unique(picture[np.isfinite(picture)])) == {1, 3, 4, 5, 6}


def test_area(scan, without_place):
    assert area_mm2(place(scan), scan) == pytest.approx(184 * 92 * 1e-4)
    plain = without_place(scan)
    assert area_mm2(place(plain), plain) is None
    scaled = plain.model_copy(update={"pixel_size_um": 10.0})
    assert area_mm2(place(scaled), scaled) == pytest.approx(6 * 64 * 48 * 1e-4)


def _densities(figure):
    meshes = [c for c in figure.axes[0].collections if c.get_array() is not None]
    return np.ma.concatenate([np.ma.ravel(m.get_array()) for m in meshes]).compressed()


def test_density_is_pits_over_scanned_area(scan, pits_of):
    pits = pits_of(scan, per_tile=60)
    told = []
    figure = density_figure(place(scan), scan, pits, title=lambda t: told.append(t) or t)
    mean = len(pits) / (184 * 92 * 1e-4)
    assert _densities(figure).mean() == pytest.approx(mean, rel=0.1)
    assert told[0].endswith("pits/mm²")


def test_density_without_a_scale_is_per_million_pixels(scan, without_place, pits_of):
    plain = without_place(scan)
    figure = density_figure(place(plain), plain, pits_of(plain, 60), title=str)
    expected = 720 / (6 * 64 * 48 * 1e-6)
    assert _densities(figure).mean() == pytest.approx(expected, rel=0.15)
    assert "10⁶ px" in figure.get_suptitle()


def test_no_pit_at_all(scan):
    figure = density_figure(place(scan), scan, as_pits({}), title=str)
    assert figure.get_suptitle() == "no pits"
    assert (_densities(figure) == 0).all()


def test_the_mosaic_counts_what_it_draws(scan, pits_of):
    canvas = Canvas.over(place(scan), 500)
    picture = mosaic_picture(canvas, scan, lambda n: np.full(scan.image_size, n))
    figure = mosaic_figure(canvas, picture, scan, pits_of(scan), "t")
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert labels == ["top (60)", "bottom (60)", "pair (60)"]
    drawn = {tuple(line.get_data()[0].shape) for line in figure.axes[0].lines}
    assert drawn == {(60,)}
