from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from etchscope.ensemble import ExpertKind, plan, read_kinds
from etchscope.ensemble import train as module
from etchscope.evaluation import proportion
from etchscope.foil import BadInput
from etchscope.learn import split_folds

CLASSES = ("hip", "top", "bottom", "misc")


def _right(done):
    told = np.array(done.model.classes)[done.log_probabilities.argmax(1)]
    return balanced_accuracy_score(done.labelled.label, told)


@pytest.mark.parametrize("how", ["stacked", "highest", "multiclass"])
def test_every_way_to_combine_tells_unseen_pits_apart(request, make_labelled, how):
    done = request.getfixturevalue(how)
    assert _right(done) > 0.9
    assert done.log_probabilities.shape == (144, 4)
    np.testing.assert_allclose(np.exp(done.log_probabilities).sum(1), 1)
    others = make_labelled(80, seed=5)
    judged = done.model.score_patches(others.patches)
    told = done.model.classify(judged)
    assert balanced_accuracy_score(others.label, told["class"]) > 0.9
    np.testing.assert_allclose(told[[f"p_{c}" for c in CLASSES]].sum(axis=1), 1)
    ranked = judged["score"].sort_values(ascending=False).index[:20]
    assert (others.label[ranked] == "hip").mean() > 0.9


def test_the_experts_are_one_for_each_two_classes_and_pits_against_misc(stacked):
    names = ["hip-top", "hip-bottom", "top-bottom", "pit-misc"]
    assert list(stacked.model.experts) == list(stacked.logits) == names
    assert [len(m) for m in stacked.model.experts.values()] == [2] * 4
    for name, done in stacked.validation.items():
        assert done.balanced_accuracy[0] > 0.9, name
        assert done.trainings["fold"].tolist() == [0, 1]
    assert stacked.validation["pit-misc"].trainings["patches"].sum() == 144
    assert stacked.validation["hip-top"].trainings["patches"].sum() == 72
    np.testing.assert_array_equal(
        stacked.validation["hip-top"].scores[0],
        stacked.logits["hip-top"][np.isin(stacked.labelled.label, ["hip", "top"])],
    )


def test_every_figure_is_from_an_expert_that_had_not_seen_the_region(labelled, stacked):
    tests = list(split_folds(labelled.patches.region, labelled.label, 2, 0))
    assert (sum(t.astype(int) for t in tests) == 1).all()
    for name, members in stacked.model.experts.items():
        for expert, test in zip(members, tests, strict=True):
            held = expert.scores(labelled.patches.take(test))
            np.testing.assert_array_equal(stacked.logits[name][test], held)


def test_a_label_has_no_part_in_its_own_figures(labelled, train, quick):
    """Turn one fold's labels into nonsense: its own logits stay to the last bit."""
    few = replace(quick, epochs=1)
    test = next(split_folds(labelled.patches.region, labelled.label, 2, 0))
    pair = {"classes": ("top", "bottom"), "signal": "top"}
    own = labelled.take(np.isin(labelled.label, ["top", "bottom"]))
    here = train(own, few, **pair)
    fold = next(split_folds(own.patches.region, own.label, 2, 0))
    pixels = own.patches.pixels.copy()
    pixels[fold] = pixels[fold][::-1]
    there = train(replace(own, patches=replace(own.patches, pixels=pixels)), few, **pair)
    one, other = (d.logits["top-bottom"][fold] for d in (here, there))
    np.testing.assert_allclose(other[::-1], one, atol=1e-5)
    assert test.any()


def test_the_same_seed_gives_the_same_model_another_another(labelled, train, quick):
    few = replace(quick, epochs=1)
    one, again, other = (
        train(labelled, few, classes=("top", "bottom"), signal="top", seed=s) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.log_probabilities, again.log_probabilities)
    assert (one.log_probabilities != other.log_probabilities).any()


def test_the_working_point_is_what_so_much_of_the_held_out_signal_reaches(stacked):
    point, is_hip = stacked.model.working_point, stacked.labelled.label == "hip"
    score = stacked.score
    np.testing.assert_array_equal(score, stacked.model.score(stacked.log_probabilities))
    threshold = point.classes[0].threshold
    reached = score[is_hip] >= threshold
    p = proportion(int(reached.sum()), 36)
    assert point.efficiency == (p.value, p.low, p.high)
    assert p.successes == 36  # 99 % of 36
    assert threshold == score[is_hip].min()
    assert np.isnan(point.false_per_tile).all()
    false = int((score[~is_hip] >= threshold).sum())
    assert point.measured_on == (
        f"144 labels held out in cross-validation; {false} of 108 others pass"
    )


def test_half_the_signal_is_a_higher_threshold():
    score, is_signal = np.arange(10.0), np.arange(10) % 2 == 1
    point = module._working_point(score, is_signal, np.ones(10), 0.5)
    assert point.classes[0].threshold == 5  # 9, 7, 5 of 9, 7, 5, 3, 1
    assert point.efficiency[0] == 0.6
    assert point.measured_on.endswith("2 of 5 others pass")
    # A label that two scans show counts once: 9 and 9 are one of two.
    twice = module._working_point(
        np.array([9.0, 9, 1, 0]), np.array([1, 1, 1, 0], bool), np.array([0.5, 0.5, 1, 1]), 0.5
    )
    assert twice.classes[0].threshold == 9
    assert twice.efficiency[0] == 0.5
    assert twice.measured_on.startswith("3 labels")


def test_the_domain_is_that_of_the_labels(stacked, labelled):
    domain = stacked.model.domain
    assert domain.recipe == "recipe-1"
    assert domain.pixel_size_um == pytest.approx((6.45 * 0.85, 6.45 * 1.15))
    assert domain.density_per_mm2 == pytest.approx(
        1.5 * np.percentile(labelled.density_per_mm2, 99)
    )
    distance = stacked.model.score_patches(labelled.patches)["distance"].to_numpy()
    assert (distance > domain.usual).sum() == 2  # 1 % of 144
    assert domain.holds(distance, labelled.density_per_mm2).mean() > 0.98
    noise = np.random.default_rng(0).normal(0, 3, labelled.patches.pixels.shape)
    strange = replace(labelled.patches, pixels=noise.astype(np.float32))
    far = stacked.model.score_patches(strange)["distance"].to_numpy()
    assert not domain.holds(far, labelled.density_per_mm2).any()
    assert domain.is_foreign(far)
    assert not domain.is_foreign(distance)


def test_without_scale_or_density_the_domain_asks_for_neither(labelled, train, quick):
    nothing = np.full(len(labelled.label), np.nan)
    bare = replace(labelled, density_per_mm2=nothing, pixel_size_um=nothing)
    pair = {"classes": ("top", "bottom"), "signal": "top"}
    few = replace(quick, epochs=1)
    domain = train(bare, few, **pair).model.domain
    assert (domain.pixel_size_um, domain.density_per_mm2) == (None, None)
    # What is usual comes from the context, where one is given.
    wide = replace(labelled.patches, pixels=2 * labelled.patches.pixels)
    other = train(bare, few, **pair, context=wide).model.domain
    assert other.usual > domain.usual
    assert other.limit > other.usual


def test_a_class_more_is_data_and_not_code(make_labelled, train, quick):
    classes = ("hip", "top", "bottom", "misc", "top.spallation")
    more = make_labelled(120, classes=CLASSES)
    said = more.label.astype("U20")
    rows = np.flatnonzero(said == "top")[::2]
    said[rows] = "top.spallation"
    pixels = more.patches.pixels.copy()
    pixels[rows, :4] *= 3
    more = replace(more, label=said, patches=replace(more.patches, pixels=pixels))
    one = train(more, quick, classes=classes, method="multiclass")
    assert one.logits["all"].shape == (120, 5)
    assert _right(one) > 0.8
    done = train(more, replace(quick, epochs=1), classes=classes)
    assert list(done.model.experts)[-2:] == ["bottom-top.spallation", "pit-misc"]
    assert len(done.model.experts) == 7
    assert done.log_probabilities.shape == (120, 5)


def test_an_expert_more_is_data_and_its_groups_may_be_several(labelled, train, quick):
    kinds = read_kinds(
        {
            "hip-single": [["hip"], ["top", "bottom"]],
            "surface": [["top"], ["bottom"]],
            "three": [["misc"], ["hip"], ["top", "bottom"]],
        }
    )
    done = train(labelled, quick, kinds=kinds)
    assert list(done.model.experts) == ["hip-single", "surface", "three"]
    assert done.logits["surface"].shape == (144,)
    assert done.logits["three"].shape == (144, 3)
    assert _right(done) > 0.9


def test_labels_of_other_classes_are_left_out_and_counted_by_progress(labelled, train, quick):
    ticks = []
    done = train(
        labelled,
        replace(quick, epochs=1),
        classes=("hip", "top", "bottom"),
        prior={"hip": 0.2, "top": 0.3, "bottom": 0.5},
        progress=ticks.append,
    )
    assert set(done.labelled.label) == {"hip", "top", "bottom"}
    assert len(done.labelled.source) == len(done.score) == 108
    assert done.labelled.source["id"].tolist() == np.flatnonzero(labelled.label != "misc").tolist()
    assert sum(ticks) == 6
    assert done.model.prior == {"hip": 0.2, "top": 0.3, "bottom": 0.5}


def test_training_goes_on_from_a_model_of_as_many_folds_or_fewer(
    stacked, labelled, make_labelled, train, quick
):
    later = make_labelled(96, seed=7)
    still = replace(quick, epochs=1, rate=1e-9, decay=0.0)
    done = train(later, still, start=stacked.model, count=3)
    for name, members in stacked.model.experts.items():
        assert len(done.model.experts[name]) == 3
        for fold, expert in enumerate(done.model.experts[name]):
            begin = members[fold % 2].state
            for key, values in expert.state.items():
                np.testing.assert_allclose(values, begin[key], atol=1e-5)
    assert _right(done) > 0.9
    fresh = train(later, still, count=3)
    assert _right(fresh) < _right(done)


def _of(labelled, **classes):
    """So many labels of each class."""
    rows = [np.flatnonzero(labelled.label == c)[:n] for c, n in classes.items()]
    return labelled.take(np.concatenate(rows))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"signal": "monopole"}, "signal: expected hip or top or bottom or misc, found 'monopole'"),
        ({"classes": (*CLASSES, "dust")}, "class dust: expected 4 labels or more, found 0. Label"),
        ({"count": 30}, "class hip: expected 60 labels or more, found 36"),
        ({"count": 13}, "folds: expected 13 regions or more, found 12. Label more tiles"),
        ({"method": "loudest"}, "method: expected highest or stacked or multiclass, found 'loude"),
        (
            {"prior": {"hip": 1.0}},
            "prior: expected the shares of hip, top, bottom, misc, found hip",
        ),
        ({"efficiency": 0.0}, "working point: efficiency: expected above 0, at most 1, found 0"),
        ({"efficiency": 1.5}, "working point: efficiency: expected above 0, at most 1, found 1.5"),
        (
            {"kinds": (ExpertKind("a", (("hip",), ("dust",))),)},
            "expert a: expected classes of hip, top, bottom, misc, found dust",
        ),
        (
            {"kinds": (ExpertKind("a", (("hip",), ("top", "bottom"))),)},
            "experts: expected one that knows class misc, found none",
        ),
        (
            {
                "kinds": (
                    ExpertKind("a", (("hip",), ("top",))),
                    ExpertKind("a", (("top",), ("misc",))),
                )
            },
            "experts: expected a name of its own for each, found a twice",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_training(
    labelled, train, monkeypatch, options, told
):
    monkeypatch.setattr(plan, "train_expert", None)
    with pytest.raises(BadInput, match=told):
        train(labelled, **options)


def test_a_class_of_few_labels_is_named(labelled, train):
    few = _of(labelled, hip=36, top=36, bottom=3, misc=36)
    with pytest.raises(BadInput, match="class bottom: expected 4 labels or more, found 3"):
        train(few)


def test_a_class_that_lives_in_one_region_cannot_be_held_out(labelled, train):
    here = np.flatnonzero((labelled.label == "misc") & (labelled.patches.region == 3))
    rest = np.flatnonzero(labelled.label != "misc")
    rows = np.concatenate([rest, here, here])
    with pytest.raises(BadInput, match=r"set: expected labels of the (first|second) class"):
        train(labelled.take(rows))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"method": "multiclass"},
            "model to start from: expected an expert all of the same classes, found hip-top, hip-b",
        ),
        (
            {"kinds": (ExpertKind("hip-top", (("top", "misc"), ("hip", "bottom"))),)},
            "model to start from: expected an expert hip-top of the same classes",
        ),
    ],
)
def test_a_model_of_other_experts_is_no_start(labelled, train, stacked, options, told):
    with pytest.raises(BadInput, match=told):
        train(labelled, start=stacked.model, **options)


def test_a_model_of_another_network_is_no_start(labelled, train, stacked, quick):
    with pytest.raises(BadInput, match=r"training: expected the network to start from, .*'plain'"):
        train(labelled, replace(quick, network="azimuth"), start=stacked.model)


def test_the_share_of_a_label_reaches_the_experts_and_the_combiner(
    labelled, train, quick, monkeypatch
):
    share = np.where(np.arange(len(labelled.label)) % 3 == 0, 0.5, 1.0)
    own = {"experts": [], "combiner": []}
    trained, fitted = plan.train_expert, module.fit_combiner

    def train_expert(patches, target, training, **options):
        own["experts"].append((patches.row, options["weight"]))
        return trained(patches, target, training, **options)

    def fit_combiner(method, logits, said, classes, kinds, weight):
        own["combiner"].append((len(said), weight))
        return fitted(method, logits, said, classes, kinds, weight)

    monkeypatch.setattr(plan, "train_expert", train_expert)
    monkeypatch.setattr(module, "fit_combiner", fit_combiner)
    few = replace(quick, epochs=1)
    train(replace(labelled, share=share), few, classes=("top", "bottom"), signal="top")
    pair = np.isin(labelled.label, ["top", "bottom"])
    assert len(own["experts"]) == 2
    for row, weight in own["experts"]:
        np.testing.assert_array_equal(weight, share[row])
    (count, weight), *cross = own["combiner"]
    assert count == pair.sum()
    np.testing.assert_array_equal(weight, share[pair])
    assert sum(len(w) for _, w in cross) == count
