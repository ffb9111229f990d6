from dataclasses import replace

import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.learn import Lights, Patches, Training, cross_validate, measure_efficiency_at

QUICK = Training(network="plain", epochs=4, patience=4, batch=32, restarts=0)


def _patches(n=120, seed=0):
    """One backlit light: the first class is darker in the middle."""
    rng = np.random.default_rng(seed)
    target = rng.random(n) < 0.4
    pixels = rng.normal(0, 0.3, (n, 1, 16, 16))
    pixels[:, :, 5:11, 5:11] -= np.where(target, 1.0, 0.0)[:, None, None, None]
    lights = Lights((), ("backlit",))
    region = rng.integers(0, 10, n)
    return Patches(pixels.astype(np.float32), lights, region, np.arange(n)), target


def test_every_patch_is_scored_once_a_seed_by_an_expert_that_had_not_seen_its_region():
    patches, target = _patches()
    told = []
    done = cross_validate(patches, target, QUICK, count=3, seeds=(0, 1), progress=told.append)
    assert sum(told) == 6
    assert done.scores.shape == (2, 120)
    assert np.isfinite(done.scores).all()
    assert (done.trainings.groupby("seed")["patches"].sum() == 120).all()
    assert (done.balanced_accuracy > 0.95).all()
    assert done.trainings["learnt"].all()
    assert (done.scores[0] != done.scores[1]).any()
    again = cross_validate(patches, target, QUICK, count=3, seeds=(0,))
    np.testing.assert_array_equal(again.scores[0], done.scores[0])


def test_a_class_told_by_its_region_alone_is_not_learnt():
    """What leaks between neighbours must not help: every region has a mark of its own."""
    patches, _ = _patches(n=200)
    rng = np.random.default_rng(3)
    pixels = rng.normal(0, 0.2, patches.pixels.shape).astype(np.float32)
    marks = rng.normal(0, 1, (10, 16, 16))
    pixels += marks[patches.region][:, None].astype(np.float32)
    target = patches.region % 2 == 0
    marked = replace(patches, pixels=pixels)
    done = cross_validate(marked, target, QUICK, count=3, seeds=(0,))
    assert done.balanced_accuracy[0] < 0.85


def test_efficiency_at_a_rate_counts_what_passes_the_lowest_threshold_allowed():
    background = np.arange(1000.0)
    scores = np.r_[background, [998.5, 990.5, 500.0, 989.5]]
    target = np.r_[np.zeros(1000, bool), np.ones(4, bool)]
    assert measure_efficiency_at(scores, target, 0.01) == (3, 4)  # threshold 989: ten pass above it
    assert measure_efficiency_at(scores, target, 0.001) == (1, 4)
    assert measure_efficiency_at(scores, target, 1.0) == (4, 4)
    with pytest.raises(BadInput, match="background: expected 10000 patches or more, found 1000"):
        measure_efficiency_at(scores, target, 0.0001)
    with pytest.raises(BadInput, match="false-positive rate: expected above 0, at most 1"):
        measure_efficiency_at(scores, target, 0.0)
