"""Planes of any lights: the same for any set of lamps, and turned by the optics' symmetries."""

from dataclasses import replace

import numpy as np
import pytest

from etchscope.imaging import D4, GIVEN, PLANES, Lighting, Recipe, fit_normalisation, light_planes
from etchscope.imaging.planes import compress_planes, harmonic_planes, plane_representation
from etchscope.simulation import Population, SimulatedScan, with_parameters

FOIL = with_parameters(
    SimulatedScan(seed=3, columns=1, rows=1, population=Population.of(300, 10)),
    {"optics.image_size": (128, 128)},
)
RAW = FOIL.read_tile(1)
LIGHTING = Lighting.of_scan(FOIL.scan)
NORMALISATION = fit_normalisation([RAW], Recipe())


def planes(lighting, raw=RAW):
    return light_planes(raw, fit_normalisation([raw], Recipe()), lighting)


@pytest.mark.parametrize("symmetry", D4, ids=str)
def test_a_symmetry_turns_the_planes_and_mixes_the_harmonics(symmetry):
    azimuths = np.asarray(FOIL.scan.azimuths_deg)
    turned = symmetry.pictures(RAW, azimuths, LIGHTING.directional)
    got = planes(LIGHTING, turned).stacked
    here = planes(LIGHTING).stacked
    here = here[:, :, ::-1] if symmetry.mirrored else here
    here = np.rot90(here, symmetry.quarter_turns, (1, 2))
    expected = np.einsum("ij,jyx->iyx", plane_representation(symmetry), here)
    assert np.abs(got - expected).max() < 1e-4
    if symmetry.quarter_turns or symmetry.mirrored:
        assert np.abs(got - here).max() > 0.1  # the harmonics must be mixed


def test_the_harmonics_are_those_of_the_pictures():
    got = harmonic_planes(RAW, NORMALISATION, LIGHTING)
    light = NORMALISATION.apply(RAW)[:8]
    phi = np.deg2rad(LIGHTING.azimuths_deg)[:, None, None]
    for name, weight in (("a", np.cos(phi)), ("b2", np.sin(2 * phi))):
        expected = 2 * (light * weight).mean(0)
        assert np.abs(got.pictures[PLANES.index(name)] - expected).max() < 1e-4
    rest = light - got.pictures[0]
    for m, (c, s) in ((1, (1, 2)), (2, (3, 4))):
        rest = rest - got.pictures[c] * np.cos(m * phi) - got.pictures[s] * np.sin(m * phi)
    expected = np.sqrt((rest**2).sum(0) / 3)
    assert np.abs(got.pictures[5] - expected).max() < 1e-4


def test_the_sign_of_the_gradient_is_taken_out():
    got = harmonic_planes(RAW, NORMALISATION, replace(LIGHTING, gradient_sign=-1))
    here = harmonic_planes(RAW, NORMALISATION, LIGHTING)
    assert np.array_equal(got.pictures[1:3], -here.pictures[1:3])
    assert np.array_equal(got.pictures[3:], here.pictures[3:])


@pytest.mark.parametrize(
    ("lamps", "others", "given"),
    [
        (range(8), True, [1, 1, 1, 1, 1]),
        (range(8), False, [1, 1, 1, 0, 0]),
        ([0, 2, 4, 6], True, [1, 0, 1, 1, 1]),
        ([0, 3, 6], False, [1, 0, 0, 0, 0]),
        ([0, 1, 3, 5, 6], False, [1, 1, 0, 0, 0]),
        ([], True, [0, 0, 0, 1, 1]),
    ],
)
def test_what_is_there_is_said_and_the_rest_is_nothing(lamps, others, given):
    lamps = np.array(list(lamps), np.int64)
    none = np.empty(0, np.int64)
    lighting = Lighting(
        LIGHTING.directional[lamps],
        LIGHTING.azimuths_deg[lamps],
        1,
        LIGHTING.dark if others else none,
        LIGHTING.bright if others else none,
    )
    got = planes(lighting)
    assert got.given.tolist() == given
    there = got.given[[0, 0, 0, 1, 1, 2, 3, 4]] > 0
    assert not got.pictures[~there].any()
    assert got.pictures[there].std((1, 2)).min() > 0.01
    assert got.stacked.shape == (len(PLANES) + len(GIVEN), 128, 128)


def test_twelve_lamps_show_what_eight_show():
    twelve = [{"step": k + 1, "role": "directional", "azimuth_deg": 30.0 * k} for k in range(12)]
    more = with_parameters(FOIL, {"optics.channels": twelve, "optics.read_noise": 0.0})
    raw = more.read_tile(1)
    got = light_planes(raw, fit_normalisation([raw], Recipe()), Lighting.of_scan(more.scan))
    here = planes(LIGHTING)
    for name in ("mean", "a", "b"):
        k = PLANES.index(name)
        assert np.corrcoef(got.pictures[k].ravel(), here.pictures[k].ravel())[0, 1] > 0.95


def test_what_varies_slowly_is_taken_away():
    y, x = np.mgrid[:128, :128]
    slow = (RAW * (1 + 0.002 * x + 0.001 * y)).clip(0, 255).astype(np.uint8)
    near = harmonic_planes(slow, NORMALISATION, LIGHTING)
    middle = compress_planes(near).pictures[6, 32:-32, 32:-32]
    assert abs(np.median(near.pictures[6, 32:-32, 32:-32])) > 0.15
    assert abs(np.median(middle) - np.median(planes(LIGHTING).pictures[6])) < 0.5


def test_a_scale_resamples():
    got = light_planes(RAW, NORMALISATION, LIGHTING, scale=2.0)
    assert got.pictures.shape == (8, 64, 64)
    assert light_planes(RAW, NORMALISATION, LIGHTING, scale=0.5).pictures.shape == (8, 256, 256)


def test_lights_are_left_out_as_far_as_something_remains():
    few = LIGHTING.without([0, 3, 9])
    assert few.directional.tolist() == [1, 2, 4, 5, 6, 7]
    assert few.azimuths_deg.tolist() == LIGHTING.azimuths_deg[[1, 2, 4, 5, 6, 7]].tolist()
    assert (few.dark.tolist(), few.bright.tolist()) == ([8], [])
    assert LIGHTING.without(range(2, 8)).directional.tolist() == list(range(8))
    backlit = Lighting(np.empty(0, np.int64), np.empty(0), 1, np.array([0]), np.empty(0, np.int64))
    assert backlit.without([0]).dark.tolist() == [0]
