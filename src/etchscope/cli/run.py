"""The command `run`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etchscope.cli.inputs import (
    opened_paths,
    parse_prior,
    polygon_of,
    require_output,
    require_scans,
)
from etchscope.cli.options import DeviceName, ExecutorName, Json, MaskFile, NoMask, Region
from etchscope.cli.sheet import SHEET, draw_sheet
from etchscope.progress import progress_bar

if TYPE_CHECKING:
    from etchscope.run.stages.score import ScoreReport
    from etchscope.store import Store

__all__ = ["command"]


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="A store, a scan directory, or pictures."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Name of a model of the store, or folder of an exported one [the package's own]."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Pit table to write: .csv, .parquet or .root."
        ),
    ] = None,
    candidates: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table of candidates to write, sorted by score: .csv, .parquet or .root.",
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for a page with cut-outs of the best 100 candidates."
        ),
    ] = None,
    scan: Annotated[
        str | None, typer.Option(help="Scan of the store to search [all of them].")
    ] = None,
    region: Region = None,
    mask: MaskFile = None,
    no_mask: NoMask = False,
    prior: Annotated[
        str,
        typer.Option(
            help="Shares of the classes that probabilities assume: foil, model, or hip=0.01,…."
        ),
    ] = "foil",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of threads or processes [all cores].")
    ] = None,
    executor: ExecutorName = "threads",
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Find the pits, score them with a model, and decide.

    The model that comes with the package takes any lights and pits of any size.

    Example: etchscope run scan-directory -o pits.csv --sheet candidates

    Example: etchscope run plate7 --model first -o pits.parquet --candidates candidates.csv

    Example: etchscope run scan-directory --model exported-model -o pits.csv
    """
    from etchscope.files.tables import write_table
    from etchscope.ingest import Overrides
    from etchscope.run.models import register_model
    from etchscope.run.results import (
        gather_candidates,
        gather_pits,
        gather_records,
        select_candidates,
    )

    require_output(output)
    require_output(candidates)
    shares = prior if prior in ("foil", "model") else parse_prior(prior)
    given = Overrides(scan=scan)
    with opened_paths(paths, given, skip_bad=False, mask=mask, no_mask=no_mask) as store:
        scans = require_scans(store, scan, paths[0])
        is_temporary = store.path.absolute() != paths[0].absolute()
        name = register_model(store, model, scans, is_temporary=is_temporary)
        plan = {"region": polygon_of(region), "prior": shares, "workers": workers}
        reports = []
        for one in scans:
            reports.append(_score(store, one, name, **plan, executor=executor, device=device))
            if not as_json:
                found = gather_candidates(store, [reports[-1].run])
                _tell(reports[-1], len(select_candidates(found)))
        runs = [done.run for done in reports]
        best, record = gather_candidates(store, runs), gather_records(store, runs)
        if sheet is not None:
            page = draw_sheet(store, select_candidates(best).head(SHEET), sheet, runs)
            if not as_json:
                typer.echo(page)
        if output is not None:
            write_table(output, gather_pits(store, runs), record=record)
        if candidates is not None:
            write_table(candidates, best, record=record)
    if as_json:
        typer.echo(json.dumps([asdict(r) for r in reports]))


def _score(store: "Store", scan: str, model: str, **plan: Any) -> "ScoreReport":
    from etchscope.run.stages.score import score

    with progress_bar(f"Scoring {scan}") as bar:
        return score(store, scan, model, **plan, progress=bar.advance, total=bar.total)


def _tell(done: "ScoreReport", candidates: int) -> None:
    again = ", done before" if done.was_done else ""
    selected = done.counts["selected"]
    typer.echo(
        f"{done.scan}: {done.pits} pits on {done.tiles} tiles, {selected} selected as "
        f"{candidates} candidates, {done.run}{again}"
    )
    if done.expected is not None:
        value, low, high = (f"{v:,.0f}" if v >= 10 else f"{v:.2g}" for v in done.expected)
        typer.echo(
            f"{done.scan}: all candidates together speak for {value} [{low}, {high}] signal "
            "particles, if the scan is of the kind that the model was calibrated on"
        )
    if done.counts["foreign_scan"]:
        typer.echo(
            f"{done.scan}: unlike what {done.model} was trained on, so nothing of it is valid; "
            "train on labels of such a scan"
        )
    elif done.counts["not_valid"]:
        typer.echo(
            f"{done.scan}: {done.counts['not_valid']} pits lie outside what {done.model} was "
            "trained on; it says nothing of them"
        )
