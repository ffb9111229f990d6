"""One particle or two pits: the likelihood ratio."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.preselect.particles import REMOVED, THICKNESS, joined, particles, unrelated

from etchscope.preselect.likelihood import (
    background_of,
    expected_tracks,
    log_ratios,
    pairs_above,
)
from etchscope.preselect.openings import Shapes, removed_bulk
from etchscope.preselect.population import with_population

TRACKS = expected_tracks(np.array([THICKNESS]), REMOVED, 134.0, 60.0)
SIDE = 1500.0


def foil(seed, signal, background, *, zenith_deg=3.0, spread_deg=1.5):
    """Return shapes, entry rows, exit rows, and how many of the first are particles."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SIDE, (2, signal))
    u, v = rng.normal(0, np.tan(np.deg2rad(spread_deg)), (2, signal))
    u = u + np.tan(np.deg2rad(zenith_deg))
    hips = particles(rng, x, y, np.arctan(np.hypot(u, v)), np.arctan2(v, u))
    shapes = joined(hips, unrelated(rng, background, SIDE), unrelated(rng, background, SIDE))
    n = 2 * signal
    entries = np.r_[np.arange(signal), n + np.arange(background)]
    exits = np.r_[signal + np.arange(signal), n + background + np.arange(background)]
    return shapes, entries, exits


def ratios(shapes, entries, exits, i, j, tracks=TRACKS):
    background = np.zeros(len(shapes.x))
    for rows in (entries, exits):
        background[rows] = background_of(shapes, rows)
    density = len(exits) / SIDE**2
    return log_ratios(shapes, i, j, tracks, background[i] + background[j] + np.log(density))


def test_displacement_is_that_of_the_openings_centres():
    # 500 µm at 6°, V = 4: 6.6 px, not the 8.2 of thickness × tan(zenith).
    removed = 58 / 6.4516
    tracks = expected_tracks(np.array([500 / 6.4516]), removed, 30.0, 60.0)
    node = int(np.argmin(np.abs(np.linspace(np.log(0.1), np.log(8.0), 28) - np.log(3.0))))
    slope = np.interp(6.6, np.arange(tracks.slope.shape[1]), tracks.slope[node])
    assert np.rad2deg(np.arctan(slope)) == pytest.approx(6, abs=0.15)


def test_displacements_have_a_density_that_sums_to_one():
    distance = np.arange(TRACKS.log_density.shape[1])
    ring = 2 * np.pi * distance * np.exp(TRACKS.log_density)
    everywhere = ring.sum(1)
    # Slower etched tracks leave no opening at large angles.
    assert everywhere[-5:] == pytest.approx(1, abs=0.06)
    assert (everywhere < 1.06).all()
    assert (np.diff(everywhere) > -0.03).all()


def test_a_pair_is_told_from_two_pits():
    shapes, entries, exits = foil(1, 300, 600)
    signal = np.arange(300)
    true = ratios(shapes, entries, exits, signal, signal + 300)
    wrong = ratios(shapes, entries, exits, signal, np.roll(signal, 1) + 300)
    assert np.median(true) > 0
    assert np.mean(wrong < np.quantile(true, 0.05)) > 0.99


def test_the_scene_may_be_turned():
    shapes, entries, exits = foil(2, 50, 50, zenith_deg=20.0)
    i, j = np.arange(50), np.arange(50) + 50
    before = ratios(shapes, entries, exits, i, j)
    a = np.deg2rad(37.0)
    turned = replace(
        shapes,
        x=shapes.x * np.cos(a) + shapes.y * np.sin(a),
        y=-shapes.x * np.sin(a) + shapes.y * np.cos(a),
        e_cos=shapes.e_cos * np.cos(2 * a) - shapes.e_sin * np.sin(2 * a),
        e_sin=shapes.e_cos * np.sin(2 * a) + shapes.e_sin * np.cos(2 * a),
    )
    np.testing.assert_allclose(ratios(turned, entries, exits, i, j), before, atol=1e-6)


def test_an_exit_pit_against_the_ellipse_is_none():
    """A slanted particle's exit pit lies where both ellipses point."""
    rng = np.random.default_rng(3)
    n = 40
    x, y = rng.uniform(0, SIDE, (2, n))
    hips = particles(rng, x, y, np.full(n, np.deg2rad(40)), np.zeros(n), v=4.0)
    shapes = joined(hips, unrelated(rng, 300, SIDE))
    rows = np.arange(len(shapes.x))
    i, j = np.arange(n), np.arange(n) + n
    along = ratios(shapes, rows, rows, i, j)
    across = replace(shapes, x=shapes.x.copy(), y=shapes.y.copy())
    apart = shapes.x[j] - shapes.x[i]
    across.x[j], across.y[j] = shapes.x[i], shapes.y[i] - apart
    assert np.median(along) > 2
    assert (ratios(across, rows, rows, i, j) < along - 5).all()


def test_found_pairs_are_those_above_the_least_ratio():
    shapes, entries, exits = foil(4, 20, 100)
    background = np.zeros(len(shapes.x))
    for rows in (entries, exits):
        background[rows] = background_of(shapes, rows)
    density = np.full(len(shapes.x), len(exits) / SIDE**2)
    i, j, ratio = pairs_above(shapes, entries, exits, TRACKS, background, density, -4.0)
    every = np.array([(a, b) for a in entries for b in exits])
    told = ratios(shapes, entries, exits, every[:, 0], every[:, 1])
    wanted = {tuple(pair) for pair in every[told > -4].tolist()}
    assert {*zip(i.tolist(), j.tolist(), strict=True)} == wanted
    np.testing.assert_allclose(ratio, ratios(shapes, entries, exits, i, j))


def test_the_removed_bulk_follows_from_radius_and_depth():
    rng = np.random.default_rng(5)
    n = 400
    x, y = rng.uniform(0, SIDE, (2, n))
    hips = particles(rng, x, y, np.full(n, np.deg2rad(4)), np.zeros(n), v=2.0)
    assert removed_bulk(hips, np.arange(2 * n)) == pytest.approx(REMOVED, rel=0.03)
    nothing = replace(hips, log_depth=np.full(2 * n, np.nan))
    assert 5 < removed_bulk(nothing, np.arange(2 * n)) < 15


def population_of(shapes, entries, exits):
    background = np.zeros(len(shapes.x))
    for rows in (entries, exits):
        background[rows] = background_of(shapes, rows)
    density = np.full(len(shapes.x), len(exits) / SIDE**2)
    i, j, _ = pairs_above(shapes, entries, exits, TRACKS, background, density, -5.0)
    unrelated_ = background[i] + background[j] + np.log(density[i])
    return with_population(TRACKS, shapes, i, j, unrelated_, len(entries))


def test_a_beam_is_found_in_the_pairs_themselves():
    found = population_of(*foil(6, 80, 600, zenith_deg=8.0, spread_deg=1.0))
    share, u, v, spread = found.beam
    assert share > 0.7
    assert u == pytest.approx(np.tan(np.deg2rad(8)), abs=0.015)
    assert v == pytest.approx(0, abs=0.015)
    assert 0.01 <= spread < 0.05
    nodes = np.linspace(np.log(0.1), np.log(8.0), 28)
    assert np.exp((nodes * found.prior).sum()) == pytest.approx(1.0, abs=0.25)  # V = 2


@pytest.mark.parametrize("seed", range(5))
def test_without_signal_there_is_no_beam(seed):
    assert population_of(*foil(seed, 0, 600)) is TRACKS


def _as_finder_states(rng, e, angle, *, spread, noise):
    """Means and standard deviations of ellipses that a normal prior and noise leave possible."""
    heard = spread**2 / (spread**2 + noise**2)
    seen = [e * f(2 * np.deg2rad(angle)) + rng.normal(0, noise, len(e)) for f in (np.cos, np.sin)]
    mean = heard * np.array(seen)
    return heard, {
        "ellipticity": np.hypot(*mean),
        "angle_deg": np.rad2deg(np.arctan2(mean[1], mean[0])) / 2 % 180,
        "ellipticity_err": np.sqrt(heard) * noise,
    }


def test_ellipses_that_a_finder_draws_to_round_ones_are_taken_as_measured():
    rng = np.random.default_rng(5)
    n = 4000
    true = rng.normal(0, 0.1, (2, n))
    e, angle = np.hypot(*true), np.rad2deg(np.arctan2(true[1], true[0])) / 2
    heard, columns = _as_finder_states(rng, e, angle, spread=0.1, noise=0.15)
    assert heard < 0.35
    pits = pd.DataFrame({"surface": ["top"] * n, "radius_px": 5.0, **columns})
    shapes = Shapes.of(pits, np.zeros((n, 2)), 6.45)
    for told, right in ((shapes.e_cos, true[0]), (shapes.e_sin, true[1])):
        assert np.polyfit(right, told, 1)[0] == pytest.approx(shapes.heard[0], rel=0.05)
        off = (told - shapes.heard * right) / shapes.s_ellipse
        assert off.std() == pytest.approx(1, abs=0.05)
    # Surfaces are seen differently; what states no error is taken as it is.
    two = pd.concat([pits, pits.assign(surface="bottom", ellipticity_err=1e-3)], ignore_index=True)
    both = Shapes.of(two, np.zeros((2 * n, 2)), 6.45)
    np.testing.assert_allclose(both.heard[:n], shapes.heard)
    np.testing.assert_allclose(both.heard[n:], 1, atol=1e-3)
    plain = Shapes.of(pits.drop(columns="ellipticity_err"), np.zeros((n, 2)), 6.45)
    assert (plain.heard == 1).all()


def test_slanted_particles_are_pairs_where_a_finder_sees_little_of_their_ellipses():
    rng = np.random.default_rng(6)
    n, background = 60, 200
    zenith, azimuth = np.full(n, np.deg2rad(45)), rng.uniform(0, 2 * np.pi, n)
    hips = particles(rng, *rng.uniform(0, SIDE, (2, n)), zenith, azimuth)
    exact = joined(hips, unrelated(rng, background, SIDE), unrelated(rng, background, SIDE))
    angle = np.rad2deg(np.arctan2(exact.e_sin, exact.e_cos)) / 2
    _, columns = _as_finder_states(rng, exact.ellipticity, angle, spread=0.15, noise=0.25)
    surface = np.repeat(["top", "bottom", "top", "bottom"], [n, n, background, background])
    radius = np.exp(exact.log_radius)
    pits = pd.DataFrame({"surface": surface, "radius_px": radius, "radius_px_err": 0.06 * radius})
    shapes = Shapes.of(pits.assign(**columns), np.column_stack([exact.x, exact.y]), 6.45)
    entries, exits = (np.flatnonzero(surface == s) for s in ("top", "bottom"))
    true = ratios(shapes, entries, exits, np.arange(n), n + np.arange(n))
    wrong = ratios(shapes, entries, exits, np.arange(n), n + np.roll(np.arange(n), 1))
    assert np.median(true) > 0
    assert (wrong > 0).mean() < 0.1  # without the correction the median is −6
