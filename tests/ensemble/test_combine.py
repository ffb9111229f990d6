import numpy as np
import pytest

from etchscope.ensemble import (
    ExpertKind,
    default_kinds,
    fit_combiner,
    log_votes,
    multiclass_kind,
    read_kinds,
)
from etchscope.ensemble.combine import read_combiner
from etchscope.foil import BadInput

CLASSES = ("hip", "top", "bottom", "misc")
KINDS = default_kinds(CLASSES)


def _planted(n=400, *, sharp=1.5, seed=0, classes=CLASSES, kinds=KINDS, shares=None):
    """Logits of good experts that know nothing of a class that they were not taught."""
    rng = np.random.default_rng(seed)
    said = rng.choice(classes, n, p=shares)
    logits = []
    for kind in kinds:
        taught = np.isin(said, kind.classes)
        side = np.where(taught, 2.0 * np.isin(said, kind.groups[0]) - 1, 0)
        logits.append(sharp * side + rng.normal(0, 1, n))
    return said, logits


def test_votes_by_hand():
    """Two experts of three classes: the logarithms of what each says are added."""
    kinds = (ExpertKind("a-b", (("a",), ("b",))), ExpertKind("ab-c", (("a", "b"), ("c",))))
    logits = [np.array([np.log(3)]), np.array([np.log(4)])]
    told = np.exp(log_votes(logits, kinds, ("a", "b", "c"))[0])
    # a: 3/4 · 4/5; b: 1/4 · 4/5; c, that the first does not know: √(3/4 · 1/4) · 1/5.
    raw = np.array([0.6, 0.2, np.sqrt(3 / 16) / 5])
    np.testing.assert_allclose(told, raw / raw.sum())


def test_one_expert_of_all_classes_votes_as_it_says():
    kind = multiclass_kind(("a", "b", "c"))
    logits = np.log([[0.2, 0.5, 0.3]]) + 7
    told = log_votes([logits], [kind], ("c", "a", "b"))
    np.testing.assert_allclose(np.exp(told), [[0.3, 0.2, 0.5]])


@pytest.mark.parametrize("method", ["stacked", "highest"])
def test_a_combiner_tells_unseen_pits_apart_and_its_probabilities_come_true(method):
    said, logits = _planted(1400)
    combiner = fit_combiner(method, logits, said, CLASSES, KINDS)
    assert (combiner.method, combiner.classes, combiner.kinds) == (method, CLASSES, KINDS)
    others, unseen = _planted(4000, seed=1)
    p = np.exp(combiner.log_probabilities(unseen))
    np.testing.assert_allclose(p.sum(1), 1)
    told = np.array(CLASSES)[p.argmax(1)]
    assert (told == others).mean() > 0.88
    # Calibrated: as many are right as it is sure of, where it is unsure as where it is sure.
    sure = p.max(1)
    for low, high in ((0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        here = (sure >= low) & (sure < high)
        right = (told == others)[here].mean()
        assert abs(right - sure[here].mean()) < 0.1, (low, high)


def test_stacking_learns_which_expert_to_believe():
    """The last expert knows nothing: its noise is not multiplied in."""
    said, logits = _planted(800)
    logits[1] = 6 * np.random.default_rng(5).normal(0, 1, 800)
    others, unseen = _planted(2000, seed=1)
    unseen[1] = 6 * np.random.default_rng(6).normal(0, 1, 2000)
    right = {}
    for method in ("stacked", "highest"):
        p = fit_combiner(method, logits, said, CLASSES, KINDS).log_probabilities(unseen)
        right[method] = (np.array(CLASSES)[p.argmax(1)] == others).mean()
    assert right["stacked"] > right["highest"] + 0.1
    assert right["stacked"] > 0.75


def test_probabilities_are_those_at_equal_shares_however_rare_a_class_is():
    shares = [0.1, 0.2, 0.6, 0.1]
    said, logits = _planted(4000, sharp=0.8, shares=shares)
    combiner = fit_combiner("stacked", logits, said, CLASSES, KINDS)
    others, even = _planted(8000, sharp=0.8, seed=2)
    p = np.exp(combiner.log_probabilities(even))
    for k, name in enumerate(CLASSES):
        assert p[:, k].mean() == pytest.approx((others == name).mean(), abs=0.04)


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_one_temperature_takes_back_what_experts_overstate(scale):
    kinds = (ExpertKind("a-b", (("a",), ("b",))),)
    rng = np.random.default_rng(3)
    odds = rng.normal(0, 2, 5000)
    said = np.where(rng.random(5000) < 1 / (1 + np.exp(-odds)), "a", "b")
    combiner = fit_combiner("highest", [scale * odds], said, ("a", "b"), kinds)
    assert combiner.weights.shape == (1, 1)
    assert combiner.weights[0, 0] * scale == pytest.approx(1, abs=0.1)


def test_two_classes_are_stacked_as_the_regression_says():
    kinds = (ExpertKind("a-b", (("a",), ("b",))),)
    rng = np.random.default_rng(4)
    odds = rng.normal(0, 2, 4000)
    said = np.where(rng.random(4000) < 1 / (1 + np.exp(-odds)), "a", "b")
    combiner = fit_combiner("stacked", [odds], said, ("a", "b"), kinds)
    grid = np.linspace(-3, 3, 7)
    p = np.exp(combiner.log_probabilities([grid]))
    np.testing.assert_allclose(p[:, 0], 1 / (1 + np.exp(-grid)), atol=0.05)
    turned = fit_combiner("stacked", [odds], said, ("b", "a"), kinds)
    np.testing.assert_allclose(np.exp(turned.log_probabilities([grid])), p[:, ::-1], atol=1e-3)


def test_only_differences_of_many_logits_count():
    rng = np.random.default_rng(0)
    classes = ("a", "b", "c")
    kinds = (multiclass_kind(classes), ExpertKind("a-b", (("a",), ("b",))))
    said = rng.choice(classes, 90)
    logits = rng.normal(0, 1, (90, 3)) + 3 * (said[:, None] == np.array(classes))
    pair = rng.normal(0, 1, 90)
    for method in ("stacked", "highest"):
        combiner = fit_combiner(method, [logits, pair], said, classes, kinds)
        here = combiner.log_probabilities([logits, pair])
        shifted = combiner.log_probabilities([logits + rng.normal(0, 5, (90, 1)), pair])
        np.testing.assert_allclose(shifted, here, atol=1e-9)


def test_a_logit_far_out_does_not_rule():
    said, logits = _planted()
    combiner = fit_combiner("stacked", logits, said, CLASSES, KINDS)
    far = [np.full(1, 12.0), *(np.zeros(1) for _ in KINDS[1:])]
    farther = [np.full(1, 1e9), *far[1:]]
    np.testing.assert_array_equal(
        combiner.log_probabilities(far), combiner.log_probabilities(farther)
    )


def test_what_cannot_be_combined_is_refused():
    said, logits = _planted()
    with pytest.raises(BadInput, match="method: expected highest or stacked, found 'loudest'"):
        fit_combiner("loudest", logits, said, CLASSES, KINDS)
    with pytest.raises(BadInput, match="labels: expected some of each class, found none of dust"):
        fit_combiner("stacked", logits, said, (*CLASSES, "dust"), KINDS)


@pytest.mark.parametrize("method", ["stacked", "highest"])
def test_a_card_s_combiner_is_the_same_and_other_shapes_are_refused(method):
    kinds = (*read_kinds({"three": [["misc"], ["hip"], ["top", "bottom"]]}), *KINDS)
    said, logits = _planted()
    logits = [np.stack([logits[3], logits[0], -logits[0]], 1), *logits]
    combiner = fit_combiner(method, logits, said, CLASSES, kinds)
    card = {"method": method, "classes": list(CLASSES)}
    again = read_combiner(card, combiner.weights, kinds)
    np.testing.assert_array_equal(
        again.log_probabilities(logits), combiner.log_probabilities(logits)
    )
    with pytest.raises(BadInput, match="model: weights of the combiner: expected "):
        read_combiner(card, combiner.weights[:, :-1], kinds)
    with pytest.raises(BadInput, match="model: method: expected highest or stacked, found 'sum'"):
        read_combiner(card | {"method": "sum"}, combiner.weights, kinds)


@pytest.mark.parametrize("method", ["stacked", "highest"])
def test_two_copies_of_half_the_weight_count_as_one(method):
    said, logits = _planted(200)
    once = fit_combiner(method, logits, said, CLASSES, KINDS)
    copied = (said == "top") & (logits[0] > np.median(logits[0][said == "top"]))
    which = np.concatenate([np.arange(200), np.flatnonzero(copied)])
    weight = np.where(copied, 0.5, 1.0)[which]
    several = [some[which] for some in logits]
    twice = fit_combiner(method, several, said[which], CLASSES, KINDS, weight)
    np.testing.assert_allclose(twice.weights, once.weights, atol=1e-3)
    alike = fit_combiner(method, several, said[which], CLASSES, KINDS)
    assert abs(alike.weights - once.weights).max() > 5e-3
