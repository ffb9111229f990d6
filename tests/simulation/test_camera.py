from dataclasses import replace

import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.simulation import Camera, Optics, SimulatedScan
from etchscope.simulation.camera import draw_fixed_pattern, photograph

SIZE = (96, 128)
OPTICS = Optics(image_size=SIZE, read_noise=0.0, shot_noise=0.0)
LIGHT = np.tile(np.linspace(0, 2, SIZE[1], dtype=np.float32), (SIZE[0], 1))


def _shot(light=LIGHT, optics=OPTICS, gain=0.5, pattern=None, rng=None, **camera):
    return photograph(light, gain, optics, rng, Camera(**camera), pattern, rng)


@pytest.mark.parametrize("step", [2, 5, 8])
def test_grey_levels_are_multiples_of_the_step(step):
    assert set(np.unique(_shot(grey_step=step)) % step) <= {0, 255 % step}
    assert len(np.unique(_shot(grey_step=step))) <= 255 // step + 2
    deep = _shot(optics=replace(OPTICS, bit_depth=12), grey_step=step)
    assert len(np.unique(deep)) <= 255 // step + 2


def test_gamma_bends_the_range_and_leaves_the_bulk():
    plain, steep, soft = (_shot(gamma=g).astype(int)[0] for g in (1.0, 2.0, 0.5))
    bulk = np.abs(LIGHT[0] - 1).argmin()
    assert abs(steep[bulk] - plain[bulk]) <= 2
    assert steep[bulk // 2] < plain[bulk // 2] < soft[bulk // 2]
    assert (np.diff(steep) >= 0).all()


def test_a_jpeg_is_close_and_for_8_bits_only():
    light = 1 + 0.1 * np.random.default_rng(1).standard_normal(SIZE, np.float32)
    good, poor = (_shot(light, jpeg_quality=q).astype(int) for q in (95, 30))
    plain = _shot(light).astype(int)
    assert 0 < np.abs(good - plain).mean() < 2
    assert np.abs(good - plain).mean() < np.abs(poor - plain).mean()
    deep = replace(OPTICS, bit_depth=12)
    with pytest.raises(BadInput, match="bit_depth of a JPEG file: expected 8 to 8, found 12"):
        SimulatedScan(seed=1, optics=deep, camera=Camera(jpeg_quality=80))


def test_the_fixed_pattern_is_the_same_in_all_tiles_and_channels():
    camera = Camera(column_pattern=3.0, pixel_gain=0.03, hot_per_mpx=400)
    optics = replace(OPTICS, texture=0.0, vignetting=0.0, unevenness=0.0)
    scan = SimulatedScan(seed=2, columns=2, rows=1, optics=optics, camera=camera)
    first, second = (np.median(scan.read_tile(n)[:8].astype(float), axis=0) for n in (1, 2))

    def fixed(picture):
        columns = np.median(picture, axis=0)
        return columns - np.median(columns)

    assert fixed(first).std() == pytest.approx(3, rel=0.4)
    assert np.corrcoef(fixed(first), fixed(second))[0, 1] > 0.9
    other = replace(scan, seed=3).read_tile(1)[:8].astype(float)
    assert np.corrcoef(fixed(first), fixed(np.median(other, axis=0)))[0, 1] < 0.5


def test_hot_pixels_and_gain_are_as_many_and_as_strong_as_asked():
    pattern = draw_fixed_pattern(Camera(hot_per_mpx=5000), (400, 500), np.random.default_rng(1))
    assert (pattern.offset > 15).sum() == pytest.approx(5000 * 0.2, rel=0.15)
    pattern = draw_fixed_pattern(Camera(pixel_gain=0.02), (400, 500), np.random.default_rng(1))
    assert pattern.gain.std() == pytest.approx(0.02, rel=0.05)
    assert draw_fixed_pattern(Camera(pixel_gain=0.1), SIZE, None).gain is None


def test_a_background_is_slow_and_another_in_each_picture():
    light = np.ones(SIZE, np.float32)
    rng = np.random.default_rng(3)
    one, two = (
        _shot(light, rng=rng, background=0.1, background_px=60.0).astype(float) for _ in range(2)
    )
    assert 2 < one.std() < 30
    assert np.abs(np.diff(one, axis=1)).max() <= 2
    assert np.abs(one - two).max() > 5


def test_an_impossible_camera_is_refused():
    with pytest.raises(BadInput, match=r"camera\.grey_step: expected 1 to 64, found 0"):
        Camera(grey_step=0)
