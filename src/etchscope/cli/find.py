"""The command `find`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from etchscope.cli.export import export_runs
from etchscope.cli.inputs import opened_paths, polygon_of, require_output
from etchscope.cli.options import (
    MaskFile,
    NoMask,
)
from etchscope.cli.progress import progress_bar
from etchscope.foil import (
    BadInput,
    PitFlag,
    has_flag,
)
from etchscope.ingest import Overrides
from etchscope.preselect import FindSettings
from etchscope.run import Executor, FindReport, find
from etchscope.store import Store

__all__ = ["command"]

_MISFITS = 0.2
"""Share of pits at the limits of size from which these are said to be wrong."""


def command(
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
            export_runs(store, [r.run for r in reports], output)
        if report is not None:
            for done in reports:
                _report(store, done.run, report / done.scan if len(reports) > 1 else report)
    if as_json:
        typer.echo(json.dumps([asdict(r) for r in reports]))


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
