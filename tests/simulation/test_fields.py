import numpy as np
import pytest

from etchscope.simulation.fields import draw_correlated_field, draw_slow_field


def test_correlated_noise_has_unit_rms_and_its_length():
    field = draw_correlated_field(np.random.default_rng(1), (300, 300), 3.0)
    assert field.std() == pytest.approx(1, abs=1e-3)
    neighbours = np.mean(field[:, 3:] * field[:, :-3])
    assert neighbours == pytest.approx(np.exp(-9 / (4 * 9)), abs=0.05)
    white = draw_correlated_field(np.random.default_rng(1), (300, 300), 0.0)
    assert abs(np.mean(white[:, 1:] * white[:, :-1])) < 0.02


def test_a_slow_field_has_unit_variance_everywhere_and_no_jumps():
    fields = np.stack(
        [draw_slow_field(np.random.default_rng(k), (60, 80), 25.0) for k in range(400)]
    )
    assert fields.std(axis=0).mean() == pytest.approx(1, abs=0.05)
    assert np.abs(fields.std(axis=0) - 1).max() < 0.2
    assert np.abs(np.diff(fields, axis=2)).max() < 0.3
    assert draw_slow_field(np.random.default_rng(1), (64, 48), 5000.0).shape == (64, 48)
