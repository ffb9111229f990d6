from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from etchscope.foil import BadInput
from etchscope.imaging import D4
from etchscope.learn import Lights, Patches, Training, split_folds, train_expert
from etchscope.learn.train import _weights

LAMPS = Lights((0.0, 90.0, 180.0, 270.0))
QUICK = Training(network="plain", epochs=8, patience=8, batch=32)


def _planted(n=160, seed=0, share=0.25, noise=0.4):
    """Cones lit from four sides, bright towards the lamp (top) or away from it (bottom)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16] - 7.5
    is_top = rng.random(n) < share
    pixels = rng.normal(0, noise, (n, 4, 16, 16))
    for k in range(n):
        u, v = x - rng.normal(0, 0.7), y - rng.normal(0, 0.7)
        r = np.maximum(np.hypot(u, v), 0.3)
        inside = r < rng.uniform(3.5, 5)
        for lamp, azimuth in enumerate(np.deg2rad(LAMPS.azimuths_deg)):
            towards = (u * np.cos(azimuth) - v * np.sin(azimuth)) / r
            # The far wall faces the lamp.
            pixels[k, lamp] += np.where(inside, -towards if is_top[k] else towards, 0)
    region = rng.integers(0, 12, n)
    patches = Patches(pixels.astype(np.float32), LAMPS, region, np.arange(n))
    return patches, is_top


@pytest.fixture(scope="module")
def planted():
    return _planted()


@pytest.mark.parametrize("name", ["plain", "azimuth", "equivariant"])
def test_every_network_learns_top_from_bottom(planted, name):
    patches, is_top = planted
    validation = np.arange(len(patches)) % 4 == 0
    training = replace(QUICK, network=name, epochs=12)
    expert = train_expert(patches, is_top, training, validation=validation, seed=1)
    assert expert.learnt
    assert expert.failed == 0
    others, truth = _planted(80, seed=9)
    assert balanced_accuracy_score(truth, expert.scores(others) > 0) > 0.95
    assert expert.history.shape[1] == 3
    assert expert.history[-1, 0] < 0.7 * expert.history[0, 0]


def test_the_same_seed_gives_the_same_expert_and_its_score_keeps_the_symmetry(planted):
    patches, is_top = planted
    validation = np.arange(len(patches)) % 4 == 0
    training = replace(QUICK, network="equivariant", epochs=3, restarts=0)
    one, again, other = (
        train_expert(patches, is_top, training, validation=validation, seed=s) for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.scores(patches), again.scores(patches))
    assert (one.scores(patches) != other.scores(patches)).any()
    azimuths = np.asarray(LAMPS.azimuths_deg)
    for g in D4:
        moved = np.stack([g.pictures(p, azimuths, np.arange(4)) for p in patches.pixels])
        there = one.scores(replace(patches, pixels=moved))
        np.testing.assert_allclose(there, one.scores(patches), atol=1e-4)


def test_labels_without_meaning_are_recognised_tried_again_and_told(planted):
    patches, is_top = planted
    shuffled = np.random.default_rng(0).permutation(is_top)
    validation = np.arange(len(patches)) % 4 == 0
    training = replace(QUICK, epochs=2, restarts=2)
    expert = train_expert(patches, shuffled, training, validation=validation, seed=1)
    assert not expert.learnt
    assert expert.failed == 3  # all of them, whichever is returned
    assert expert.history[:, 2].max() < training.learnt + 0.1


def test_folds_keep_regions_whole_and_hold_each_patch_once(planted):
    patches, is_top = planted
    seen = np.zeros(len(patches), int)
    for test in split_folds(patches.region, is_top, 4, seed=0):
        assert not set(patches.region[test]) & set(patches.region[~test])
        assert is_top[test].any()
        seen += test
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("region", "target", "told"),
    [
        ([0, 0, 1, 1], [True, False, True, False], "folds: expected 3 regions or more, found 2"),
        ([0, 1, 2, 3], [True, False, False, False], "expected 3 labels per class or more, found 1"),
    ],
)
def test_folds_that_cannot_be_split_are_refused(region, target, told):
    with pytest.raises(BadInput, match=told):
        list(split_folds(np.array(region), np.array(target), 3, seed=0))


def test_a_missing_class_and_other_lights_are_refused(planted):
    patches, is_top = planted
    validation = np.arange(len(patches)) % 4 == 0
    with pytest.raises(BadInput, match="validation set: expected labels of the first class"):
        train_expert(patches, is_top & ~validation, QUICK, validation=validation, seed=0)
    with pytest.raises(BadInput, match="training set: expected labels of the second class"):
        train_expert(patches, is_top | ~validation, QUICK, validation=validation, seed=0)
    training = replace(QUICK, epochs=1, restarts=0)
    expert = train_expert(patches, is_top, training, validation=validation, seed=0)
    turned = replace(patches, lights=Lights((45.0, 135.0, 225.0, 315.0)))
    with pytest.raises(BadInput, match=r"patches: expected Lights.*16 px"):
        expert.scores(turned)


def test_classes_weigh_the_same_and_copies_of_a_label_count_once():
    target = np.array([1, 1, 1, 0, 0, 0, 1], bool)
    trained_on = np.arange(7) < 6
    each = np.array([0.5, 0.5, 1.0, 1.0, 0.25, 0.25, 0.5])
    weights = _weights(target, trained_on, each)
    assert weights[:6].mean() == pytest.approx(1)
    assert weights[:3].sum() == pytest.approx(weights[3:6].sum())
    np.testing.assert_allclose(weights[[0, 1, 2, 6]], 1.5 * each[[0, 1, 2, 6]], rtol=1e-6)
    np.testing.assert_allclose(weights[3:6], 2 * each[3:6], rtol=1e-6)
    alike = _weights(target, trained_on, np.ones(7))
    np.testing.assert_array_equal(alike, np.ones(7, np.float32))


def test_what_a_patch_weighs_reaches_the_training(planted):
    patches, is_top = planted
    validation = np.arange(len(patches)) % 4 == 0
    training = replace(QUICK, epochs=2, restarts=0)

    def scores(weight):
        given = {"validation": validation, "seed": 1, "weight": weight}
        return train_expert(patches, is_top, training, **given).scores(patches)

    alike = scores(None)
    np.testing.assert_allclose(scores(np.full(len(is_top), 0.25)), alike, atol=1e-5)
    half = np.where(np.arange(len(is_top)) % 8 == 1, 0.1, 1.0)
    assert abs(scores(half) - alike).max() > 0.01
