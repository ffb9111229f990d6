import math

import numpy as np
import pandas as pd
import pytest

from etchscope.background import limits as limits_module
from etchscope.background.flux import Exposure
from etchscope.background.limits import (
    METHODS,
    advise,
    as_points,
    limit_points,
    quantities_of,
)
from etchscope.foil import BadInput

SLIM = Exposure(427, math.pi, 4.22)


def of(limits, method, confidence=0.9):
    chosen = limits[(limits["method"] == method) & (limits["confidence"] == confidence)]
    return chosen.reset_index(drop=True)


def test_the_limit_of_slim_is_reproduced():
    """S. Balestra et al., Eur. Phys. J. C 55 (2008) 57: 1.3e-15 at 90 %, from 2.30 events."""
    limits = limit_points(pd.DataFrame({"observed": [0], "efficiency": [1.0]}), SLIM)
    flux = {m: of(limits, m)["flux_high_per_cm2_s_sr"][0] for m in METHODS}
    assert f"{flux['CLs']:.1e}" == f"{flux['Bayesian']:.1e}" == "1.3e-15"
    assert of(limits, "CLs")["high"][0] == pytest.approx(2.303, abs=1e-3)
    assert of(limits, "Feldman-Cousins")["high"][0] == pytest.approx(2.44, abs=0.005)
    assert flux["Feldman-Cousins"] == pytest.approx(
        2.436 / (427e4 * math.pi * 4.22 * 3.15576e7), 1e-3
    )
    assert limits["valid"].all()
    assert len(limits) == 2 * len(METHODS)


def test_efficiency_divides_and_an_effective_area_contains_it():
    whole = pd.DataFrame({"observed": [1], "efficiency": [1.0], "background": [0.5]})
    half = whole.assign(efficiency=0.5)
    area = whole.drop(columns="efficiency").assign(effective_area_cm2_sr=0.5 * 427e4 * math.pi)
    one, two, three = (limit_points(p, SLIM) for p in (whole, half, area))
    for name in ("high", "low", "fluence_high_per_cm2_sr", "flux_high_per_cm2_s_sr"):
        assert two[name].to_numpy() == pytest.approx(2 * one[name].to_numpy())
    assert three["flux_high_per_cm2_s_sr"].to_numpy() == pytest.approx(
        two["flux_high_per_cm2_s_sr"].to_numpy()
    )
    # How many particles crossed the foils is not known from the effective area alone.
    assert three[["low", "high", "expected_high"]].isna().all(axis=None)
    both = limit_points(area.assign(efficiency=0.5), SLIM)
    assert both["high"].to_numpy() == pytest.approx(two["high"].to_numpy())


def test_units_are_in_the_names_of_the_columns():
    points = pd.DataFrame({"observed": [0], "efficiency": [0.5]})
    assert "fluence_high_per_cm2" in limit_points(points, Exposure(1))
    assert "flux_high_per_cm2_s" in limit_points(points, Exposure(1, None, 1))
    bare = limit_points(points)
    assert not [name for name in bare if "per_cm2" in name]


def test_without_efficiency_nothing_is_excluded():
    points = pd.DataFrame({"beta": [0.1, 0.2], "observed": [0, 0], "efficiency": [0.0, 0.5]})
    limits = limit_points(points, SLIM)
    blind, seeing = limits[limits["beta"] == 0.1], limits[limits["beta"] == 0.2]
    highs = ["high", "expected_high", "fluence_high_per_cm2_sr", "flux_high_per_cm2_s_sr"]
    assert np.isposinf(blind[highs]).all(axis=None)
    assert not blind["valid"].any()
    assert set(blind["why"]) == {"the efficiency is 0, so nothing is excluded"}
    assert np.isfinite(seeing[highs]).all(axis=None)
    assert seeing["valid"].all()


def test_what_is_not_known_is_not_valid():
    points = pd.DataFrame(
        {
            "observed": 1,
            "efficiency": [0.5, 0.5, 0.5],
            "efficiency_error": [0.1, 0.2, 0.1],
            "valid": ["true", "True", "false"],
            "why": [None, "", "beyond the injected densities"],
        }
    )
    limits = of(limit_points(points), "CLs")
    assert limits["valid"].tolist() == [True, False, False]
    assert limits["why"][1].startswith("the efficiency has an error of 40 %")
    assert limits["why"][2] == "beyond the injected densities"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observed": -1}, "observed: expected numbers of 0 or more, found -1 in row 1"),
        ({"observed": 1.5}, "observed: expected whole numbers, found 1.5"),
        ({"observed": "many"}, "observed: expected numbers of 0 or more, found many in row 1"),
        ({"background": math.inf}, "background: expected numbers of 0 or more, found inf"),
        ({"efficiency": 1.2}, "efficiency: expected a share from 0 to 1, found 1.2"),
        ({"efficiency_error": -0.1}, "efficiency_error: expected numbers of 0 or more"),
        ({"efficiency": None}, "efficiency: expected numbers of 0 or more, found None in row 1"),
        ({"background": math.nan}, "background: expected numbers of 0 or more, found nan in row 1"),
        ({"observed": None}, "observed: expected numbers of 0 or more, found None in row 1"),
        (
            {"effective_area_error_cm2_sr": 3.0},
            "effective_area_cm2_sr: expected the value that has",
        ),
        ({"point": 7}, "points: expected labels that are not named like a column of limits, found"),
        ({"method": "a"}, "points: expected labels .*, found method. Name the label differently"),
        ({"low": 1.0, "CLs": 2}, "points: expected labels .*, found low, CLs"),
        (
            {"flux_high_per_cm2_s_sr": 1.0},
            "points: expected labels .*, found flux_high_per_cm2_s_sr",
        ),
    ],
)
def test_bad_points_are_refused(change, message):
    point = {"observed": 0, "efficiency": 0.5, "background": 0.1, "efficiency_error": 0.0}
    with pytest.raises(BadInput, match=message):
        as_points(pd.DataFrame([point | change]))


def test_numbers_that_are_absent_are_named():
    point = pd.DataFrame({"observed": [0], "efficiency": [0.5]})
    with pytest.raises(BadInput, match="observed: expected the number of observed candidates"):
        as_points(point[["efficiency"]])
    for absent in (point[["observed"]], point[["observed"]].assign(effective_area_cm2_sr=math.nan)):
        with pytest.raises(BadInput, match="efficiency: expected an efficiency or an effective"):
            as_points(absent)


def test_bad_confidences_and_empty_tables_are_refused():
    points = pd.DataFrame({"observed": [0], "efficiency": [0.5]})
    with pytest.raises(BadInput, match="confidence: expected a number between 0 and 1, found 90"):
        limit_points(points, confidences=(90,))
    with pytest.raises(BadInput, match="points: expected 1 to 1,000 rows, found 0"):
        as_points(points.iloc[:0])


def test_points_do_not_change_the_given_table():
    given = pd.DataFrame({"charge": [1, 2], "observed": [0, 0], "efficiency": [0.5, 0.6]})
    before = given.copy()
    points = as_points(given)
    pd.testing.assert_frame_equal(given, before)
    assert points.columns[:2].tolist() == ["charge", "observed"]


def test_the_advice_names_cls_where_less_was_observed_than_expected():
    assert "CLs" not in advise(pd.DataFrame({"observed": [3, 2], "background": [2.9, 2.0]}))
    below = pd.DataFrame({"observed": [3, 2], "background": [2.9, 2.1]})
    assert "state the expected limit and CLs beside it" in advise(below)


def test_the_expected_limit_is_that_of_the_median_background():
    points = pd.DataFrame({"observed": [0, 3], "background": 3.0, "efficiency": 0.5})
    limits = of(limit_points(points), "Feldman-Cousins")
    assert limits["expected_high"].tolist() == [limits["high"][1]] * 2
    assert limits["high"][1] == pytest.approx(2 * 4.42, abs=0.01)


def test_an_unknown_background_gives_no_lower_limit_and_its_remark_stays():
    points = pd.DataFrame(
        {
            "observed": 5,
            "efficiency": 1.0,
            "background_is_known": [False, False, True],
            "why": ["false candidates are not known", "", "by hand"],
        }
    )
    limits = of(limit_points(points, SLIM), "Feldman-Cousins")
    assert limits["valid"].all()
    assert limits["why"].tolist() == [
        "false candidates are not known",
        "the background is not known, so that there is no lower limit",
        "by hand",
    ]
    assert limits["low"].tolist() == [0, 0, pytest.approx(1.84, abs=0.01)]
    assert (limits["fluence_low_per_cm2_sr"] > 0).tolist() == [False, False, True]
    assert limits["high"].tolist() == [pytest.approx(9.99, abs=0.01)] * 3
    assert limits["expected_high"].isna().tolist() == [True, True, False]


def test_an_error_without_its_value_is_refused():
    given = pd.DataFrame({"observed": [0], "effective_area_cm2_sr": [5.0]})
    with pytest.raises(BadInput, match="efficiency: expected the value that has the stated error"):
        as_points(given.assign(efficiency_error=0.1))
    pd.testing.assert_frame_equal(as_points(as_points(given)), as_points(given))


def test_labels_may_begin_like_a_limit():
    points = pd.DataFrame({"high_voltage": ["on"], "observed": [0], "efficiency": [0.5]})
    limits = limit_points(points)
    assert quantities_of(limits) == ["low", "high", "expected_high"]


def test_a_limit_that_was_not_found_is_not_valid(monkeypatch):
    monkeypatch.setattr(limits_module, "interval_exact", lambda *_: (1.0, math.inf))
    limits = limit_points(pd.DataFrame({"observed": [3], "efficiency": [0.5]}))
    assert limits["valid"].tolist() == [m != "Feldman-Cousins" for m in METHODS] * 2
    assert of(limits, "Feldman-Cousins")["why"][0] == "no number of particles could be excluded"
