"""The command `run`."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from pydantic import ValidationError

from etchscope.cli.inputs import opened_paths, polygon_of, require_output
from etchscope.cli.options import (
    Json,
    MaskFile,
    NoMask,
    Region,
)
from etchscope.cli.progress import progress_bar
from etchscope.cli.sheet import draw_sheet
from etchscope.files.tables import write_table
from etchscope.foil import BadInput, Taxonomy
from etchscope.ingest import Overrides
from etchscope.run import Executor
from etchscope.store import Store, read_model

__all__ = ["command", "registered_model"]


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
        typer.Option("--output", "-o", metavar="FILE", help="Pit table, .csv, .parquet or .root."),
    ] = None,
    candidates: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Candidates, the best first, .csv, .parquet or .root."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Contact sheet of the best 100 candidates.")
    ] = None,
    scan: Annotated[str | None, typer.Option(help="Scan of the store [all of them].")] = None,
    region: Region = None,
    mask: MaskFile = None,
    no_mask: NoMask = False,
    prior: Annotated[
        str, typer.Option(help="Shares that probabilities assume: foil, model, or hip=0.01,….")
    ] = "foil",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads or processes [all cores].")
    ] = None,
    executor: Annotated[Executor, typer.Option(help="How the tiles are shared out.")] = "threads",
    as_json: Json = False,
) -> None:
    """Find the pits, score them with a model, and decide.

    The model that comes with the package takes any lights and pits of any size.

    Example: etchscope run scan-directory -o pits.csv --sheet candidates

    Example: etchscope run plate7 --model first -o pits.parquet --candidates candidates.csv

    Example: etchscope run scan-directory --model exported-model -o pits.csv
    """
    from etchscope.run.stages.score import ranked_candidates, score

    require_output(output)
    require_output(candidates)
    shares = prior if prior in ("foil", "model") else _prior(prior)
    reports, tables, ranked = [], [], []
    overrides = Overrides(scan=scan)
    with opened_paths(paths, overrides, skip_bad=False, mask=mask, no_mask=no_mask) as store:
        chosen = store.scans.names() if scan is None else [scan]
        if not chosen:
            raise BadInput(paths[0], "a store with scans", "an empty store", hint="Add a scan.")
        polygon = polygon_of(region)
        is_temporary = store.path.absolute() != paths[0].absolute()
        name = registered_model(store, model, chosen, is_temporary=is_temporary)
        for one in chosen:
            with progress_bar(f"Scoring {one}") as bar:
                done = score(
                    store,
                    one,
                    name,
                    region=polygon,
                    prior=shares,  # type: ignore[arg-type]
                    workers=workers,
                    executor=executor,
                    progress=bar.advance,
                    total=bar.total,
                )
            reports.append(done)
            tables.append(store.runs.pits(done.run))
            ranked.append(ranked_candidates(store, done.run))
            if not as_json:
                _tell_run(done, int(ranked[-1]["selected"].sum()))
        record = {"runs": [store.runs.record(r.run) for r in reports]}
        best = pd.concat(ranked, ignore_index=True)
        best = best.sort_values("score", ascending=False, kind="stable", ignore_index=True)
        if sheet is not None:
            chosen_few = best[best["selected"].fillna(value=False).astype(bool)].head(_SHEET)
            page = draw_sheet(store, chosen_few, sheet, [r.run for r in reports])
            if not as_json:
                typer.echo(page)
    if output is not None:
        write_table(output, pd.concat(tables, ignore_index=True), record=record)
    if candidates is not None:
        write_table(candidates, best, record=record)
    if as_json:
        typer.echo(json.dumps([asdict(r) for r in reports]))


_SHEET = 100
"""Candidates on a contact sheet."""


def registered_model(
    store: Store, model: str | None, scans: list[str], *, is_temporary: bool
) -> str:
    """Return the name of a model in the store; one in a folder is imported under its digest.

    A model that cannot read the scans is not imported.
    """
    from etchscope.ensemble import Model
    from etchscope.run.experts import SHIPPED
    from etchscope.run.stages.score import require_fit

    if model is not None and model in store.models.names():
        return model
    folder = SHIPPED if model is None else Path(model)
    if model is None and not folder.is_dir():
        hint = "Give --model, or train one with `etchscope train --random-foils`."
        raise BadInput(folder, "the experts that come with the package", "none", hint)
    if not folder.is_dir():
        listed = ", ".join(store.models.names()) or "none yet"
        hint = "Train one with `etchscope train`."
        raise BadInput("--model", f"a model of the store ({listed}) or a folder", repr(model), hint)
    arrays, card = read_model(folder)
    loaded = Model.from_record(arrays, card)
    if is_temporary:  # nobody could have told it other classes
        known = store.labels.taxonomy().classes
        try:
            taxonomy = Taxonomy(classes={**known, **dict.fromkeys(loaded.classes, "")})
        except ValidationError as error:
            found = ", ".join(loaded.classes)
            raise BadInput(folder, "a model of classes that have a name", found) from error
        store.labels.set_taxonomy(taxonomy)
    for name in scans:
        require_fit(loaded, store.scans.get(name), store.labels.taxonomy().classes)
    # Of the card too: the same weights may have another working point.
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()
    return store.models.save(f"imported-{digest[:12]}", arrays, card)


def _tell_run(done: Any, candidates: int) -> None:
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


def _prior(text: str | None) -> dict[str, float] | None:
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
