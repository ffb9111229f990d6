import numpy as np
import pandas as pd
import pytest

from etchscope.foil import (
    COLUMNS,
    BadInput,
    PitFlag,
    as_pits,
    flag_legend,
    has_flag,
)


def test_columns_order_and_dtypes():
    pits = as_pits({"y_px": [4.5, 1], "x_px": [3, 2], "surface": ["top", None]})
    assert list(pits.columns) == [c.name for c in COLUMNS]
    assert [str(t) for t in pits.dtypes] == [c.dtype for c in COLUMNS]
    assert pits["x_px"].tolist() == [3.0, 2.0]


def test_what_is_not_given_is_absent():
    row = as_pits({"x_px": [1.0]}).iloc[0]
    zeros = {"tile", "pit", "flags"}
    assert {c.name for c in COLUMNS if not pd.isna(row[c.name])} == zeros | {"x_px"}
    assert (row[list(zeros)] == 0).all()


def test_empty_table_keeps_columns_and_dtypes():
    for empty in ({}, {"x_px": [], "flags": []}, pd.DataFrame({"surface": []})):
        pits = as_pits(empty)
        assert len(pits) == 0
        assert [(c, str(t)) for c, t in pits.dtypes.items()] == [(c.name, c.dtype) for c in COLUMNS]


def test_input_is_unchanged_and_index_starts_at_0():
    given = pd.DataFrame({"x_px": [1, 2, 3]}, index=[5, 5, 9])
    before = given.copy()
    pits = as_pits(given)
    pits.loc[0, "x_px"] = 7.0
    pd.testing.assert_frame_equal(given, before)
    assert pits.index.tolist() == [0, 1, 2]


def test_as_pits_is_idempotent():
    pits = as_pits({"x_px": [1.0, np.nan], "partner": [1, None], "selected": [True, None]})
    pd.testing.assert_frame_equal(as_pits(pits), pits)


def test_unknown_column_is_refused():
    with pytest.raises(BadInput, match="columns of the pit table only, found 'x_mn'"):
        as_pits({"x_mn": [1.0]})


@pytest.mark.parametrize(
    ("column", "values"),
    [("x_px", ["left"]), ("flags", [None]), ("tile", [1.5]), ("selected", ["maybe"])],
)
def test_wrong_values_name_their_column(column, values):
    with pytest.raises(BadInput, match=f"column {column}: expected"):
        as_pits({column: values})


def test_flags_are_single_bits_and_read_back():
    bits = list(flag_legend().values())
    assert all(b & (b - 1) == 0 for b in bits)
    assert len(set(bits)) == len(bits) == len(PitFlag)
    pits = as_pits({"flags": [0, 5, 1 << 6]})
    assert has_flag(pits, PitFlag.EDGE).tolist() == [False, True, False]
    assert has_flag(pits, PitFlag.MERGED_DUPLICATE).tolist() == [False, True, False]
    assert has_flag(pits, PitFlag.INJECTED).tolist() == [False, False, True]
