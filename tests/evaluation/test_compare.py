import json
import math

import numpy as np
import pandas as pd
import pytest

from etchscope.evaluation import evaluate, proportion
from etchscope.foil import BadInput, as_pits

PX = {"rule": "one-to-one", "tolerance_px": 6}


def _table(x, y, **columns):
    return pd.DataFrame({"x_px": np.asarray(x, float), "y_px": np.asarray(y, float), **columns})


def test_counts_efficiency_purity_and_chance():
    truth = _table([10, 100, 200, 300], [10, 50, 90, 400])
    found = _table([11, 101, 500], [10, 50, 20])
    e = evaluate(truth, found, rule="one-to-one", tolerance_px=6, image_size=(480, 640))
    figures = e.to_dict()
    assert (figures["true_pos"], figures["false_neg"], figures["false_pos"]) == (2, 2, 1)
    assert figures["efficiency"]["value"] == 0.5
    assert figures["purity"]["value"] == pytest.approx(2 / 3)
    assert figures["efficiency"]["low"] < 0.5 < figures["efficiency"]["high"]
    assert figures["chance"]["true_pos"] == 0
    assert figures["tiles"]["number"] == 1
    assert figures["tolerance_px"] == 6
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


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


def test_the_chance_list_is_shifted_within_its_tile():
    truth = _table([300, 300], [300, 300], tile=[1, 2])
    found = _table([240, 300], [300, 180], tile=[1, 3])
    e = evaluate(truth, found, rule="one-to-one", tolerance_px=6, image_size=(480, 640))
    assert e.matching.truth_hit.tolist() == [False, False]
    assert e.chance.truth.tolist() == [1 / 16, 0]
    assert e.chance_efficiency.value == 1 / 32
    # A find 10 px from two edges comes back by the 5 shifts of each length that stay inside.
    corner = evaluate(truth, _table([5, 70], [5, 5], tile=[1, 1]), **PX, image_size=(480, 640))
    assert corner.chance.found.tolist() == [0, 0]
    beside = _table([65], [5], tile=[1])
    corner = evaluate(beside, _table([5], [5], tile=[1]), **PX, image_size=(480, 640))
    assert corner.chance.found.tolist() == [1 / 6]


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1), ("px", 100)])
def test_unrelated_tables_with_one_hot_spot_agree_by_chance(unit, scale):
    """The whole list turned about the middle of the foil said 0.8 % where half agree."""
    rng = np.random.default_rng(1)

    def unrelated():
        spot = rng.random(6000) < 0.8
        xy = np.where(spot[:, None], rng.normal(8, 2, (6000, 2)), rng.uniform(0, 40, (6000, 2)))
        return pd.DataFrame(scale * xy, columns=[f"x_{unit}", f"y_{unit}"])

    e = evaluate(unrelated(), unrelated(), rule="nearest", **{f"tolerance_{unit}": 0.06 * scale})
    figures = e.to_dict()
    assert 0.4 < figures["efficiency"]["value"] < 0.6
    chance = figures["chance"]
    assert chance["method"] == "local shifts of 10 and 20 tolerances in eight directions"
    for name in ("efficiency", "purity"):
        assert chance[name]["value"] == pytest.approx(figures[name]["value"], abs=0.03)
        assert chance[name]["low"] < figures[name]["value"] < chance[name]["high"]


def test_intervals_are_over_tiles_and_say_how_false_finds_gather():
    """Forty false finds on one tile of ten are one scratch, not forty accidents."""
    rng = np.random.default_rng(2)
    tile = np.repeat(np.arange(1, 11), 12)
    truth = _table(*rng.uniform(20, 450, (2, 120)), tile=tile)
    scratch = _table(np.linspace(500, 620, 40), np.full(40, 60.0), tile=4)
    e = evaluate(truth, pd.concat([truth, scratch], ignore_index=True), **PX)
    assert (e.purity.successes, e.purity.trials) == (120, 160)
    exact = proportion(120, 160)
    assert e.purity.high - e.purity.low > 2.5 * (exact.high - exact.low)
    assert e.efficiency == proportion(120, 120)  # never narrower than of independent finds
    figures = e.to_dict()["tiles"]
    assert figures == {"number": 10, "of": "tile", "false_chi2_ndf": pytest.approx(40)}
    assert json.loads(json.dumps(e.to_dict(), allow_nan=False)) == e.to_dict()


@pytest.mark.parametrize(("unit", "size"), [("mm", (4.0, 3.0)), ("px", (640, 480))])
def test_without_tiles_cells_as_large_as_one_take_their_place(unit, size):
    rng = np.random.default_rng(3)
    columns = [f"x_{unit}", f"y_{unit}"]
    truth = pd.DataFrame(rng.uniform(0, np.array(size) * [5, 4], (800, 2)), columns=columns)
    scratch = np.linspace([0.1, 0.1], [0.9, 0.9], 200) * size  # in the first cell
    found = pd.concat([truth, pd.DataFrame(scratch, columns=columns)], ignore_index=True)
    tolerance = {f"tolerance_{unit}": size[0] / 1e5}
    e = evaluate(truth, found, rule="one-to-one", **tolerance)
    assert e.tiles.number == 20
    assert e.tiles.of == f"cells of {size[0]:g} × {size[1]:g} {unit}"
    assert e.false_chi2_ndf == pytest.approx(200)
    exact = proportion(800, 1000)
    assert e.purity.high - e.purity.low > 2 * (exact.high - exact.low)
    one = evaluate(truth[:50] / 100, found[:60] / 100, rule="one-to-one", **tolerance)
    assert (one.tiles.number, one.to_dict()["tiles"]["false_chi2_ndf"]) == (1, None)
    assert one.purity == proportion(one.matching.true_pos, 60)


def test_tiles_of_other_scans_are_no_tiles_in_millimetres():
    truth = pd.DataFrame({"x_mm": [1.0, 9.0], "y_mm": 1.0, "tile": [1, 2], "scan": "a"})
    same = evaluate(truth, truth, rule="nearest", tolerance_mm=0.1)
    assert (same.tiles.of, same.tiles.number) == ("scan and tile", 2)
    other = evaluate(truth, truth.assign(scan="b"), rule="nearest", tolerance_mm=0.1)
    assert (other.tiles.of, other.tiles.number) == ("cells of 4 × 3 mm", 2)


def test_a_part_of_the_truth_has_an_interval_over_tiles():
    truth = _table(np.arange(20) * 30, [50] * 20, tile=[1] * 5 + [2] * 5 + [3] * 5 + [4] * 5)
    truth["kind"] = ["a", "b"] * 10
    found = truth[truth["tile"] != 4].reset_index(drop=True)
    e = evaluate(truth, found, **PX)
    row = e.by("kind").set_index("kind").loc["a"]
    exact = proportion(int(row["true_pos"]), int(row["truths"]))
    assert row["low"] <= exact.low
    assert row["high"] > exact.high
    which = (truth["kind"] == "a").to_numpy()
    assert e.efficiency_of(which).low == row["low"]


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
