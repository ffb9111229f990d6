import numpy as np
import pandas as pd
import pytest

from etchscope.background.composing import (
    Window,
    as_cones,
    compose,
    light_ratio,
    optics_of_window,
)
from etchscope.foil import Scan
from etchscope.imaging.noise import measure_noise
from etchscope.physics.cone import compute_opening
from etchscope.simulation import Optics, Sheet, SimulatedScan, relative_light
from etchscope.simulation.scene import draw_scene

SCAN = SimulatedScan(seed=1, columns=1, rows=1, optics=Optics(image_size=(60, 80))).scan
SHEET = Sheet()


def found(*places, radius=6.0, surface="top"):
    x, y = zip(*places, strict=True) if places else ((), ())
    return pd.DataFrame(
        {"x_px": np.array(x, float), "y_px": np.array(y, float), "radius_px": radius}
    ).assign(surface=surface)


def cones(*places, **how):
    return as_cones(found(*places, **how), SHEET.removed_um, 6.4516)


def test_cones_have_the_radius_that_was_found():
    own = cones((30, 20), radius=5.0)
    shape = compute_opening(
        *(own[c].to_numpy() for c in ("v", "dip_rad", "removed_um", "length_um"))
    )
    assert shape.minor_um[0] / 2 / 6.4516 == pytest.approx(5.0)


def test_a_ratio_times_the_old_light_is_the_new_light():
    window = Window.around(np.array([40.0, 44.0]), np.array([30.0, 30.0]), np.array([6.0, 6.0]))
    optics = optics_of_window(Optics(), SCAN, window.height, window.width)
    old, new = cones((34, 28)), pd.concat([cones((40, 30)), cones((44, 30), surface="bottom")])
    ratio = light_ratio(new, old, window, optics, SHEET, 1.585)
    moved = [p.assign(x_px=p["x_px"] - window.x, y_px=p["y_px"] - window.y) for p in (old, new)]
    how = {"thickness_um": 384.0, "refractive_index": 1.585}
    before = relative_light(draw_scene(moved[0], pd.DataFrame(), optics, **how), optics)
    both = pd.concat(moved, ignore_index=True)
    after = relative_light(draw_scene(both, pd.DataFrame(), optics, **how), optics)
    middle = np.s_[:, 8:-8, 8:-8]
    bright = before[middle] > 0.1
    np.testing.assert_allclose(
        (ratio * before)[middle][bright], np.clip(after, 0, None)[middle][bright], rtol=1e-3
    )
    assert np.abs(ratio[:, 0] - 1).max() == np.abs(ratio[:, :, -1] - 1).max() == 0
    assert np.abs(ratio - 1).max() > 0.3


def test_a_lamp_of_the_other_sense_and_sign_lights_the_other_walls():
    def light(scan):
        optics = optics_of_window(Optics(), scan, 48, 48)
        return light_ratio(cones((24, 24)), cones(), Window(0, 0, 48, 48), optics, SHEET, 1.585)

    plain = light(SCAN)
    reversed_sign = light(Scan(**SCAN.model_dump() | {"gradient_sign": -1}))
    np.testing.assert_allclose(plain[:4], reversed_sign[4:8], atol=2e-3)  # half a turn
    assert np.abs(plain[:4] - reversed_sign[:4]).max() > 0.1
    clockwise = light(Scan(**SCAN.model_dump() | {"azimuth_sense": "cw"}))
    lamps = [int(np.argmin(np.abs((SCAN.azimuths_deg + a) % 360))) for a in SCAN.azimuths_deg]
    np.testing.assert_allclose(clockwise[:8], plain[lamps], atol=2e-3)


def test_a_tile_keeps_its_own_noise_and_what_is_beyond_the_window():
    rng = np.random.default_rng(3)
    tile = (100 + 3 * rng.standard_normal((2, 40, 50))).astype(np.float32)
    noise = measure_noise(np.rint(tile).astype(np.uint8))
    assert noise == pytest.approx([3, 3], rel=0.1)
    before = tile.copy()
    ratio = np.full((2, 20, 20), 0.5, np.float32)
    compose(tile, Window(-5, 10, 20, 20), ratio, noise, rng)
    assert (tile[:, :10] == before[:, :10]).all()
    assert (tile[:, 10:30, 15:] == before[:, 10:30, 15:]).all()
    part = tile[:, 10:30, :15]
    assert part.mean() == pytest.approx(50, abs=0.5)
    assert part.std() == pytest.approx(3, rel=0.1)  # not 1.5
    assert np.corrcoef(part.ravel(), before[:, 10:30, :15].ravel())[0, 1] > 0.3
    compose(tile, Window(200, 200, 20, 20), ratio, noise, rng)  # outside: nothing happens


def test_the_noise_of_a_slope_is_not_measured_as_noise():
    slope = np.tile(np.linspace(0, 200, 64), (64, 1))
    assert measure_noise(np.rint(slope).astype(np.uint8)[None])[0] < 0.4
