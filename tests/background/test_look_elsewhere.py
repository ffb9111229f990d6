import numpy as np
import pandas as pd
import pytest

from etchscope.background.look_elsewhere import expected_above, rank_candidates
from etchscope.foil import BadInput

BACKGROUND = pd.DataFrame({"score": [0.0, 5.0, 10.0], "expected": [20.0, 2.0, 0.01]})


def test_expected_numbers_are_interpolated_and_bounded():
    number, is_known = expected_above([0.0, 2.5, 10.0, 12.0, -1.0], BACKGROUND)
    assert number == pytest.approx([20, np.sqrt(40), 0.01, 0.01, 20])
    assert is_known.tolist() == [True, True, True, False, False]


def test_the_best_candidate_alone_has_the_probability_of_any_false_one():
    ranking = rank_candidates([7.5], BACKGROUND, toys=200_000)
    expected = 1 - np.exp(-np.sqrt(2 * 0.01))
    assert ranking.table["p"][0] == pytest.approx(expected)
    assert ranking.p_global == pytest.approx(expected, abs=4 * ranking.p_global_error)
    assert ranking.valid


def test_a_score_beyond_the_table_is_not_valid():
    ranking = rank_candidates([40.0, 1.0], BACKGROUND, toys=2000)
    assert not ranking.valid
    assert "beyond those for which background was measured" in ranking.why
    assert ranking.table["p"][0] == pytest.approx(1 - np.exp(-0.01))


@pytest.mark.parametrize("error", [0.0, 0.4])
def test_rankings_of_background_alone_have_small_p_values_as_often_as_they_say(error):
    rng = np.random.default_rng(8)
    seen = []
    for seed in range(200):
        factor = rng.gamma(error**-2, error**2) if error else 1.0
        above = np.sort(rng.uniform(0.01, 20, rng.poisson(20 * factor)))[:20]
        scores = np.interp(-np.log(above), -np.log(BACKGROUND["expected"]), BACKGROUND["score"])
        ranking = rank_candidates(scores, BACKGROUND, relative_error=error, toys=300, seed=seed)
        seen.append(ranking.p_global)
    for p in (0.1, 0.3):
        share = np.mean(np.array(seen) <= p)
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / len(seen))


def test_signal_at_any_rank_stands_out_beyond_the_trials():
    quiet = rank_candidates([5.0], BACKGROUND, toys=5000)
    several = rank_candidates([7.0, 6.9, 6.8, 6.7], BACKGROUND, toys=20_000)
    assert quiet.p_global > 0.5
    assert several.p_global < 0.02
    assert several.p_global > several.table["p"].min()


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ({"score": [1.0], "expected": [1.0]}, "1 rows of score, expected"),
        ({"score": [1.0, 2.0]}, "2 rows of score"),
        ({"score": [1.0, 2.0], "expected": [1.0, 0.0]}, "other values. Where no false candidate"),
        ({"score": [1.0, 2.0], "expected": [1.0, np.nan]}, "other values"),
        ({"score": [1.0, 2.0], "expected": [1.0, 3.0]}, "another order"),
        ({"score": [1.0, 1.0], "expected": [2.0, 1.0]}, "another order"),
    ],
)
def test_tables_that_state_no_background_are_refused(table, found):
    with pytest.raises(BadInput, match=f"^expected false candidates: .* found {found}"):
        expected_above([1.5], pd.DataFrame(table))


def test_other_bad_input_is_refused():
    with pytest.raises(BadInput, match="candidates: expected at least one candidate, found none"):
        rank_candidates([], BACKGROUND)
    with pytest.raises(BadInput, match="score: expected finite numbers"):
        rank_candidates([np.nan], BACKGROUND)
    with pytest.raises(BadInput, match="relative error: expected a number of 0 or more, found -1"):
        rank_candidates([1.0], BACKGROUND, relative_error=-1)
    with pytest.raises(BadInput, match="toys: expected at least 1, found 0"):
        rank_candidates([1.0], BACKGROUND, toys=0)
