"""The anomaly score: its rate on empty ground, and what it finds."""

import cv2
import numpy as np
import pytest

from etchscope.background.anomalies import (
    Peaks,
    anomaly_chi2,
    find_peaks,
    fit_empty_ground,
    list_places,
)
from etchscope.background.residuals import Residual
from etchscope.foil import BadInput

SIZE, LIGHTS, RADIUS, TILES = (240, 320), 4, 5.0, 10


def residual(seed, blob=0.0, pits=None, modelled=True):
    """Texture that is the same in all lights, noise, and a round thing in the first two."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.normal(0, 1, SIZE), (0, 0), 1.5)
    pictures = 0.3 * texture + rng.normal(0, 0.02, (LIGHTS, *SIZE))
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    pictures[:2] -= blob * (np.hypot(u - 200, v - 100) < 5)
    where = np.zeros(SIZE, bool) if pits is None else pits
    zero = np.zeros(pictures.shape, np.float32)
    return Residual(pictures.astype(np.float32), zero, zero, where, modelled)


def chi2_of(one, ground=None):
    return anomaly_chi2(one, np.full(LIGHTS, 0.02), RADIUS, ground)


@pytest.fixture(scope="module")
def maps():
    return [chi2_of(residual(seed)) for seed in range(TILES)]


@pytest.fixture(scope="module")
def empty(maps):
    none = np.zeros(SIZE, bool)
    peaks = [find_peaks(m, none, RADIUS) for m in maps]
    return fit_empty_ground(peaks, [none.size] * TILES, [0] * TILES)


def test_empty_ground_has_about_the_places_that_its_rate_says(maps, empty):
    none = np.zeros(SIZE, bool)
    scores = [empty.score(m, none, none.size) for m in maps]
    counts = {s: sum(len(list_places(m, none, s, RADIUS)) for m in scores) for s in (0.0, -1.0)}
    assert counts[-1.0] == pytest.approx(10 * TILES, rel=0.35)
    assert counts[0.0] <= 2 * TILES
    assert np.nanmedian(maps[0]) == pytest.approx(1, abs=0.3)


def test_what_differs_from_the_texture_is_found_though_it_is_fainter(empty):
    none = np.zeros(SIZE, bool)
    one = residual(77, blob=0.15)
    assert 2.5 * one.pictures[3].std() > 0.15
    places = list_places(empty.score(chi2_of(one), none, none.size), none, 0.0)
    best = places.iloc[0]
    assert np.hypot(best["x_px"] - 200, best["y_px"] - 100) < 4
    assert best["score"] > 2
    assert best["expected_per_tile"] == pytest.approx(10 ** -best["score"])
    assert 10 < best["area_px"] < 400
    assert not best["at_pit"]
    assert places["score"].is_monotonic_decreasing


def test_nothing_is_said_where_nothing_is_known():
    pits, ground = np.zeros(SIZE, bool), np.ones(SIZE, bool)
    pits[90:110, 190:210], ground[:, :40] = True, False
    hidden = chi2_of(residual(77, blob=0.15, pits=pits, modelled=False), ground)
    assert np.isnan(hidden[100, 200])
    assert np.isnan(hidden[:, :40]).all()
    assert np.isfinite(hidden[150, 150])
    assert np.isnan(chi2_of(residual(1), np.zeros(SIZE, bool))).all()


def test_peaks_at_pits_have_a_rate_of_their_own(empty):
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 100, 1000)
    at_pit = np.arange(1000) < 500
    chi2 = np.where(at_pit, 10.0, 1.0) * rng.exponential(1, 1000)
    both = fit_empty_ground([Peaks(x, x, chi2, at_pit)], [100_000], [10_000])
    assert both.width[1] == pytest.approx(10 * both.width[0], rel=0.4)
    assert both.per_mpx == pytest.approx((5000, 50_000))
    value = np.full((1, 2), 20, np.float32)
    low = both.score(value, np.array([[False, True]]), 1e5)
    assert low[0, 0] > low[0, 1] + 2
    assert empty.start[0] == empty.start[1]  # there was no pit


def test_too_little_ground_is_refused():
    few = Peaks(*(np.zeros(5),) * 3, np.zeros(5, bool))
    with pytest.raises(BadInput, match="5 peaks of the residual"):
        fit_empty_ground([few], [1000], [0])
