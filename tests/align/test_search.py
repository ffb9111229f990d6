import numpy as np
import pytest

from etchscope.align.search import guess_transforms
from etchscope.geometry import Similarity


@pytest.mark.parametrize("window", [100, 1000])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_first_guess_is_right_within_its_cell(scattered, window, mirrored):
    way = Similarity(0.07, shift_x=20.0, shift_y=-9.0, mirrored=mirrored)
    moved = way.apply(scattered)
    best, *others = guess_transforms(scattered, moved, window, mirrored=mirrored, max_angle_rad=0.1)
    centre = best.centre_mm * [-1 if mirrored else 1, 1]
    off = best.transform.apply(centre) - way.inverse().apply(centre)
    assert np.abs(off).max() < 2 * best.cell_mm
    turn = best.transform.angle_rad - way.inverse().angle_rad
    assert abs(turn) * best.reach_mm < 2 * best.cell_mm
    assert all(best.score > other.score for other in others)
    assert best.score > 10


def test_the_window_holds_as_many_points_as_asked_for(scattered):
    (best, *_) = guess_transforms(scattered, scattered, 100, mirrored=False, max_angle_rad=0.01)
    inside = np.abs(scattered - best.centre_mm).max(axis=1) <= best.reach_mm
    assert inside.sum() == 100
