"""What the openings of a particle look like."""

import numpy as np
import pytest
from tests.preselect.particles import TRACKS

from etchscope.preselect.track_model import tabulate_tracks


def test_displacement_is_that_of_the_openings_centres():
    # 500 µm at 6°, V = 4: 6.6 px, not the 8.2 of thickness × tan(zenith).
    removed = 58 / 6.4516
    tracks = tabulate_tracks(np.array([500 / 6.4516]), removed, 30.0, 60.0)
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
