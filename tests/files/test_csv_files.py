import codecs
import os

import pytest

from etchscope.files.csv_files import read_csv
from etchscope.foil import BadInput

PLAIN = "foil,x_mm,y_mm\nMüller,1.5,-2\n007,0.25,3e2\n"
SEMICOLONS = "foil;x_mm;y_mm\r\nMüller;1,5;-2\r\n007;0,25;3e2\r\n"
TABS = "foil\tx_mm\ty_mm\nMüller\t1,5\t-2\n007\t0,25\t3e2\n"
POINTS = "foil;x_mm;y_mm\nMüller;1.5;-2\n007;0.25;3e2\n"


@pytest.mark.parametrize(
    "text", [PLAIN, SEMICOLONS, TABS, POINTS], ids=["plain", "semi", "tab", "point"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_what_spreadsheets_write_is_one_table(tmp_path, text, encoding):
    path = tmp_path / "t.csv"
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    path.write_bytes(mark + text.encode(encoding))
    table = read_csv(path, ["foil"])
    assert table["foil"].tolist() == ["Müller", "007"]
    assert table["x_mm"].tolist() == [1.5, 0.25]
    assert table["y_mm"].tolist() == [-2, 300]


def test_a_first_line_states_the_separator_and_quotes_hide_others(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('sep=;\r\n"x,mm";"y,mm"\r\n1,5;2\r\n')
    table = read_csv(path)
    assert table.to_dict("list") == {"x,mm": [1.5], "y,mm": [2]}
    path.write_text('"x;mm;",y_mm\n1,2.5\n')
    assert read_csv(path).to_dict("list") == {"x;mm;": [1], "y_mm": [2.5]}


def test_with_commas_between_cells_a_semicolon_in_a_name_is_a_name(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x_mm,y_mm,left;right\n1,2,a;b\n")
    assert read_csv(path)["left;right"].tolist() == ["a;b"]


def test_whole_numbers_stay_whole_between_semicolons(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("tile;x_px;when\n3;1,5;2026-05-01\n")
    table = read_csv(path, ["when"])
    assert table.dtypes.astype(str).tolist() == ["int64", "float64", "str"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b;c\n1,2;3\n", "t.csv: header: expected names between .*, found 1 commas and 1 sem"),
        (b"a;b\n1,5;2.5\n", "one decimal sign in all columns, found commas in a, points in b"),
        ("x_mm;ü\n1;é".encode() + b"\xfc\n", "text in .* or Windows-1252, found other bytes. Save"),
        (b"x_mm,y\n1,\xed\xa0\x80\n", "t.csv: expected text in UTF-8, .*found other bytes"),
        (b"x_mm,y\n1,\x81\n", "t.csv: expected text in UTF-8, .*found other bytes"),
        (codecs.BOM_UTF8 + b"x\n\xff\n", "text in UTF-8, as its first bytes say, found"),
        (codecs.BOM_UTF16_LE + b"x\0\n", "text in UTF-16, as its first bytes say, found"),
        (b"x_mm,y\n1,2\n3,a\0b\n", "expected a CSV .*, found a NUL character in line 3. Save"),
        ("x_mm,y\n1,2\n".encode("utf-16-le"), "expected a CSV .*, found a NUL character in line 1"),
        (b"," * 20_000 + b"\n", "t.csv: expected a table of at most 10,000 columns, found 20,001"),
        (b"", "t.csv: expected a CSV table with a header, found Empty CSV file"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read_csv(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(BadInput, match=r"t\.csv: expected a regular file, found a pipe"):
        read_csv(tmp_path / "t.csv")
