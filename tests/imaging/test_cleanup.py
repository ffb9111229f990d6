import numpy as np
import pytest

from etchscope.imaging import D4, find_long_scratches, remove_thin_features

SIZE = (80, 100)
y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)


def _line(angle_deg, width_px):
    turn = np.deg2rad(angle_deg)
    return np.abs((x - 50) * np.sin(turn) - (y - 40) * np.cos(turn)) < width_px / 2


def _disc(cx, cy, radius_px):
    return np.hypot(x - cx, y - cy) < radius_px


def _picture(mask, sign):
    return (1 + sign * 0.5 * mask).astype(np.float32)


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize("angle_deg", [0, 20, 45, 90, 133])
@pytest.mark.parametrize("width_px", [3, 4, 5, 6])
def test_thin_lines_and_spots_are_gone(width_px, angle_deg, bright):
    sign = 1 if bright else -1
    thin = _line(angle_deg, 1.0 if width_px == 3 else 1.5) | _disc(20.5, 60.5, 1.1)
    assert thin.sum() > 70
    clean = remove_thin_features(_picture(thin, sign), width_px, bright=bright)
    np.testing.assert_array_equal(clean, 1)
    # Features of the other brightness are none of its business.
    other = remove_thin_features(_picture(thin, -sign), width_px, bright=bright)
    assert (other == 1 - sign * 0.5).sum() >= thin.sum()


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize("width_px", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("excess_px", [1, 2, 6])
def test_discs_keep_place_and_area(width_px, excess_px, bright):
    sign = 1 if bright else -1
    disc = _disc(30.3, 41.8, (width_px + excess_px) / 2)
    clean = remove_thin_features(_picture(disc, sign), width_px, bright=bright) != 1
    v, u = np.nonzero(clean)
    where = np.nonzero(disc)
    assert clean.sum() == pytest.approx(disc.sum(), rel=0.1 if excess_px > 1 else 0.25)
    assert np.hypot(u.mean() - where[1].mean(), v.mean() - where[0].mean()) < 0.3


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize("width_px", [2, 3, 4, 5, 6, 9])
def test_cleaning_knows_no_direction(width_px, bright):
    picture = np.random.default_rng(1).normal(size=(30, 41)).astype(np.float32)
    clean = remove_thin_features(picture, width_px, bright=bright)
    lamps = np.array([0, 90, 180, 270.0])
    for symmetry in D4:
        moved = symmetry.pictures(np.repeat(picture[None], 4, 0), lamps, np.arange(4))[0]
        expected = symmetry.pictures(np.repeat(clean[None], 4, 0), lamps, np.arange(4))[0]
        np.testing.assert_array_equal(
            remove_thin_features(moved, width_px, bright=bright), expected
        )


@pytest.mark.parametrize("width_px", [0, 1])
def test_below_two_pixels_nothing_is_done(width_px):
    picture = np.random.default_rng(1).normal(size=(8, 9)).astype(np.float32)
    np.testing.assert_array_equal(remove_thin_features(picture, width_px, bright=True), picture)


@pytest.mark.parametrize("angle_deg", [0, 33, 45, 90, 120])
def test_long_scratches_are_masked_and_pits_are_not(angle_deg):
    scratch = _line(angle_deg, 3) & _disc(50, 40, 30)
    pits = _disc(12, 12, 8) | _disc(88, 66, 9) | _disc(86, 14, 3)
    found = find_long_scratches(_picture(scratch | pits, 1), 1.2, 40)
    np.testing.assert_array_equal(found, scratch)


def test_short_or_broad_or_faint_is_no_scratch():
    short, broad = _line(0, 3) & _disc(50, 40, 15), _line(0, 14)
    for mask, length_px in ((short, 40), (broad, 40)):
        assert not find_long_scratches(_picture(mask, 1), 1.2, length_px).any()
    assert find_long_scratches(_picture(short, 1), 1.2, 25).any()
    assert not find_long_scratches(_picture(_line(0, 3), 1), 1.6, 40).any()


def test_nothing_above_the_limit():
    assert not find_long_scratches(np.zeros(SIZE, np.float32), 0.5, 10).any()
    assert find_long_scratches(np.zeros(SIZE, np.float32), 0.5, 10).dtype == bool
