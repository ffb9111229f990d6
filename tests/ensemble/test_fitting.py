import numpy as np
import pytest
from scipy.special import expit
from tests.ensemble.candidates import draw_candidates

from etchscope.ensemble import fit_calibration
from etchscope.foil import BadInput


def test_a_fitted_score_is_the_log_of_the_ratio_of_likelihoods():
    measures, is_signal, ratio = draw_candidates(60_000, share=0.1)
    done = fit_calibration(measures, is_signal, fitted_on="drawn candidates", by_density=False)
    assert done.slopes == {}
    np.testing.assert_allclose(done.score(measures), ratio, atol=0.4)
    assert done.weights["experts"] == pytest.approx(0.5, abs=0.02)
    others = [abs(v) for name, v in done.weights.items() if name != "experts"]
    assert max(others) < 0.06
    abundance = done.log_abundance(measures)
    assert expit(abundance).mean() == pytest.approx(0.1, abs=0.005)
    p = expit(done.score(measures) + abundance)
    for low in (0.02, 0.2, 0.5):
        some = (p > low) & (p < 1.5 * low)
        assert is_signal[some].mean() == pytest.approx(p[some].mean(), rel=0.15)


def test_density_tells_how_abundant_signal_is_and_is_no_part_of_the_score():
    rng = np.random.default_rng(3)
    measures = draw_candidates(60_000, share=0.5, seed=4)[0]
    density = rng.uniform(0, 5, len(measures))
    is_signal = rng.random(len(measures)) < expit(1 - density)
    seen = rng.normal(np.where(is_signal, 1.0, -1.0))
    measures = measures.assign(experts=2 * seen, log_density=density)
    done = fit_calibration(measures, is_signal, fitted_on="x", of=("experts", "log_density"))
    assert list(done.weights) == ["experts", "log_density"]
    assert done.weights["experts"] == pytest.approx(1, abs=0.05)
    at, odds = np.array(done.abundance).T
    assert at[[0, -1]] == pytest.approx((0, 5), abs=0.01)
    np.testing.assert_allclose(odds[:-2], 1 - at[:-2], atol=0.12)
    np.testing.assert_allclose(odds[-2:], 1 - at[-2:], atol=0.25)
    np.testing.assert_allclose(done.score(measures), 2 * seen, atol=0.4)
    # Where no candidates were, signal is as abundant as at the next density.
    far = measures.iloc[:2].assign(log_density=[-3.0, 9.0])
    np.testing.assert_allclose(done.log_abundance(far), odds[[0, -1]])


def test_signal_that_is_steady_in_a_crowd_is_followed():
    rng = np.random.default_rng(7)
    measures = draw_candidates(60_000, share=0.5, seed=8)[0]
    density = rng.uniform(0, 5, len(measures))
    truth = np.log(0.02 + 0.8 * np.exp(-2 * density))
    is_signal = rng.random(len(measures)) < expit(truth)
    done = fit_calibration(
        measures.assign(log_density=density), is_signal, fitted_on="x", of=("log_density",)
    )
    at, odds = np.array(done.abundance).T
    np.testing.assert_allclose(
        odds, np.interp(at, np.sort(density), np.sort(truth)[::-1]), atol=0.3
    )


def test_what_a_vote_is_worth_may_change_with_density():
    rng = np.random.default_rng(5)
    measures = draw_candidates(150_000, share=0.5, seed=6)[0]
    density = rng.uniform(0, 5, len(measures))
    is_signal = rng.random(len(measures)) < 0.3
    apart = 3 - 0.5 * density  # in a crowd experts tell signal from others less well
    seen = rng.normal(np.where(is_signal, apart / 2, -apart / 2))
    measures = measures.assign(experts=seen, log_density=density)
    of = ("experts", "pair", "log_density")
    done = fit_calibration(measures, is_signal, fitted_on="x", of=of)
    assert done.weights["experts"] == pytest.approx(3, abs=0.1)
    assert done.slopes["experts"] == pytest.approx(-0.5, abs=0.03)
    assert done.slopes["pair"] == pytest.approx(0, abs=0.03)
    np.testing.assert_allclose(done.score(measures), apart * seen, atol=0.5)
    alike = fit_calibration(measures, is_signal, fitted_on="x", of=of, by_density=False)
    off = np.abs(alike.score(measures) - apart * seen)
    assert np.median(off) > 5 * np.median(np.abs(done.score(measures) - apart * seen))


@pytest.mark.parametrize(("true", "others"), [(10, 500), (500, 10)])
def test_too_few_candidates_are_refused(true, others):
    measures, _, _ = draw_candidates(true + others, share=0.5)
    is_signal = np.arange(true + others) < true
    with pytest.raises(BadInput, match=r"calibration: expected 30 candidates .* found 10"):
        fit_calibration(measures, is_signal, fitted_on="x")
