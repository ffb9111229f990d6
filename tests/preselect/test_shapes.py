import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from etchscope.preselect.peaks import Finds
from etchscope.preselect.shapes import measure_discs, measure_fields

SIZE = (64, 72)
NO_LIMIT = np.zeros(SIZE, bool)
X, Y = 35.4, 30.7

ellipses = pytest.mark.parametrize(
    ("radius", "ellipticity", "angle_deg"),
    [
        (5.0, 0.0, 0.0),
        (8.0, 0.0, 0.0),
        (7.0, 0.2, 20.0),
        (7.0, 0.35, 65.0),
        (7.0, 0.35, 115.0),
        (10.0, 0.45, 160.0),
        (9.0, 0.3, 0.0),
        (9.0, 0.3, 90.0),
    ],
)


def _finds(x, y, radius):
    x, y, radius = (np.atleast_1d(np.asarray(v, float)) for v in (x, y, radius))
    return Finds(x, y, radius, np.ones(len(x)), np.full(len(x), 20.0))


def _disc(radius, ellipticity, angle_deg, x=X, y=Y):
    """A filled ellipse of height 1 with a soft rim, drawn ten times finer."""
    v, u = (np.mgrid[: 10 * SIZE[0], : 10 * SIZE[1]] - 4.5) / 10
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    minor = radius * np.sqrt(1 - ellipticity)
    major = minor / (1 - ellipticity)
    along, across = (u - x) * c - (v - y) * s, (u - x) * s + (v - y) * c
    fine = ((along / major) ** 2 + (across / minor) ** 2 < 1).astype(float)
    coarse = fine.reshape(SIZE[0], 10, SIZE[1], 10).mean(axis=(1, 3))
    return gaussian_filter(coarse, 0.8).astype(np.float32)


def _field(radius, ellipticity, angle_deg, sign=1, x=X, y=Y):
    """First harmonic of a cone in the top (+1) or bottom (−1) surface, y up."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    minor = radius * np.sqrt(1 - ellipticity)
    along = ((u - x) * c - (v - y) * s) * (1 - ellipticity) / minor
    across = ((u - x) * s + (v - y) * c) / minor
    t = np.minimum(np.hypot(along, across), 1)
    h = -0.5 * minor * (0.7 * (1 - t) + 0.3 * (1 - t**2))
    down, right = np.gradient(gaussian_filter(h, 0.8))
    return np.float32(-sign * right), np.float32(sign * down)


def _check(shape, radius, ellipticity, angle_deg, *, off_px, off, rel):
    assert shape["x_px"][0] == pytest.approx(X, abs=off_px)
    assert shape["y_px"][0] == pytest.approx(Y, abs=off_px)
    assert shape["radius_px"][0] == pytest.approx(radius, rel=rel)
    assert shape["ellipticity"][0] == pytest.approx(ellipticity, abs=off)
    if ellipticity > 0.1:
        turn = (shape["angle_deg"][0] - angle_deg + 90) % 180 - 90
        assert abs(turn) < 6
    assert 0 <= shape["angle_deg"][0] < 180
    assert shape["contrast"][0] > 0.15


@ellipses
def test_discs(radius, ellipticity, angle_deg):
    picture = _disc(radius, ellipticity, angle_deg) + 0.4
    shape = measure_discs(picture, _finds(X + 0.8, Y - 0.5, 0.9 * radius), NO_LIMIT)
    _check(shape, radius, ellipticity, angle_deg, off_px=0.15, off=0.05, rel=0.03)
    assert shape["contrast"][0] == pytest.approx(1, abs=0.15)  # over the ground of 0.4


@pytest.mark.parametrize("sign", [1, -1])
@ellipses
def test_fields(radius, ellipticity, angle_deg, sign):
    a, b = _field(radius, ellipticity, angle_deg, sign)
    finds = _finds(X + 0.8, Y - 0.5, 1.1 * radius)
    shape = measure_fields(a, b, finds, np.array([float(sign)]), NO_LIMIT)
    _check(shape, radius, ellipticity, angle_deg, off_px=0.5, off=0.1, rel=0.08)


def test_the_other_surface_is_no_pit():
    a, b = _field(7.0, 0.2, 30.0, sign=-1)
    shape = measure_fields(a, b, _finds(X, Y, 7), np.ones(1), NO_LIMIT)
    assert shape["contrast"][0] < -0.1


def test_shapes_survive_noise():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(20):
        picture = _disc(7.0, 0.3, 40.0) + rng.normal(0, 0.1, SIZE)
        found.append(measure_discs(np.float32(picture), _finds(X, Y, 7), NO_LIMIT))
    table = pd.concat([pd.DataFrame(f) for f in found])
    assert table["radius_px"].median() == pytest.approx(7, rel=0.05)
    assert table["ellipticity"].median() == pytest.approx(0.3, abs=0.06)
    assert table["angle_deg"].median() == pytest.approx(40, abs=4)
    assert table[["x_px", "y_px"]].std().max() < 0.3


def test_a_neighbour_does_not_pull():
    picture = np.maximum(_disc(7.0, 0.0, 0.0), _disc(6.0, 0.0, 0.0, x=X + 11, y=Y + 3))
    shape = measure_discs(picture, _finds(X, Y, 7), NO_LIMIT)
    assert shape["radius_px"][0] == pytest.approx(7, rel=0.12)
    assert np.hypot(shape["x_px"][0] - X, shape["y_px"][0] - Y) < 1


def test_where_no_ellipse_fits_the_find_stays_as_it_is():
    flat = np.zeros(SIZE, np.float32)
    shape = measure_discs(flat, _finds(X, Y, 7), NO_LIMIT)
    values = [float(shape[k][0]) for k in ("x_px", "y_px", "radius_px", "ellipticity", "contrast")]
    assert values == [X, Y, 7, 0, 0]


def test_saturated_is_the_fraction_of_the_opening_at_the_limit():
    limit = np.zeros(SIZE, bool)
    limit[:, int(X) + 1 :] = True
    shape = measure_discs(_disc(7.0, 0.0, 0.0), _finds(X, Y, 7), limit)
    assert shape["saturated"][0] == pytest.approx(0.5, abs=0.1)
    none = measure_discs(_disc(7.0, 0.0, 0.0), _finds(X, Y, 7), NO_LIMIT)
    assert none["saturated"][0] == 0


@pytest.mark.parametrize("place", [(0.0, 0.0), (71, 63), (-3, 30), (2, 62)])
def test_pits_cut_by_the_border_are_finite(place):
    picture = _disc(7.0, 0.0, 0.0, x=place[0], y=place[1])
    shape = measure_discs(picture, _finds(*place, 7), NO_LIMIT)
    assert all(np.isfinite(v).all() for v in shape.values())
    assert abs(shape["x_px"][0] - place[0]) < 3.6
    assert abs(shape["y_px"][0] - place[1]) < 3.6


def test_many_are_measured_as_one_by_one():
    a, b = _field(7.0, 0.2, 30.0)
    places = [(X, Y, 7), (10.0, 12.0, 5.0), (60, 50, 9)]
    finds = _finds(*np.array(places, float).T)
    together = measure_fields(a, b, finds, np.array([1.0, -1, 1]), NO_LIMIT)
    for k, (place, sign) in enumerate(zip(places, (1.0, -1, 1), strict=True)):
        alone = measure_fields(a, b, _finds(*place), np.array([sign]), NO_LIMIT)
        assert {n: v[0] for n, v in alone.items()} == {n: v[k] for n, v in together.items()}


def test_no_pits():
    none = _finds([], [], [])
    for shape in (
        measure_discs(np.zeros(SIZE, np.float32), none, NO_LIMIT),
        measure_fields(*_field(7, 0, 0), none, np.empty(0), NO_LIMIT),
    ):
        assert {len(v) for v in shape.values()} == {0}
        assert "angle_deg" in shape
