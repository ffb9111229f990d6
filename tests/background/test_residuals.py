"""What remains of a tile after its found pits are taken out."""

import numpy as np
import pandas as pd
import pytest

from etchscope.background.composing import as_cones
from etchscope.background.optics_fit import FittedOptics
from etchscope.background.residuals import (
    PitOptics,
    central_fit,
    pit_ground,
    take_out_pits,
)
from etchscope.simulation import Optics, Sheet, SimulatedScan, relative_light
from etchscope.simulation.scene import draw_scene

SIZE = (90, 120)
OPTICS = Optics(image_size=SIZE)
SCAN = SimulatedScan(seed=1, columns=1, rows=1, optics=OPTICS).scan
SHEET = Sheet()
FIT = FittedOptics({"blur_um": 5.0, "focus_um": 0.0}, 1.0, 0.1)
NOISE = 0.02


def pits(*places, radius=6.0):
    x, y, surface = zip(*places, strict=True)
    table = {"x_px": x, "y_px": y, "radius_px": radius, "surface": surface}
    return pd.DataFrame(table).astype({"x_px": float, "y_px": float})


def contrasts(table, seed=2):
    cones = as_cones(table, SHEET.removed_um, SCAN.pixel_size_um)
    thick = SHEET.thickness_um - 2 * SHEET.removed_um
    scene = draw_scene(cones, pd.DataFrame(), OPTICS, thickness_um=thick, refractive_index=1.585)
    light = relative_light(scene, OPTICS)
    rng = np.random.default_rng(seed)
    return (light - 1 + rng.normal(0, NOISE, light.shape)).astype(np.float32)


def take_out(seen, found, optics=None):
    noise = np.full(len(seen), NOISE)
    return take_out_pits(seen, found, SCAN, optics or PitOptics(FIT, SHEET), noise)


def test_found_pits_go_and_what_is_not_found_stays():
    there = pits((30, 30, "top"), (80, 40, "bottom"), (60, 70, "top"))
    seen = contrasts(there)
    done = take_out(seen, there.iloc[:2])
    taken = pit_ground(there.iloc[:2], SIZE) >= 0
    left = pit_ground(there.iloc[2:], SIZE) >= 0
    assert seen[:, taken].std() > 5 * NOISE
    assert done.pictures[:, taken].std() < 1.5 * NOISE
    np.testing.assert_allclose(done.pictures[:, left], seen[:, left], atol=1e-6)
    assert (done.pits == taken).all()
    assert done.is_modelled


def test_errors_of_place_radius_and_contrast_are_fitted():
    there = pits((30, 30, "top"), (80, 40, "bottom"))
    seen = contrasts(there)
    moved = there.assign(x_px=there["x_px"] + 0.6, radius_px=6.5)
    plain = seen - (PitOptics(FIT, SHEET).light(moved, SCAN) - 1)
    done = take_out(seen, moved)
    assert done.pictures[:, done.pits].std() < 0.5 * plain[:, done.pits].std()


def test_without_optics_the_ground_of_the_pits_is_left_out():
    there = pits((30, 30, "top"))
    seen = contrasts(there)
    done = take_out_pits(seen, there, SCAN, None, np.full(len(seen), NOISE))
    assert not done.is_modelled
    assert (done.pictures[:, done.pits] == 0).all()
    np.testing.assert_array_equal(done.pictures[:, ~done.pits], seen[:, ~done.pits])


def test_each_pixel_belongs_to_the_pit_that_reaches_it_best():
    two = pits((30, 30, "top"), (40, 30, "top")).assign(radius_px=[3.0, 8.0])
    ground = pit_ground(two, SIZE)
    assert ground[30, 30] == 0
    assert ground[30, 36] == 1
    assert ground[60, 100] == -1
    assert (pit_ground(two.iloc[:0], SIZE) == -1).all()
    huge = pit_ground(pits((500, 500, "top")), SIZE)
    assert (huge == -1).all()


def test_the_central_fit_is_the_median_of_the_best():
    fits = [FittedOptics({"blur_um": b}, g, c) for b, g, c in ((4, 1, 1), (6, 2, 1), (99, 9, 2))]
    middle = central_fit(fits)
    assert middle.parameters == {"blur_um": 5.0}
    assert (middle.gamma, middle.cost) == (pytest.approx(1.5), 1)
