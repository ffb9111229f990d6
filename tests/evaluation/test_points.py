import numpy as np
import pandas as pd

from etchscope.evaluation.points import Tiles, common_columns, number_groups, points_of


def test_groups_are_numbered_over_both_tables():
    truth = pd.DataFrame({"scan": ["a", "a", "b"], "tile": [1, 2, 1]})
    found = pd.DataFrame({"scan": ["b", "a"], "tile": [1, 3]})
    of_truth, of_found = number_groups(truth, found, ("scan", "tile"))
    assert (of_truth.tolist(), of_found.tolist()) == ([0, 1, 2], [2, 3])


def test_columns_with_a_gap_group_nothing():
    full = pd.DataFrame({"scan": ["a"], "tile": [1]})
    gap = full.assign(tile=[None])
    assert common_columns(full, full) == ("scan", "tile")
    assert common_columns(full, gap) == ("scan",)


def test_places_are_taken_in_the_unit():
    table = pd.DataFrame({"x_px": [1], "y_px": [2], "x_mm": [0.1], "y_mm": [0.2]})
    np.testing.assert_array_equal(points_of(table, "truth", "mm"), [[0.1, 0.2]])


def test_counts_and_sums_by_tile():
    tiles = Tiles(np.array([0, 0, 2]), np.array([1]), 3, "tile")
    assert tiles.truths(np.array([True, True, False])).tolist() == [2, 0, 0]
    assert tiles.truths(np.array([0.5, np.nan, 0.25])).tolist() == [0.5, 0, 0.25]
    assert tiles.finds(np.array([True])).tolist() == [0, 1, 0]
