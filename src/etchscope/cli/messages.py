"""What several commands print, and what they ask before they remove something."""

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from etchscope.foil import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

__all__ = ["confirm_removal", "echo_json", "echo_rich", "echo_table"]


_WIDE = 10_000
"""Columns of a line that no table fills."""


def echo_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))


def echo_table(table: "pd.DataFrame", *, missing: str = "-") -> None:
    """Print a table, one line per row, columns aligned with spaces, however wide it is.

    Parameters
    ----------
    missing : what stands for a missing value.
    """
    typer.echo(table.to_string(index=False, na_rep=missing, line_width=None))


def echo_rich(*tables: "Table") -> None:
    """Print Rich's tables: with boxes on a terminal, otherwise plain, one line per row."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    console = Console() if is_terminal else Console(width=_WIDE, no_color=True)
    for table in tables:
        if is_terminal:
            console.print(table)
            continue
        title, caption = table.title, table.caption
        table.title = table.caption = table.box = None
        table.pad_edge = False
        for text in (title, table, caption):
            if text is not None:
                console.print(text, highlight=False, markup=False)


def confirm_removal(command: str, *, yes: bool) -> None:
    """Ask whether to remove what was listed, and end the program if the answer is no.

    Parameters
    ----------
    yes : the answer, if it was given as an option.

    Raises
    ------
    BadInput : no answer was given, and there is no terminal to ask at.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(command, "`--yes`, or a terminal to ask at", "neither")
    typer.confirm("Remove them?", abort=True, err=True)
