import numpy as np
import pytest
from scipy.stats import norm

from etchscope.background.bandwidth import _likelihood, choose_bandwidth, smallest_bandwidth
from etchscope.background.density_maps import PitPoints, Window, map_density
from etchscope.background.grid import bin_points, grid_over
from etchscope.background.polygons import polygon_area
from etchscope.foil import BadInput

SIDE = 10.0
SQUARE = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]])


def clustered(seed, per_cluster=400):
    rng = np.random.default_rng(seed)
    at = np.concatenate([rng.normal(4, 0.7, (per_cluster, 2)), rng.uniform(0, SIDE, (150, 2))])
    inside = ((at > 0) & (at < SIDE)).all(axis=1)
    return at[inside, 0].copy(), at[inside, 1].copy()


def window_of(points, step=None):
    least = smallest_bandwidth(SIDE**2, SIDE**2, points)
    grid = grid_over((0, SIDE, 0, SIDE), step or least / 4)
    return Window(polygon_area([SQUARE], grid), grid)


def test_the_likelihood_is_that_of_a_sum_over_all_pairs():
    x, y = clustered(1)
    window = window_of(len(x))
    counts = bin_points(x, y, window.grid)
    apart = np.subtract.outer(x, x) ** 2 + np.subtract.outer(y, y) ** 2
    u = np.arange(0.025, SIDE, 0.05)
    found, expected = [], []
    for sigma in (0.3, 0.6, 1.2):
        kernel = np.exp(-apart / (2 * sigma**2)) / (2 * np.pi * sigma**2)
        np.fill_diagonal(kernel, 0)
        along = [norm.cdf(SIDE, at, sigma) - norm.cdf(0, at, sigma) for at in (x, y, u)]
        own = np.log(kernel.sum(axis=1) / along[0] / along[1]).sum()
        reach = [norm.pdf(np.subtract.outer(u, at), scale=sigma) for at in (x, y)]
        inside = reach[1] @ reach[0].T / np.outer(along[2], along[2])
        expected.append(own - inside.sum() * 0.05**2)
        found.append(_likelihood(x, y, len(x), counts, window.seen, window.grid, sigma))
    np.testing.assert_allclose(found, expected, atol=1.5)
    assert abs(np.diff(expected)).min() > 20


def test_clusters_have_a_small_bandwidth_and_the_same_density_a_wide_one():
    x, y = clustered(2)
    window = window_of(len(x))
    small = choose_bandwidth(x, y, window.seen, window.grid)
    assert 0.15 < small < 0.6
    rng = np.random.default_rng(3)
    even = rng.uniform(0, SIDE, (len(x), 2))
    wide = choose_bandwidth(even[:, 0].copy(), even[:, 1].copy(), window.seen, window.grid)
    assert wide > 3 * small
    assert choose_bandwidth(x[:1], y[:1], window.seen, window.grid) == pytest.approx(2.5 / 2**0.5)


def test_a_varying_width_follows_a_spot_and_smooths_its_surroundings():
    x, y = clustered(4, per_cluster=3000)
    window = window_of(len(x), step=0.08)
    fixed, varying = (
        map_density(PitPoints(x, y), window, bandwidth=0.5, adaptive=adaptive)
        for adaptive in (False, True)
    )
    assert fixed.grid == varying.grid
    u, v = np.meshgrid(fixed.grid.x, fixed.grid.y)
    true = 1.5 + 3000 * norm.pdf(u, 4, 0.7) * norm.pdf(v, 4, 0.7)
    spot, far = np.hypot(u - 4, v - 4) < 0.3, varying.valid & (np.hypot(u - 4, v - 4) > 5)
    worse, better = (abs(m.kernel[spot] / true[spot] - 1).mean() for m in (fixed, varying))
    assert better < 0.8 * worse
    assert varying.all_pits.value[far].std() < 0.7 * fixed.all_pits.value[far].std()
    for one in (fixed, varying):
        pits = one.all_pits
        assert (pits.low <= pits.value + 1e-9)[one.valid].all()
        assert (pits.value <= pits.high + 1e-9)[one.valid].all()


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, np.nan, np.inf, 1e-4])
def test_a_bandwidth_that_cannot_be(bandwidth):
    with pytest.raises(BadInput, match="bandwidth"):
        map_density(PitPoints(np.ones(1), np.ones(1)), window_of(1), bandwidth=bandwidth)


def test_nothing_seen_is_refused_and_a_grid_has_a_limit():
    window = window_of(1)
    with pytest.raises(BadInput, match="an area that was seen"):
        map_density(PitPoints(np.ones(1), np.ones(1)), Window(0 * window.seen, window.grid))
    with pytest.raises(BadInput, match="Choose a larger bandwidth"):
        grid_over((0, 1, 0, 1), 1e-5)
