import dataclasses

import numpy as np
import pytest

from etchscope.foil import Channel
from etchscope.simulation import Optics, Scene, render
from etchscope.simulation.tasl import simulate_tasl


def test_a_seed_is_a_foil():
    small = {"image_size": (96, 128)}
    one, same, other = (
        dataclasses.replace(scan, optics=dataclasses.replace(scan.optics, **small)).read_tile(1)
        for scan in (simulate_tasl(s, 1, 1) for s in (3, 3, 4))
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.1


def _cone(**changes):
    """One dark pit in the middle of a small backlit picture, without noise or texture."""
    channels = (Channel(step=1, role="backlit"),)
    plain = {"image_size": (64, 64), "channels": channels, "read_noise": 0, "shot_noise": 0}
    optics = Optics(**(plain | {"texture": 0, "vignetting": 0, "stray": 0.1} | changes))
    y, x = np.mgrid[: optics.fine_size[0], : optics.fine_size[1]]
    apart_um = np.hypot(x - 63.5, y - 63.5) * optics.fine_um
    top = -2 * np.clip(60 - apart_um, 0, None).astype(np.float32)
    scene = Scene(top, np.zeros_like(top))
    picture = render(scene, optics, np.random.default_rng(1))[0]
    return picture[28:36, 28:36].astype(float), picture


def test_glints_spread_the_stray_light_and_keep_its_mean():
    channels = (Channel(step=1, role="backlit"),)
    pictures = []
    for glint in (0.0, 0.6):
        optics = Optics(image_size=(128, 128), channels=channels, glint=glint, vignetting=0)
        flat = np.zeros(optics.fine_size, np.float32)
        covered = Scene(flat, flat, opacity=np.ones_like(flat))
        pictures.append(render(covered, optics, np.random.default_rng(1))[0].astype(float))
    even, spots = pictures
    assert even.std() < 3
    assert spots.std() > 2 * even.std()
    assert spots.mean() == pytest.approx(even.mean(), rel=0.1)


def test_flare_lights_a_pit_from_the_ground_around_it_and_loses_nothing():
    (inside, without), (lit, flared) = _cone(), _cone(flare=0.3, flare_um=40.0)
    assert lit.mean() > inside.mean() + 5
    assert flared.mean() == pytest.approx(without.mean(), rel=0.01)
    np.testing.assert_array_equal(flared[:3, :3], without[:3, :3])


def test_without_either_nothing_is_drawn_from_the_stream():
    a = np.random.default_rng(5)
    optics = Optics(image_size=(32, 32), texture=0)
    flat = np.zeros(optics.fine_size, np.float32)
    render(Scene(flat, flat), optics, a)
    b = np.random.default_rng(5)
    b.standard_normal((10, 32, 32), np.float32)
    assert a.bit_generator.state == b.bit_generator.state
