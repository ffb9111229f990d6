from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment

from etchscope.foil import BadInput, PitFlag
from etchscope.imaging import D4, Normalisation, Recipe, fit_normalisation
from etchscope.preselect import FindSettings, Lighting, calibrate_detector, detect_openings
from etchscope.simulation import Optics, Population, SimulatedScan

SIZE = (240, 320)
LAMPS = np.arange(8)
SETTINGS = FindSettings()


def _foil(background=55.0, pairs=8.0, seed=1, side="front"):
    return SimulatedScan(
        seed=seed,
        columns=2,
        rows=2,
        population=Population.of(4 * background, 4 * pairs),
        optics=Optics(image_size=SIZE),
        side=side,
    )


def _fit(foil):
    stacks = [foil.read_tile(n) for n in (1, 2, 3, 4)]
    lighting = Lighting.of_scan(foil.scan)
    normalisation = fit_normalisation(stacks, Recipe())
    return normalisation, calibrate_detector(stacks, normalisation, lighting, SETTINGS), lighting


@pytest.fixture(scope="module")
def foil():
    return _foil()


@pytest.fixture(scope="module")
def fit(foil):
    return _fit(foil)


@pytest.fixture(scope="module")
def found(foil, fit):
    return pd.DataFrame(detect_openings(foil.read_tile(1), *fit, SETTINGS))


def _matched(one, other):
    apart = np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1))
    i, j = linear_sum_assignment(np.minimum(apart, 8))
    return i, j, apart[i, j]


def _places(table):
    return table[["x_px", "y_px"]].to_numpy(float)


def _inner(table):
    x = table["x_px"].between(9, SIZE[1] - 10)
    return table[x & table["y_px"].between(9, SIZE[0] - 10)]


@pytest.mark.parametrize(
    ("background", "efficiency", "purity"), [(30, 0.85, 0.85), (80, 0.75, 0.8)]
)
@pytest.mark.parametrize("side", ["front", "back"])
def test_planted_pits_are_found(background, efficiency, purity, side):
    foil = _foil(background, 0, seed=5, side=side)
    fit, truth = _fit(foil), foil.truth()
    planted = hits = right = made = claimed = 0
    for number in (1, 2, 3, 4):
        pits = pd.DataFrame(detect_openings(foil.read_tile(number), *fit, SETTINGS))
        true = truth[truth["tile"] == number]
        i, j, apart = _matched(_places(_inner(true)), _places(pits))
        planted, hits = planted + len(_inner(true)), hits + (apart < 4).sum()
        surfaces = [t["surface"].to_numpy()[k] for t, k in ((_inner(true), i), (pits, j))]
        right += ((surfaces[0] == surfaces[1]) & (apart < 4)).sum()
        _, _, apart = _matched(_places(_inner(pits)), _places(true))
        made, claimed = made + (apart < 5).sum(), claimed + len(_inner(pits))
    assert planted > 80
    assert hits / planted > efficiency
    assert right / hits > 0.85
    assert made / claimed > purity


@pytest.mark.parametrize("symmetry", D4)
def test_detection_moves_with_the_scene(foil, fit, found, symmetry):
    """Turned pictures with rolled channels under the same constants: the same pits, turned."""
    normalisation, calibration, lighting = fit
    azimuths = foil.scan.azimuths_deg
    order = np.r_[symmetry.channels(azimuths), 8, 9]
    turned = Normalisation(
        normalisation.recipe,
        symmetry.pictures(normalisation.average, azimuths, LAMPS),
        normalisation.gain[order],
        normalisation.offset[order],
        normalisation.limit,
    )
    raw = symmetry.pictures(foil.read_tile(1), azimuths, LAMPS)
    there = pd.DataFrame(detect_openings(raw, turned, calibration, lighting, SETTINGS))
    assert len(there) == len(found) > 40
    x, y = symmetry.points(found["x_px"].to_numpy(), found["y_px"].to_numpy(), SIZE)
    i, j, apart = _matched(np.column_stack([x, y]), _places(there))
    assert apart.max() < 0.1
    one, other = found.iloc[i].reset_index(drop=True), there.iloc[j].reset_index(drop=True)
    assert one["surface"].tolist() == other["surface"].tolist()
    assert one["flags"].tolist() == other["flags"].tolist()
    for name in ("radius_px", "contrast", "hip"):
        np.testing.assert_allclose(other[name], one[name], rtol=0.02, atol=0.02)
    for name in ("entry", "exit"):  # read at the nearest pixel, of which there may be two
        assert np.isclose(other[name], one[name], rtol=0.02, atol=0.02).mean() > 0.95
    np.testing.assert_allclose(other["ellipticity"], one["ellipticity"], atol=0.03)
    long = (one["ellipticity"] > 0.15).to_numpy()
    expected = symmetry.angles(one["angle_deg"].to_numpy())
    off = (other["angle_deg"].to_numpy() - expected + 90) % 180 - 90
    assert long.sum() > 5
    assert np.abs(off[long]).max() < 3


def test_table_is_sound(found):
    assert set(found["surface"]) <= {"top", "bottom", "unknown"}
    assert np.isfinite(found.drop(columns="surface").to_numpy(float)).all()
    mate = found["mate"].to_numpy()
    rows = np.flatnonzero(mate >= 0)
    assert (mate[mate[rows]] == rows).all()
    steep = (found["flags"].to_numpy() & int(PitFlag.STEEP_PAIR)) != 0
    assert (steep == (mate >= 0)).all()
    surface = found["surface"].to_numpy()
    assert (surface[rows] != surface[mate[rows]]).all()


def test_openings_at_the_edge_are_flagged(found):
    edge = (found["flags"].to_numpy() & int(PitFlag.EDGE)) != 0
    x, y, r = (found[c].to_numpy() for c in ("x_px", "y_px", "radius_px"))
    margin = np.minimum.reduce([x, y, SIZE[1] - 1 - x, SIZE[0] - 1 - y])
    assert (edge == (margin < r)).all()
    assert 0 < edge.sum() < 0.5 * len(found)


def test_steep_pairs_are_found():
    """Where entry and exit gradients cancel, the sign-free pictures tell."""
    foil = _foil(20, 25, seed=7)
    fit, truth = _fit(foil), foil.truth()
    pairs = seen = 0
    for number in (1, 2, 3, 4):
        pits = pd.DataFrame(detect_openings(foil.read_tile(number), *fit, SETTINGS))
        true = _inner(truth[(truth["tile"] == number) & (truth["class"] == "hip")])
        entries = true[true["surface"] == "top"]
        for _, entry in entries.iterrows():
            near = np.hypot(pits["x_px"] - entry["x_px"], pits["y_px"] - entry["y_px"]) < 12
            pairs, seen = pairs + 1, seen + ({"top", "bottom"} <= set(pits["surface"][near]))
    assert pairs > 50
    assert seen / pairs > 0.6


def test_detection_is_repeatable_and_leaves_its_input(foil, fit, found):
    raw = foil.read_tile(1)
    before = raw.copy()
    again = pd.DataFrame(detect_openings(raw, *fit, SETTINGS))
    np.testing.assert_array_equal(raw, before)
    assert again.equals(found)


def test_calibration_has_an_identity(foil, fit):
    normalisation, calibration, lighting = fit
    stacks = [foil.read_tile(n) for n in (1, 2, 3, 4)]
    again = calibrate_detector(stacks, normalisation, lighting, SETTINGS)
    assert again.digest == calibration.digest
    other = calibrate_detector(stacks[:2], normalisation, lighting, SETTINGS)
    assert other.digest != calibration.digest
    assert (calibration.field_noise > 0).all()
    assert (calibration.presence_noise > 0).all()


def test_noise_does_not_grow_with_the_pits(fit):
    crowded = _fit(_foil(200, 0))[1]
    np.testing.assert_allclose(crowded.field_noise, fit[1].field_noise, rtol=0.15)


def test_a_stack_that_does_not_fit_is_refused(foil, fit):
    with pytest.raises(BadInput, match="tile: expected"):
        detect_openings(foil.read_tile(1)[:9], *fit, SETTINGS)


def test_a_backlight_that_saturates_does_not_hide_the_noise():
    """Its level ground has no noise, which must not be taken for that of the rest."""
    bright = Optics(image_size=SIZE, backlit_level=1.15, vignetting=0.3, read_noise=4.0)
    foil = replace(_foil(30, 3), optics=bright)
    share = np.mean([(foil.read_tile(n)[8] == 255).mean() for n in (1, 2)])
    assert 0.25 < share < 0.8
    normalisation, calibration, lighting = _fit(foil)
    assert calibration.weights[0] < 5 * calibration.weights[2]
    pits = pd.DataFrame(
        detect_openings(foil.read_tile(1), normalisation, calibration, lighting, SETTINGS)
    )
    assert len(pits) < 1.5 * len(foil.truth([1]))
