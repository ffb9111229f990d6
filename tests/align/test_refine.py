import numpy as np
import pytest

from etchscope.align.refine import refine_transform
from etchscope.geometry import Similarity


def test_a_rough_start_becomes_exact_and_the_spread_is_measured(rng, scattered):
    way = Similarity(0.01, 1.002, 0.3, -0.2)
    moved = way.apply(scattered) + rng.normal(0, 0.006, scattered.shape)
    start = way.inverse().moved(0.05, -0.04)
    fit = refine_transform(scattered, moved, start, 0.15)
    np.testing.assert_allclose(fit.transform.apply(moved).mean(0), scattered.mean(0), atol=0.002)
    assert fit.transform.scale == pytest.approx(1 / 1.002, abs=1e-4)
    assert fit.spread_mm == pytest.approx(0.006, rel=0.15)
    assert fit.share > 0.95


def test_strangers_do_not_pull(rng, scattered):
    strangers = rng.uniform(0, [40, 30], (1200, 2))
    moved = np.concatenate([scattered + rng.normal(0, 0.005, scattered.shape), strangers])
    fit = refine_transform(scattered, moved, Similarity(shift_x=0.08), 0.15)
    assert np.hypot(fit.transform.shift_x, fit.transform.shift_y) < 0.005
    assert fit.share == pytest.approx(0.25, abs=0.03)


def test_the_scale_stays_within_its_bounds(scattered):
    fit = refine_transform(scattered, scattered * 1.05, Similarity(), 0.5, max_scale_error=0.01)
    assert abs(fit.transform.scale - 1) <= 0.01


def test_two_points_do_not_decide(rng):
    fit = refine_transform(*rng.uniform(0, 10, (2, 30, 2)), Similarity(), 0.2, least_spread_mm=0.01)
    assert fit.spread_mm >= 0.01
