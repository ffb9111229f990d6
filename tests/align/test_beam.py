import numpy as np
import pytest

from etchscope.align import beam_direction
from etchscope.foil import BadInput


def test_the_direction_is_found_within_its_interval(rng):
    zenith, azimuth, depth = np.radians(3.0), np.radians(30.0), 0.475
    length = depth * np.tan(zenith)
    d = length * np.array([np.cos(azimuth), np.sin(azimuth)]) + rng.normal(0, 0.006, (500, 2))
    beam = beam_direction(d[:, 0], d[:, 1], depth)
    assert beam.zenith_low_deg < 3.0 < beam.zenith_high_deg
    assert beam.zenith_high_deg - beam.zenith_low_deg < 0.3
    assert beam.azimuth_deg == pytest.approx(30, abs=3)


def test_strays_do_not_turn_it(rng):
    d = np.full((100, 2), 0.02)
    d[:20] = rng.uniform(-5, 5, (20, 2))
    assert beam_direction(d[:, 0], d[:, 1], 1.0).dx_mm == pytest.approx(0.02, abs=1e-6)


def test_what_has_no_direction_is_refused():
    with pytest.raises(BadInput, match="finite displacements, one or more"):
        beam_direction([], [], 1.0)
    with pytest.raises(BadInput, match="millimetres above 0, found 0"):
        beam_direction([0.1], [0.1], 0)
