"""Every sign that can be got wrong: the block of the project's conventions, and the package."""

import numpy as np
import pytest

from etchscope.imaging import Symmetry, divergence, fit_harmonics

AZIMUTHS_DEG = 67.5 + 45 * np.arange(8)
phi = np.deg2rad(AZIMUTHS_DEG)
y, x = np.mgrid[-20:21, -20:21].astype(float)
cone = -np.clip(8 - np.hypot(x - 2, y + 1), 0, None)  # a top pit, off centre


def light(h):  # Lambert-like, gradient_sign +1
    gy, gx = np.gradient(h)
    p, q = gx, -gy  # y up
    return np.stack([1 - p * np.cos(f) - q * np.sin(f) for f in phi])


def test_conventions_as_they_are_written():
    s = light(cone)
    A = (s * np.cos(phi)[:, None, None]).mean(0) * 2
    B = (s * np.sin(phi)[:, None, None]).mean(0) * 2
    D = np.gradient(A, axis=1) - np.gradient(B, axis=0)
    assert D[19, 22] < 0 < (-D)[19, 22]  # top pit; a bottom pit has the other sign
    assert np.allclose(light(np.rot90(cone)), np.roll(np.rot90(s, 1, (1, 2)), 2, axis=0))
    assert not np.allclose(light(np.rot90(cone)), np.roll(np.rot90(s, 1, (1, 2)), -2, axis=0))
    assert np.allclose(light(cone[:, ::-1]), s[[1, 0, 7, 6, 5, 4, 3, 2]][:, :, ::-1])
    left = np.argmin(np.abs((np.rad2deg(phi) % 360) - 202.5))  # the right wall is bright
    assert s[left, 19, 26] > 1 > s[left, 19, 18]


@pytest.mark.parametrize(("surface", "sign"), [(cone, -1), (-cone, 1)])
def test_package_gives_top_and_bottom_their_signs(surface, sign):
    mean, a, b = fit_harmonics(light(surface).astype(np.float32), AZIMUTHS_DEG)
    np.testing.assert_allclose(mean, 1, atol=1e-6)
    down, right = np.gradient(surface)
    np.testing.assert_allclose(a, -right, atol=1e-6)
    np.testing.assert_allclose(b, down, atol=1e-6)
    d = divergence(a, b)
    assert sign * d[19, 22] > 0.5
    # Its sum over the pit vanishes: the rim has the other sign.
    assert d.sum() == pytest.approx(0, abs=1e-4)


def test_package_turns_and_mirrors_pictures_the_stated_way():
    s, eight = light(cone), np.arange(8)
    turned = Symmetry(quarter_turns=1).pictures(s, AZIMUTHS_DEG, eight)
    np.testing.assert_array_equal(turned, np.roll(np.rot90(s, 1, (1, 2)), 2, axis=0))
    mirrored = Symmetry(mirrored=True).pictures(s, AZIMUTHS_DEG, eight)
    np.testing.assert_array_equal(mirrored, s[[1, 0, 7, 6, 5, 4, 3, 2]][:, :, ::-1])
