from dataclasses import replace

import numpy as np
import pytest

from etchscope.imaging import D4
from etchscope.learn import Lights, Training
from etchscope.learn.augment import move_batch

LAMPS = Lights((0.0, 90.0, 180.0, 270.0))


@pytest.mark.parametrize("augmentation", ["none", "C4", "D4", "C8"])
def test_every_augmentation_moves_patches_as_the_scene(augmentation):
    """A batch is one of the moved ones, and over many batches all of them come."""
    part = np.random.default_rng(1).normal(0, 1, (5, 4, 16, 16)).astype(np.float32)
    training = Training(network="plain", augmentation=augmentation)
    rng = np.random.default_rng(0)
    got = [move_batch(part, LAMPS, rng, training).numpy() for _ in range(60)]
    azimuths, lamps = np.asarray(LAMPS.azimuths_deg), np.arange(4)
    allowed = {"none": D4[:1], "C4": D4[:4], "D4": D4, "C8": D4[:4]}[augmentation]
    moved = [np.stack([g.pictures(p, azimuths, lamps) for p in part]) for g in allowed]
    which = {next(k for k, m in enumerate(moved) if np.array_equal(b, m)) for b in got}
    assert which == set(range(len(allowed)))
    exact = replace(training, network="equivariant")
    if augmentation != "C8":
        same = move_batch(part, LAMPS, rng, exact).numpy()
        np.testing.assert_array_equal(same, part)
