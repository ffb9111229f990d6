import numpy as np
import pytest

from etchscope.preselect.peaks import Finds
from etchscope.preselect.regions import find_regions

NONE = Finds(*(np.empty(0) for _ in range(5)))


def _ellipse(x, y, a, b, angle_deg, size=(80, 100)):
    v, u = np.mgrid[: size[0], : size[1]]
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    along, across = (u - x) * c - (v - y) * s, (u - x) * s + (v - y) * c
    return (along / a) ** 2 + (across / b) ** 2 < 1


@pytest.mark.parametrize("angle_deg", [0, 35, 90, 150])
def test_a_long_opening_is_one_region_with_its_axes(angle_deg):
    picture = _ellipse(50, 40, 24, 6, angle_deg).astype(np.float32)
    found = find_regions(picture, 0.5, NONE, 12)
    assert found["x_px"] == pytest.approx([50], abs=0.6)
    assert found["y_px"] == pytest.approx([40], abs=0.6)
    assert found["radius_px"] == pytest.approx([12], rel=0.03)
    assert found["ellipticity"] == pytest.approx([0.75], abs=0.03)
    assert (found["angle_deg"][0] - angle_deg + 90) % 180 - 90 == pytest.approx(0, abs=2)
    assert found["contrast"] == pytest.approx([1.0])


def test_a_ring_that_touches_a_disc_is_one_region_with_it():
    disc = _ellipse(35, 40, 8, 8, 0)
    ring = _ellipse(50, 40, 9, 9, 0) & ~_ellipse(50, 40, 7, 7, 0)
    found = find_regions((disc | ring).astype(np.float32), 0.5, NONE, 12)
    assert found["x_px"] == pytest.approx([43], abs=0.6)
    assert found["radius_px"][0] > 10


def test_what_is_known_small_or_a_crack_is_no_region():
    disc = _ellipse(50, 40, 9, 9, 0).astype(np.float32)
    known = Finds(*(np.array([v]) for v in (50.5, 39.0, 9.0, 1.0, 20.0)))
    assert len(find_regions(disc, 0.5, known, 12)["x_px"]) == 0
    assert len(find_regions(disc, 0.5, NONE, 12)["x_px"]) == 1
    assert len(find_regions(disc, 0.5, NONE, 16)["x_px"]) == 0
    crack = np.zeros((80, 400), np.float32)
    crack[38:43, 20:380] = 1
    assert len(find_regions(crack, 0.5, NONE, 12)["x_px"]) == 0
    assert len(find_regions(np.zeros((40, 40), np.float32), 0.5, NONE, 12)["x_px"]) == 0
