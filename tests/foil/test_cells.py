import numpy as np
import pandas as pd
import pytest

from etchscope.foil import BadInput, as_labels, as_pits
from etchscope.foil.cells import cast_column, require_plain_cells


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ([1e20], "int64", "a number of more than 64 bits"),
        ([10**30], "Int64", "a number of more than 64 bits"),
        ([1.5], "Int64", "cannot safely cast"),
        (["a\0b"], "str", "text with a NUL character"),
        (["\ud800"], "str", "surrogates not allowed"),
        (["left"], "float64", "could not convert string to float"),
    ],
)
def test_a_value_that_does_not_fit_is_named_in_one_line(values, dtype, message):
    with pytest.raises(ValueError, match=message) as caught:
        cast_column(pd.Series(values, dtype=object if isinstance(values[0], int) else None), dtype)
    assert "\n" not in str(caught.value)


def test_a_column_that_stands_twice_is_refused_everywhere():
    table = pd.DataFrame([[1, 2, 3]], columns=["x_px", "y_px", "x_px"])
    message = "column x_px: expected every column once, found it twice. Rename"
    with pytest.raises(BadInput, match=f"t.csv: {message}"):
        require_plain_cells("t.csv", table)
    with pytest.raises(BadInput, match=message):
        as_labels(table)
    with pytest.raises(BadInput, match="pit table: column x_px: expected float64, found several"):
        as_pits(table)


def test_columns_without_a_name_are_left_out_only_if_there_are_several():
    table = pd.DataFrame([[1, 2, 3]], columns=["x_px", "", " "])
    assert list(require_plain_cells("t", table).columns) == ["x_px"]
    assert list(require_plain_cells("t", table.iloc[:, :2]).columns) == ["x_px", ""]


@pytest.mark.parametrize("cell", [[1, 2], {"a": 1}, (1,), np.zeros(2)])
def test_a_cell_holds_one_value(cell):
    table = pd.DataFrame({"x_px": [1, 2], "box": pd.Series([None, cell], dtype=object)})
    with pytest.raises(BadInput, match="t: column box, row 2: expected one value, found a list or"):
        require_plain_cells("t", table)
