import json
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etchscope.evaluation import match, match_nearest, match_one_to_one
from etchscope.evaluation import matching as module
from etchscope.foil import BadInput

PB = Path(__file__).parents[3] / "shared" / "data" / "moedal_pb"

coordinate = st.integers(0, 12).map(float)
points = st.lists(st.tuples(coordinate, coordinate), max_size=4)


def _brute_force(truth, found, tolerance):
    """The greatest number of matches, and the least sum of squares for it."""
    for size in range(min(len(truth), len(found)), 0, -1):
        sums = []
        for rows in combinations(truth, size):
            for columns in permutations(found, size):
                squares = ((np.array(rows) - np.array(columns)) ** 2).sum(axis=1)
                if (squares < tolerance**2).all():
                    sums.append(squares.sum())
        if sums:
            return size, min(sums)
    return 0, 0.0


def _sum_of_squares(truth, found, m):
    t = np.asarray(truth, float).reshape(-1, 2)[m.truth_index]
    f = np.asarray(found, float).reshape(-1, 2)[m.found_index]
    return float(((t - f) ** 2).sum())


@pytest.mark.parametrize("dense_cells", [1_000_000, 0])
@settings(max_examples=100, deadline=None)
@given(truth=points, found=points, tolerance=st.sampled_from([1.0, 3.0, 5.0, 20.0]))
def test_one_to_one_is_the_best_of_all_matchings(dense_cells, truth, found, tolerance):
    before = module._DENSE_CELLS
    module._DENSE_CELLS = dense_cells
    try:
        m = match_one_to_one(truth, found, tolerance)
    finally:
        module._DENSE_CELLS = before
    assert len(set(m.truth_index)) == len(m.truth_index) == m.true_pos
    assert len(set(m.found_index)) == len(m.found_index) == len(found) - m.false_pos
    size, total = _brute_force(truth, found, tolerance)
    assert m.true_pos == size
    assert _sum_of_squares(truth, found, m) == pytest.approx(total)


@settings(max_examples=50, deadline=None)
@given(truth=points, found=points)
def test_one_to_one_counts_are_symmetric(truth, found):
    a, b = match_one_to_one(truth, found, 4), match_one_to_one(found, truth, 4)
    assert (a.true_pos, a.false_neg, a.false_pos) == (b.true_pos, b.false_pos, b.false_neg)


@settings(max_examples=50, deadline=None)
@given(truth=points, found=points)
def test_nearest_never_finds_fewer_than_one_to_one(truth, found):
    assert match_nearest(truth, found, 4).true_pos >= match_one_to_one(truth, found, 4).true_pos


@pytest.mark.parametrize("matcher", [match_one_to_one, match_nearest])
def test_a_pair_exactly_at_the_tolerance_does_not_match(matcher):
    assert matcher([[0, 0]], [[3, 4]], 5).true_pos == 0
    assert matcher([[0, 0]], [[3, 4]], 5.001).true_pos == 1


def test_more_matches_win_over_a_shorter_distance():
    m = match_one_to_one([[0, 0], [4, 0]], [[3, 0], [8, 0]], 5)
    assert m.truth_index.tolist() == [0, 1]
    assert m.found_index.tolist() == [0, 1]


def test_nearest_counts_truths_and_false_found_separately():
    m = match_nearest([[0, 0], [1, 0], [50, 50]], [[0, 1], [0, 2], [90, 90]], 5)
    assert (m.true_pos, m.false_neg, m.false_pos) == (2, 1, 1)
    assert m.found_index.tolist() == [0, 0]
    assert m.efficiency == pytest.approx(2 / 3)
    assert m.purity == pytest.approx(2 / 3)


@pytest.mark.parametrize("matcher", [match_one_to_one, match_nearest])
def test_points_of_other_groups_never_match(matcher):
    xy = [[5.0, 5.0], [5.0, 5.0]]
    m = matcher(xy, xy, 3, truth_group=[7, 9], found_group=[9, 8])
    assert m.truth_hit.tolist() == [False, True]
    assert m.found_hit.tolist() == [True, False]


@pytest.mark.parametrize("matcher", [match_one_to_one, match_nearest])
def test_empty_lists(matcher):
    none = matcher([], [], 5)
    assert np.isnan(none.efficiency)
    assert np.isnan(none.purity)
    assert matcher([[1, 1]], [], 5).false_neg == 1
    assert matcher([], [[1, 1]], 5).false_pos == 1


def test_a_giant_component_of_many_points_is_solved_within_seconds():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 500, (5000, 2))
    m = match_one_to_one(truth, truth + rng.normal(0, 0.5, truth.shape), 25)
    assert m.true_pos == 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 2, 3]], [[1, 2]], 5), r"truth points: expected an \(n, 2\) array"),
        (([[1, 2]], [[np.nan, 2]], 5), "found points: expected finite"),
        (([[1, 2]], [[1, 2e300]], 5), "found points: expected coordinates below"),
        (([[1, 2]], [[1, 2]], 0), "tolerance: expected a positive number below 1e[+]100, found 0"),
        (([[1, 2]], [[1, 2]], 1e300), "tolerance: expected a positive number below"),
    ],
)
def test_unusable_points_are_refused(arguments, message):
    with pytest.raises(BadInput, match=message):
        match_one_to_one(*arguments)


def test_groups_are_for_both_lists_and_of_their_length():
    with pytest.raises(BadInput, match="groups: expected one for both"):
        match_nearest([[1, 2]], [[1, 2]], 5, truth_group=[1])
    with pytest.raises(BadInput, match="found groups: expected 1 values, found 2"):
        match_nearest([[1, 2]], [[1, 2]], 5, truth_group=[1], found_group=[1, 2])


def test_an_unknown_rule_is_refused():
    with pytest.raises(BadInput, match="rule: expected one-to-one or nearest, found 'best'"):
        match([], [], 5, rule="best")


def _pb(name):
    if not PB.is_dir():
        pytest.skip(f"no real data at {PB}")
    return json.loads((PB / name).read_text())


@pytest.mark.real_data
def test_the_nine_published_rows_come_out_exactly():
    truth, lists = _pb("truth_foil_xy_px.json"), _pb("predictions_foil_xy_px.json")
    published = _pb("published_counts.json")
    assert len(published["rows"]) == 9
    for name, row in published["rows"].items():
        m = match_nearest(truth, lists[name], published["tolerance_px"])
        counts = {"true_pos": m.true_pos, "false_pos": m.false_pos, "false_neg": m.false_neg}
        assert counts == row, name


@pytest.mark.real_data
def test_one_to_one_lowers_the_published_unet_figures():
    m = match_one_to_one(
        _pb("truth_foil_xy_px.json"), _pb("predictions_foil_xy_px.json")["FCN_front"], 15
    )
    assert (round(m.efficiency, 3), round(m.purity, 3)) == (0.887, 0.882)
