import numpy as np

from etchscope.ensemble import find_better_rows, find_partner_rows
from etchscope.foil import as_pits


def test_partners_are_found_by_their_number_whatever_the_rows_order():
    pits = as_pits({"pit": [7, 3, 5, 9], "partner": [3, 7, None, 1]})
    assert find_partner_rows(pits).tolist() == [1, 0, -1, -1]  # the last one's is in no row
    assert find_partner_rows(as_pits({})).shape == (0,)


def test_the_better_opening_of_a_pair_is_the_one_with_the_higher_score():
    score = np.array([5.0, -1, 2, 2, 1, 4, 9, np.nan, 0, 3, np.nan])
    partner = np.array([1, 0, 3, 2, 5, 4, -1, 8, 7, 10, 9])
    before = score.copy()
    # Equal ones are both their own; what has no score, as a mark, neither gives nor takes one.
    assert find_better_rows(score, partner).tolist() == [0, 0, 2, 3, 5, 5, 6, 7, 8, 9, 10]
    np.testing.assert_array_equal(score, before)
    assert find_better_rows(np.empty(0), np.empty(0, int)).shape == (0,)
