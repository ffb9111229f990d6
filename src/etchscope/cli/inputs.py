"""What commands are given: stores or pictures, polygons, names, files to write."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from etchscope.foil import (
    BadInput,
)
from etchscope.progress import progress_bar

if TYPE_CHECKING:
    from etchscope.foil.types import Floats
    from etchscope.ingest import Overrides
    from etchscope.store import Store

__all__ = [
    "opened_paths",
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
def opened_paths(
    paths: list[Path],
    overrides: "Overrides",
    *,
    skip_bad: bool,
    mask: Path | None = None,
    no_mask: bool = False,
) -> "Iterator[Store]":
    """Yield the store given, or one for this search only, made of the pictures given.

    A mask becomes that of the scan to be searched, or of all scans.
    """
    import tempfile

    from etchscope.ingest import Overrides, add_scan, group_paths
    from etchscope.store import Store

    if mask is not None and no_mask:
        raise BadInput("--no-mask", "no --mask beside it", str(mask))
    if len(paths) == 1 and (paths[0] / "catalogue.sqlite").is_file():
        if overrides != Overrides(scan=overrides.scan) or skip_bad:
            what = "no option about pictures"
            raise BadInput(paths[0], what, "a store", hint="Give those options to `add`.")
        opened = Store.open(paths[0])
        _set_masks(opened, overrides.scan, mask, no_mask=no_mask)
        yield opened
        return
    with tempfile.TemporaryDirectory(prefix="etchscope-") as folder:
        store = Store.create(Path(folder) / "store")
        for group in group_paths(paths):
            with progress_bar("Reading pictures") as bar:
                added = add_scan(
                    store,
                    group,
                    overrides=overrides,
                    skip_bad=skip_bad,
                    mask=mask,
                    progress=bar.advance,
                    total=bar.total,
                )
            for bad in added.left_out:
                typer.echo(f"left out tile {bad.tile}: {bad.file}: {bad.why}", err=True)
        yield store


def _set_masks(store: "Store", scan: str | None, mask: Path | None, *, no_mask: bool) -> None:
    from etchscope.ingest import read_mask

    if mask is None and not no_mask:
        return
    names = store.scans.names() if scan is None else [scan]
    # All of them are checked before any is changed.
    masks = [None if mask is None else read_mask(mask, store.scans.get(name)) for name in names]
    for name, one in zip(names, masks, strict=True):
        store.fits.set_mask(name, one)


def parse_prior(text: str | None) -> dict[str, float] | None:
    """Return the shares of ``hip=0.01,top=0.4,…``."""
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
    """Return the scan that is named, or all scans of a store; refuse a store without any."""
    names = store.scans.names() if scan is None else [scan]
    if not names:
        raise BadInput(where, "a store with scans", "an empty store", hint="Add a scan.")
    return names
