import numpy as np
import pytest

from etchscope.background.grid import grid_over
from etchscope.background.kernel_density import Smoother
from etchscope.background.seen import TileOutlines, seen_area, tile_bounds

SIZE = (96, 128)
PIXEL = 0.01


def tiles(*shifts, turn=0.0):
    c, s = np.cos(turn) * PIXEL, np.sin(turn) * PIXEL
    rotation = np.array([[c, s], [s, -c]])  # y up in the plane
    origins = [rotation @ np.array(shift, float) for shift in shifts]
    return TileOutlines(
        {n: np.column_stack([rotation, at]) for n, at in enumerate(origins, 1)}, SIZE
    )


def area(outlines, ground=lambda number: None, step=0.05):
    return seen_area(outlines, ground, grid_over(tile_bounds(outlines), step))


WHOLE = 96 * 128 * PIXEL**2


@pytest.mark.parametrize("turn", [0.0, 0.3])
@pytest.mark.parametrize("step", [0.02, 0.05, 0.2])
def test_an_overlap_counts_once(turn, step):
    assert area(tiles((0, 0), turn=turn), step=step).sum() == pytest.approx(WHOLE)
    two = area(tiles((0, 0), (100.3, 0), turn=turn), step=step).sum()
    assert two == pytest.approx(WHOLE + 100.3 * 96 * PIXEL**2, rel=0.005)
    four = tiles((0, 0), (100.3, 3), (0, 70.6), (101, 71), turn=turn)
    grid = np.zeros((200, 260), bool)
    for x, y in ((0, 0), (100, 3), (0, 71), (101, 71)):
        grid[y : y + 96, x : x + 128] = True
    assert area(four, step=step).sum() == pytest.approx(grid.sum() * PIXEL**2, rel=0.01)


def test_the_seam_of_two_tiles_is_not_seen():
    one = tiles((0, 0), (100.37, 0))
    grid = grid_over(tile_bounds(one), 0.05)
    seen = seen_area(one, lambda number: None, grid)
    inside = (abs(grid.y + 0.475) < 0.3)[:, None] & (abs(grid.x - 1.14) < 0.7)
    mass = Smoother(seen, grid).mass(0.1)[inside]
    assert mass.max() < 1.004
    middle = Smoother(seen, grid).mass(0.1)[inside & (abs(grid.y + 0.475) < 0.06)[:, None]]
    assert middle.min() > 0.996


def test_what_one_tile_does_not_see_another_may():
    both = tiles((0, 0), (100, 0))
    hole = np.ones(SIZE, bool)
    hole[:, 90:] = False
    seen = area(both, lambda number: hole if number == 1 else None)
    assert seen.sum() == pytest.approx((90 + 128) * 96 * PIXEL**2, rel=1e-6)
    nowhere = area(both, lambda number: np.zeros(SIZE, bool))
    assert nowhere.sum() == 0
