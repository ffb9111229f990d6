from dataclasses import replace

import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.imaging import Normalisation, Recipe, fit_normalisation, smooth_background

SIZE = (96, 128)


def _vignette(strength=0.4, size=SIZE):
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    return 1 - strength * ((x / size[1] - 0.5) ** 2 + (y / size[0] - 0.3) ** 2)


def _scan(tiles, *, pits=25, seed=1, light=(120.0, 190.0)):
    """Tiles of two channels under uneven light, with dark pits, and the flat truth of each."""
    rng = np.random.default_rng(seed)
    flat = np.ones((tiles, len(light), *SIZE))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for tile in flat:
        for px, py in rng.uniform(0, [SIZE[1], SIZE[0]], (pits, 2)):
            tile[:, np.hypot(x - px, y - py) < 5] = 0.6
    noise = rng.normal(0, 1, flat.shape)
    uneven = np.array(light)[:, None, None] * _vignette()
    return np.rint(flat * uneven + noise).astype(np.uint8), flat


def test_uneven_light_is_taken_out_whatever_the_pits():
    tiles, flat = _scan(24)
    normalisation = fit_normalisation(tiles, Recipe())
    for k in (0, 17):
        error = normalisation.apply(tiles[k]) - (flat[k] - 1)
        assert np.sqrt((error**2).mean()) < 0.015  # the noise alone is 0.01
    blocks = np.median([normalisation.apply(t) for t in tiles], axis=0)
    raw = np.median(tiles, axis=0) / np.median(tiles)
    fall = [np.ptp([np.median(p[:, y : y + 24]) for y in (0, 24, 48, 72)]) for p in (blocks, raw)]
    assert fall[0] < 0.01
    assert fall[1] > 0.1  # without the normalisation


def test_dust_on_the_camera_is_taken_out():
    tiles, _ = _scan(24)
    tiles[:, :, 40:44, 50:56] //= 2
    error = fit_normalisation(tiles, Recipe()).apply(tiles[3])[:, 40:44, 50:56]
    assert abs(np.median(error)) < 0.03


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("count", [16, 17, 32])
def test_average_is_the_median_of_the_tiles(count, dtype):
    top = np.iinfo(dtype).max
    tiles = np.random.default_rng(7).integers(10, top, (count, 2, 16, 21), dtype, endpoint=True)
    normalisation = fit_normalisation(tiles, Recipe(tiles=count))
    average = normalisation.average * normalisation.gain[:, None, None]
    # Of an even number, any value between the two in the middle.
    low, high = np.sort(tiles, axis=0)[[(count - 1) // 2, count // 2]].astype(float)
    assert (average >= low * (1 - 1e-6)).all()
    assert (average <= high * (1 + 1e-6)).all()


def test_few_tiles_are_smoothed_so_that_single_pits_stay():
    tiles, flat = _scan(1, pits=6)
    smooth = fit_normalisation(tiles, Recipe())
    in_pit = flat[0] < 1
    assert np.median(smooth.apply(tiles[0])[in_pit]) == pytest.approx(-0.4, abs=0.05)
    assert abs(np.median(smooth.apply(tiles[0])[~in_pit])) < 0.02
    sharp = fit_normalisation(tiles, Recipe(smooth_below=1))
    assert np.abs(sharp.apply(tiles[0])[in_pit]).max() < 0.02  # the pits are gone


@pytest.mark.parametrize("below", [(16, 15), (15, 15)])
def test_smoothing_begins_below_the_stated_number(below):
    smooth_below, count = below
    tiles, _ = _scan(count, pits=1)
    tiles[:, :, 40:44, 50:56] //= 2  # seen by a median picture only
    dust = fit_normalisation(tiles, Recipe(smooth_below=smooth_below)).average[:, 40:44, 50:56]
    assert (dust.max() < 0.6) == (count >= smooth_below)


def test_level_keeps_what_all_cells_of_a_montage_show():
    y, x = np.mgrid[:63, :63]
    cell = np.where(np.hypot(x - 31, y - 31) < 9, 80, 200).astype(np.uint8)
    cells = [cell[None]] * 20
    level = fit_normalisation(cells, Recipe(method="level"))
    assert level.average.shape == (1, 1, 1)
    assert level.apply(cells[0])[0, 31, 31] == pytest.approx(-0.6, abs=1e-6)
    assert level.apply(cells[0])[0, 2, 2] == 0
    average = fit_normalisation(cells, Recipe(method="average"))
    assert average.apply(cells[0])[0, 31, 31] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("method", ["average", "level"])
def test_an_odd_first_tile_does_not_shift_the_bulk(method):
    tiles = np.full((20, 1, 16, 16), 100, np.uint8)
    tiles[0] = 30
    normalisation = fit_normalisation(tiles, Recipe(method=method))
    np.testing.assert_allclose(normalisation.apply(tiles[5]), 0, atol=1e-6)
    np.testing.assert_allclose(normalisation.apply(tiles[0]), -0.7, atol=1e-6)


def test_bulk_is_zero_and_contrast_relative_to_it():
    normalisation = Normalisation(
        Recipe(), np.full((2, 1, 1), 1, np.float32), np.array([50.0, 200]), np.ones(2), 255
    )
    grey = np.array([[[50, 55]], [[200, 100]]], np.uint8)
    np.testing.assert_allclose(normalisation.apply(grey), [[[0, 0.1]], [[0, -0.5]]], atol=1e-6)


@pytest.mark.parametrize("scale", [1 / 255, 1.0, 300.0])
def test_unit_of_float_pictures_does_not_count(scale):
    tiles, _ = _scan(20)
    floats = (tiles * scale).astype(np.float32)
    ours, coded = fit_normalisation(floats, Recipe()), fit_normalisation(tiles, Recipe())
    np.testing.assert_allclose(ours.apply(floats[2]), coded.apply(tiles[2]), atol=1e-4)
    assert (ours.limit, coded.limit) == (0, 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_dark_channel_is_finite(dtype):
    tiles = np.zeros((20, 1, 16, 16), dtype)
    assert (fit_normalisation(tiles, Recipe()).apply(tiles[0]) == 0).all()


def test_recipe_has_an_identity():
    one = Recipe()
    assert one.digest == Recipe().digest
    others = [
        replace(one, method="level"),
        replace(one, tiles=33),
        replace(one, smooth_below=17),
        replace(one, smooth_px=65.0),
        replace(one, version=2),
    ]
    assert len({r.digest for r in [one, *others]}) == 6


def test_fit_has_an_identity():
    tiles, _ = _scan(3)
    fit = fit_normalisation(tiles, Recipe())
    assert fit.digest == fit_normalisation(tiles.copy(), Recipe()).digest
    other = tiles.copy()
    other[:, 1] += 1
    changed = [
        fit_normalisation(other, Recipe()),
        fit_normalisation(tiles, Recipe(tiles=31)),
        replace(fit, limit=254),
        replace(fit, gain=fit.gain + 1e-9),
        replace(fit, offset=fit.offset + 1e-9),
        replace(fit, average=fit.average * np.float32(1.001)),
    ]
    assert len({n.digest for n in [fit, *changed]}) == 7
    assert fit.recipe.digest == changed[0].recipe.digest


def test_another_recipe_is_refused():
    fit = fit_normalisation(np.full((1, 1, 16, 16), 99, np.uint8), Recipe())
    fit.require(Recipe().digest)
    with pytest.raises(BadInput, match="Normalise the scan with the expected recipe"):
        fit.require(Recipe(smooth_px=63.0).digest)


def test_wrong_shapes_are_refused():
    tiles = np.full((2, 3, 16, 24), 100, np.uint8)
    for method in ("average", "level"):
        fit = fit_normalisation(tiles, Recipe(method=method))
        for wrong in (tiles[0, :2], tiles[0, 0]):
            with pytest.raises(BadInput, match="tile: expected pictures of shape"):
                fit.apply(wrong)
    with pytest.raises(BadInput, match=r"expected pictures of shape \(3, 16, 24\), found"):
        fit_normalisation(tiles, Recipe()).apply(tiles[0, :, :, :23])
    with pytest.raises(BadInput, match="tiles of one shape"):
        fit_normalisation([tiles[0], tiles[0, :, :8]], Recipe())
    with pytest.raises(BadInput, match="at least one tile, found none"):
        fit_normalisation([], Recipe())


def test_background_follows_the_light_and_not_the_pits():
    size = (240, 320)
    light = 120 * _vignette(0.25, size)
    pits = np.zeros(size, bool)
    y, x = np.mgrid[: size[0], : size[1]]
    for px, py in np.random.default_rng(5).uniform(0, [320, 240], (50, 2)):
        pits |= np.hypot(x - px, y - py) < 5
    assert pits.mean() > 0.04
    clean = smooth_background(light.astype(np.float32), 64.0)
    found = smooth_background((light * (1 - 0.4 * pits)).astype(np.float32), 64.0)
    assert np.sqrt(np.mean((found / light - 1) ** 2)) < 0.015
    assert np.abs(found / light - 1).max() < 0.08  # in the corners
    assert np.abs(found[pits] / clean[pits] - 1).max() < 0.03


@pytest.mark.parametrize("shape", [(5, 7), (16, 16), (100, 9)])
def test_background_of_small_and_flat_pictures(shape):
    found = smooth_background(np.full(shape, 7.5, np.float32), 64.0)
    np.testing.assert_allclose(found, 7.5, rtol=1e-6)
