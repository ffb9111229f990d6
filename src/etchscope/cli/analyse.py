"""Commands that look for pits and hand them on: find, export."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import typer
from pydantic import TypeAdapter, ValidationError

from etchscope.cli.progress import progress_bar
from etchscope.files.strict_json import read_json
from etchscope.files.tables import write_table
from etchscope.foil import (
    BadInput,
    NotSearched,
    PitFlag,
    has_flag,
)
from etchscope.foil.records import Name
from etchscope.foil.types import Floats
from etchscope.ingest import Overrides, add, group_paths, read_mask
from etchscope.preselect import FindSettings
from etchscope.run import Executor, FindReport, find
from etchscope.store import Store

_MISFITS = 0.2
"""Share of pits at the limits of size from which these are said to be wrong."""

__all__ = [
    "COMMANDS",
    "MaskFile",
    "NoMask",
    "opened_paths",
    "polygon_of",
    "require_name",
    "require_output",
]

MaskFile = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="FILE",
        help="JSON polygons, in foil mm or without a scale in px, or a picture (white: search), "
        "of where to search; kept with the scan.",
    ),
]
NoMask = Annotated[
    bool, typer.Option("--no-mask", help="Forget the scan's mask and search all of it.")
]


def _settings(values: dict[str, Any]) -> FindSettings:
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return FindSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        told = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        # An error of several options at once has no place, but begins with the name of one.
        name = str(first["loc"][0]) if first["loc"] else told.split()[0]
        told = told.replace(f"{name} must ", "it to ")
        found = repr(given[name]) if name in given else "its default"
        raise BadInput("--" + name.replace("_", "-"), told, found) from error


def polygon_of(path: Path | None) -> Floats | None:
    """Return the polygon, (m, 2) foil mm, of a JSON file [[x, y], …]."""
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
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        expected = "letters, digits, dot, dash, underscore"
        raise BadInput("--name", expected, repr(name)) from error


@contextmanager
def opened_paths(
    paths: list[Path],
    overrides: Overrides,
    *,
    skip_bad: bool,
    mask: Path | None = None,
    no_mask: bool = False,
) -> Iterator[Store]:
    """Yield the store given, or one for this search only, made of the pictures given.

    A mask becomes that of the scan to be searched, or of all scans.
    """
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
                added = add(
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


def _set_masks(store: Store, scan: str | None, mask: Path | None, *, no_mask: bool) -> None:
    if mask is None and not no_mask:
        return
    names = store.scans.names() if scan is None else [scan]
    # All of them are checked before any is changed.
    masks = [None if mask is None else read_mask(mask, store.scans.get(name)) for name in names]
    for name, one in zip(names, masks, strict=True):
        store.fits.set_mask(name, one)


def find_command(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="A store, a scan directory, or pictures."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Pit table: .csv, .parquet or .root."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write a report of each run.")
    ] = None,
    scan: Annotated[str | None, typer.Option(help="Scan of the store [all of them].")] = None,
    layout: Annotated[
        Literal["smartscope", "pictures", "montage", "plain"] | None,
        typer.Option(help="How pictures lie in their files."),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Rows of a montage.")] = None,
    columns: Annotated[int | None, typer.Option(min=1, help="Columns of a montage.")] = None,
    pixel_size_um: Annotated[float | None, typer.Option(help="Size of a pixel.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad tiles out.")] = False,
    region: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON polygon [[x, y], …] in foil mm to search."),
    ] = None,
    mask: MaskFile = None,
    no_mask: NoMask = False,
    smallest_radius_px: Annotated[float | None, typer.Option(help="Smallest pit [3].")] = None,
    largest_radius_px: Annotated[float | None, typer.Option(help="Largest pit [12].")] = None,
    finder: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="learned, classical, or the folder of a learned one's weights."
        ),
    ] = "learned",
    least_probability: Annotated[
        float | None,
        typer.Option(help="Learned finder: from which a find counts; less finds more [0.4]."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Classical finder: least response in units of the noise [5.5]."),
    ] = None,
    pair_reach_px: Annotated[
        float | None, typer.Option(help="Largest displacement from entry to exit pit [20].")
    ] = None,
    binning: Annotated[
        int | None,
        typer.Option(help="Classical finder: pixels a side that are binned; 1 is finer [2]."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads or processes [all cores].")
    ] = None,
    executor: Annotated[Executor, typer.Option(help="How the tiles are shared out.")] = "threads",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Find the pits of a store's scans, or directly of a scan directory or of pictures.

    Example: etchscope find plate7 -o pits.parquet

    Example: etchscope find sheet.bmp --layout montage --rows 9 --columns 12 -o pits.csv
    """
    weights = _weights(finder, least_probability, threshold=threshold, binning=binning)
    settings = _settings(
        {
            "finder": "classical" if finder == "classical" else "learned",
            "smallest_radius_px": smallest_radius_px,
            "largest_radius_px": largest_radius_px,
            "least_probability": least_probability,
            "threshold": threshold,
            "pair_reach_px": pair_reach_px,
            "binning": binning,
        }
    )
    polygon = polygon_of(region)
    require_output(output)
    overrides = Overrides(
        layout=layout, rows=rows, columns=columns, pixel_size_um=pixel_size_um, scan=scan
    )
    reports = []
    with opened_paths(paths, overrides, skip_bad=skip_bad, mask=mask, no_mask=no_mask) as store:
        names = store.scans.names() if scan is None else [scan]
        if not names:
            raise BadInput(store.path, "a store with scans", "an empty store", hint="Add a scan.")
        for name in names:
            with progress_bar(f"Searching {name}") as bar:
                done = find(
                    store,
                    name,
                    settings=settings,
                    weights=weights,
                    region=polygon,
                    workers=workers,
                    executor=executor,
                    progress=bar.advance,
                    total=bar.total,
                )
            reports.append(done)
            if not as_json:
                _tell(store, done)
        if output is not None:
            _export(store, [r.run for r in reports], output)
        if report is not None:
            for done in reports:
                _report(store, done.run, report / done.scan if len(reports) > 1 else report)
    if as_json:
        typer.echo(json.dumps([asdict(r) for r in reports]))


def _weights(
    finder: str, least_probability: float | None, **classical: float | None
) -> Path | None:
    """Return the folder of a learned finder that is not the package's own.

    Raises
    ------
    BadInput : no such folder, or options of one finder beside the other.
    """
    if finder == "classical" and least_probability is not None:
        raise BadInput("--least-probability", "a learned finder beside it", "--finder classical")
    given = [name for name, value in classical.items() if value is not None]
    if finder != "classical" and given:
        raise BadInput(f"--{given[0]}", "--finder classical beside it", f"--finder {finder}")
    if finder in ("learned", "classical"):
        return None
    if not Path(finder).is_dir():
        expected = "learned, classical, or the folder of a finder's weights"
        raise BadInput("--finder", expected, repr(finder))
    return Path(finder)


def _tell(store: Store, done: FindReport) -> None:
    table, record = store.runs.pits(done.run), store.runs.record(done.run)
    is_mark = (table["class"] == "misc").fillna(value=False).astype(bool)
    pits = table[~is_mark]
    by_surface = ", ".join(f"{n} {name}" for name, n in pits["surface"].value_counts().items())
    marks = f" and {int(is_mark.sum())} marks that are no pits" if is_mark.any() else ""
    again = ", done before" if done.was_done else ""
    typer.echo(
        f"{done.scan}: {len(pits)} pits ({by_surface or 'none'}){marks} on {done.tiles} tiles, "
        f"{done.run}{again}"
    )
    for words in record.get("light_faults", []):
        typer.echo(f"{done.scan}: {words}")
    for tile, why in record.get("left_out", []):
        typer.echo(f"{done.scan}: tile {tile} was not searched: {why}")
    if has_flag(pits, PitFlag.SIZE_LIMIT).sum() > _MISFITS * max(len(pits), 1):
        typer.echo(
            f"{done.scan}: many of the pits are smaller or larger than is looked for; set "
            "--smallest-radius-px and --largest-radius-px to what the picture shows"
        )
    left_out = len(store.scans.left_out(done.scan))
    if left_out:
        typer.echo(f"{done.scan}: {left_out} tiles were left out when it was added")


def _report(store: Store, run: str, directory: Path) -> None:
    # Here, so that no other command waits for Matplotlib.
    from etchscope.pages import gather_content, write_report

    content = gather_content(store, run)
    with progress_bar("Drawing tiles", len(content.scan.included)) as bar:
        typer.echo(write_report(content, directory, progress=bar.advance))


def _export(store: Store, runs: list[str], path: Path) -> None:
    tables = [store.runs.pits(run) for run in runs]
    record = {"runs": [store.runs.record(run) for run in runs]}
    write_table(path, pd.concat(tables, ignore_index=True), record=record)


def export(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Table: .csv, .parquet or .root.")
    ],
    scan: Annotated[str | None, typer.Option(help="Scan [all that were searched].")] = None,
    run: Annotated[str | None, typer.Option(help="Run [the latest of each scan].")] = None,
) -> None:
    """Write the pit table of a store's latest runs to a file.

    Example: etchscope export plate7 --scan F1-front -o pits.csv
    """
    opened = Store.open(store)
    if run is not None:
        of_scan = opened.runs.record(run)["scan"]
        if scan not in (None, of_scan):
            raise BadInput("--run", f"a run of scan {scan}", f"{run} of scan {of_scan}")
        runs = [run]
    else:
        names = opened.scans.names() if scan is None else [scan]
        for name in names:
            opened.scans.get(name)
        runs = [latest for name in names if (latest := opened.runs.latest(name)) is not None]
    if not runs:
        raise NotSearched(store, "a finished run", "none")
    _export(opened, runs, output)
    for name in runs:
        record = opened.runs.record(name)
        region = " in a region" if record.get("region_mm") else ""
        tiles = f"{len(record.get('tiles', []))} tiles{region}"
        typer.echo(f"{output}: {len(opened.runs.pits(name))} pits on {tiles}, {name}")


COMMANDS: dict[str, Callable[..., None]] = {"find": find_command, "export": export}
