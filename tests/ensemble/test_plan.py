import pickle

import numpy as np
import pytest

from etchscope.ensemble import assemble_model, plan_training, train_member
from etchscope.foil import BadInput

CLASSES = ("hip", "top", "bottom", "misc")


@pytest.fixture(scope="module")
def plan(labelled, quick):
    return plan_training(labelled, quick, classes=CLASSES, signal="hip", count=2)


def test_a_plan_lists_every_expert_of_every_fold(plan):
    names = [(kind.name, fold) for kind, fold in plan.members]
    assert names == [
        (name, fold)
        for name in ("hip-top", "hip-bottom", "top-bottom", "pit-misc")
        for fold in (0, 1)
    ]
    assert (sum(test.astype(int) for test in plan.tests) == 1).all()
    assert plan.prior == dict.fromkeys(CLASSES, 0.25)


def test_an_expert_depends_on_its_plan_kind_and_fold_only(plan, stacked):
    """So it can be trained anywhere, and at any time."""
    elsewhere = pickle.loads(pickle.dumps(plan))
    kind, fold = plan.members[5]
    expert = train_member(elsewhere, kind, fold)
    there = stacked.model.experts[kind.name][fold]
    np.testing.assert_array_equal(expert.history, there.history)
    for name, array in expert.state.items():
        np.testing.assert_array_equal(array, there.state[name])


def test_a_model_is_assembled_from_the_experts_of_its_plan(plan, stacked):
    experts = [stacked.model.experts[kind.name][fold] for kind, fold in plan.members]
    again = assemble_model(plan, experts, None)
    np.testing.assert_array_equal(again.score, stacked.score)
    assert again.model.to_record()[1] == stacked.model.to_record()[1]


def test_one_network_for_all_classes_is_a_plan_of_one_kind(labelled, quick):
    plan = plan_training(
        labelled, quick, classes=CLASSES, signal="hip", count=2, method="multiclass"
    )
    assert [(kind.name, fold) for kind, fold in plan.members] == [("all", 0), ("all", 1)]
    assert plan.method == "highest"


def test_what_cannot_be_trained_has_no_plan(labelled, quick):
    with pytest.raises(BadInput, match="method: expected highest or stacked or multiclass"):
        plan_training(labelled, quick, classes=CLASSES, signal="hip", method="loudest")
