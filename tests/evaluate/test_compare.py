import json
import math

import numpy as np
import pandas as pd
import pytest

from etchscope.evaluate import evaluate
from etchscope.foil import BadInput, as_pits


def _table(x, y, **columns):
    return pd.DataFrame({"x_px": np.asarray(x, float), "y_px": np.asarray(y, float), **columns})


def test_counts_efficiency_purity_and_chance():
    truth = _table([10, 100, 200, 300], [10, 50, 90, 400])
    found = _table([11, 101, 500], [10, 50, 20])
    e = evaluate(truth, found, rule="one-to-one", tolerance_px=6, image_size=(480, 640))
    told = e.to_dict()
    assert (told["true_pos"], told["false_neg"], told["false_pos"]) == (2, 2, 1)
    assert told["efficiency"]["value"] == 0.5
    assert told["purity"]["value"] == pytest.approx(2 / 3)
    assert told["efficiency"]["low"] < 0.5 < told["efficiency"]["high"]
    assert told["chance"]["true_pos"] == 0
    assert told["tolerance_px"] == 6
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_points_match_within_scan_and_tile_where_both_tables_fill_them():
    truth = _table([10, 10], [10, 10], tile=[1, 2], scan=["a", "a"])
    found = _table([10, 10], [10, 10], tile=[2, 3], scan=["a", "a"])
    e = evaluate(truth, found, rule="nearest", tolerance_px=6)
    assert e.grouped_by == ("scan", "tile")
    assert e.matching.truth_hit.tolist() == [False, True]
    no_scan = evaluate(
        truth.drop(columns="scan"), found.assign(scan=None), rule="nearest", tolerance_px=6
    )
    assert no_scan.grouped_by == ("tile",)


def test_the_chance_list_is_turned_within_the_tile():
    truth = _table([629, 10], [469, 10], tile=[1, 2])
    found = _table([10, 10], [10, 10], tile=[1, 2])
    e = evaluate(truth, found, rule="one-to-one", tolerance_px=6, image_size=(480, 640))
    assert e.matching.truth_hit.tolist() == [False, True]
    assert e.chance.truth_hit.tolist() == [True, False]


def test_millimetres_are_compared_over_the_foil():
    truth = pd.DataFrame({"x_mm": [1.0, -2.0], "y_mm": [0.0, 5.0], "tile": [1, 2]})
    found = pd.DataFrame({"x_mm": [1.01], "y_mm": [0.0], "tile": [2]})
    e = evaluate(truth, found, rule="one-to-one", tolerance_mm=0.05)
    assert (e.unit, e.grouped_by, e.matching.true_pos) == ("mm", (), 1)
    assert e.to_dict()["tolerance_mm"] == 0.05


def test_by_a_column_of_the_truth():
    truth = as_pits(
        {"x_px": [10, 50, 90, 130], "y_px": [10.0] * 4, "surface": ["top", "top", "bottom", None]}
    )
    found = as_pits({"x_px": [10, 90], "y_px": [10, 10], "surface": ["top", "top"]})
    table = evaluate(truth, found, rule="one-to-one", tolerance_px=6).by("surface")
    assert table["surface"].tolist() == ["", "bottom", "top"]
    assert table["truths"].tolist() == [1, 1, 2]
    assert table["efficiency"].tolist() == [0, 1, 0.5]
    assert table["agree"].tolist()[1:] == [0.0, 1.0]
    assert math.isnan(table["agree"][0])
    assert table["truths"].sum() == len(truth)


def test_by_takes_numbers_and_says_which_columns_there_are():
    truth = _table([10, 50], [10, 10], overlapped=[True, False])
    e = evaluate(truth, _table([50], [10]), rule="nearest", tolerance_px=6)
    table = e.by("overlapped")
    assert table[["overlapped", "true_pos"]].to_numpy().tolist() == [["False", 1], ["True", 0]]
    assert "agree" not in table
    with pytest.raises(BadInput, match="truth table: expected a column 'angle', found only x_px"):
        e.by("angle")


def test_empty_tables():
    e = evaluate(as_pits({}), as_pits({}), rule="one-to-one", tolerance_px=6)
    assert e.to_dict()["efficiency"]["value"] is None
    assert len(e.by("surface")) == 0
    lost = evaluate(_table([1], [1]), _table([], []), rule="one-to-one", tolerance_px=6)
    assert lost.matching.false_neg == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_px": [np.nan]}, "found table: x_px, y_px: expected finite numbers, found none in row"),
        ({"x_px": ["left"]}, "found table: x_px, y_px: expected numbers"),
    ],
)
def test_a_coordinate_that_is_no_number_is_refused(change, message):
    with pytest.raises(BadInput, match=message):
        evaluate(
            _table([1], [1]), _table([1], [1]).assign(**change), rule="nearest", tolerance_px=6
        )


def test_an_absent_column_is_named_with_a_way_out():
    mm = pd.DataFrame({"x_mm": [1.0], "y_mm": [1.0]})
    with pytest.raises(BadInput, match=r"truth table: expected a column x_px.*tolerance in mm"):
        evaluate(mm, mm, rule="nearest", tolerance_px=6)


def test_exactly_one_tolerance():
    t = _table([1], [1])
    with pytest.raises(BadInput, match="either tolerance_px or tolerance_mm, found none"):
        evaluate(t, t, rule="nearest")
    with pytest.raises(BadInput, match="either tolerance_px or tolerance_mm, found both"):
        evaluate(t, t, rule="nearest", tolerance_px=6, tolerance_mm=1)


def test_tables_of_different_scans_are_refused():
    truth, found = _table([1], [1], scan=["a"]), _table([1], [1], scan=["b"])
    with pytest.raises(BadInput, match=r"found table: scan: expected a scan of \['a'\]"):
        evaluate(truth, found, rule="nearest", tolerance_px=6)


def test_a_column_that_no_find_states_is_not_compared():
    truth = _table([10], [10], **{"class": ["hip"]})
    found = _table([10], [10], **{"class": pd.Series([None], dtype="str")})
    score = evaluate(truth, found, rule="one-to-one", tolerance_px=6)
    assert "agree" not in score.by("class")
