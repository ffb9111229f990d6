import numpy as np
import pytest

from etchscope.preselect.density import local_density

# A grid of 4 × 3 tiles of 400 × 300 that overlap by 20, one of them missing.
TILES = np.array(
    [
        (380 * c, 380 * c + 400, 280 * r, 280 * r + 300)
        for c in range(4)
        for r in range(3)
        if (c, r) != (1, 1)
    ],
    float,
)


def _inside(points, tiles=TILES):
    x, y = points[:, :1], points[:, 1:]
    x0, x1, y0, y1 = tiles.T
    return ((x >= x0) & (x < x1) & (y >= y0) & (y < y1)).any(axis=1)


def _even(step, seed=1):
    """Points about ``step`` apart wherever a tile is, with little noise in their number."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(step / 2, 1540, step), np.arange(step / 2, 860, step))
    points = np.column_stack([x.ravel(), y.ravel()])
    points += rng.uniform(-step / 2, step / 2, points.shape)
    return points[_inside(points)]


@pytest.mark.parametrize("shift", [0.0, 1e5, -312.7])
def test_even_density_is_even_to_the_edges_and_around_the_gap(shift):
    points = _even(6.0)
    found = local_density(points + shift, points + shift, TILES + shift, 80.0, own=False)
    at = found * 36
    assert at.mean() == pytest.approx(1, abs=0.01)
    assert 0.93 < at.min() < at.max() < 1.07
    near_gap = np.abs(points - [570, 430]).max(axis=1) < 240
    near_edge = (points < 20).any(axis=1)
    for place in (near_gap, near_edge):
        assert place.sum() > 300
        assert at[place].mean() == pytest.approx(1, abs=0.03)


def test_edges_would_look_empty_without_the_covered_area():
    points = _even(6.0)
    everywhere = np.array([[-1e3, 3e3, -1e3, 3e3]])
    naive = local_density(points, points, everywhere, 80.0, own=False) * 36
    assert naive[(points < 15).all(axis=1)].mean() < 0.4


def test_steps_are_followed():
    left, right = _even(6.0), _even(12.0, seed=2)
    points = np.concatenate([left[left[:, 0] < 760], right[right[:, 0] >= 760]])
    at = local_density(points, np.array([[200.0, 150], [1400, 700]]), TILES, 80.0, own=False)
    np.testing.assert_allclose(at, [1 / 36, 1 / 144], rtol=0.06)


def test_a_pit_does_not_count_itself():
    one, tile = np.array([[700.0, 300.0]]), np.array([[0.0, 1500, 0, 900]])
    assert local_density(one, one, tile, 50.0, own=True) == pytest.approx([0], abs=1e-12)
    itself = local_density(one, one, tile, 50.0, own=False)[0]
    assert itself == pytest.approx(1 / (2 * np.pi * 50**2), rel=0.05)


def test_own_density_is_right_on_average_for_few_pits():
    rng = np.random.default_rng(3)
    means = {True: [], False: []}
    for _ in range(60):
        points = rng.uniform([0, 0], [1540, 860], (40, 2))
        points = points[_inside(points)]
        for own in means:
            means[own].append(local_density(points, points, TILES, 80.0, own=own).mean())
    true = 40 / (1540 * 860)
    assert np.mean(means[True]) == pytest.approx(true, rel=0.1)
    assert np.mean(means[False]) > 1.5 * true


def test_scale_is_a_length():
    points = _even(12.0)
    one = local_density(points, points, TILES, 80.0, own=True)
    other = local_density(points * 7, points * 7, TILES * 7, 560.0, own=True)
    np.testing.assert_allclose(other * 49, one, rtol=1e-6)


def test_nothing_to_ask_and_nothing_to_count():
    points, none = np.array([[100.0, 100]]), np.empty((0, 2))
    assert local_density(points, none, TILES, 50.0, own=False).shape == (0,)
    assert local_density(none, points, TILES, 50.0, own=False).tolist() == [0]


def test_points_off_the_tiles_stay_finite():
    points = np.array([[-30.0, 100], [5000, 5000], [570, 430]])
    found = local_density(points, points, TILES, 30.0, own=True)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
