import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.simulation import Optics, Scene, Surface, render
from etchscope.simulation.surface import draw_patches, draw_relief

SIZE = (256, 320)
STEP_UM = 3.0


def _slope(height):
    dy, dx = (np.diff(height, axis=a) / STEP_UM for a in (0, 1))
    return np.sqrt((dy**2).mean() + (dx**2).mean())


@pytest.mark.parametrize(
    ("surface", "asked"),
    [
        (Surface(roughness=0.2), 0.2),
        (Surface(roughness=0.05, roughness_exponent=2.5), 0.05),
        (Surface(peel=0.1), 0.1),
        (Surface(peel=-0.1, peel_um=40), 0.1),
    ],
)
def test_relief_has_the_slope_asked_for_on_both_surfaces(surface, asked):
    near, far = draw_relief(np.random.default_rng(1), SIZE, STEP_UM, surface)
    assert near.dtype == np.float32
    assert _slope(near) == pytest.approx(asked, rel=0.01)
    assert _slope(far) == pytest.approx(asked, rel=0.01)
    assert abs(np.corrcoef(near.ravel(), far.ravel())[0, 1]) < 0.3


@pytest.mark.parametrize("exponent", [3.0, 5.0])
def test_the_spectrum_falls_with_the_exponent(exponent):
    surface = Surface(roughness=0.2, roughness_exponent=exponent, roughness_um=1000)
    near, _ = draw_relief(np.random.default_rng(2), (512, 512), STEP_UM, surface)
    power = np.abs(np.fft.fft2(near)) ** 2
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(512, STEP_UM), np.fft.fftfreq(512, STEP_UM)))
    bands = [(f > low) & (f < 1.3 * low) for low in (0.005, 0.02)]
    mean_f = [f[b].mean() for b in bands]
    fall = np.log(power[bands[0]].mean() / power[bands[1]].mean()) / np.log(mean_f[1] / mean_f[0])
    assert fall == pytest.approx(exponent, abs=0.5)


def test_dimples_meet_in_ridges_and_bumps_in_furrows():
    dimples, _ = draw_relief(np.random.default_rng(3), SIZE, STEP_UM, Surface(peel=0.1))
    bumps, _ = draw_relief(np.random.default_rng(3), SIZE, STEP_UM, Surface(peel=-0.1))
    assert np.allclose(dimples, -bumps)

    def bend(height):
        return np.diff(height[::4, ::4], 2, axis=0)

    # Smooth hollows everywhere, sharp crests in few places.
    assert np.median(bend(dimples)) > 0
    assert bend(dimples).min() < -2 * np.median(bend(dimples))


def test_micropits_are_as_many_and_as_deep_as_asked():
    surface = Surface(micropits_per_mm2=30, micropit_um=9, micropit_depth=0.5)
    near, _ = draw_relief(np.random.default_rng(4), (600, 600), STEP_UM, surface)
    assert near.max() == 0
    expected = 30 * (0.6 * STEP_UM) ** 2 * np.pi * 0.009**2 * np.exp(2 * 0.35**2)
    assert (near < 0).mean() * (0.6 * STEP_UM) ** 2 == pytest.approx(expected, rel=0.35)
    assert -20 < near.min() < -3


def test_a_flat_surface_is_none_and_patches_vary_its_strength():
    rng = np.random.default_rng(5)
    assert draw_relief(rng, SIZE, STEP_UM, Surface(haze=0.3)) is None
    assert draw_patches(rng, SIZE, STEP_UM, Surface()) is None
    strength = draw_patches(rng, (900, 900), STEP_UM, Surface(patchiness=0.4, patch_um=60))
    assert np.log(strength).std() == pytest.approx(0.4, rel=0.15)
    assert (strength**2).mean() == pytest.approx(1, rel=0.2)


def test_haze_is_dark_backlit_where_it_is_bright_under_the_lamps():
    optics = Optics(
        image_size=(128, 128), texture=0, read_noise=0, shot_noise=0, vignetting=0, unevenness=0
    )
    flat = np.zeros(optics.fine_size, np.float32)
    surface = Surface(haze=0.1, albedo=0.1)
    pictures = render(Scene(flat, flat), optics, np.random.default_rng(1), surface=surface)
    logs = np.log(pictures.astype(float))
    assert logs[8].std() == pytest.approx(0.1, rel=0.1)
    assert logs[0].std() == pytest.approx(0.1, rel=0.1)
    assert np.corrcoef(logs[8].ravel(), logs[0].ravel())[0, 1] < -0.95
    assert np.corrcoef(logs[9].ravel(), logs[0].ravel())[0, 1] > 0.9


def test_relief_is_seen_by_every_lamp_from_its_side():
    optics = Optics(
        image_size=(96, 96), texture=0, read_noise=0, shot_noise=0, vignetting=0, unevenness=0
    )
    flat = np.zeros(optics.fine_size, np.float32)
    surface = Surface(roughness=0.2, far_relief=0)
    s = render(Scene(flat, flat), optics, np.random.default_rng(1), surface=surface).astype(float)
    opposite = np.corrcoef(s[0].ravel(), s[4].ravel())[0, 1]
    assert opposite < -0.8
    assert np.corrcoef(s[0].ravel(), s[1].ravel())[0, 1] > 0.4


def test_an_impossible_surface_is_refused():
    with pytest.raises(BadInput, match=r"surface\.roughness: expected 0 to 2, found 3"):
        Surface(roughness=3)
