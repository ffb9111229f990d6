"""Cleaned pictures: what is taken out, and what stays."""

import cv2
import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.imaging import Recipe, fit_normalisation
from etchscope.imaging.cleaned import CleanSettings, clean_pictures, deconvolve
from etchscope.imaging.noise import measure_noise

ROWS, COLUMNS = 160, 200
RADIUS, NOISE = 8.0, 0.02


def disc(x, y, radius=RADIUS, depth=-0.5):
    v, u = np.mgrid[:ROWS, :COLUMNS]
    return depth * np.clip(radius - np.hypot(u - x, v - y) + 0.5, 0, 1)


def radius_at_half_depth(picture, x, y):
    part = picture[y - 20 : y + 21, x - 20 : x + 21]
    return float(np.sqrt((part < -0.25).sum() / np.pi))


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.mark.parametrize("sigma", [0.7, 1.2, 2.5])
def test_deconvolution_amplifies_white_noise_as_it_says_and_no_more_than_allowed(rng, sigma):
    noise = rng.normal(0, NOISE, (256, 256)).astype(np.float32)
    there = noise + 3 * cv2.GaussianBlur(rng.normal(0, 1, noise.shape), (0, 0), 6)
    with_it, gain = deconvolve(there.astype(np.float32), sigma, NOISE)
    without, same = deconvolve((there - noise).astype(np.float32), sigma, NOISE)
    assert 0.9 < gain <= 2.0 + 1e-6
    assert abs(gain - same) < 0.5
    again, least = deconvolve(there.astype(np.float32), sigma, NOISE, most_noise=1.2)
    assert least <= 1.2 + 1e-6
    inner = np.s_[20:-20, 20:-20]
    assert np.std((with_it - without)[inner]) / NOISE == pytest.approx(gain, rel=0.1)
    assert np.std(again[inner]) <= np.std(with_it[inner])


def test_pits_keep_their_radius_and_have_sharper_rims(rng):
    sharp = disc(60, 80) + disc(140, 80, radius=5.0)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 1.5) + rng.normal(0, NOISE, sharp.shape)
    seen, _ = deconvolve(blurred.astype(np.float32), 1.5, NOISE)
    assert radius_at_half_depth(seen, 60, 80) == pytest.approx(RADIUS, rel=0.05)
    assert radius_at_half_depth(seen, 140, 80) == pytest.approx(5.0, rel=0.1)
    rim = np.s_[80, 60 + int(RADIUS) - 1 : 60 + int(RADIUS) + 3]
    assert np.ptp(seen[rim]) > 1.15 * np.ptp(blurred[rim])


def tiles(rng, number=6):
    """Uneven light with a dust grain on the camera, a wide stain and a scratch on the first."""
    v, u = np.mgrid[:ROWS, :COLUMNS]
    light = 120 * (1 - 0.3 * np.hypot(u - 100, v - 80) / 128)
    light[20:24, 30:34] *= 0.6
    out = []
    for k in range(number):
        scene = np.ones((2, ROWS, COLUMNS))
        if k == 0:
            scene += disc(60, 60)
            scene += 0.1 * np.exp(-((u - 150) ** 2) / 2 / 60**2)
            along = np.abs(v - 120 - 0.1 * (u - 100)) < 1.2
            scene[:, along & (u > 20) & (u < 180)] -= 0.35
        scene = np.stack([cv2.GaussianBlur(s, (0, 0), 0.8) for s in scene])
        noisy = scene * light + rng.normal(0, NOISE * 120, scene.shape)
        out.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    return out


def test_background_pattern_and_scratch_go_and_the_pit_stays(rng):
    stacks = tiles(rng)
    fit = fit_normalisation(stacks, Recipe(smooth_below=2))
    done = clean_pictures(stacks[0], fit)
    line = np.array([(120 + round(0.1 * (x - 100)), x) for x in range(30, 170)]).T
    raw = fit.apply(stacks[0])[:, line[0], line[1]].mean()
    assert raw < -0.2
    assert abs(done.pictures[:, line[0], line[1]].mean()) < 0.05
    assert done.filled[line[0], line[1]].mean() > 0.9
    assert done.filled.mean() < 0.08
    assert abs(done.pictures[:, 20:24, 30:34].mean()) < 0.04
    assert radius_at_half_depth(done.pictures[0], 60, 60) == pytest.approx(RADIUS, rel=0.06)
    assert abs(done.pictures[:, 90:110, 140:160].mean()) < 0.02
    assert done.noise_gain.tolist() == [1, 1]


def test_nothing_is_filled_where_it_is_to_be_kept_or_no_scratch_is_sought(rng):
    stacks = tiles(rng)
    fit = fit_normalisation(stacks, Recipe(smooth_below=2))
    keep = np.zeros((ROWS, COLUMNS), bool)
    keep[:, :100] = True
    done = clean_pictures(stacks[0], fit, keep=keep)
    assert done.filled[:, 100:].any()
    assert not done.filled[:, :100].any()
    none = clean_pictures(stacks[0], fit, settings=CleanSettings(scratch_px=np.inf))
    assert not none.filled.any()


def test_pictures_of_another_size_are_refused(rng):
    stacks = tiles(rng, 2)
    fit = fit_normalisation(stacks, Recipe(smooth_below=2))
    with pytest.raises(BadInput, match="pictures of shape"):
        clean_pictures(stacks[0][:, :50], fit)


def test_the_noise_is_that_from_pixel_to_pixel(rng):
    slope = np.mgrid[:200, :200][1] * 0.5 + rng.normal(0, 3.0, (200, 200))
    assert measure_noise(slope[None])[0] == pytest.approx(3.0, rel=0.05)


def test_a_pit_on_a_small_cutout_is_no_background(rng):
    light = 150 * (1 + disc(10, 10, radius=18.0)[:63, :63]) + rng.normal(0, 2, (63, 63))
    stack = np.clip(np.rint(light), 0, 255).astype(np.uint8)[None]
    fit = fit_normalisation([stack], Recipe(method="level"))
    done = clean_pictures(stack, fit).pictures[0]
    assert done[4:16, 4:16].mean() == pytest.approx(-0.5, abs=0.06)
    assert np.median(done) == pytest.approx(0, abs=1e-6)
