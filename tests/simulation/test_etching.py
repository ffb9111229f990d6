import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etchscope.simulation import compute_opening, height_map

SIZE = (120, 140)
X, Y = 66.3, 58.8


def _one(v, dip_deg, removed, length):
    values = (v, np.deg2rad(dip_deg), removed, length)
    return compute_opening(*(np.array([value], float) for value in values))


def _pit(v, dip_deg, removed, length, azimuth=0.7, x=X, y=Y):
    return pd.DataFrame(
        {
            "x_px": [x],
            "y_px": [y],
            "v": [v],
            "dip_rad": [np.deg2rad(dip_deg)],
            "azimuth_rad": [azimuth],
            "removed_um": [removed],
            "length_um": [length],
        }
    )


def _spheres(v, dip_deg, removed, length, azimuth, pixel):
    """Huygens' construction by brute force: the deepest of a thousand spheres seen from above."""
    dip = np.deg2rad(dip_deg)
    s = np.linspace(0, min(length, v * removed), 4001)[:, None, None]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    dx = (x - X) * pixel - s * np.cos(dip) * np.cos(azimuth)
    dy = (y - Y) * pixel + s * np.cos(dip) * np.sin(azimuth)
    left = (removed - s / v) ** 2 - dx**2 - dy**2
    root = np.sqrt(np.clip(left, 0, None))
    depth = s * np.sin(dip)
    inside = (left >= 0) & (np.abs(depth - removed) <= root)
    low = np.where(left >= 0, depth + root, 0).max(axis=0)
    return np.where(inside.any(axis=0), removed - np.maximum(low, removed), 0)


@settings(deadline=None, max_examples=60)
@given(
    v=st.floats(1.15, 8),
    steep=st.floats(0.02, 1),
    removed=st.floats(20, 100),
    azimuth=st.floats(0, 2 * np.pi),
)
def test_axes_are_those_of_the_closed_formulas(v, steep, removed, azimuth):
    """Of the formulas and of the height map, to 1 %, over the allowed range of dips."""
    sine = 1.03 / v + steep * (1 - 1.03 / v)
    dip = np.rad2deg(np.arcsin(sine))
    minor = 2 * removed * np.sqrt((v * sine - 1) / (v * sine + 1))
    major = 2 * removed * np.sqrt(v**2 - 1) / (v * sine + 1)
    got = _one(v, dip, removed, 1e4)
    assert got.minor_um[0] == pytest.approx(minor, rel=1e-9)
    assert got.major_um[0] == pytest.approx(major, rel=1e-9)
    assert got.depth_um[0] == pytest.approx(removed * (v * sine - 1), rel=1e-9)
    pixel = minor / 41.4  # the height map of an opening 20.7 px wide: two points a pixel
    half = int(major / pixel) + int(got.shift_um[0] / pixel) + 4
    pit = _pit(v, dip, removed, 1e4, azimuth, half + 0.3, half - 0.2)
    h = height_map(pit, (2 * half, 2 * half), pixel)
    y, x = np.nonzero(h < 0)
    x, y = (x - half - 0.3) * pixel, (half - 0.2 - y) * pixel
    along, across = (
        x * np.cos(azimuth) + y * np.sin(azimuth),
        y * np.cos(azimuth) - x * np.sin(azimuth),
    )
    # Of a filled ellipse the full axis is four standard deviations.
    assert 4 * along.std() == pytest.approx(major, rel=0.01)
    assert 4 * across.std() == pytest.approx(minor, rel=0.01)
    assert along.mean() == pytest.approx(got.shift_um[0], abs=0.3 * pixel)
    assert across.mean() == pytest.approx(0, abs=0.3 * pixel)


@pytest.mark.parametrize(
    ("v", "dip_deg", "removed", "length"),
    [
        (3.0, 90, 40, 1000),  # a sharp cone
        (1.5, 60, 50, 1000),  # oblique
        (3.0, 35, 40, 1000),  # whose near wall overhangs
        (2.0, 90, 40, 30),  # over-etched: a sphere at the bottom
        (1.4, 70, 60, 25),  # nothing left of the cone
        (4.0, 50, 40, 60),
    ],
)
def test_the_height_map_is_the_union_of_huygens_spheres(v, dip_deg, removed, length):
    azimuth, pixel = 0.7, 1.2
    got = height_map(_pit(v, dip_deg, removed, length, azimuth), SIZE, pixel)
    want = _spheres(v, dip_deg, removed, length, azimuth, pixel)
    both = (got < 0) & (want < 0)
    assert both.sum() > 300
    # Only at the rim may a point be inside for one and outside for the other.
    assert ((got < 0) ^ (want < 0)).sum() < 0.03 * both.sum()
    np.testing.assert_allclose(got[both], want[both], atol=0.25)
    shape = _one(v, dip_deg, removed, length)
    area = np.pi / 4 * shape.major_um[0] * shape.minor_um[0] / pixel**2
    assert both.sum() == pytest.approx(area, rel=0.03)


@settings(deadline=None, max_examples=100)
@given(v=st.floats(1, 10), fraction=st.floats(0, 1), length=st.floats(1, 1000))
def test_no_pit_below_the_threshold(v, fraction, length):
    dip = np.rad2deg(np.arcsin(fraction * (1 - 1e-9) / v))
    assert not _one(v, dip, 50.0, length).exists[0]
    assert _one(v, dip, 50.0, length).major_um[0] == 0
    assert not height_map(_pit(v, dip, 50.0, length), (40, 40), 2.0).any()


@settings(deadline=None, max_examples=60)
@given(v=st.floats(1.2, 6), length=st.floats(1, 300))
def test_over_etching_makes_pits_shallower_and_never_wider(v, length):
    short, long = _one(v, 80, 50, length), _one(v, 80, 50, 1e4)
    assert short.depth_um[0] <= long.depth_um[0] + 1e-9
    assert short.major_um[0] <= long.major_um[0] + 1e-9
    assert short.minor_um[0] <= short.major_um[0] + 1e-9


def test_an_over_etched_bottom_is_round_and_a_sharp_one_is_not():
    sharp, round_ = (height_map(_pit(2.0, 90, 40, n, x=60, y=60), SIZE, 1.0) for n in (1000, 40))
    centre = np.s_[57:64, 60]
    assert np.abs(np.diff(sharp[centre])).min() > 1.5  # the wall's slope, √(V² − 1)
    assert np.abs(np.diff(round_[centre])).max() < 0.3
    assert round_.min() == pytest.approx(-20, abs=0.1)


def test_overlapping_pits_keep_the_deeper_wall():
    one, other = _pit(2.0, 90, 40, 1000, x=50), _pit(3.0, 70, 40, 50, x=75)
    both = height_map(pd.concat([one, other]), SIZE, 1.0)
    alone = [height_map(p, SIZE, 1.0) for p in (one, other)]
    np.testing.assert_array_equal(both, np.minimum(*alone))
    assert ((alone[0] < 0) & (alone[1] < 0)).sum() > 50


def test_a_pit_may_reach_in_from_outside_and_no_pit_leaves_a_flat():
    whole = height_map(_pit(2.0, 90, 40, 1000, x=20, y=60), SIZE, 1.0)
    cut = height_map(_pit(2.0, 90, 40, 1000, x=-10, y=60), SIZE, 1.0)
    np.testing.assert_array_equal(cut[:, :100], whole[:, 30:130])
    assert cut.min() < 0
    empty = height_map(_pit(2.0, 90, 40, 1000)[:0], SIZE, 1.0)
    assert empty.shape == SIZE
    assert not empty.any()
