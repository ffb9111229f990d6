"""The command `run`."""

import json
from dataclasses import asdict
from pathlib import Path
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
from etchscope.cli.inputs import opened_inputs, parse_prior, require_scans
from etchscope.cli.options import DeviceName, ExecutorName, Json, MaskFile, NoMask, Region
from etchscope.cli.stacked import require_stack, write_stack

if TYPE_CHECKING:
    from etchscope.api import Store
    from etchscope.api.clusters import PartReport
    from etchscope.api.results import ScoreReport

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
    alignment: Annotated[
        str | None,
        typer.Option(
            help="Alignment of the store: search its scans, and rank the particles through all "
            "foils in one list."
        ),
    ] = None,
    gap_um: Annotated[
        float, typer.Option(help="Distance of neighbouring foils in the stack, about.")
    ] = 0.0,
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
    scheduler: SchedulerAddress = None,
    part: PartOf = None,
    join: Join = False,
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Find the pits, score them with a model, and select candidates.

    The model that comes with the package works with any lights and with pits of any size.

    Example: etchscope run scan-directory -o pits.csv --sheet candidates

    Example: etchscope run plate7 --model first -o pits.parquet --candidates candidates.csv

    Example: etchscope run scan-directory --model exported-model -o pits.csv

    Example: etchscope run plate7 --alignment aligned --candidates particles.csv
    """
    from etchscope.api.given import as_polygon, require_table_file

    require_table_file(output)
    require_table_file(candidates)
    shares: Any = prior if prior in ("foil", "model") else parse_prior(prior)
    polygon = as_polygon(region)
    files = bool(output or candidates or sheet)
    require_job(paths, part, join=join, writes=files or alignment is not None)
    reports: list[Any] = []
    asked: dict[str, Any] = {"scan": scan, "mask": mask, "no_mask": no_mask}
    with (
        opened_executor(scheduler, executor, workers) as engine,
        opened_inputs(paths, writes=as_json or files, **asked) as store,
    ):
        scans = require_stack(store, alignment, scan) or require_scans(store, scan, paths[0])
        how: dict[str, Any] = {"model": model, "region": polygon, "prior": shares}
        how |= {"workers": workers, "executor": engine, "device": device}
        how["model"] = store.register_model(scans, join=join, **how)
        for one in scans:
            if part is not None:
                reports.append(store.run_part(one, part, progress=True, **how))
            else:
                reports.append(store.run(one, join=join, progress=True, **how))
            if not as_json:
                _echo_done(store, reports[-1], is_named=model is not None)
        runs = [done.run for done in reports]
        if sheet is not None:
            page = store.sheet(sheet, run=runs, progress=True)
            if not as_json:
                typer.echo(page)
        if output is not None:
            store.export(output, run=runs)
        if alignment is not None:
            write_stack(store, alignment, reports, candidates, gap_um=gap_um, echo=not as_json)
        elif candidates is not None:
            store.export_candidates(candidates, run=runs, every=True)
    if as_json:
        typer.echo(json.dumps([asdict(done) for done in reports]))


def _echo_done(store: "Store", done: "ScoreReport | PartReport", *, is_named: bool) -> None:
    """Print what came of a run or of a part of it."""
    from etchscope.api.clusters import PartReport

    if isinstance(done, PartReport):
        echo_part(done)
        return
    has_lamps = len(store.kept.scans.get(done.scan).azimuths_deg) > 0
    _echo_scored(done, len(store.candidates(run=done.run)), has_lamps=has_lamps)
    _echo_unlike(done, is_named=is_named)


def _echo_scored(done: "ScoreReport", candidates: int, *, has_lamps: bool) -> None:
    """Print what came of a scoring; without lamps from the side, no light shows pairs."""
    again = ", done before" if done.was_done else ""
    selected = done.counts["selected"]
    typer.echo(
        f"{done.scan}: {done.pits} pits on {done.tiles} tiles, {selected} selected as "
        f"{candidates} candidates, {done.run}{again}"
    )
    if not has_lamps and not candidates:
        typer.echo(
            f"{done.scan}: without lamps from the side, these lights show no pairs of entry and "
            "exit pit, so no candidate is selected"
        )
    elif done.expected is not None:
        value, low, high = (f"{v:,.0f}" if v >= 10 else f"{v:.2g}" for v in done.expected)
        typer.echo(
            f"{done.scan}: {value} [{low}, {high}] signal particles are expected among all "
            "candidates, if the scan is like those that the model was calibrated on"
        )


def _echo_unlike(done: "ScoreReport", *, is_named: bool) -> None:
    """Print what is unlike the training of the model, which is named or the package's own."""
    trained = f"{done.model} was" if is_named else "the experts of the package were"
    unlike = done.counts["not_valid"]
    if done.counts["foreign_scan"]:
        typer.echo(
            f"{done.scan}: the scan is unlike those that {trained} trained on, so no score "
            "is valid; train on labels of such a scan"
        )
    elif unlike:
        pits, scores = (
            ("pit is", "its score is") if unlike == 1 else ("pits are", "their scores are")
        )
        typer.echo(
            f"{done.scan}: {unlike} {pits} unlike those that {trained} trained on; "
            f"{scores} not valid"
        )
