import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etchscope.foil import BadInput
from etchscope.imaging import (
    D4,
    Recipe,
    divergence,
    fit_harmonics,
    fit_normalisation,
    harmonic_weights,
    normalised_harmonics,
)

EIGHT = 67.5 + 45 * np.arange(8)


@settings(deadline=None)
@given(
    azimuths=st.lists(st.integers(-360, 719), min_size=3, max_size=12),
    seed=st.integers(0, 1000),
)
def test_any_three_azimuths_recover_the_first_harmonic(azimuths, seed):
    azimuths = np.array(azimuths, float)
    distinct = np.unique(azimuths % 360)
    assume(len(distinct) >= 3 and np.diff(distinct, append=distinct[0] + 360).min() >= 5)
    true = np.random.default_rng(seed).normal(size=(3, 4, 5))
    phi = np.deg2rad(azimuths)[:, None, None]
    stack = true[0] + true[1] * np.cos(phi) + true[2] * np.sin(phi)
    found = np.tensordot(harmonic_weights(azimuths), stack, axes=1)
    np.testing.assert_allclose(found, true, atol=1e-8)


@pytest.mark.parametrize("azimuths", [EIGHT, np.array([0, 50, 130, 190, 300.0])])
def test_second_harmonic(azimuths):
    true = np.random.default_rng(2).normal(size=(5, 3, 4)).astype(np.float32)
    phi = np.deg2rad(azimuths)
    basis = [np.ones_like(phi), np.cos(phi), np.sin(phi), np.cos(2 * phi), np.sin(2 * phi)]
    stack = np.tensordot(np.array(basis).T, true, axes=1).astype(np.float32)
    np.testing.assert_allclose(fit_harmonics(stack, azimuths, order=2), true, atol=1e-5)


def test_first_harmonic_of_evenly_spaced_lamps_is_blind_to_the_higher_ones():
    phi = np.deg2rad(EIGHT)[:, None, None]
    stack = np.cos(2 * phi) + np.sin(3 * phi) + np.zeros((1, 2, 2))
    np.testing.assert_allclose(fit_harmonics(stack.astype(np.float32), EIGHT), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("azimuths", "order", "message"),
    [
        ([0, 90], 1, "at least 3 different azimuths, found 2"),
        ([0, 90, 360, 450, -270], 1, "at least 3 different azimuths, found 2"),
        ([], 1, "at least 3 different azimuths, found 0"),
        ([0, 90, 180, 270], 2, "at least 5 different azimuths, found 4"),
    ],
)
def test_too_few_azimuths_are_refused(azimuths, order, message):
    with pytest.raises(BadInput, match=message):
        harmonic_weights(np.array(azimuths, float), order)
    assert harmonic_weights(np.array([0, 120, 240.0])).shape == (3, 3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("method", ["average", "level"])
def test_one_pass_is_the_same_as_step_by_step(dtype, method):
    rng = np.random.default_rng(3)
    top = 60000 if dtype == "uint16" else 250
    tiles = rng.integers(top // 4, top, (20, 7, 18, 31)).astype(dtype)
    normalisation = fit_normalisation(tiles, Recipe(method=method))
    channels, azimuths = np.array([5, 0, 3, 2]), np.array([10, 200, 95, 300.0])
    before = tiles[4].copy()
    fast = normalised_harmonics(tiles[4], normalisation, channels, azimuths)
    naive = fit_harmonics(normalisation.apply(tiles[4])[channels], azimuths)
    np.testing.assert_allclose(fast, naive, atol=2e-5)
    np.testing.assert_array_equal(tiles[4], before)
    assert np.abs(naive).max() > 0.1


def test_one_pass_refuses_pictures_that_do_not_fit():
    tiles = np.full((2, 4, 16, 16), 100, np.uint8)
    normalisation = fit_normalisation(tiles, Recipe())
    for wrong in (tiles[0, :3], tiles[0, :, :15], tiles[0, 0]):
        with pytest.raises(BadInput, match="tile: expected pictures of shape"):
            normalised_harmonics(wrong, normalisation, np.arange(3), np.array([0, 120, 240.0]))


def _field(h):
    down, right = np.gradient(h)
    return -right.astype(np.float32), down.astype(np.float32)


def test_divergence_is_minus_the_laplacian_of_the_height():
    y, x = np.mgrid[:30, :40].astype(float)
    a, b = _field(0.5 * (x - 20) ** 2 + 1.5 * (y - 15) ** 2)
    d = divergence(a, b)
    np.testing.assert_allclose(d[2:-2, 2:-2], -4, atol=1e-4)
    assert (d[[0, -1]] == 0).all()
    assert (d[:, [0, -1]] == 0).all()


def test_without_the_minus_of_y_a_cone_would_vanish():
    y, x = np.mgrid[-15:16, -15:16].astype(float)
    a, b = _field(-np.clip(8 - np.hypot(x, y), 0, None))
    assert divergence(a, b)[15, 15] < -0.5
    assert divergence(a, -b)[15, 15] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("symmetry", D4)
def test_divergence_moves_with_the_scene(symmetry):
    stack = np.random.default_rng(4).normal(size=(8, 21, 34)).astype(np.float32)

    def found(pictures):
        _, a, b = fit_harmonics(pictures, EIGHT)
        return divergence(a, b)

    here = found(stack)[None]
    if symmetry.mirrored:
        here = here[:, :, ::-1]
    expected = np.rot90(here, symmetry.quarter_turns, (1, 2))[0]
    moved = symmetry.pictures(stack, EIGHT, np.arange(8))
    np.testing.assert_allclose(found(moved), expected, atol=1e-5)
