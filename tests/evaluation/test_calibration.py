import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etchscope.evaluation import (
    CALIBRATION_COLUMNS,
    calibration_table,
    expected_calibration_error,
    proportion,
)
from etchscope.foil import BadInput


def test_an_example_by_hand():
    p = np.array([0.9, 0.2, 0.1, 0.6, 0.3, 0.8])
    came_true = np.array([True, False, False, True, True, False])
    t = calibration_table(p, came_true, bins=2)
    # Ranks 1–3 are 0.1 no, 0.2 no, 0.3 yes; ranks 4–6 are 0.6 yes, 0.8 no, 0.9 yes.
    assert tuple(t.columns) == CALIBRATION_COLUMNS
    assert t["low_p"].tolist() == [0.1, 0.6]
    assert t["high_p"].tolist() == [0.3, 0.9]
    assert t["mean_p"].tolist() == pytest.approx([0.2, 2.3 / 3])
    assert t["successes"].tolist() == [1, 2]
    assert t["trials"].tolist() == [3, 3]
    assert t["value"].tolist() == pytest.approx([1 / 3, 2 / 3])
    exact = [proportion(1, 3), proportion(2, 3)]
    assert t["low"].tolist() == [q.low for q in exact]
    assert t["high"].tolist() == [q.high for q in exact]
    # (3 · |0.2 − 1/3| + 3 · |2.3/3 − 2/3|) / 6
    assert expected_calibration_error(t) == pytest.approx((0.4 / 3 + 0.1) / 2)


def test_bins_are_weighted_by_their_cases():
    table = pd.DataFrame({"mean_p": [0.1, 0.9], "value": [0.1, 0.5], "trials": [3, 1]})
    assert expected_calibration_error(table) == pytest.approx(0.1)


def test_equal_probabilities_share_a_bin():
    p = np.array([0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9, 1.0])
    t = calibration_table(p, p > 0.6, bins=5)
    assert t["trials"].tolist() == [1, 7, 2]
    assert t["low_p"].tolist() == [0.0, 0.5, 0.9]
    # Ranks 2 to 4 of 6 are equal: their middle is in the first half, all of them go there.
    p = np.array([0.1, 0.5, 0.5, 0.5, 0.8, 0.9])
    assert calibration_table(p, p > 0.6, bins=2)["trials"].tolist() == [4, 2]
    one = calibration_table(np.full(50, 0.1 + 0.2), np.zeros(50, bool))
    assert one[["low_p", "mean_p", "high_p"]].iloc[0].tolist() == [0.1 + 0.2] * 3


def test_bins_hold_equal_numbers():
    rng = np.random.default_rng(1)
    p = rng.permutation(rng.beta(0.2, 2, 1003))
    trials = calibration_table(p, p > 0.5, bins=10)["trials"]
    assert len(trials) == 10
    assert set(trials) <= {100, 101}


@given(
    st.lists(st.tuples(st.sampled_from([0, 0.1, 0.25, 0.5, 1.0]), st.booleans()), max_size=60),
    st.integers(1, 12),
)
def test_every_case_is_in_one_bin(cases, bins):
    p = np.array([c[0] for c in cases], float)
    came_true = np.array([c[1] for c in cases], bool)
    t = calibration_table(p, came_true, bins)
    assert t["trials"].sum() == len(cases)
    assert t["successes"].sum() == came_true.sum()
    assert len(t) <= bins
    assert (t["low_p"].to_numpy()[1:] > t["high_p"].to_numpy()[:-1]).all()
    assert ((t["low_p"] <= t["mean_p"]) & (t["mean_p"] <= t["high_p"])).all()


def test_only_what_is_calibrated_looks_so():
    rng = np.random.default_rng(7)
    p = rng.uniform(0, 1, 40_000)
    honest = rng.uniform(0, 1, p.size) < p
    bragging = rng.uniform(0, 1, p.size) < 0.5 + (p - 0.5) / 2  # half as sure as it says
    table = calibration_table(p, honest)
    assert expected_calibration_error(table) < 0.01
    # |p − (0.5 + (p − 0.5)/2)| = |p − 0.5|/2, on average 1/8.
    error = expected_calibration_error(calibration_table(p, bragging))
    assert error == pytest.approx(1 / 8, abs=0.01)
    assert (table["low"] <= table["mean_p"]).sum() >= 9
    assert (table["high"] >= table["mean_p"]).sum() >= 9


def test_no_case_says_nothing():
    t = calibration_table(np.zeros(0), np.zeros(0, bool))
    assert tuple(t.columns) == CALIBRATION_COLUMNS
    assert not len(t)
    assert math.isnan(expected_calibration_error(t))


def test_the_inputs_are_unchanged():
    p, came_true = np.array([0.9, 0.1]), np.array([True, False])
    calibration_table(p, came_true)
    assert p.tolist() == [0.9, 0.1]
    assert came_true.tolist() == [True, False]


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01, np.inf])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(BadInput, match=r"probability: expected numbers in \[0, 1\], found 1 out"):
        calibration_table(np.array([0.5, bad]), np.array([True, False]))
    edges = calibration_table(np.array([0.0, 1.0]), np.array([False, True]))
    assert edges["trials"].sum() == 2


def test_what_does_not_fit_is_refused():
    p = np.array([0.5, 0.6])
    with pytest.raises(BadInput, match="two vectors of one length, found shapes"):
        calibration_table(p, np.array([True]))
    with pytest.raises(BadInput, match="outcome: expected bool, found int"):
        calibration_table(p, np.array([0, 1]))
    with pytest.raises(BadInput, match="bins: expected 1 or more, found 0"):
        calibration_table(p, p > 0.5, bins=0)
