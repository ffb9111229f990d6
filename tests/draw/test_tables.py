import numpy as np
import pandas as pd
import pytest

from etchscope.draw.style import SERIES_COLOURS
from etchscope.draw.tables import (
    require_columns,
    select_pairs,
    split_by_surface,
    style_curves,
    thin_evenly,
)
from etchscope.foil import BadInput, as_pits


def test_the_columns_asked_for_come_back():
    table = pd.DataFrame({"a": [1], "b": [2], "c": [3]})
    assert list(require_columns(table, ["c", "a"], "t").columns) == ["c", "a"]


def test_a_missing_column_and_an_empty_table_are_named():
    with pytest.raises(BadInput, match="t: expected the columns a, b, found no b"):
        require_columns(pd.DataFrame({"a": [1]}), ["a", "b"], "t")
    with pytest.raises(BadInput, match="t: expected one row or more to draw, found none"):
        require_columns(pd.DataFrame({"a": []}), ["a"], "t")
    with pytest.raises(BadInput, match="curve: expected one curve or more to draw, found none"):
        list(style_curves({}, ["a"], "curve"))
    with pytest.raises(BadInput, match="curve two: expected one row"):
        list(
            style_curves(
                {"one": pd.DataFrame({"a": [1]}), "two": pd.DataFrame({"a": []})}, "a", "curve"
            )
        )


def test_no_two_of_many_series_look_alike():
    table = pd.DataFrame({"a": [1]})
    looks = [
        look for _, _, *look in style_curves({f"s{i}": table for i in range(20)}, "a", "curve")
    ]
    assert len({tuple(look) for look in looks}) == 20
    assert [colour for colour, _ in looks[:7]] == list(SERIES_COLOURS)


def test_evenly_keeps_the_ends_and_small_tables():
    table = pd.DataFrame({"a": np.arange(100)})
    assert thin_evenly(table, 4)["a"].tolist() == [0, 33, 66, 99]
    assert thin_evenly(table, 100) is table


def test_every_pit_has_one_surface():
    pits = as_pits({"x_px": [0.0] * 4, "surface": ["top", "bottom", None, "odd"]})
    groups = split_by_surface(pits)
    assert {name: len(rows) for name, rows in groups.items()} == {
        "top": 1,
        "bottom": 1,
        "unknown": 2,
    }


def test_pairs_are_entry_pits_with_a_partner_best_first():
    pits = as_pits(
        {
            "pit": [0, 1, 2, 3, 4],
            "surface": ["top", "top", "bottom", "top", "top"],
            "partner": [2, None, 0, 8, 9],
            "pair_p": [0.5, np.nan, 0.5, np.nan, 0.1],
        }
    )
    assert select_pairs(pits)["pit"].tolist() == [4, 0, 3]
