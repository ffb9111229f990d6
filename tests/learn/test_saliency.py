from dataclasses import replace

import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.learn import Lights, Training, compute_saliency, train_expert

QUICK = Training(network="plain", width=0.3, depth=2, epochs=3, batch=16, rate=1e-2, restarts=0)


@pytest.fixture(scope="module")
def experts(pits):
    patches, is_top = pits
    validation = np.arange(len(patches)) % 4 == 0
    trainings = (QUICK, QUICK, replace(QUICK, lights="lamps"))
    return [
        train_expert(patches, is_top, t, validation=validation, seed=k)
        for k, t in enumerate(trainings)
    ]


def test_saliency_is_gradient_times_input_of_the_mean_logit(pits, experts):
    patches, step, n = pits[0].take(np.arange(1)), 1e-2, 5 * 16 * 16
    told = compute_saliency(experts, patches)
    shifted = []
    for by in (-step, step):
        pixels = patches.pixels + by * np.eye(n).reshape(n, 5, 16, 16)
        some = replace(
            patches,
            pixels=pixels.astype(np.float32),
            region=np.zeros(n, int),
            row=np.arange(n),
        )
        shifted.append(np.mean([e.scores(some) for e in experts], axis=0))
    slope = (shifted[1] - shifted[0]).reshape(5, 16, 16) / (2 * step)
    expected = np.abs(slope * patches.pixels[0]).sum(0)
    np.testing.assert_allclose(told[0], expected / expected.max(), atol=0.1)
    assert np.corrcoef(told[0].ravel(), expected.ravel())[0, 1] > 0.995


def test_experts_that_disagree_about_a_pixel_take_it_back(pits, experts):
    patches, expert = pits[0].take(np.arange(3)), experts[0]
    last = [k for k in expert.state if k.startswith("head")][-2:]
    opposed = replace(expert, state=expert.state | {k: -expert.state[k] for k in last})
    np.testing.assert_allclose(opposed.scores(patches), -expert.scores(patches), rtol=1e-5)
    assert compute_saliency([expert], patches).max() == 1
    np.testing.assert_allclose(compute_saliency([expert, opposed], patches), 0, atol=1e-6)


def test_an_answer_rests_on_the_pit_and_not_on_flat_bulk(pits, experts):
    patches = pits[0].take(np.arange(20))
    pixels = patches.pixels.copy()
    pixels[:, :, :2] = 0
    told = compute_saliency(experts, replace(patches, pixels=pixels))
    assert told.shape == (20, 16, 16)
    assert (told[:, :2] == 0).all()
    np.testing.assert_array_equal(told.max((1, 2)), 1)
    assert told[:, 4:12, 4:12].mean() > 2 * told[:, 13:].mean()


def test_many_are_as_one_by_one_and_none_is_none(pits, experts):
    patches = pits[0].take(np.arange(4))
    alone = [compute_saliency(experts, patches.take(np.array([k])))[0] for k in range(4)]
    np.testing.assert_allclose(compute_saliency(experts, patches), alone, atol=1e-4)
    assert compute_saliency(experts, patches.take(np.arange(0))).shape == (0, 16, 16)


def test_patches_of_other_lights_are_refused(pits, experts):
    other = replace(pits[0], lights=Lights((45.0, 135.0, 225.0, 315.0), ("backlit",)))
    with pytest.raises(BadInput, match="patches: expected Lights"):
        compute_saliency(experts, other)
