import numpy as np
import pytest

from etchscope.align import find_holes
from etchscope.foil import BadInput
from etchscope.simulation import preset


def _picture(holes, level=230, seed=1, size=(480, 640)):
    """Ground of 120 with noise and small dark pits; discs of (x, y, radius)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    picture = rng.normal(120, 5, size)
    for px, py in rng.uniform(0, [size[1], size[0]], (60, 2)):
        picture[np.hypot(x - px, y - py) < 7] = 40
    for hx, hy, radius in holes:
        picture[np.hypot(x - hx, y - hy) < radius] = level
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [230, 10])
def test_light_and_dark_holes_are_found(level):
    planted = [(200.0, 150.0, 45), (450.0, 330.0, 80)]
    found = find_holes(_picture(planted, level), 6.45).sort_values("x_px")
    np.testing.assert_allclose(found[["x_px", "y_px"]], [h[:2] for h in planted], atol=2.5)
    np.testing.assert_allclose(found["radius_px"], [45, 80], rtol=0.06)


def test_pits_crowds_and_cut_holes_are_none():
    assert len(find_holes(_picture([]), 6.45)) == 0
    assert len(find_holes(_picture([(10, 200, 60)]), 6.45)) == 0
    square = _picture([])
    square[100:300, 100:200] = 230
    assert len(find_holes(square, 6.45)) == 0
    assert len(find_holes(np.full((480, 640), 7, np.uint8), 6.45)) == 0


def test_other_radii_are_looked_for_only_when_asked():
    picture = _picture([(300, 200, 45)])
    assert len(find_holes(picture, 6.45, radius_um=(400, 3000))) == 0
    with pytest.raises(BadInput, match="a least above 0 and a greatest above it"):
        find_holes(picture, 6.45, radius_um=(300, 200))
    with pytest.raises(BadInput, match=r"grey levels of one light, found shape \(2, 3, 4\)"):
        find_holes(np.zeros((2, 3, 4)), 6.45)


def test_the_simulated_holes_are_found_where_they_were_drilled():
    scan = preset("pb-stack", seed=3, columns=3, rows=2)[0]
    whole = [h for h in scan.scan.datum if 50 < h[1] < 590 and 50 < h[2] < 430]
    assert whole
    for tile, x_px, y_px in whole:
        found = find_holes(scan.read_tile(tile)[8], 6.4516)
        assert len(found) == 1
        assert np.hypot(found["x_px"] - x_px, found["y_px"] - y_px).iloc[0] < 1.5
