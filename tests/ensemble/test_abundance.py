import numpy as np
import pytest
from tests.ensemble.candidates import draw_candidates

from etchscope.ensemble import estimate_abundance


@pytest.mark.parametrize(("n", "share"), [(600, 0.5), (3000, 0.05), (20_000, 0.005)])
def test_the_signal_of_a_foil_is_within_its_interval_and_probabilities_come_true(n, share):
    inside, errors = 0, []
    for seed in range(20):
        _, is_signal, ratio = draw_candidates(n, share=share, seed=seed, apart=2.5)
        usual = np.full(n, -1.0)  # on the foils of the calibration signal was of another abundance
        told = estimate_abundance(ratio, usual)
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
        estimate_abundance(draw_candidates(5000, share=0.0, seed=seed)[2], np.zeros(5000)).expected
        for seed in range(20)
    ]
    assert np.mean([low < 0.5 for _, low, _ in told]) >= 0.9
    assert np.median([value for value, _, _ in told]) < 10


def test_foils_that_differ_widen_the_interval_of_the_signal():
    ratio = draw_candidates(3000, share=0.05)[2]
    usual = np.zeros(3000)
    narrow, wide = (
        estimate_abundance(ratio, usual).expected,
        estimate_abundance(ratio, usual, 1.0).expected,
    )
    assert wide[1] < 0.3 * narrow[1]
    assert wide[2] > 3 * narrow[2]


def test_no_candidates_speak_for_nothing():
    told = estimate_abundance(np.empty(0), np.empty(0))
    assert told.expected == (0, 0, 0)
    assert told.probability(np.array([0.0, np.nan])).shape == (2,)
    assert np.isnan(told.probability(np.array([np.nan]))[0])
