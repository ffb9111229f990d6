import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etchscope.files.parquet_files import read_foreign_parquet
from etchscope.files.tables import read_parquet
from etchscope.foil import BadInput


def test_a_table_comes_back_as_pandas_wrote_it(tmp_path):
    table = pd.DataFrame(
        {
            "foil": ["ü", "b", None],
            "x_mm": [1.0, 2.0, np.nan],
            "partner": pd.array([1, None, 3], "Int64"),
            "kind": pd.Categorical(["u", "v", "u"]),
            "when": pd.to_datetime(["2026-01-01"] * 3, utc=True),
            "raw": [b"a", None, b"c"],
            "selected": pd.array([True, None, False], "boolean"),
        },
        index=pd.Index([3, 4, 5], name="row"),
    )
    table.to_parquet(tmp_path / "t.parquet", row_group_size=2)
    pd.testing.assert_frame_equal(read_foreign_parquet(tmp_path / "t.parquet"), table)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_texts_are_read_alike_however_they_are_packed(tmp_path, kind):
    values = pa.array(["x", None, "zz"] * 4, pa.string()).cast(kind)
    pq.write_table(
        pa.table({"s": values}), tmp_path / "t.parquet", use_dictionary=False, row_group_size=5
    )
    plain = read_parquet(tmp_path / "t.parquet").to_pandas()
    pd.testing.assert_frame_equal(read_foreign_parquet(tmp_path / "t.parquet"), plain)


def test_many_rows_in_a_small_file_are_refused_by_the_footer(tmp_path):
    part = pa.table({"x_mm": np.zeros(5_000_000), "y_mm": np.zeros(5_000_000)})
    with pq.ParquetWriter(tmp_path / "t.parquet", part.schema, compression="zstd") as writer:
        for _ in range(3):
            writer.write_table(part)
    message = r"t\.parquet: expected at most 20,000,000 cells .*, found 15,000,000 rows of 2 col"
    with pytest.raises(BadInput, match=message):
        read_foreign_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_a_long_text_in_every_row_is_refused_before_it_is_repeated(tmp_path, kind):
    once = pa.array(["a" * 1_000_000]).cast(kind)
    many = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000, np.int32)), once)
    table = pa.table({"x_mm": np.zeros(10_000), "note": many})
    pq.write_table(table, tmp_path / "t.parquet", store_schema=False, compression="zstd")
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    with pytest.raises(BadInput, match=r"at most 512 MB unpacked .* found 9,537 MB"):
        read_foreign_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "about", ["{", "[]", '{"columns": [3.5], "index_columns": []}', "\ufeff{}"]
)
def test_damaged_words_to_pandas_are_one_line(tmp_path, about):
    table = pa.table({"x_mm": [1.0]}).replace_schema_metadata({b"pandas": about.encode()})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(BadInput, match=r"t\.parquet: expected an intact Parquet file, found \w+: "):
        read_foreign_parquet(tmp_path / "t.parquet")


def test_lists_and_objects_are_refused_by_the_name_of_their_column(tmp_path):
    pq.write_table(pa.table({"x_mm": [1.0], "box": [[1, 2]]}), tmp_path / "t.parquet")
    with pytest.raises(BadInput, match="column box: expected one value in each cell, found lists"):
        read_foreign_parquet(tmp_path / "t.parquet")


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "t.parquet")
    with pytest.raises(BadInput, match="a regular file, found a pipe"):
        read_foreign_parquet(tmp_path / "t.parquet")
    with pytest.raises(BadInput, match="a readable file, found No such file"):
        read_foreign_parquet(tmp_path / "none.parquet")


def test_names_of_columns_that_are_no_text_are_refused(tmp_path):
    from etchscope.files import read_columns

    about = json.dumps(
        {
            "index_columns": [],
            "column_indexes": [{"name": None, "pandas_type": "object", "numpy_type": "object"}],
            "columns": [
                {"name": {"a": 1}, "field_name": "x", "pandas_type": "float64",
                 "numpy_type": "float64", "metadata": None}
            ],
        }
    )  # fmt: skip
    table = pa.table({"x": [1.0]}).replace_schema_metadata({b"pandas": about.encode()})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(BadInput, match=r"t\.parquet: expected"):
        read_columns(tmp_path / "t.parquet")
