"""Shapes of openings, and what they say of the bulk that was removed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.preselect.particles import REMOVED, SIDE, as_finder_states, particles

from etchscope.preselect.openings import Shapes, estimate_removed_bulk


def test_the_removed_bulk_follows_from_radius_and_depth():
    rng = np.random.default_rng(5)
    n = 400
    x, y = rng.uniform(0, SIDE, (2, n))
    hips = particles(rng, x, y, np.full(n, np.deg2rad(4)), np.zeros(n), v=2.0)
    assert estimate_removed_bulk(hips, np.arange(2 * n)) == pytest.approx(REMOVED, rel=0.03)
    nothing = replace(hips, log_depth=np.full(2 * n, np.nan))
    assert 5 < estimate_removed_bulk(nothing, np.arange(2 * n)) < 15


def test_ellipses_that_a_finder_draws_to_round_ones_are_taken_as_measured():
    rng = np.random.default_rng(5)
    n = 4000
    true = rng.normal(0, 0.1, (2, n))
    e, angle = np.hypot(*true), np.rad2deg(np.arctan2(true[1], true[0])) / 2
    measured_share, columns = as_finder_states(rng, e, angle, spread=0.1, noise=0.15)
    assert measured_share < 0.35
    pits = pd.DataFrame({"surface": ["top"] * n, "radius_px": 5.0, **columns})
    shapes = Shapes.of(pits, np.zeros((n, 2)), 6.45)
    for got, right in ((shapes.e_cos, true[0]), (shapes.e_sin, true[1])):
        assert np.polyfit(right, got, 1)[0] == pytest.approx(shapes.measured_share[0], rel=0.05)
        off = (got - shapes.measured_share * right) / shapes.s_ellipse
        assert off.std() == pytest.approx(1, abs=0.05)
    # Surfaces are seen differently; what states no error is taken as it is.
    two = pd.concat([pits, pits.assign(surface="bottom", ellipticity_err=1e-3)], ignore_index=True)
    both = Shapes.of(two, np.zeros((2 * n, 2)), 6.45)
    np.testing.assert_allclose(both.measured_share[:n], shapes.measured_share)
    np.testing.assert_allclose(both.measured_share[n:], 1, atol=1e-3)
    plain = Shapes.of(pits.drop(columns="ellipticity_err"), np.zeros((n, 2)), 6.45)
    assert (plain.measured_share == 1).all()
