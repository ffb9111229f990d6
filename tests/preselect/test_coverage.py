import numpy as np
import pytest

from etchscope.preselect import FindSettings
from etchscope.preselect.coverage import CELL_PX, covered_fraction, local_coverage, reach_px
from etchscope.preselect.grid import Grid
from etchscope.preselect.lighting import Views

SIZE = (240, 320)


def _views(steep, *, lamps=True):
    picture = np.where(steep, 0.5, 0.0).astype(np.float32)
    none = np.zeros(SIZE, bool)
    a, b = (picture, np.zeros_like(picture)) if lamps else (None, None)
    return Views(a, b, picture[None], none)


@pytest.mark.parametrize("lamps", [True, False])
def test_share_of_each_cell(lamps):
    steep = np.zeros(SIZE, bool)
    steep[:, :160] = True
    steep[: CELL_PX // 2, 160 : 160 + CELL_PX] = True
    limits = np.array([0.2 if lamps else np.inf, 0.2])
    share = covered_fraction(
        _views(steep, lamps=lamps), Grid(SIZE, FindSettings()), np.ones(1), limits
    )
    assert share.shape == (SIZE[0] // CELL_PX, SIZE[1] // CELL_PX)
    np.testing.assert_allclose(share[:, :10], 1)
    assert share[0, 10] == pytest.approx(0.5)
    np.testing.assert_allclose(share[1:, 10:], 0)


def test_an_unknown_limit_covers_nothing():
    limits = np.array([np.inf, np.inf])
    share = covered_fraction(
        _views(np.ones(SIZE, bool)), Grid(SIZE, FindSettings()), np.ones(1), limits
    )
    assert (share == 0).all()


def test_mean_round_a_place_reaches_the_edges():
    x, y = np.array([0.0, 160, 319]), np.array([0.0, 120, 239])
    even = local_coverage(np.full((15, 20), 0.3), x, y, SIZE, reach_px(FindSettings()))
    np.testing.assert_allclose(even, 0.3)
    half = np.zeros((15, 20))
    half[:, :10] = 1
    left, middle, right = local_coverage(half, x, np.full(3, 120.0), SIZE, 40.0)
    assert left > 0.99
    assert middle == pytest.approx(0.5, abs=0.1)
    assert right < 0.01


def test_no_places():
    none = np.empty(0)
    assert local_coverage(np.zeros((3, 3)), none, none, (48, 48), 10.0).shape == (0,)
