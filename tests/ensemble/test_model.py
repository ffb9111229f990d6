import json
from dataclasses import replace

import numpy as np
import pytest

from etchscope.ensemble import Model, WorkingPoint, apply_prior
from etchscope.foil import BadInput
from etchscope.learn import Lights, compute_saliency
from etchscope.store import read_model, write_model


@pytest.fixture(scope="module")
def records(stacked, highest, multiclass):
    """Method → weights, and the card as JSON text."""
    done = {"stacked": stacked, "highest": highest, "multiclass": multiclass}
    told = {name: d.model.to_record() for name, d in done.items()}
    return {name: (arrays, json.dumps(card)) for name, (arrays, card) in told.items()}


@pytest.mark.parametrize("how", ["stacked", "highest", "multiclass"])
def test_a_model_that_was_written_and_read_says_the_same(request, labelled, tmp_path, how):
    model = replace(
        request.getfixturevalue(how).model,
        information={"labels": {"hip": 36}},
        prior={"hip": 0.1, "top": 0.2, "bottom": 0.3, "misc": 0.4},
    )
    write_model(tmp_path / "m", *model.to_record())
    again = Model.from_record(*read_model(tmp_path / "m"))
    assert again.score_patches(labelled.patches).equals(model.score_patches(labelled.patches))
    judged = model.score_patches(labelled.patches)
    assert again.classify(judged).equals(model.classify(judged))
    for name in ("signal", "prior", "domain", "information", "classes", "lights", "size"):
        assert getattr(again, name) == getattr(model, name), name
    assert again.combiner.kinds == model.combiner.kinds
    assert again.working_point.to_record() == model.working_point.to_record()
    for name, members in model.experts.items():
        for one, other in zip(members, again.experts[name], strict=True):
            assert (one.training, one.seed, one.failed) == (
                other.training,
                other.seed,
                other.failed,
            )
            np.testing.assert_allclose(one.history, other.history, atol=1e-6)
    # And written once more the bytes are the same.
    write_model(tmp_path / "n", *again.to_record())
    for file in ("weights.safetensors", "card.json"):
        assert (tmp_path / "n" / file).read_bytes() == (tmp_path / "m" / file).read_bytes()


def test_a_vote_is_the_mean_logit_of_an_expert_s_members(stacked, labelled):
    some, ticks = labelled.patches.take(np.arange(10)), []
    votes = stacked.model.votes(some, progress=ticks.append)
    assert sum(ticks) == 10 * 4 * 2
    for name, members in stacked.model.experts.items():
        mean = (members[0].scores(some) + members[1].scores(some)) / 2
        np.testing.assert_allclose(votes[name], mean)
    told = stacked.model.combiner.log_probabilities(list(votes.values()))
    np.testing.assert_array_equal(stacked.model.log_probabilities(some), told)


def test_the_score_is_the_log_odds_of_signal_and_assumes_no_prior(stacked, labelled):
    model = stacked.model
    told = np.log([[0.2, 0.3, 0.4, 0.1], [0.7, 0.1, 0.1, 0.1]])
    np.testing.assert_allclose(model.score(told), np.log([0.2 / 0.8, 0.7 / 0.3]))
    rare = replace(model, prior={"hip": 1e-6, "top": 0.4, "bottom": 0.4, "misc": 0.2 - 1e-6})
    here, there = (m.score_patches(labelled.patches) for m in (model, rare))
    assert here.equals(there)
    # The decision does assume one.
    assert (model.classify(here)["class"] == "hip").sum() > 30
    assert (rare.classify(here)["class"] == "hip").sum() < 30


def test_a_decision_is_the_likeliest_class_at_the_prior(stacked, labelled):
    model = stacked.model
    judged = model.score_patches(labelled.patches)
    log_p = judged[[f"log_p_{c}" for c in model.classes]].to_numpy()
    shares = np.array([0.97, 0.01, 0.01, 0.01])
    told = model.classify(judged, shares)
    p = apply_prior(log_p, shares)
    np.testing.assert_array_equal(told[[f"p_{c}" for c in model.classes]].to_numpy(), p)
    assert told["class"].tolist() == [model.classes[k] for k in p.argmax(1)]


def test_no_patch_is_judged_as_none(stacked, labelled):
    nothing = labelled.patches.take(np.arange(0))
    judged = stacked.model.score_patches(nothing)
    full = stacked.model.score_patches(labelled.patches.take(np.arange(2)))
    assert (len(judged), list(judged.columns)) == (0, list(full.columns))
    told = stacked.model.classify(judged)
    assert list(told.columns) == ["p_hip", "p_top", "p_bottom", "p_misc", "class"]
    assert len(told) == 0


def test_what_each_expert_says_is_kept(stacked, labelled):
    model, some = stacked.model, labelled.patches.take(np.arange(40))
    judged, votes = model.score_patches(some), model.votes(some)
    assert list(judged.columns) == model.score_columns
    for name, said in votes.items():
        np.testing.assert_array_equal(judged[f"logit_{name}"], said)


def test_what_one_expert_says_of_several_classes_is_kept(multiclass, labelled):
    model, some = multiclass.model, labelled.patches.take(np.arange(40))
    columns = [f"logit_all_{c}" for c in model.classes]
    assert model.score_columns[-4:] == columns
    np.testing.assert_array_equal(model.score_patches(some)[columns], model.votes(some)["all"])


def test_an_anomaly_is_far_from_background_alone(stacked, labelled):
    judged = stacked.model.score_patches(labelled.patches)
    is_hip = labelled.label == "hip"
    assert judged["anomaly"][is_hip].median() > 1.5 * judged["anomaly"][~is_hip].median()


def test_another_working_point_leaves_the_rest(stacked):
    figures = (0.9, 0.8, 1.0), (0.1, 0.0, 0.2), (1.0, 0.5, 2)
    point = WorkingPoint.of_one(1.5, "by hand", "nothing", *figures)
    moved = stacked.model.at(point)
    assert moved.working_point == point
    assert moved.experts is stacked.model.experts
    card = json.loads(json.dumps(moved.to_record()[1]))
    assert card["working_point"]["false_per_cm2"] == [1.0, 0.5, 2]
    before = json.loads(json.dumps(stacked.model.to_record()[1]))
    assert before["working_point"]["false_per_tile"] == [None, None, None]


def test_patches_of_other_lights_or_size_are_refused(stacked, labelled):
    model, patches = stacked.model, labelled.patches
    other = replace(patches, lights=Lights((45.0, 135.0, 225.0, 315.0), ("backlit",)))
    small = replace(patches, pixels=patches.pixels[:, :, 1:-1, 1:-1])
    for wrong in (other, small):
        with pytest.raises(BadInput, match=r"patches: expected Lights.*, 16 px, found Lights"):
            model.score_patches(wrong)
        with pytest.raises(BadInput, match=r"patches: expected Lights.*, 16 px, found Lights"):
            compute_saliency(model.experts["hip-top"], wrong)


def _without(key):
    def change(arrays, card):
        del card[key]

    return change


def _setting(value, *keys):
    def change(arrays, card):
        for key in keys[:-1]:
            card = card[key]
        card[keys[-1]] = value

    return change


def _cut(name):
    def change(arrays, card):
        arrays[name] = arrays[name][..., :-1]

    return change


def _dropped(start):
    def change(arrays, card):
        for name in [n for n in arrays if n.startswith(start)]:
            del arrays[name]

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        *(
            (_without(k), "model: expected a card and weights that fit each other")
            for k in (
                "classes",
                "signal",
                "prior",
                "method",
                "kinds",
                "experts",
                "domain",
                "working_point",
                "information",
            )
        ),
        (_dropped("known.means"), "a card and weights that fit each other, found KeyError"),
        (_dropped("combiner"), "a card and weights that fit each other, found KeyError"),
        (_cut("combiner"), "model: weights of the combiner: expected "),
        (_cut("known.means"), r"model: weights known\.means: expected \(4, 3\d\), found \(4, "),
        (_cut("background.whitening"), r"model: weights background\.whitening: expected \(3, "),
        (_cut("known.scale"), r"model: weights known\.scale: expected \(3\d,\), found"),
        (_cut("experts.hip-top.1.head.0.weight"), "expert: expected the weights of network plain"),
        (_dropped("experts.hip-top.1.head.2"), "expert: expected the weights of network plain"),
        (_dropped("experts.pit-misc.0"), "expert: expected the weights of network plain"),
        (_setting("loudest", "method"), "model: method: expected highest or stacked"),
        (_setting("monopole", "signal"), "model: signal: expected hip or top or bottom or misc"),
        (_setting({"hip": 1.0}, "prior"), "prior: expected the shares of hip, top, bottom, misc"),
        (_setting(0.9, "prior", "hip"), "prior: expected shares that sum to 1"),
        (_setting([], "experts", "hip-top"), "model: expert hip-top: expected at least one, found"),
        (_setting([], "kinds"), "model: kinds: expected "),
        (_setting(3, "kinds", 0, "groups"), "model: kinds: hip-top: expected "),
        (
            _setting([["hip"], ["top"], ["misc"]], "kinds", 0, "groups"),
            "model: expert hip-top: expected 3 outputs, found 1",
        ),
        (
            _setting([["hip"], ["dust"]], "kinds", 0, "groups"),
            "expert hip-top: expected classes of hip, top, bottom, misc, found dust",
        ),
        (
            _setting("deep", "experts", "hip-top", 0, "training", "network"),
            "network: expected plain or each-lamp",
        ),
        (_setting(1, "experts", "hip-top", 0, "training", "depht"), "training: expected network, "),
        (
            _setting("x", "experts", "hip-top", 0, "size"),
            "expert: expected the record of an expert",
        ),
        *(
            (_setting(size, "experts", "hip-top", 0, "size"), "expert: size: expected 1 to 1024")
            for size in (0, -16, 10**9)
        ),
        (
            _setting(10**12, "experts", "hip-top", 0, "outputs"),
            "expert: outputs: expected 1 to 1000, found 1000000000000",
        ),
        (
            _setting(["halo"] * 10**5, "experts", "hip-top", 0, "lights", "others"),
            "expert: lights: expected 1 to 256, found 1000",
        ),
        (
            _setting(18, "experts", "top-bottom", 1, "size"),
            "patches: expected Lights.*16 px, found",
        ),
        (
            _setting("x", "domain", "limit"),
            "a card and weights that fit each other, found ValueErr",
        ),
        (_setting([5.0], "domain", "pixel_size_um"), "a card and weights that fit each other"),
        (
            _setting("high", "working_point", "classes", 0, "threshold"),
            "a card and weights that fit each other",
        ),
        (_setting([1.0], "working_point", "efficiency"), "a card and weights that fit each other"),
        (_setting([], "working_point", "classes"), "a card and weights that fit each other"),
        (
            _setting(3.0, "working_point", "classes", 0, "from_per_mm2"),
            r"found ValueError\('density classes that begin at \[3.0\] per mm²'\)",
        ),
        (_setting(7, "information"), "a card and weights that fit each other, found TypeError"),
    ],
)
def test_a_card_and_weights_that_do_not_fit_are_one_clear_error(records, change, told):
    arrays, text = records["stacked"]
    arrays, card = dict(arrays), json.loads(text)
    assert Model.from_record(arrays, card).size == 16
    change(arrays, card)
    with pytest.raises(BadInput, match=told):
        Model.from_record(arrays, card)


def test_weights_of_another_way_to_combine_are_refused(records):
    arrays, card = dict(records["stacked"][0]), json.loads(records["highest"][1])
    with pytest.raises(BadInput, match=r"weights of the combiner: expected \(1, 1\), found \(4, "):
        Model.from_record(arrays, card)
    with pytest.raises(BadInput, match="expert: expected the weights of network plain"):
        Model.from_record(records["stacked"][0], json.loads(records["multiclass"][1]))
