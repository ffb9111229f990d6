import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from etchscope.files import read_columns, read_table, write_labels, write_table
from etchscope.files.tables import read_pits_file, read_record
from etchscope.foil import (
    COLUMNS,
    LABEL_COLUMNS,
    BadInput,
    as_labels,
    as_pits,
)

PITS = as_pits(
    {
        "foil": ["007", "007"],
        "x_px": [1.0, 1 / 3],
        "y_px": [3.0, 1e-17],
        "partner": [1, None],
        "surface": ["top", None],
        "selected": [True, None],
        "flags": [0, 65],
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_a_pit_table_comes_back(tmp_path, suffix):
    path = tmp_path / f"pits{suffix}"
    write_table(path, PITS, record={"seed": 1})
    pd.testing.assert_frame_equal(read_table(path), PITS)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_csv_header_is_the_column_names(tmp_path):
    write_table(tmp_path / "p.csv", PITS)
    header = (tmp_path / "p.csv").read_bytes().split(b"\n")[0]
    assert header.decode() == ",".join(c.name for c in COLUMNS)


def test_parquet_says_what_it_is(tmp_path):
    write_table(tmp_path / "p.parquet", PITS, record={"seed": 1})
    about = read_record(tmp_path / "p.parquet")
    assert about["record"] == {"seed": 1}
    assert about["flags"]["injected"] == 64


def test_further_columns_are_kept(tmp_path):
    table = PITS.assign(truth_id=[4, 5])
    for name in ("p.csv", "p.parquet"):
        write_table(tmp_path / name, table)
        assert read_table(tmp_path / name)["truth_id"].tolist() == [4, 5]


def test_any_table_of_points_can_be_read(tmp_path):
    (tmp_path / "a.csv").write_text("tile,x_px,y_px\n1,2,3\n1,4.5,6\n")
    table = read_table(tmp_path / "a.csv")
    assert table["x_px"].tolist() == [2.0, 4.5]
    assert table["x_px"].dtype == np.float64
    (tmp_path / "b.csv").write_text("x_mm,y_mm,who\n0.5,1,me\n")
    assert read_table(tmp_path / "b.csv")["who"].tolist() == ["me"]


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.csv", None, r"a\.csv: expected a readable file, found No such file"),
        ("a.csv", b"", r"a\.csv: expected a CSV table"),
        ("a.csv", b"x,y\n1,2\n", r"a\.csv: expected columns x_px, y_px or x_mm, y_mm, found x, y"),
        ("a.csv", b"x_px,y_px\n1,left\n", r"a\.csv: column y_px: expected float64"),
        ("a.csv", b"x_px,y_px\n1,2,3\n7,8,9\n", r"a\.csv: .*Expected 2 columns, got 3"),
        ("a.csv", b"x_px,y_px\n\xff\xfe,2\n", r"a\.csv: "),
        ("a.parquet", b"PAR1 no", r"a\.parquet: expected an intact Parquet file"),
        ("a.parquet", None, r"a\.parquet: expected a readable file, found No such file"),
        ("a.txt", b"", r"a\.txt: expected a \.csv, .*or \.json table, found '\.txt'"),
    ],
)
def test_bad_tables_name_the_file(tmp_path, name, content, match):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=match):
        read_table(tmp_path / name)


def test_bad_targets_name_the_file(tmp_path):
    with pytest.raises(BadInput, match=r"a\.txt: expected a name that ends in"):
        write_table(tmp_path / "a.txt", PITS)
    with pytest.raises(BadInput, match=r"a\.csv: expected an existing folder"):
        write_table(tmp_path / "none/a.csv", PITS)
    assert list(tmp_path.iterdir()) == []


LABELS = as_labels(
    {
        "foil": ["007", None],
        "x_mm": [1 / 3, None],
        "y_mm": [1e-17, None],
        "tile": [None, 3],
        "class": ["hip", "withdrawn"],
        "note": ["with, comma", "ü"],
        "when": ["2026-05-01T10:00:00.000001Z", "2026-05-01"],
        "region_px": [None, "[[0,0],[1,0],[0,0.1]]"],
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels_come_back(tmp_path, suffix):
    path = tmp_path / f"labels{suffix}"
    write_labels(path, LABELS)
    text = [c.name for c in LABEL_COLUMNS if c.dtype == "str"]
    pd.testing.assert_frame_equal(as_labels(read_columns(path, text)), LABELS)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_labels_carry_units_and_go_nowhere_else(tmp_path):
    path = tmp_path / "labels.parquet"
    write_labels(path, LABELS)
    assert read_record(path)["columns"]["x_mm"]["unit"] == "mm"
    with pytest.raises(BadInput, match=r"ends in \.csv or \.parquet"):
        write_labels(tmp_path / "labels.txt", LABELS)
    with pytest.raises(BadInput, match="an existing folder"):
        write_labels(tmp_path / "none" / "labels.csv", LABELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"x_mm": 1, "y_mm": [2]}]', "column y_mm, row 1: expected one value, found a list"),
        ('[{"x_mm": 1}, {"x_mm": {"a": 2}}]', "column x_mm, row 2: expected one value, found a"),
        (
            '[{"x_mm": 1, "y_mm": 2, "foil": "a\\u0000b"}]',
            "column foil: expected str, found text wi",
        ),
        ('[{"x_mm": 1, "y_mm": 2, "tile": 1e30}]', "column tile: expected int64, found a number"),
        (
            "[" + ",".join(f'{{"k{i}":1}}' for i in range(5000)) + "]",
            "at most 20,000,000 cells in a file of .* bytes, found 5,000 rows of 5,000 columns",
        ),
    ],
)
def test_json_cells_hold_one_value_that_fits(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(BadInput, match=rf"a\.json: .*{message}"):
        read_table(tmp_path / "a.json")


def test_a_column_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x_mm,y_mm,x_mm\n1,2,3\n")
    with pytest.raises(BadInput, match=r"a\.csv: column x_mm: expected every column once"):
        read_table(tmp_path / "a.csv")


def test_types_of_pandas_that_do_not_exist_are_damage(tmp_path):
    path = tmp_path / "pits.parquet"
    write_table(path, as_pits({"tile": [1]}))
    table = pq.read_table(path)
    about = table.schema.metadata[b"pandas"].replace(b'"int64"', b'"../../victim"')
    pq.write_table(table.replace_schema_metadata({b"pandas": about}), path)
    with pytest.raises(BadInput, match=r"pits\.parquet: expected an intact Parquet file, found"):
        read_pits_file(path)
