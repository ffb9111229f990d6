from dataclasses import replace

import numpy as np
import pytest

from etchscope.imaging import D4
from etchscope.learn import Lights, Patches, feature_names, measure_features

EIGHT = Lights(tuple(22.5 + 45 * k for k in range(8)), ("backlit", "halo"))
FOUR = Lights((0.0, 90.0, 180.0, 270.0), ("backlit",))
ONE = Lights((90.0,))
NONE = Lights((), ("backlit",))


def _patches(lights, n=5, size=16, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, 0.3, (n, lights.count, size, size))
    y, x = np.mgrid[:size, :size] - size / 2
    pixels += np.exp(-(((x - 1.5) / 4) ** 2) - ((y + 1) / 2.5) ** 2)  # not symmetric in itself
    pixels *= 1 + np.arange(lights.count)[:, None, None] % 3
    return Patches(pixels.astype(np.float32), lights, np.zeros(n, int), np.arange(n))


def _moved(symmetry, patches):
    azimuths = np.asarray(patches.lights.azimuths_deg)
    lamps = np.arange(len(azimuths))
    pixels = np.stack([symmetry.pictures(p, azimuths, lamps) for p in patches.pixels])
    return replace(patches, pixels=pixels)


def _by_name(patches):
    return dict(zip(feature_names(patches.lights), measure_features(patches).T, strict=True))


@pytest.mark.parametrize("symmetry", D4)
@pytest.mark.parametrize("size", [16, 15])
@pytest.mark.parametrize("lights", [EIGHT, FOUR, NONE])
def test_no_symmetry_of_the_optics_changes_a_feature(symmetry, size, lights):
    patches = _patches(lights, size=size)
    here, there = _by_name(patches), _by_name(_moved(symmetry, patches))
    for name in here:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("lights", [EIGHT, FOUR])
def test_forgetting_to_permute_the_lamps_changes_what_they_tell(lights):
    patches = _patches(lights)
    here = _by_name(patches)
    for forgotten in (
        np.rot90(patches.pixels, 1, (2, 3)),
        patches.pixels[..., ::-1],
    ):
        there = _by_name(replace(patches, pixels=forgotten))
        apart = {name: np.abs(there[name] - here[name]).max() for name in here}
        changed = {name for name, by in apart.items() if by > 0.01}
        assert {"slope in 1", "slope in 2", "slope rms 1", "turn rms 1", "turn rms 2"} <= changed
        # What needs no lamps stays.
        assert not changed & {"lamps mean 0", "backlit mean 1", "backlit rms 3", "offset", "grain"}


@pytest.mark.parametrize("lights", [EIGHT, FOUR, ONE, NONE, Lights((10.0, 100.0))])
def test_every_feature_has_a_name_and_is_a_number(lights):
    told = measure_features(_patches(lights))
    assert told.shape == (5, len(feature_names(lights)))
    assert len(set(feature_names(lights))) == told.shape[1]
    assert np.isfinite(told).all()
    assert measure_features(_patches(lights, n=0)).shape == (0, told.shape[1])


def test_the_slope_s_sign_tells_top_from_bottom_and_its_place_a_pair(pits):
    patches, is_top = pits
    told = _by_name(patches)
    assert (told["slope in 1"][is_top] < -0.2).all()
    assert (told["slope in 1"][~is_top] > 0.2).all()
    # Entry and exit on one place cancel; side by side they lie off the middle.
    top, bottom = patches.pixels[is_top][0], patches.pixels[~is_top][0]
    both = top + bottom
    apart = np.roll(top, -3, 2) + np.roll(bottom, 3, 2)
    one = np.roll(top, -3, 2)
    some = replace(patches.take(np.arange(4)), pixels=np.stack([top, both, apart, one]))
    mixed = _by_name(some)
    assert abs(mixed["slope in 1"][1]) < 0.3 * abs(mixed["slope in 1"][0])
    assert mixed["slope rms 2"][2] > mixed["slope rms 2"][1]
    assert mixed["offset"][3] > 0.1 > 0.05 > mixed["offset"][0]


def test_features_are_in_the_unit_of_the_pictures():
    """Known pictures: a constant, a tilt towards each lamp, and noise."""
    lights = Lights((0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0))
    angle = np.deg2rad(lights.azimuths_deg)
    pixels = np.zeros((3, 8, 16, 16), np.float32)
    pixels[0] = 0.5 + (0.3 * np.cos(angle))[:, None, None]
    pixels[1] = (0.2 * np.cos(2 * angle))[:, None, None]
    pixels[2] = np.random.default_rng(1).normal(0, 0.1, (8, 16, 16))
    told = _by_name(Patches(pixels, lights, np.zeros(3, int), np.arange(3)))
    for ring in range(4):
        assert told[f"lamps mean {ring}"][0] == pytest.approx(0.5, abs=1e-6)
        assert told[f"lamps rms {ring}"][0] == pytest.approx(0.5, abs=1e-6)
        assert told[f"slope in {ring}"][0] == pytest.approx(0, abs=1e-6)
        # Half of a slope's power lies along the radius, half across.
        assert told[f"slope rms {ring}"][0] == pytest.approx(0.3 / 2**0.5, rel=1e-5)
        assert told[f"turn rms {ring}"][0] == pytest.approx(0.3 / 2**0.5, rel=1e-5)
    assert told["offset"][0] == pytest.approx(0, abs=1e-6)
    assert told["harmonic 2"] == pytest.approx([0, 0.2, 0.1 / 2**0.5], abs=0.01)
    assert told["grain"] == pytest.approx([0, 0, 0.1 * 2**0.5], rel=0.1, abs=1e-7)


def test_many_patches_are_measured_as_one_by_one():
    patches = _patches(EIGHT)
    alone = [measure_features(patches.take(np.array([k])))[0] for k in range(5)]
    np.testing.assert_allclose(measure_features(patches), alone, rtol=1e-5, atol=1e-6)
