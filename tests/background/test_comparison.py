import numpy as np
import pytest

from etchscope.background.comparison import compare_densities
from etchscope.background.density_maps import PitPoints, Window, integrate
from etchscope.background.grid import grid_over
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
