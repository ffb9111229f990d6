import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etchscope.ensemble import apply_prior, check_prior, estimate_prior
from etchscope.foil import BadInput

CLASSES = ("hip", "top", "bottom")
weight = st.floats(1e-3, 1)


def _told(shares, n, *, apart=2.0, seed=0):
    """What a perfect judge says at equal shares of pits that are drawn at others."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(shares), n, p=shares)
    seen = apart * np.eye(len(shares))[truth] + rng.normal(0, 1, (n, len(shares)))
    likelihood = np.stack(
        [-((seen - apart * mean) ** 2).sum(1) / 2 for mean in np.eye(len(shares))], 1
    )
    return likelihood - np.logaddexp.reduce(likelihood, axis=1, keepdims=True), truth


@given(st.lists(weight, min_size=3, max_size=3), st.lists(weight, min_size=3, max_size=3))
def test_another_prior_is_bayes_theorem(likelihood, shares):
    equal = np.array(likelihood) / sum(likelihood)
    shares = np.array(shares) / sum(shares)
    p = apply_prior(np.log(equal)[None], shares)[0]
    np.testing.assert_allclose(p, equal * shares / (equal * shares).sum())
    same = apply_prior(np.log(equal)[None], np.full(3, 1 / 3))[0]
    np.testing.assert_allclose(same, equal)


def test_what_is_all_but_certain_stays_a_number():
    p = apply_prior(np.array([[0.0, -800, -900]]), np.array([1e-12, 0.5, 0.5]))
    np.testing.assert_allclose(p, [[1, 0, 0]], atol=1e-300)


@pytest.mark.parametrize("shares", [(0.02, 0.4, 0.58), (0.6, 0.3, 0.1), (0.001, 0.999, 0.0)])
@pytest.mark.parametrize("apart", [1.5, 4.0])
def test_the_planted_shares_of_a_foil_are_recovered(shares, apart):
    told, truth = _told(shares, 20_000, apart=apart)
    found = estimate_prior(told)
    assert found.sum() == pytest.approx(1)
    assert (found > 0).all()
    here = np.bincount(truth, minlength=3) / 20_000
    np.testing.assert_allclose(found, here, atol=0.025 if apart < 2 else 0.004)
    # Counting the likeliest class would be far off where classes overlap.
    if apart < 2 and max(shares) < 0.9:
        counted = np.bincount(told.argmax(1), minlength=3) / 20_000
        assert np.abs(found - here).max() < 0.5 * np.abs(counted - here).max()


def test_probabilities_at_the_found_prior_come_true():
    told, truth = _told((0.05, 0.15, 0.8), 20_000)
    p = apply_prior(told, estimate_prior(told))
    for k in range(3):
        doubtful = (p[:, k] > 0.2) & (p[:, k] < 0.6)
        assert doubtful.sum() > 100
        assert (truth[doubtful] == k).mean() == pytest.approx(p[doubtful, k].mean(), abs=0.06)


def test_few_pits_change_the_shares_little_and_none_leaves_them_equal():
    np.testing.assert_array_equal(estimate_prior(np.empty((0, 4))), [0.25] * 4)
    sure = np.log([[1 - 2e-9, 1e-9, 1e-9]])
    np.testing.assert_allclose(estimate_prior(sure), [0.5, 0.25, 0.25], atol=1e-6)


def test_shares_are_in_the_order_of_the_classes_and_sum_to_one():
    shares = check_prior({"bottom": 0.5, "hip": 0.2, "top": 0.3}, CLASSES)
    np.testing.assert_allclose(shares, [0.2, 0.3, 0.5])
    assert check_prior({"hip": 0.2, "top": 0.3, "bottom": 0.5005}, CLASSES).sum() == 1


@pytest.mark.parametrize(
    ("prior", "told"),
    [
        (
            {"hip": 0.5, "top": 0.5},
            "prior: expected the shares of hip, top, bottom, found hip, top",
        ),
        (
            {"hip": 0.5, "top": 0.3, "misc": 0.2},
            "the shares of hip, top, bottom, found hip, top, m",
        ),
        ({"hip": 0.0, "top": 0.5, "bottom": 0.5}, "prior: expected shares above 0"),
        ({"hip": -0.5, "top": 0.5, "bottom": 1.0}, "prior: expected shares above 0"),
        ({"hip": float("nan"), "top": 0.5, "bottom": 0.5}, "prior: expected shares above 0"),
        ({"hip": 0.3, "top": 0.3, "bottom": 0.3}, "that sum to 1, found a sum of 0.9"),
    ],
)
def test_shares_that_cannot_be_are_refused(prior, told):
    with pytest.raises(BadInput, match=told):
        check_prior(prior, CLASSES)
