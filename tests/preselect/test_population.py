"""The beam and the etch ratios of a foil's own particles."""

import numpy as np
import pytest
from tests.preselect.particles import SIDE, TRACKS, foil

from etchscope.preselect.background import log_background_density
from etchscope.preselect.likelihood import find_pairs
from etchscope.preselect.population import fit_population


def population_of(shapes, entries, exits):
    background = np.zeros(len(shapes.x))
    for rows in (entries, exits):
        background[rows] = log_background_density(shapes, rows)
    density = np.full(len(shapes.x), len(exits) / SIDE**2)
    i, j, _ = find_pairs(shapes, entries, exits, TRACKS, background, density, -5.0)
    unrelated_ = background[i] + background[j] + np.log(density[i])
    return fit_population(TRACKS, shapes, i, j, unrelated_, len(entries))


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
