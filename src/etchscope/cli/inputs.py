"""The inputs of commands: a store or pictures, the scans to search, shares of classes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.api import Store
    from etchscope.api.results import Added
    from etchscope.foil.types import Floats

__all__ = [
    "opened_inputs",
    "parse_prior",
    "polygon_of",
    "require_name",
    "require_output",
    "require_scans",
]


def polygon_of(path: Path | None) -> "Floats | None":
    """Return the polygon, (m, 2) foil mm, of a JSON file [[x, y], …]."""
    import numpy as np

    from etchscope.files.strict_json import read_json

    if path is None:
        return None
    expected = "[[x_mm, y_mm], …] with at least three corners"
    value = read_json(path)
    try:
        corners = np.array(value, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(path, expected, str(error)) from error
    if corners.ndim != 2 or len(corners) < 3 or corners.shape[1] != 2:
        raise BadInput(path, expected, f"an array of shape {corners.shape}")
    if not np.isfinite(corners).all():
        raise BadInput(path, expected, "a corner that is no number")
    return corners


def require_output(path: Path | None) -> None:
    """Refuse a table that could not be written, before the search and not after it."""
    if path is None:
        return
    if path.suffix.lower() not in (".csv", ".parquet", ".root"):
        raise BadInput(path, "a name that ends in .csv, .parquet or .root", repr(path.suffix))
    if path.is_dir():
        raise BadInput(path, "a file to write", "a folder")
    if not os.access(path.parent, os.W_OK):
        raise BadInput(path, "an existing folder that can be written to", str(path.parent))


def require_name(name: str) -> None:
    """Refuse a name that is not safe as a folder's or a file's, before the work and not after."""
    from pydantic import TypeAdapter, ValidationError

    from etchscope.foil.records import Name

    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        expected = "letters, digits, dot, dash, underscore"
        raise BadInput("--name", expected, repr(name)) from error


@contextmanager
def opened_inputs(
    paths: list[Path],
    *,
    scan: str | None,
    mask: Path | None,
    no_mask: bool,
    **pictures: Any,
) -> "Iterator[Store]":
    """Yield the store that is given, or a temporary one made of the pictures that are given.

    Parameters
    ----------
    pictures : the options about pictures, as arguments of ``api.opened_paths``.
    """
    from etchscope.api import opened_paths

    if mask is not None and no_mask:
        raise BadInput("--no-mask", "no --mask beside it", str(mask))
    with opened_paths(
        paths,
        scan=scan,
        mask=mask,
        forget_mask=no_mask,
        each=_echo_left_out,
        progress=True,
        **pictures,
    ) as store:
        yield store


def _echo_left_out(added: "Added") -> None:
    for bad in added.left_out:
        typer.echo(f"left out tile {bad.tile}: {bad.file}: {bad.why}", err=True)


def parse_prior(text: str | None) -> dict[str, float] | None:
    """Return class → share of ``hip=0.01,top=0.4,…``; None stays None.

    Raises
    ------
    BadInput : another text.
    """
    if text is None:
        return None
    shares = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        try:
            shares[name.strip()] = float(value)
        except ValueError as error:
            raise BadInput("--prior", "hip=0.01,top=0.4,…", repr(part)) from error
        if not equals:
            raise BadInput("--prior", "hip=0.01,top=0.4,…", repr(part))
    return shares


def require_scans(store: "Store", scan: str | None, where: Path) -> list[str]:
    """Return the scan that is named, or else all scans of the store.

    Raises
    ------
    BadInput : the store has no scan.
    """
    names = store.scan_names() if scan is None else [scan]
    if not names:
        raise BadInput(where, "a store with scans", "an empty store", hint="Add a scan.")
    return names
