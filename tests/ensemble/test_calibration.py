import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from etchscope.ensemble import (
    AS_TAUGHT,
    MEASURES,
    Calibration,
    abundance_of,
    fit_calibration,
    measures_of,
    pair_evidence,
)
from etchscope.foil import BadInput, PitFlag, as_pits
from etchscope.run.experts import SHIPPED
from etchscope.store import read_model


def _openings(**columns):
    n = len(columns["surface"])
    usual = {"pit": range(n), "radius_px": [5.0] * n, "contrast": [0.3] * n}
    return as_pits(usual | {"density_per_mm2": [20.0] * n} | columns)


def _measures(n, *, share, seed=0, apart=2.0):
    """Candidates of which the experts' odds are the ratio of likelihoods, of so much signal."""
    rng = np.random.default_rng(seed)
    is_signal = rng.random(n) < share
    seen = rng.normal(np.where(is_signal, apart / 2, -apart / 2))
    table = pd.DataFrame(rng.normal(size=(n, len(MEASURES))), columns=list(MEASURES))
    # Experts are sure of themselves by a factor too much, and told a constant too little.
    return table.assign(experts=2 * apart * seen - 1.5), is_signal, apart * seen


def test_partners_are_heard_by_how_likely_they_are_one_particle():
    pits = _openings(
        surface=["top", "top", "top", "unknown", "top"],
        hip=[4.0, 0.0, -5.0, 3.0, 3.0],
        flags=[0, 0, 0, 0, int(PitFlag.STEEP_PAIR)],
    )
    told = pair_evidence(pits)
    assert told[0] == pytest.approx(np.log(0.2 + 0.8 * np.exp(4)))
    assert told[1] == 0
    assert told[2] == pytest.approx(np.log(0.2), abs=0.03)  # the exit pit is hidden
    assert told[3:].tolist() == [0, 0]  # no surface; two openings at one place


def test_partners_have_the_measures_of_the_entry_pit_and_the_mean_of_both_votes():
    pits = _openings(
        surface=["bottom", "top", "top", "bottom", "top"],
        partner=[1, 0, 3, 2, None],
        pair_dx_px=[-5.0, 5.0, 30.0, -30.0, None],
        pair_dy_px=[0.0, 0.0, 0.0, 0.0, None],
        radius_px=[4.0, 6.0, 5.0, 7.0, 3.0],
        entry=[None, 3.0, 1.0, None, 2.0],
        exit=[1.5, 0.5, None, 2.5, None],
    )
    experts = np.array([2.0, -1.0, 0.5, 1.5, np.nan])
    told = measures_of(pits, experts)
    assert list(told.columns) == list(MEASURES)
    np.testing.assert_array_equal(told.iloc[0], told.iloc[1])
    # Partners far apart speak for themselves.
    assert told["experts"].tolist()[:4] == [0.5, 0.5, 0.5, 1.5]
    assert told["experts_apart"].tolist() == [3, 3, 0, 0, 0]
    # Labels teach nothing of exit pits: such experts are heard where they are surer.
    heard = AS_TAUGHT.score(told.assign(pair=0.0))
    np.testing.assert_allclose(heard[:4], [2, 2, 0.5, 1.5])
    np.testing.assert_allclose(np.exp(told["log_radius"]), [6, 6, 5, 7, 3])
    assert told["entry"].tolist() == [3, 3, 1, -6, 2]
    assert told["no_exit"].tolist() == [0, 0, 1, 0, 1]
    # Only what no expert judged, as a mark, has no score.
    assert np.isfinite(told.iloc[:4].to_numpy()).all()
    assert np.isnan(AS_TAUGHT.score(told)).tolist() == [False] * 4 + [True]


def test_the_score_of_taught_experts_adds_a_share_of_the_pair():
    pits = _openings(surface=["top"], hip=[2.0])
    told = measures_of(pits, np.array([1.25]))
    assert AS_TAUGHT.score(told) == pytest.approx(1.25 + 0.38 * pair_evidence(pits))


def test_a_fitted_score_is_the_log_of_the_ratio_of_likelihoods():
    measures, is_signal, ratio = _measures(60_000, share=0.1)
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
    measures = _measures(60_000, share=0.5, seed=4)[0]
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
    measures = _measures(60_000, share=0.5, seed=8)[0]
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
    measures = _measures(150_000, share=0.5, seed=6)[0]
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
    measures, _, _ = _measures(true + others, share=0.5)
    is_signal = np.arange(true + others) < true
    with pytest.raises(BadInput, match=r"calibration: expected 30 candidates .* found 10"):
        fit_calibration(measures, is_signal, fitted_on="x")


@pytest.mark.parametrize(("n", "share"), [(600, 0.5), (3000, 0.05), (20_000, 0.005)])
def test_the_signal_of_a_foil_is_within_its_interval_and_probabilities_come_true(n, share):
    inside, errors = 0, []
    for seed in range(20):
        _, is_signal, ratio = _measures(n, share=share, seed=seed, apart=2.5)
        usual = np.full(n, -1.0)  # on the foils of the calibration signal was of another abundance
        told = abundance_of(ratio, usual)
        value, low, high = told.expected
        assert low <= value <= high
        inside += low <= is_signal.sum() <= high
        p = told.probability(ratio + usual)
        assert p.sum() == pytest.approx(value, rel=0.1)
        errors.append(p.sum() / is_signal.sum() - 1)
    assert inside >= 16
    assert np.mean(errors) == pytest.approx(0, abs=0.12)


def test_without_signal_hardly_any_is_expected():
    told = [
        abundance_of(_measures(5000, share=0.0, seed=seed)[2], np.zeros(5000)).expected
        for seed in range(20)
    ]
    assert np.mean([low < 0.5 for _, low, _ in told]) >= 0.9
    assert np.median([value for value, _, _ in told]) < 10


def test_foils_that_differ_widen_the_interval_of_the_signal():
    ratio = _measures(3000, share=0.05)[2]
    usual = np.zeros(3000)
    narrow, wide = abundance_of(ratio, usual).expected, abundance_of(ratio, usual, 1.0).expected
    assert wide[1] < 0.3 * narrow[1]
    assert wide[2] > 3 * narrow[2]


def test_no_candidates_speak_for_nothing():
    told = abundance_of(np.empty(0), np.empty(0))
    assert told.expected == (0, 0, 0)
    assert told.probability(np.array([0.0, np.nan])).shape == (2,)
    assert np.isnan(told.probability(np.array([np.nan]))[0])


def test_a_calibration_is_kept_as_json():
    measures, is_signal, _ = _measures(2000, share=0.2)
    done = fit_calibration(measures, is_signal, fitted_on="drawn candidates")
    assert Calibration.from_record(done.to_record()) == done
    assert Calibration.from_record(AS_TAUGHT.to_record()) == AS_TAUGHT
    record = done.to_record()
    record["weights"]["colour"] = 1.0
    with pytest.raises(BadInput, match=r"model: calibration: expected .* found colour"):
        Calibration.from_record(record)
    with pytest.raises(ValueError, match="not known"):
        AS_TAUGHT.log_abundance(measures)


def test_the_card_that_is_shipped_was_calibrated_on_random_foils():
    card = read_model(SHIPPED)[1]
    done = Calibration.from_record(card["calibration"])
    assert done.to_record() == card["calibration"]
    # Size and contrast say what they say for one kind of foil only.
    assert set(done.weights) == {"experts", "experts_apart", "pair", "log_density"}
    assert done.slopes == {}
    assert min(done.weights["experts"], done.weights["pair"]) > 0
    assert "random foils" in done.fitted_on
    assert done.spread > 0
    at, odds = np.array(done.abundance).T
    slope = np.polyfit(at, odds, 1)[0]
    assert slope == pytest.approx(-1, abs=0.15)  # signal is as abundant in crowds as elsewhere
