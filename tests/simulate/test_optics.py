import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from etchscope.imaging import D4, divergence, harmonics
from etchscope.simulate import Optics, height_map, reference_channels, render

SIZE = (60, 80)
STILL = Optics(image_size=SIZE, unevenness=0.0)


def _pits(*rows, size=SIZE, **shape):
    names = ["x_px", "y_px", "radius_px", "ellipticity", "angle_deg"]
    table = pd.DataFrame(list(rows), columns=names, dtype=float)
    return height_map(table.assign(**({"slope": 0.5, "roundness": 0.0} | shape)), size)


FLAT = np.zeros(SIZE, np.float32)


def test_cone_has_the_stated_depth_slope_and_opening():
    h = _pits((40, 30, 8, 0, 0))
    assert h.min() == h[30, 40] == pytest.approx(-0.5 * 8)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    np.testing.assert_allclose(h, -0.5 * np.clip(8 - np.hypot(x - 40, y - 30), 0, None), atol=1e-5)


def test_roundness_makes_a_paraboloid():
    h = _pits((40, 30, 8, 0, 0), roundness=1.0)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    expected = -0.5 * 8 * np.clip(1 - ((x - 40) ** 2 + (y - 30) ** 2) / 64, 0, None)
    np.testing.assert_allclose(h, expected, atol=1e-5)


@pytest.mark.parametrize("angle_deg", [0.0, 30, 90, 150])
@pytest.mark.parametrize("ellipticity", [0.2, 0.5])
def test_opening_has_the_stated_ellipse(ellipticity, angle_deg):
    size = (200, 220)
    radius = 40.0
    opening = _pits((110.3, 99.8, radius, ellipticity, angle_deg), size=size) < 0
    v, u = np.nonzero(opening)
    assert opening.sum() == pytest.approx(np.pi * radius**2, rel=0.02)
    assert [u.mean(), v.mean()] == pytest.approx([110.3, 99.8], abs=0.3)
    values, axes = np.linalg.eigh(np.cov(u, -v))
    assert 1 - np.sqrt(values[0] / values[1]) == pytest.approx(ellipticity, abs=0.02)
    angle = np.rad2deg(np.arctan2(axes[1, 1], axes[0, 1]))
    assert abs((angle - angle_deg + 90) % 180 - 90) < 2


def test_where_pits_overlap_the_deeper_wall_remains():
    one, other = (30, 30, 8, 0, 0), (38, 32, 6, 0.3, 40)
    both = _pits(one, other)
    np.testing.assert_array_equal(both, np.minimum(_pits(one), _pits(other)))
    np.testing.assert_array_equal(both, _pits(other, one))


def test_pits_outside_reach_in_and_no_pits_are_flat():
    assert (_pits((-3, 30, 8, 0, 0))[30, :6] < 0).tolist() == [True] * 5 + [False]
    assert (_pits((-30, 30, 8, 0, 0), (500, 500, 8, 0, 0)) == 0).all()
    assert (_pits() == 0).all()


def test_flat_surfaces_are_evenly_bright():
    pictures = render(FLAT, FLAT, STILL)
    assert pictures.dtype == np.uint8
    assert pictures.shape == (10, *SIZE)
    assert (np.ptp(pictures, axis=(1, 2)) == 0).all()


def _signed(pictures):
    _, a, b = harmonics(pictures[:8].astype(np.float32) / 125, np.rad2deg(STILL.azimuths_rad))
    return divergence(a, b)


def test_signs_of_top_and_bottom_pits():
    pit = _pits((40, 30, 8, 0, 0))
    top, bottom = _signed(render(pit, FLAT, STILL)), _signed(render(FLAT, pit, STILL))
    assert top[30, 40] < -0.02
    assert bottom[30, 40] > 0.01
    # The far surface is blurred: its extremes are lower.
    assert np.abs(bottom).max() < 0.7 * np.abs(top).max()


def test_a_steep_pair_cancels_itself_but_not_in_the_backlit_picture():
    pit = _pits((40, 30, 8, 0, 0))
    single, pair = render(pit, FLAT, STILL), render(pit, pit, STILL)
    at_pit_scale = [gaussian_filter(_signed(p), 4) for p in (single, pair)]
    assert at_pit_scale[0].min() < -0.05
    assert np.abs(at_pit_scale[1]).max() < 0.35 * np.abs(at_pit_scale[0]).max()
    assert pair[8].min() < single[8].min() < single[8].max()
    assert pair[9].max() > single[9].max()


def test_far_wall_is_bright_towards_the_lamp():
    pit = _pits((40, 30, 8, 0, 0))
    pictures = render(pit, FLAT, STILL).astype(int)
    left = int(np.argmin(np.abs(np.rad2deg(STILL.azimuths_rad) - 202.5)))
    assert pictures[left, 30, 44] > 125 + 10 > 125 - 10 > pictures[left, 30, 36]


@pytest.mark.parametrize("symmetry", D4)
def test_a_moved_surface_gives_moved_pictures(symmetry):
    top = _pits((40, 30, 8, 0.3, 20), (3, 50, 7, 0.1, 100))
    bottom = _pits((45, 27, 7, 0.2, 70), (70, 8, 5, 0.5, 10))
    azimuths, lamps = np.rad2deg(STILL.azimuths_rad), np.arange(8)

    def moved(picture):
        # Eight equal channels: only the pixels move.
        return symmetry.pictures(np.repeat(picture[None], 8, 0), azimuths, lamps)[0]

    here = symmetry.pictures(render(top, bottom, STILL), azimuths, lamps)
    size = here.shape[1:]
    there = render(moved(top), moved(bottom), Optics(image_size=size, unevenness=0.0))
    # One grey level of rounding.
    assert np.abs(here.astype(int) - there.astype(int)).max() <= 1
    assert np.ptp(here[0]) > 50


def test_noise_and_texture_are_those_asked_for():
    optics = Optics(image_size=(200, 200), unevenness=0.0, read_noise=3.0, texture=0.0)
    flat = np.zeros((200, 200), np.float32)
    noise = render(flat, flat, optics, np.random.default_rng(1)).std(axis=(1, 2))
    shot = 0.01 * np.array([125.0] * 8 + [187.5, 31.25])
    np.testing.assert_allclose(noise, np.sqrt(9 + shot + 1 / 12), rtol=0.03)
    rough = Optics(image_size=(200, 200), unevenness=0.0, texture=0.1)
    pictures = render(flat, flat, rough, np.random.default_rng(1))
    assert pictures[0].std() > 1.5 * noise[0]
    # Texture is of the surface: seen from opposite sides it is opposite.
    assert np.corrcoef(pictures[0].ravel(), pictures[4].ravel())[0, 1] < -0.4


def test_light_falls_off_away_from_its_lamp():
    uneven = render(FLAT, FLAT, Optics(image_size=SIZE, unevenness=0.25)).astype(int)
    left = int(np.argmin(np.abs(np.rad2deg(STILL.azimuths_rad) - 202.5)))
    assert uneven[left, 30, 2] > uneven[left, 30, 77] + 15


def test_one_generator_one_picture():
    one, again, other = (
        render(FLAT, FLAT, STILL, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_reference_channels_are_the_reference_microscope():
    channels = reference_channels()
    assert [c.step for c in channels] == list(range(1, 11))
    assert [c.azimuth_deg for c in channels[:8]] == [67.5 + 45 * k for k in range(8)]
    assert [c.role for c in channels] == ["directional"] * 8 + ["backlit", "halo"]
