import numpy as np
import pytest

from etchscope.ensemble import Distilled, Model, distil, distil_model
from etchscope.foil import BadInput
from etchscope.imaging import Lighting

LIGHTING = Lighting(np.arange(4), np.arange(4) * 90.0, 1, np.array([4]), np.empty(0, np.int64))


def distilled(model, patches, *, epochs, seed=0):
    held_out = patches.region % 4 == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(distil, "EPOCHS", epochs)
        patched.setattr(distil, "LEAST_PATCHES", 50)
        return distil_model(model, patches, LIGHTING, held_out=held_out, seed=seed)


@pytest.fixture(scope="module")
def done(stacked, make_labelled) -> Distilled:
    return distilled(stacked.model, make_labelled(480, seed=5).patches, epochs=12)


def test_one_network_repeats_many(done, stacked, make_labelled):
    found, source = done.resemblance, stacked.model
    assert (found.patches, found.held_out) == (360, 120)
    assert found.networks == sum(map(len, source.experts.values())) > 4
    assert [len(members) for members in done.model.experts.values()] == [1]
    assert found.correlation > 0.9
    assert found.deviation < 0.6 * found.spread
    # On pits that neither has seen, the likeliest class is mostly the same, and mostly right.
    others = make_labelled(120, seed=9)
    one, other = (m.log_probabilities(others.patches).argmax(1) for m in (source, done.model))
    assert (one == other).mean() > 0.8
    assert (np.array(done.model.classes)[other] == others.label).mean() > 0.8


def test_all_else_is_that_of_the_source_and_a_card_holds_it(done, stacked, make_labelled):
    for name in ("classes", "signal", "prior", "working_point", "calibration", "domain"):
        assert getattr(done.model, name) == getattr(stacked.model, name)
    again = Model.from_record(*done.model.to_record())
    patches = make_labelled(24, seed=6).patches
    scores = [m.score_patches(patches) for m in (done.model, again)]
    assert scores[0].equals(scores[1])
    assert list(scores[0]) == done.model.score_columns
    assert again.information["distilled"] == done.resemblance.to_record()


def test_the_same_seed_gives_the_same_network(stacked, make_labelled):
    patches = make_labelled(96, seed=5).patches
    first, again, other = (
        distilled(stacked.model, patches, epochs=1, seed=seed).resemblance for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_too_few_finds_are_refused(stacked, make_labelled):
    patches = make_labelled(144, seed=5).patches
    with pytest.raises(BadInput, match=r"^finds: expected 200 finds .*, found 108 and 36\. Search"):
        distil_model(stacked.model, patches, LIGHTING, held_out=patches.region % 4 == 0, seed=0)
