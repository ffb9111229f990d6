"""One particle or two pits: the likelihood ratio."""

from dataclasses import replace

import numpy as np
import pandas as pd
from tests.preselect.particles import (
    SIDE,
    TRACKS,
    as_finder_states,
    foil,
    joined,
    particles,
    unrelated,
)

from etchscope.preselect.background import log_background_density
from etchscope.preselect.likelihood import find_pairs, log_ratios
from etchscope.preselect.openings import Shapes


def ratios(shapes, entries, exits, i, j, tracks=TRACKS):
    background = np.zeros(len(shapes.x))
    for rows in (entries, exits):
        background[rows] = log_background_density(shapes, rows)
    density = len(exits) / SIDE**2
    return log_ratios(shapes, i, j, tracks, background[i] + background[j] + np.log(density))


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
        background[rows] = log_background_density(shapes, rows)
    density = np.full(len(shapes.x), len(exits) / SIDE**2)
    i, j, ratio = find_pairs(shapes, entries, exits, TRACKS, background, density, -4.0)
    every = np.array([(a, b) for a in entries for b in exits])
    got = ratios(shapes, entries, exits, every[:, 0], every[:, 1])
    wanted = {tuple(pair) for pair in every[got > -4].tolist()}
    assert {*zip(i.tolist(), j.tolist(), strict=True)} == wanted
    np.testing.assert_allclose(ratio, ratios(shapes, entries, exits, i, j))


def test_slanted_particles_are_pairs_where_a_finder_sees_little_of_their_ellipses():
    rng = np.random.default_rng(6)
    n, background = 60, 200
    zenith, azimuth = np.full(n, np.deg2rad(45)), rng.uniform(0, 2 * np.pi, n)
    hips = particles(rng, *rng.uniform(0, SIDE, (2, n)), zenith, azimuth)
    exact = joined(hips, unrelated(rng, background, SIDE), unrelated(rng, background, SIDE))
    angle = np.rad2deg(np.arctan2(exact.e_sin, exact.e_cos)) / 2
    _, columns = as_finder_states(rng, exact.ellipticity, angle, spread=0.15, noise=0.25)
    surface = np.repeat(["top", "bottom", "top", "bottom"], [n, n, background, background])
    radius = np.exp(exact.log_radius)
    pits = pd.DataFrame({"surface": surface, "radius_px": radius, "radius_px_err": 0.06 * radius})
    shapes = Shapes.of(pits.assign(**columns), np.column_stack([exact.x, exact.y]), 6.45)
    entries, exits = (np.flatnonzero(surface == s) for s in ("top", "bottom"))
    true = ratios(shapes, entries, exits, np.arange(n), n + np.arange(n))
    wrong = ratios(shapes, entries, exits, np.arange(n), n + np.roll(np.arange(n), 1))
    assert np.median(true) > 0
    assert (wrong > 0).mean() < 0.1  # without the correction the median is −6
