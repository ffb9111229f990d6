import pandas as pd
import pytest

from etchscope.draw.style import SERIES_COLOURS
from etchscope.draw.tables import require_columns, style_curves
from etchscope.foil import BadInput


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
