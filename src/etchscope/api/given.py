"""What a user hands over, checked at once and brought into the form that the work takes."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from etchscope.files.strict_json import read_json
from etchscope.files.tables import read_table
from etchscope.foil import BadInput, require_package
from etchscope.foil.cells import require_plain_cells
from etchscope.foil.records import Name
from etchscope.foil.types import Floats

__all__ = [
    "File",
    "Files",
    "Region",
    "Table",
    "as_paths",
    "as_polygon",
    "as_table",
    "condition_of",
    "name_of_table",
    "require_condition",
    "require_name",
    "require_table_file",
]

File = str | os.PathLike[str]
Files = File | Sequence[File]
Table = pd.DataFrame | File
"""A table in memory, or the file of one: .csv, .parquet, .root or .json."""
Region = Sequence[tuple[float, float]] | Floats | File
"""The corners of a polygon in foil mm, or a JSON file [[x, y], …] of them."""

_TABLE_FILES = (".csv", ".parquet", ".root")


def as_paths(given: Files) -> list[Path]:
    """Return one path or several as a list."""
    return [Path(given)] if isinstance(given, str | os.PathLike) else [Path(one) for one in given]


def as_table(given: Table) -> pd.DataFrame:
    """Return a table, read from its file if it is one.

    Raises
    ------
    BadInput : no such file, or no table in it; a column stands twice, or a cell holds a list.
    """
    if isinstance(given, pd.DataFrame):
        return require_plain_cells("table", given)
    return read_table(Path(given))


def name_of_table(given: Table, name: str) -> str:
    """Return what an error calls a table: its file, or ``name`` where it has none."""
    return name if isinstance(given, pd.DataFrame) else str(given)


def as_polygon(given: Region | None, where: str = "region of interest") -> Floats | None:
    """Return the corners of a polygon, (m, 2); None stays None.

    Raises
    ------
    BadInput : fewer than three corners, corners that are no numbers, or not pairs of them.
    """
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        where, given = str(given), read_json(Path(given))
    try:
        corners = np.array(given, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(where, _CORNERS, str(error)) from error
    if corners.ndim != 2 or len(corners) < 3 or corners.shape[1] != 2:
        raise BadInput(where, _CORNERS, f"an array of shape {corners.shape}")
    if not np.isfinite(corners).all():
        raise BadInput(where, _CORNERS, "a corner that is no number")
    return corners


_CORNERS = "[[x_mm, y_mm], …] with at least three corners"


def require_name(name: str, what: str) -> None:
    """Refuse a name that is not safe as a folder's or a file's, before the work and not after.

    Raises
    ------
    BadInput : names ``what`` has the name.
    """
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        raise BadInput(what, "letters, digits, dot, dash, underscore", repr(name)) from error


def require_table_file(file: File | None) -> None:
    """Refuse a table that could not be written, before the work and not after; None is no table.

    Raises
    ------
    BadInput : another suffix than those of tables, a folder, or no folder that can be written to.
    MissingExtra : it is a ROOT file, and uproot is not installed.
    """
    if file is None:
        return
    path = Path(file)
    if path.suffix.lower() not in _TABLE_FILES:
        raise BadInput(path, "a name that ends in .csv, .parquet or .root", repr(path.suffix))
    if path.is_dir():
        raise BadInput(path, "a file to write", "a folder")
    if not os.access(path.parent, os.W_OK):
        raise BadInput(path, "an existing folder that can be written to", str(path.parent))
    if path.suffix.lower() == ".root":
        require_package("uproot")


def condition_of(
    where: str | None = None,
    *,
    foil: str | None = None,
    scan: str | None = None,
    tile: int | None = None,
) -> str | None:
    """Return one SQL condition for the chosen tiles; None for all tiles.

    >>> condition_of("tile > 3", foil="F1")
    "(tile > 3) and foil = 'F1'"
    """
    parts = [f"({where})"] if where is not None else []
    for column, value in (("foil", foil), ("scan", scan)):
        if value is not None:
            quoted = value.replace("'", "''")
            parts.append(f"{column} = '{quoted}'")
    if tile is not None:
        parts.append(f"tile = {tile}")
    return " and ".join(parts) or None


def require_condition(condition: str | None) -> str:
    """Return the condition; refuse to change all tiles of a store because none were chosen.

    Raises
    ------
    BadInput : no condition.
    """
    if condition is None:
        raise BadInput("which tiles", "a condition, a foil, a scan or a tile", "none of them")
    return condition
