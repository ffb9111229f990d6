"""The kernel density against exact sums, and its intervals against simulated patterns."""

import numpy as np
import pytest
from scipy.stats import norm

from etchscope.background.density_maps import PitPoints, Window, integrate, map_density
from etchscope.background.grid import bin_points, grid_over, sample_points
from etchscope.background.kernel_density import (
    Smoother,
    corrected_density,
    error_unit,
    kernel_density,
    rate_interval,
)
from etchscope.background.polygons import inside_polygons, polygon_area

WIDTH, HEIGHT, SIGMA = 10.013, 7.031, 0.4
SHEET = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]])
TURN = np.linspace(0, 2 * np.pi, 60, endpoint=False)
HOLE = np.column_stack([4 + 1.3 * np.cos(TURN), 3 + 1.3 * np.sin(TURN)])
GRID = grid_over((0, WIDTH, 0, HEIGHT), SIGMA / 4)


def thrown(rng, count):
    x, y = rng.uniform(0, WIDTH, count), rng.uniform(0, HEIGHT, count)
    inside = inside_polygons(x, y, [SHEET, HOLE])
    return x[inside], y[inside]


def exact_kernel(u, v, x, y, sigma=SIGMA):
    return np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


def test_the_seen_area_and_the_mass_of_the_kernel_are_exact():
    sheet = polygon_area([SHEET], GRID)
    assert sheet.sum() == pytest.approx(WIDTH * HEIGHT, rel=1e-12)
    mass = Smoother(sheet, GRID).mass(SIGMA)
    along = [
        norm.cdf(side, at, SIGMA) - norm.cdf(0, at, SIGMA)
        for side, at in ((HEIGHT, GRID.y), (WIDTH, GRID.x))
    ]
    seen = sheet > 0.5 * GRID.cell_area
    np.testing.assert_allclose(mass[seen], np.outer(*along)[seen], rtol=2e-4)


def test_the_density_is_the_sum_of_kernels_over_their_mass_beside_a_hole():
    x, y = thrown(np.random.default_rng(1), 200)
    seen = polygon_area([SHEET, HOLE], GRID)
    found = kernel_density(bin_points(x, y, GRID), seen, GRID, SIGMA)
    side = 0.01
    u, v = np.meshgrid(np.arange(0, WIDTH, side) + side / 2, np.arange(0, HEIGHT, side) + side / 2)
    inside = inside_polygons(u.ravel(), v.ravel(), [SHEET, HOLE]).reshape(u.shape)
    u, v = u[inside], v[inside]
    for row, column in ((3, 3), (30, 56), (45, 40), (30, 95), (70, 20)):
        at = GRID.x[column], GRID.y[row]
        mass = exact_kernel(*at, u, v).sum() * side**2
        expected = exact_kernel(*at, x, y).sum() / mass
        assert found[row, column] == pytest.approx(expected, rel=2e-3), (row, column)


def test_a_far_place_has_no_density():
    far = grid_over((0, 40, 0, HEIGHT), SIGMA / 4)
    seen = polygon_area([SHEET], far)
    found = kernel_density(bin_points(np.array([1.0]), np.array([1.0]), far), seen, far, SIGMA)
    assert np.isnan(found[:, -1]).all()
    assert np.isfinite(found[10, 10])


def test_points_are_shared_with_their_centre_and_a_constant_variance():
    x, y = np.array([1.03, 4.517]), np.array([2.2, 3.333])
    for k in range(2):
        cells = bin_points(x[k : k + 1], y[k : k + 1], GRID)
        assert cells.sum() == pytest.approx(1)
        for at, axis, centres in ((x[k], 0, GRID.x), (y[k], 1, GRID.y)):
            share = cells.sum(axis=axis)
            assert share @ centres == pytest.approx(at)
            assert share @ (centres - at) ** 2 == pytest.approx(GRID.step**2 / 4)
    plane = GRID.x[None, :] + 2 * GRID.y[:, None]
    np.testing.assert_allclose(sample_points(plane, x, y, GRID), x + 2 * y)


def test_the_mean_density_at_rims_and_beside_holes_is_right_within_a_percent():
    seen = polygon_area([SHEET, HOLE], GRID)
    smoother = Smoother(seen, GRID)
    rng = np.random.default_rng(3)
    x, y = thrown(rng, 2_000_000)
    found = smoother.density(bin_points(x, y, GRID), SIGMA) / (len(x) / seen.sum())
    u, v = np.meshgrid(GRID.x, GRID.y)
    rim = np.minimum.reduce([u, WIDTH - u, v, HEIGHT - v])
    valid = seen > 0.5 * GRID.cell_area
    beside = np.hypot(u - 4, v - 3) - 1.3
    for near in (rim < SIGMA, beside < SIGMA):
        assert np.mean(found[valid & near]) == pytest.approx(1, abs=0.005)
        # Without the correction half the pits would be missing there.
        assert np.mean(smoother.mass(SIGMA)[valid & near]) < 0.8


def test_intervals_cover_the_density_of_a_gradient():
    seen = polygon_area([SHEET, HOLE], GRID)
    smoother, rng = Smoother(seen, GRID), np.random.default_rng(4)
    unit, valid = error_unit(smoother, SIGMA), seen > 0.5 * GRID.cell_area
    true = np.broadcast_to(20 * np.exp(GRID.x / 4), GRID.shape)[valid]
    top, covered, plain = 20 * np.exp(WIDTH / 4), [], []
    for _ in range(25):
        x, y = thrown(rng, rng.poisson(top * WIDTH * HEIGHT))
        kept = rng.uniform(0, top, len(x)) < 20 * np.exp(x / 4)
        counts = bin_points(x[kept], y[kept], GRID)
        value = corrected_density(counts, smoother, SIGMA)
        low, high = rate_interval(value, unit)
        covered.append(((low[valid] <= true) & (true <= high[valid])).mean())
        plain.append(smoother.density(counts, SIGMA)[valid] / true)
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.std(np.concatenate(plain)) > 0.05  # the pattern is no constant


def test_an_interval_of_no_pits_is_the_exact_upper_limit():
    low, high = rate_interval(np.array([0.0, -1.0, 400.0]), np.array([2.0, 2.0, 1.0]))
    np.testing.assert_allclose(low[:2], 0)
    np.testing.assert_allclose(high[:2], 2 * 3.6889, rtol=1e-4)
    np.testing.assert_allclose([low[2], high[2]], [400 - 39.0, 400 + 40.0], atol=1.5)


def test_an_interval_without_a_variance_is_not_known():
    low, high = rate_interval(np.array([1.0, 1.0]), np.array([-1e-20, np.nan]))
    assert np.isnan(high).all()
    assert not (low > 0).any()


def test_no_pits_make_a_map_of_zeros_with_limits():
    window = Window(polygon_area([SHEET], GRID), GRID)
    none = PitPoints(np.empty(0), np.empty(0))
    found = map_density(none, window)
    inside = found.valid
    assert inside.sum() * found.grid.cell_area == pytest.approx(WIDTH * HEIGHT, rel=0.15)
    assert (found.all_pits.value[inside] == 0).all()
    assert (found.all_pits.low[inside] == 0).all()
    assert np.isfinite(found.all_pits.high[inside]).all()
    total = integrate(found)
    assert (total.found, total.low, round(total.high, 2)) == (0, 0, 3.69)
