import hashlib
import json
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest

from etchscope.ensemble import Model
from etchscope.evaluation import proportion
from etchscope.foil import BadInput
from etchscope.run import recipe_of
from etchscope.run.stages.training import audited, gather, train


@pytest.fixture(scope="module")
def card(learnt):
    return learnt.store.models.load("first")[1]


@pytest.fixture
def refuse_training(monkeypatch):
    """Whatever is refused must be refused before the first training."""

    def train_experts(*_, **__):
        pytest.fail("trained")

    monkeypatch.setattr("etchscope.run.stages.training.train_experts", train_experts)


# Gathering ----------------------------------------------------------------------------------


def test_classes_with_labels_in_the_order_of_the_taxonomy(learnt):
    totals, ticks = [], []
    got = gather(learnt.store, size=8, total=totals.append, progress=ticks.append)
    assert got.classes == ("hip", "top", "bottom", "misc")
    assert got.left_out.outside == 0
    assert (totals, sum(ticks)) == ([8], 8)
    assert len(got.labelled.patches) == len(learnt.store.labels.table())
    assert len(got.context) == len(learnt.store.runs.pits(learnt.search))
    assert got.labelled.patches.pixels.shape[2:] == (8, 8)


def test_a_person_chooses_the_classes(learnt):
    assert gather(learnt.store, size=8, classes=["top", "hip", "top"]).classes == ("top", "hip")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("odd", r"class: expected a class of the taxonomy \(hip, .*\), found 'odd'"),
        ("maybe", "class: expected a decidable class: hip, top, bottom, misc, found 'maybe'"),
        ("misc.scratch", "expected a decidable class: .*, found 'misc.scratch'"),
    ],
)
def test_a_class_that_cannot_be_trained_on(learnt, name, text):
    with pytest.raises(BadInput, match=text):
        gather(learnt.store, classes=["hip", name], total=lambda _: pytest.fail("cut patches"))


def test_one_class_is_not_enough(own):
    with pytest.raises(BadInput, match="labels of two classes or more, found only of hip"):
        gather(own, classes=["hip"], total=lambda _: pytest.fail("cut patches"))


def test_labels_on_excluded_tiles_are_told(own):
    own.scans.exclude("tile = 1", "a fibre")
    there = own.labels.table()
    got = gather(own, size=8)
    assert got.left_out.outside == int((there["tile"] == 1).sum()) > 0
    assert len(got.labelled.patches) == len(there) - got.left_out.outside
    assert 1 not in set(got.labelled.source["tile"])


# Training -----------------------------------------------------------------------------------


def test_the_model_is_better_than_chance_on_labels_held_out(learnt):
    told = learnt.done.model.information["decided_right"]
    assert told["trials"] == len(learnt.store.labels.table())
    assert told["low"] > 0.6
    for figures in learnt.done.model.information["experts"].values():
        assert figures["balanced_accuracy"] > 0.8


def test_the_card_says_what_it_was_trained_on(learnt, card):
    labels, told = learnt.store.labels.table(), card["information"]
    assert told["etchscope"] == version("etchscope")
    count = labels["class"].str.partition(".")[0].value_counts()
    assert told["labels"] == count.to_dict()
    assert told["scans"] == [learnt.scan]
    assert (told["tiles"], told["folds"], told["seed"]) == (8, 2, 0)
    ids = "\n".join(sorted(labels["id"]))
    assert told["label_ids_sha256"] == hashlib.sha256(ids.encode()).hexdigest()
    assert len(told["regions_sha256"]) == 64
    assert card["domain"]["recipe"] == recipe_of(learnt.foil.scan).digest
    assert card["domain"]["density_per_mm2"] > 0
    low, high = card["domain"]["pixel_size_um"]
    assert low < learnt.foil.optics.pixel_size_um < high
    assert card["prior"] == dict.fromkeys(["hip", "top", "bottom", "misc"], 0.25)
    assert (card["signal"], card["method"]) == ("hip", "stacked")
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_the_card_s_figures_are_those_of_the_folds(learnt, card):
    done = learnt.done
    assert set(card["information"]["experts"]) == set(done.validation)
    for name, figures in card["information"]["experts"].items():
        v = done.validation[name]
        accuracy = float(v.balanced_accuracy.mean())
        assert figures["balanced_accuracy"] == pytest.approx(accuracy, abs=1e-5)
        assert figures["of_folds"] == pytest.approx(
            v.trainings["balanced_accuracy"].tolist(), abs=1e-5
        )
        assert figures["failed"] == v.trainings["failed"].sum()
        assert len(v.target) == np.isin(done.labelled.label, _taught(done, name)).sum()
    best = np.array(done.model.classes)[done.log_probabilities.argmax(1)]
    right = int((best == done.labelled.label).sum())
    assert card["information"]["decided_right"] == proportion(right, len(best)).to_dict()


def _taught(done, name):
    return next(k.classes for k in done.model.combiner.kinds if k.name == name)


def test_the_first_working_point_reaches_the_efficiency_asked_for(learnt, card):
    point, score = card["working_point"], learnt.done.score
    threshold = point["classes"][0]["threshold"]
    is_signal = learnt.done.labelled.label == "hip"
    n = int(is_signal.sum())
    passed = int((score[is_signal] >= threshold).sum())
    assert passed == np.ceil(0.99 * n)
    p = proportion(passed, n)
    assert point["efficiency"] == [p.value, p.low, p.high]
    assert point["false_per_tile"] == [None, None, None]
    others = int((score[~is_signal] >= threshold).sum())
    assert f"{others} of {len(score) - n} others pass" in point["measured_on"]


def test_a_model_comes_back_from_the_store_as_it_went_in(learnt):
    back = Model.from_record(*learnt.store.models.load("first"))
    some = learnt.gathered.labelled.patches.take(np.arange(0, 60, 3))
    pd.testing.assert_frame_equal(back.score_patches(some), learnt.done.model.score_patches(some))
    assert (
        back.working_point.classes[0].threshold
        == learnt.done.model.working_point.classes[0].threshold
    )


def test_the_same_seed_gives_the_same_model(learnt):
    few = _of_classes(learnt.gathered, ("hip", "bottom"))
    training = replace(learnt.training, epochs=2)
    first, second, other = (train(few, training, folds=2, seed=s) for s in (3, 3, 4))
    for name, array in first.model.to_record()[0].items():
        np.testing.assert_array_equal(array, second.model.to_record()[0][name])
    assert first.model.to_record()[1] == second.model.to_record()[1]
    assert other.model.information["seed"] == 4
    assert not np.array_equal(other.score, first.score)


def test_signal_is_hip_or_else_the_first_that_is_no_misc(learnt):
    training = replace(learnt.training, epochs=1)
    done = train(_of_classes(learnt.gathered, ("misc", "bottom")), training, folds=2)
    assert done.model.signal == "bottom"
    assert set(done.model.information["labels"]) == {"misc", "bottom"}
    asked = train(
        _of_classes(learnt.gathered, ("hip", "bottom")), training, folds=2, signal="bottom"
    )
    assert asked.model.signal == "bottom"


def test_a_prior_of_one_s_own_and_one_network_for_all(learnt):
    few = _of_classes(learnt.gathered, ("hip", "top", "bottom"))
    prior = {"hip": 0.02, "top": 0.48, "bottom": 0.5}
    ticks = []
    done = train(
        few,
        replace(learnt.training, epochs=1),
        method="multiclass",
        prior=prior,
        folds=2,
        progress=ticks.append,
    )
    assert done.model.prior == prior
    assert list(done.model.experts) == ["all"]
    assert sum(ticks) == 2


def test_going_on_from_a_model_begins_where_it_ended(learnt):
    few = _of_classes(learnt.gathered, ("hip", "bottom"))
    first = train(few, learnt.training, folds=2)
    tiny = replace(learnt.training, epochs=1, rate=1e-6, patience=1)
    gone_on = train(few, tiny, folds=2, start=first.model)
    anew = train(few, tiny, folds=2)
    (expert,) = gone_on.validation
    after = [e.history[0, 1] for e in gone_on.model.experts[expert]]
    fresh = [e.history[0, 1] for e in anew.model.experts[expert]]
    assert max(after) < min(fresh)
    assert gone_on.model.information["start_saw"] == []
    assert "start_saw" not in anew.model.information
    other_folds = train(few, tiny, folds=2, seed=1, start=first.model)
    assert other_folds.model.information["start_saw"] == [learnt.scan]
    # An alignment brings labels into other regions, so the same seed makes other folds.
    patches = few.labelled.patches
    moved = replace(patches, region=patches.region.max() - patches.region)
    elsewhere = replace(few, labelled=replace(few.labelled, patches=moved))
    other_regions = train(elsewhere, tiny, folds=2, start=first.model)
    assert other_regions.model.information["start_saw"] == [learnt.scan]
    same_again = train(few, tiny, folds=2, seed=1, start=other_folds.model)
    assert same_again.model.information["start_saw"] == [learnt.scan]


def _of_classes(gathered, classes):
    return replace(gathered, classes=classes)


# Refused ------------------------------------------------------------------------------------


def test_a_class_with_too_few_labels(learnt):
    labelled = learnt.gathered.labelled
    keep = (labelled.label != "hip") | (np.cumsum(labelled.label == "hip") <= 3)
    few = replace(learnt.gathered, labelled=labelled.take(keep))
    text = r"class hip: expected 4 labels or more, found 3\. Label more, or leave the class out"
    with pytest.raises(BadInput, match=text):
        train(few, learnt.training, folds=2)


def test_folds_that_cannot_be_split(own, learnt):
    own.scans.exclude("tile > 2", "not labelled")
    few = _of_classes(gather(own, size=8), ("top", "bottom"))
    text = r"folds: expected 3 regions or more, found 2\. Label more tiles, or ask for fewer folds"
    with pytest.raises(BadInput, match=text):
        train(few, learnt.training, folds=3)


@pytest.mark.usefixtures("refuse_training")
@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"prior": {"hip": 1.0}}, "prior: expected the shares of hip, top, bottom, misc, found"),
        ({"efficiency": 1.5}, "working point: efficiency: expected above 0, at most 1, found 1.5"),
        ({"efficiency": 0.0}, "working point: efficiency: expected above 0, at most 1, found 0"),
    ],
)
def test_what_would_fail_at_the_end_is_refused_at_the_beginning(learnt, given, text):
    with pytest.raises(BadInput, match=text):
        train(learnt.gathered, learnt.training, folds=2, **given)


@pytest.mark.usefixtures("refuse_training")
def test_a_model_to_start_from_has_the_same_experts_and_folds(learnt):
    start, given = learnt.done.model, (learnt.gathered, learnt.training)
    with pytest.raises(BadInput, match="an expert hip-top of 3 folds, found 2 folds"):
        train(*given, folds=3, start=start)
    text = "model to start from: expected a model with an expert all of 2 folds, found experts hip-"
    with pytest.raises(BadInput, match=text):
        train(*given, folds=2, start=start, method="multiclass")


def test_a_model_to_start_from_has_the_same_network(learnt):
    other = replace(learnt.training, width=0.5)
    with pytest.raises(BadInput, match="training: expected the network to start from"):
        train(learnt.gathered, other, folds=2, start=learnt.done.model)


def test_an_interrupted_training_leaves_the_registry_as_it_was(own, learnt, take_snapshot):
    before = take_snapshot(own.path)

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        train(gather(own, size=20), learnt.training, folds=2, progress=stop)
    assert take_snapshot(own.path) == before
    assert own.models.names() == ["first"]


# Audit --------------------------------------------------------------------------------------


def test_the_audit_finds_labels_that_were_changed(learnt):
    done = learnt.done
    said = done.labelled.label.copy()
    surest = np.where(said == "hip", done.log_probabilities[:, 0], -np.inf)
    wrong = np.argsort(-surest)[:2]
    said[wrong] = "bottom"
    table = audited(replace(done, labelled=replace(done.labelled, label=said)))
    assert list(table.columns) == [
        *("said", "likelier", "p_said", "p_likelier", "quality"),
        *("scan", "tile", "x_px", "y_px", "id"),
    ]
    source = done.labelled.source.reset_index(drop=True)
    found = table.set_index("id").loc[source["id"].iloc[wrong]]
    assert found["said"].tolist() == ["bottom"] * 2
    assert found["likelier"].tolist() == ["hip"] * 2
    assert found["x_px"].tolist() == source["x_px"].iloc[wrong].tolist()
    assert found["tile"].tolist() == source["tile"].iloc[wrong].tolist()
    assert (table["p_likelier"] > table["p_said"]).all()
    assert table["quality"].is_monotonic_increasing


def test_an_audit_that_finds_nothing_is_an_empty_table(learnt):
    done = learnt.done
    one_hot = done.labelled.label[:, None] == np.array(done.model.classes)
    sure = replace(done, log_probabilities=np.log(np.where(one_hot, 0.97, 0.01)))
    table = audited(sure)
    assert len(table) == 0
    assert {"said", "id", "tile"} <= set(table.columns)
