import sys

import pandas as pd
import pytest
from rich.table import Table

from etchscope.cli.messages import echo_rich, echo_table

LONG = "a name that is longer than eighty columns, which no terminal of that width shows at once"


def test_a_table_is_one_line_per_row_however_wide(capsys):
    table = pd.DataFrame({f"column_{i}": [LONG, None] for i in range(5)})
    echo_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].count(LONG) == 5
    assert lines[2].split() == ["-"] * 5


@pytest.fixture
def rich_table():
    table = Table(title=f"title {LONG}", caption=f"caption {LONG}")
    table.add_column("name")
    table.add_column("value", justify="right")
    table.add_row(LONG, "[1, 2]")
    table.add_row("b", "2")
    return table


def test_a_rich_table_in_a_pipe_has_no_boxes_and_no_broken_lines(rich_table, capsys):
    echo_rich(rich_table)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0] == f"title {LONG}"
    assert lines[1].split() == ["name", "value"]
    assert lines[2].startswith(f"{LONG}  ")
    assert lines[2].rstrip().endswith("[1, 2]")
    assert lines[3].split() == ["b", "2"]
    assert lines[4] == f"caption {LONG}"
    assert "".join(lines).isascii()


def test_a_rich_table_on_a_terminal_has_boxes(rich_table, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    echo_rich(rich_table)
    assert "━" in capsys.readouterr().out
