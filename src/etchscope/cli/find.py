"""The command `find`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etchscope.cli.cluster import (
    Join,
    PartOf,
    SchedulerAddress,
    echo_part,
    opened_executor,
    require_job,
)
from etchscope.cli.inputs import opened_inputs, require_scans
from etchscope.cli.options import (
    DeviceName,
    ExecutorName,
    LayoutName,
    MaskFile,
    MontageColumns,
    MontageRows,
    NoMask,
    PixelSize,
    make_settings,
    settings_options,
)
from etchscope.foil import BadInput, require_package
from etchscope.preselect import FindSettings

if TYPE_CHECKING:
    from etchscope.api import Store
    from etchscope.api.clusters import PartReport
    from etchscope.api.results import FindReport

__all__ = ["command"]

_MISFITS = 0.2
"""Share of pits at the limits of radius above which a warning is printed."""


@settings_options("settings", FindSettings)
def command(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="A store, a scan directory, or pictures."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Pit table to write: .csv, .parquet or .root."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write a report of each run into this folder."),
    ] = None,
    scan: Annotated[
        str | None, typer.Option(help="Scan of the store to search [all of them].")
    ] = None,
    layout: LayoutName = None,
    rows: MontageRows = None,
    columns: MontageColumns = None,
    pixel_size_um: PixelSize = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out tiles that cannot be read, and list them.")
    ] = False,
    region: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="JSON polygon [[x, y], …] in foil mm: search only inside it."
        ),
    ] = None,
    mask: MaskFile = None,
    no_mask: NoMask = False,
    finder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Finder: learned, classical, or the folder of a learned one's weights.",
        ),
    ] = "learned",
    settings: Mapping[str, Any] = MappingProxyType({}),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of threads or processes [all cores].")
    ] = None,
    executor: ExecutorName = "threads",
    scheduler: SchedulerAddress = None,
    part: PartOf = None,
    join: Join = False,
    device: DeviceName = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Find the pits of a store's scans, or directly of a scan directory or of pictures.

    Example: etchscope find plate7 -o pits.parquet

    Example: etchscope find sheet.bmp --layout montage --rows 9 --columns 12 -o pits.csv
    """
    from etchscope.api.given import as_polygon, require_table_file

    weights = _weights(finder, settings)
    kind = "classical" if finder == "classical" else "learned"
    chosen = make_settings(FindSettings, {"finder": kind, **settings})
    polygon = as_polygon(region)
    require_table_file(output)
    pictures: dict[str, Any] = {"layout": layout, "rows": rows, "columns": columns}
    pictures |= {"pixel_size_um": pixel_size_um, "skip_bad": skip_bad}
    require_job(paths, part, join=join, writes=bool(output or report))
    reports: list[Any] = []
    asked: dict[str, Any] = {"scan": scan, "mask": mask, "no_mask": no_mask, **pictures}
    with (
        opened_executor(scheduler, executor, workers) as engine,
        opened_inputs(paths, writes=as_json or bool(output or report), **asked) as store,
    ):
        how: dict[str, Any] = {"settings": chosen, "finder": weights, "region": polygon}
        how |= {"workers": workers, "executor": engine, "device": device}
        scans = require_scans(store, scan, store.path)
        store.require_searchable(scans, join=join, **how)
        for name in scans:
            if part is not None:
                reports.append(store.find_part(name, part, progress=True, **how))
            else:
                reports.append(store.find(name, join=join, progress=True, **how))
            if not as_json:
                _echo_found(store, reports[-1])
        _write_found(store, reports, output, report)
    if as_json:
        typer.echo(json.dumps([asdict(done) for done in reports]))


def _write_found(
    store: "Store", reports: "Sequence[FindReport]", output: Path | None, report: Path | None
) -> None:
    if output is not None:
        store.export(output, run=[done.run for done in reports])
    if report is not None:
        for done in reports:
            folder = report / done.scan if len(reports) > 1 else report
            typer.echo(store.report(done.scan, folder, run=done.run, progress=True))


def _weights(finder: str, settings: Mapping[str, Any]) -> Path | None:
    """Return the folder of a learned finder that is not the package's own.

    Raises
    ------
    BadInput : no such folder, or options of one finder beside the other.
    MissingExtra : PyTorch is not installed, and the finder is a learned one.
    """
    if finder == "classical" and "least_probability" in settings:
        raise BadInput("--least-probability", "a learned finder beside it", "--finder classical")
    given = [name for name in ("threshold", "binning") if name in settings]
    if finder != "classical" and given:
        raise BadInput(f"--{given[0]}", "--finder classical beside it", f"--finder {finder}")
    if finder != "classical":
        require_package("torch")  # before pictures are read
    if finder in ("learned", "classical"):
        return None
    if not Path(finder).is_dir():
        expected = "learned, classical, or the folder of a finder's weights"
        raise BadInput("--finder", expected, repr(finder))
    return Path(finder)


def _echo_found(store: "Store", done: "FindReport | PartReport") -> None:
    from etchscope.api.clusters import PartReport
    from etchscope.foil import PitFlag, has_flag

    if isinstance(done, PartReport):
        echo_part(done)
        return
    table, record = store.pits(run=done.run), store.record(done.run)
    is_mark = (table["class"] == "misc").fillna(value=False).astype(bool)
    pits = table[~is_mark]
    by_surface = ", ".join(f"{n} {name}" for name, n in pits["surface"].value_counts().items())
    marks = f" and {int(is_mark.sum())} marks that are no pits" if is_mark.any() else ""
    again = ", done before" if done.was_done else ""
    typer.echo(
        f"{done.scan}: {len(pits)} pits ({by_surface or 'none'}){marks} on {done.tiles} tiles, "
        f"{done.run}{again}"
    )
    for words in record.light_faults:
        typer.echo(f"{done.scan}: {words}")
    for tile, why in record.left_out:
        typer.echo(f"{done.scan}: tile {tile} was not searched: {why}")
    if has_flag(pits, PitFlag.SIZE_LIMIT).sum() > _MISFITS * max(len(pits), 1):
        typer.echo(
            f"{done.scan}: the radii of many pits lie at the limits of the search; set "
            "--smallest-radius-px and --largest-radius-px to the radii that the picture shows"
        )
    left_out = len(store.left_out(done.scan))
    if left_out:
        typer.echo(f"{done.scan}: {left_out} tiles were left out when it was added")
