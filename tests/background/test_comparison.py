import numpy as np
import pytest

from etchscope.background.comparison import compare_densities
from etchscope.background.density_maps import PitPoints, Window, integrate
from etchscope.background.grid import grid_over
from etchscope.background.hidden import HiddenPits
from etchscope.background.polygons import polygon_area
from etchscope.foil import BadInput

SIDE = 10.0
SQUARE = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]])
LEFT = SQUARE * [0.6, 1]
GRID = grid_over((0, SIDE, 0, SIDE), 0.1)


def side(density, polygon, seed):
    """A uniform pattern on the square, and the window of a polygon."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SIDE, (2, rng.poisson(density * SIDE**2)))
    return PitPoints(x, y), Window(polygon_area([polygon], GRID), GRID), None


def test_the_ratio_of_two_densities_is_covered_where_both_are_seen():
    covered, beyond = [], []
    for seed in range(12):
        both = compare_densities(
            side(40, SQUARE, 2 * seed), side(20, LEFT, 2 * seed + 1), bandwidth=0.8
        )
        valid = both.valid
        covered.append(((both.low <= 2) & (both.high >= 2))[valid].mean())
        same = compare_densities(
            side(20, SQUARE, 2 * seed), side(20, LEFT, 2 * seed + 1), bandwidth=0.8
        )
        beyond.append((abs(same.significance[valid]) > 1.96).mean())
        assert both.significance[valid].mean() > 1.96
    assert both.one.grid == both.other.grid
    assert GRID.x[valid[valid.shape[0] // 2].nonzero()[0] * 2].max() < 6.2
    assert 0.90 < np.mean(covered) < 0.99
    assert 0.02 < np.mean(beyond) < 0.09
    # Pits outside the area that both show do not count.
    assert integrate(both.one).found == pytest.approx(0.6 * 4000, rel=0.1)


def paired(density, seed):
    """As ``side``, of particles that make two pits each."""
    points, window, _ = side(density / 2, SQUARE, seed)
    number = len(points)
    x, y = (np.concatenate([v, np.clip(v + 0.03, 0, SIDE)]) for v in (points.x, points.y))
    partner = np.concatenate([np.arange(number) + number, np.arange(number)])
    return PitPoints(x, y, partner=partner), window, None


def test_equal_densities_do_not_differ_where_one_scan_has_more_pairs():
    significance, beyond = [], []
    for seed in range(12):
        both = compare_densities(
            paired(20, 2 * seed), side(20, SQUARE, 2 * seed + 1), bandwidth=0.8
        )
        at = both.significance[both.valid]
        significance.append(at.mean())
        beyond.append((abs(at) > 1.96).mean())
    assert (both.one.variance, both.other.variance) == (2, 1)
    assert abs(np.mean(significance)) < 0.3
    assert 0.02 < np.mean(beyond) < 0.09


def test_equal_densities_do_not_differ_where_one_scan_hides_more_pits():
    significance = []
    for seed in range(12):
        found, window, _ = side(40 * np.exp(-40 * 0.005), SQUARE, 2 * seed)
        both = compare_densities(
            (found, window, HiddenPits(0.005)), side(40, SQUARE, 2 * seed + 1), bandwidth=0.8
        )
        valid = both.valid
        significance.append(both.significance[valid].mean())
        # The ratio, its interval and the significance speak of one null hypothesis.
        assert (np.sign(both.significance) == np.sign(both.ratio - 1))[valid].all()
        outside = (both.low > 1) | (both.high < 1)
        assert (outside == (abs(both.significance) > 1.96))[valid].mean() > 0.98
    assert both.one.all_pits.factor[0][valid].mean() > 1.15
    assert abs(np.mean(significance)) < 0.3


def test_a_side_without_pits_has_no_upper_end():
    both = compare_densities(side(20, SQUARE, 1), side(0, SQUARE, 2), bandwidth=1.0)
    valid = both.valid
    assert np.isinf(both.high[valid]).all()
    assert (both.low[valid] > 1).all()
    assert (both.significance[valid] > 3).all()


def test_areas_that_do_not_meet_are_refused():
    right = SQUARE * [0.3, 1] + [7, 0]
    with pytest.raises(BadInput, match="an area that both scans show"):
        compare_densities(side(20, LEFT, 1), side(20, right, 2), bandwidth=1.0)
    other = Window(polygon_area([SQUARE], g := grid_over((0, 9, 0, 9), 0.1)), g)
    with pytest.raises(BadInput, match="one grid"):
        compare_densities(side(1, LEFT, 1), (side(1, LEFT, 1)[0], other, None), bandwidth=1.0)
