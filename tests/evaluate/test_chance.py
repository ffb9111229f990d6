import numpy as np
import pytest

from etchscope.evaluate import bounding_centre, match_one_to_one, tile_centre, turn_180
from etchscope.foil import BadInput


def test_a_turn_moves_pits_with_the_turned_picture():
    picture = np.zeros((480, 640))
    picture[10, 600] = 1
    y, x = np.argwhere(np.rot90(picture, 2))[0]
    assert turn_180([[600, 10]], tile_centre((480, 640))).tolist() == [[x, y]]


def test_turning_twice_gives_the_points_back():
    xy = np.random.default_rng(1).uniform(0, 400, (20, 2))
    centre = tile_centre((480, 640))
    np.testing.assert_allclose(turn_180(turn_180(xy, centre), centre), xy)


def test_the_bounding_centre_is_that_of_both_lists():
    assert bounding_centre([[0, 0], [4, 2]], [[10, 1]]) == (5.0, 1.0)
    assert bounding_centre([], []) == (0.0, 0.0)


def test_chance_grows_as_the_density_says():
    """The expected number of one-to-one chance matches at low density is n² π r² / area."""
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(40):
        xy = rng.uniform(0, 1, (100, 2)) * [639, 479]
        hits += match_one_to_one(xy, turn_180(xy, tile_centre((480, 640))), 6).true_pos
    expected = 40 * 100**2 * np.pi * 36 / (640 * 480)
    assert hits == pytest.approx(expected, rel=0.25)


def test_wrong_shape_is_refused():
    with pytest.raises(BadInput, match=r"points: expected an \(n, 2\) array"):
        turn_180([[1, 2, 3]], (0, 0))
