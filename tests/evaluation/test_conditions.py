import numpy as np
import pandas as pd
import pytest

from etchscope.evaluation import (
    CURVE_COLUMNS,
    breakdown,
    count_fragments,
    drop_copies,
    evaluate,
    name_density_classes,
    name_regions,
    tolerance_curve,
)
from etchscope.foil import BadInput


def _mm(xy, **columns):
    x, y = np.asarray(xy, float).reshape(-1, 2).T
    return pd.DataFrame({"x_mm": x, "y_mm": y, **columns})


@pytest.fixture
def judged():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 10, (300, 2))
    found = truth[:250] + rng.normal(0, 0.05, (250, 2))
    return evaluate(_mm(truth), _mm(found), rule="one-to-one", tolerance_mm=0.2)


def test_the_curve_rises_and_holds_the_evaluation_itself(judged):
    curve = tolerance_curve(judged, [0.2, 0.02, 0.1])
    assert list(curve.columns) == list(CURVE_COLUMNS)
    assert curve["tolerance"].tolist() == [0.02, 0.1, 0.2]
    assert curve["efficiency"].is_monotonic_increasing
    assert curve["efficiency"].iloc[-1] == judged.efficiency.value
    assert curve["chance_purity"].iloc[-1] == judged.chance_purity.value
    assert (curve["efficiency_low"] < curve["efficiency"]).all()
    with pytest.raises(BadInput, match="tolerances: expected one or more, found none"):
        tolerance_curve(judged, [])
    with pytest.raises(BadInput, match="a positive number"):
        tolerance_curve(judged, [0])


def test_pieces_of_a_pit_and_pits_found_as_one_are_counted():
    truth = _mm([[0, 0], [5, 5], [5.1, 5], [9, 9]])
    found = _mm([[0, 0], [0.1, 0], [0, 0.1], [5.05, 5], [7, 7]])
    for rule in ("one-to-one", "nearest"):
        counts = count_fragments(evaluate(truth, found, rule=rule, tolerance_mm=0.2))
        assert (counts.torn, counts.joined, counts.fakes) == (2, 1, 1)


def test_parts_add_up(judged):
    truth_xy, found_xy = judged.points_xy
    values = [name_regions(xy, [0, 0], [10, 10], columns=2, rows=2) for xy in (truth_xy, found_xy)]
    table = breakdown(judged, "region", *values)
    assert table["region"].tolist() == ["x1 y1", "x1 y2", "x2 y1", "x2 y2"]
    assert table["truths"].sum() == 300
    assert table["true_pos"].sum() == judged.matching.true_pos
    assert table["found"].sum() == 250
    assert table["efficiency"].between(table["low"], table["high"]).all()
    only = breakdown(judged, "which", np.array(["a"] * 300), np.array(["b"] * 250))
    assert only["found"].tolist() == [0, 250]
    assert np.isnan(only["efficiency"].iloc[1])


def test_regions_are_cells_of_the_box():
    at = [[0, 0], [9.9, 0], [0, 9.9], [50, -50]]
    assert name_regions(at, [0, 0], [10, 10], columns=2, rows=2).tolist() == [
        "x1 y1",
        "x2 y1",
        "x1 y2",
        "x2 y1",
    ]


def test_density_is_cut_into_equal_parts():
    rng = np.random.default_rng(2)
    thin, thick = rng.uniform(0, 10, (200, 2)), rng.uniform(0, 2, (200, 2))
    every = np.concatenate([thin, thick])
    classes = name_density_classes(every, every, classes=2)
    names, counts = np.unique(classes, return_counts=True)
    assert names[0].startswith("1: 0 to ")
    assert counts.tolist() == [200, 200]
    assert (classes[200:] == names[1]).mean() > 0.9
    assert name_density_classes(every[:3], every[:3]).tolist() == ["all"] * 3


def test_copies_are_taken_once():
    table = _mm([[0, 0], [0.05, 0], [3, 3]], name=["a", "b", "c"])
    assert drop_copies(table, 0.1, "mm")["name"].tolist() == ["a", "c"]
    assert len(drop_copies(table.assign(tile=[1, 1, 1]), 0.1, "mm")) == 3
    assert len(drop_copies(table.assign(tile=[1, 2, 1]), 0.1, "mm")) == 2
    px = table.rename(columns={"x_mm": "x_px", "y_mm": "y_px"})
    assert len(drop_copies(px, 0.1, "px")) == 2
    with pytest.raises(BadInput, match="Merge by x_mm, y_mm"):
        drop_copies(px.assign(tile=[1, 2, 1]), 0.1, "px")
    with pytest.raises(BadInput, match="columns x_px, y_px"):
        drop_copies(table, 0.1, "px")
    with pytest.raises(BadInput, match="reach of copies: expected a positive number"):
        drop_copies(table, 0, "mm")


def test_the_lists_to_look_at_are_all_there_is(judged):
    lists = judged.lists()
    assert len(lists["true_positives"]) + len(lists["false_negatives"]) == 300
    assert len(lists["true_positives"]) + len(lists["false_positives"]) == 250
    assert set(lists["false_negatives"]["x_mm"]) <= set(judged.truth["x_mm"])


def test_local_densities_are_used_over_the_foil_but_not_within_tiles(judged):
    expected = judged.to_dict()["chance"]["from_densities"]
    assert expected["low"] <= judged.chance_efficiency.successes <= expected["high"]
    px = pd.DataFrame({"x_px": [1.0], "y_px": [1.0], "tile": [1]})
    assert evaluate(px, px, rule="nearest", tolerance_px=5).accidental() is None
