"""Commands that learn and decide: train, run, candidates."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
import typer
from pydantic import ValidationError

from etchscope.cli.analyse import (
    MaskFile,
    NoMask,
    opened_paths,
    polygon_of,
    require_name,
    require_output,
)
from etchscope.cli.progress import progress_bar
from etchscope.cli.shipped import train_experts, train_finder
from etchscope.files.strict_json import read_json
from etchscope.files.tables import write_table
from etchscope.foil import BadInput, NotScored, Taxonomy
from etchscope.ingest import Overrides
from etchscope.run import Executor
from etchscope.store import Store, read_model

if TYPE_CHECKING:
    from etchscope.ensemble import ExpertKind, Model, TrainedModel
    from etchscope.learn import Training
    from etchscope.run.labelled import LeftOut

# PyTorch takes a second to load: only these commands wait for it.

__all__ = ["COMMANDS", "draw_sheet", "registered_model"]

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Region = Annotated[
    Path | None, typer.Option(metavar="FILE", help="JSON polygon [[x, y], …] in foil mm.")
]


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


def _kinds(path: Path | None) -> "tuple[ExpertKind, ...] | None":
    from etchscope.ensemble import kinds_of

    return None if path is None else kinds_of(read_json(path), where=str(path))


def train_command(
    store: Annotated[
        Path | None, typer.Argument(metavar="STORE", help="The store's folder.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in the store.")] = None,
    scan: Annotated[
        list[str] | None, typer.Option(help="Scans whose labels to use [all]; may be repeated.")
    ] = None,
    region: Region = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Classes to tell apart [all decidable]; may be repeated."),
    ] = None,
    who: Annotated[
        list[str] | None, typer.Option(help="Whose labels to use [all]; may be repeated.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Use labels of a person, model or coincidence [all]; may be repeated."),
    ] = None,
    alignment: Annotated[
        str | None,
        typer.Option(
            help="How scans lie to each other [all the store's alignments, newest first]."
        ),
    ] = None,
    signal: Annotated[str | None, typer.Option(help="The class to search for [hip].")] = None,
    experts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help='Experts as JSON, {"hip-top": [["hip"], ["top"]]} [each two].'
        ),
    ] = None,
    method: Annotated[
        Literal["stacked", "highest", "multiclass"], typer.Option(help="What makes the ensemble.")
    ] = "stacked",
    network: Annotated[
        Literal["plain", "each-lamp", "azimuth", "equivariant"], typer.Option(help="The network.")
    ] = "equivariant",
    lights: Annotated[
        Literal["any", "all", "lamps", "one"],
        typer.Option(help="What the network sees: any lights as planes, or lights as they are."),
    ] = "any",
    augmentation: Annotated[
        Literal["none", "C4", "D4", "C8"], typer.Option(help="How patches are turned in training.")
    ] = "D4",
    loss: Annotated[
        Literal["balanced", "focal", "partial-auc"], typer.Option(help="What training minimises.")
    ] = "balanced",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the labels at most.")] = 16,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 4e-3,
    size: Annotated[int, typer.Option(min=4, help="Pixels a side of a patch.")] = 28,
    folds: Annotated[int, typer.Option(min=2, help="Folds of whole tiles.")] = 5,
    seed: Annotated[int, typer.Option(help="Of weights, order and folds.")] = 0,
    prior: Annotated[
        str | None, typer.Option(metavar="SHARES", help="hip=0.01,top=0.4,… [equal shares].")
    ] = None,
    efficiency: Annotated[
        float, typer.Option(help="Of the labelled signal, at the first working point.")
    ] = 0.99,
    start: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Go on from this model of the store.")
    ] = None,
    tune: Annotated[
        int, typer.Option(min=0, help="Try so many other trainings on the first expert first.")
    ] = 0,
    audit: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Write labels that are probably wrong, .csv."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write figures of the training.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the model of that name.")
    ] = False,
    finder: Annotated[
        bool,
        typer.Option("--finder", help="Train the finder: on simulated foils, and STORE's labels."),
    ] = False,
    random_foils: Annotated[
        bool,
        typer.Option("--random-foils", help="Train on simulated foils of every kind: no store."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="New folder for such weights."),
    ] = None,
    work: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the pictures of random foils.")
    ] = None,
    pictures: Annotated[
        int | None,
        typer.Option(min=32, help="Random foils to draw [2560, for the finder 12000]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a model on the store's labels and keep it in the store.

    Every expert is trained once a fold, so each label is judged by experts that never saw it; all
    figures, the ensemble and the working point come from that.

    Of several labels of one place one counts: a person's before that of a model or a coincidence,
    of two people's the later one. Places where labels of the same time disagree are left out.
    Folds are places: scans that `align` or datum holes bring into one frame share them.

    Example: etchscope train plate7 --name first --report training

    Example: etchscope train --random-foils -o experts --work foils

    Example: etchscope train plate7 --finder -o finder --work foils
    """
    from etchscope.learn import Training
    from etchscope.run.stages.train import audited, gather, train

    if finder or random_foils:
        folders = _folders(output, work)
        if random_foils:
            _require_no_store(store)
            train_experts(*folders, pictures=pictures, seed=seed)
        else:
            begin = _finder_folder(start)
            train_finder(*folders, store=store, pictures=pictures, seed=seed, start=begin)
        return
    store, name = _required_of_store(store, name)
    opened = Store.open(store)
    # What must not fail after hours of training.
    require_name(name)
    if name in opened.models.names() and not replace:
        hint = "Choose another name, or give --replace."
        raise BadInput("--name", "a model that is not there yet", repr(name), hint)
    if audit is not None and audit.suffix.lower() != ".csv":
        raise BadInput(audit, "a name that ends in .csv", repr(audit.suffix))
    require_output(audit)
    if report is not None and report.exists() and not report.is_dir():
        raise BadInput(report, "a folder for the report", "a file")
    kinds, shares = _kinds(experts), _prior(prior)
    before = None if start is None else _model(opened, start)
    training = Training(
        network=network,
        lights=lights,
        augmentation=augmentation,
        loss=loss,
        epochs=epochs,
        rate=rate,
    )
    with progress_bar("Cutting patches") as bar:
        gathered = gather(
            opened,
            scans=scan,
            region=polygon_of(region),
            classes=classes,
            who=who,
            sources=source,
            alignment=alignment,
            size=size,
            planes=lights == "any",
            total=bar.total,
            progress=bar.advance,
        )
    if tune:
        training = _tuned(gathered, training, tune, seed)
    with progress_bar("Training", folds * _experts(gathered.classes, kinds, method)) as bar:
        done = train(
            gathered,
            training,
            signal=signal,
            kinds=kinds,
            method=method,
            prior=shares,
            efficiency=efficiency,
            folds=folds,
            seed=seed,
            start=before,
            progress=bar.advance,
        )
    opened.models.save(name, *done.model.to_record(), replace=replace)
    if audit is not None:
        write_table(audit, audited(done))
    if report is not None:
        from etchscope.pages.training import write_training

        write_training(done, report)
    if as_json:
        _, card = opened.models.load(name)
        short = {k: card[k] for k in ("information", "working_point", "domain")}
        typer.echo(json.dumps({"model": name, **asdict(gathered.left_out), **short}, indent=1))
        return
    _tell(name, done, gathered.left_out)
    if audit is not None:
        typer.echo(f"{audit}: {len(audited(done))} labels are probably wrong")
    if report is not None:
        typer.echo(report / "index.html")


def _folders(output: Path | None, work: Path | None) -> tuple[Path, Path]:
    """Return the folders for weights and pictures of a training that draws foils."""
    if output is None or work is None:
        missing = "-o" if output is None else "--work"
        raise BadInput(missing, "a folder, with --finder or --random-foils", "none")
    return output, work


def _require_no_store(store: Path | None) -> None:
    if store is not None:
        raise BadInput(store, "no store with --random-foils", "a store")


def _finder_folder(start: str | None) -> Path | None:
    if start is not None and not Path(start).is_dir():
        raise BadInput("--start", "the folder of a finder's weights", repr(start))
    return None if start is None else Path(start)


def _required_of_store(store: Path | None, name: str | None) -> tuple[Path, str]:
    """Refuse a training on labels without a store, or without a name for the model."""
    if store is None:
        raise BadInput("STORE", "a store with labels", "none", "Or give --random-foils.")
    if name is None:
        raise BadInput("--name", "a name for the model", "none")
    return store, name


def _experts(classes: tuple[str, ...], kinds: Any, method: str) -> int:
    from etchscope.ensemble import default_kinds

    return 1 if method == "multiclass" else len(kinds or default_kinds(classes))


def _tuned(gathered: Any, training: "Training", trials: int, seed: int) -> "Training":
    from etchscope.ensemble import default_kinds
    from etchscope.learn import tune

    kind = default_kinds(gathered.classes)[0]
    labelled = gathered.labelled
    some = pd.Series(labelled.said).isin(kind.classes).to_numpy()
    target = np.asarray(kind.target(labelled.said[some]), bool)
    with progress_bar(f"Trying on {kind.name}", trials) as bar:
        best, table = tune(
            labelled.patches.take(some),
            target,
            training,
            trials=trials,
            seed=seed,
            weight=labelled.weight[some],
            progress=bar.advance,
        )
    typer.echo(table.head(5).to_string(index=False), err=True)
    return best


def _tell(name: str, done: "TrainedModel", left_out: "LeftOut") -> None:
    information, point = done.model.information, done.model.working_point
    labels = ", ".join(f"{n} {c}" for c, n in information["labels"].items())
    typer.echo(f"{name}: {labels} on {information['tiles']} tiles, {information['folds']} folds")
    if left_out.outside:
        typer.echo(f"  {left_out.outside} labels lie on no included tile and were left out")
    if left_out.conflicts:
        typer.echo(
            f"  the labels of {left_out.conflicts} places conflict and were left out; see "
            "`etchscope label conflicts`"
        )
    for expert, figures in information["experts"].items():
        of_folds = figures["of_folds"]
        failed = f", {figures['failed']} trainings failed" if figures["failed"] else ""
        typer.echo(
            f"  {expert:<14} balanced accuracy {100 * figures['balanced_accuracy']:.2f} % "
            f"(folds {100 * min(of_folds):.1f} to {100 * max(of_folds):.1f}){failed}"
        )
    if information.get("start_saw"):
        seen = ", ".join(information["start_saw"])
        typer.echo(
            f"  it goes on from a model that saw labels of {seen}, so these figures flatter; "
            "measure it on another foil"
        )
    value, low, high = (100 * v for v in point.efficiency)
    typer.echo(
        f"  working point: {point.in_words}, efficiency {value:.1f} % "
        f"[{low:.1f}, {high:.1f}] on {point.measured_on}"
    )


def _model(store: Store, name: str) -> "Model":
    from etchscope.ensemble import Model

    return Model.from_record(*store.models.load(name))


def run_command(
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


def candidates_command(
    store: StorePath,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Candidates, .csv, .parquet or .root."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Contact sheet: a page with cut-outs.")
    ] = None,
    scan: Annotated[str | None, typer.Option(help="Scan [all that were scored].")] = None,
    run: Annotated[str | None, typer.Option(help="Run [the latest of each scan].")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="At most so many.")] = 100,
    every: Annotated[
        bool, typer.Option("--all", help="Also those below the working point or not valid.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the candidates of scored runs, the best first, with pictures if asked for.

    Example: etchscope candidates plate7 -o candidates.csv --sheet candidates
    """
    from etchscope.run.stages.score import ranked_candidates

    require_output(output)
    opened = Store.open(store)
    runs = [run] if run is not None else _scored_runs(opened, scan)
    tables = [ranked_candidates(opened, name) for name in runs]
    table = pd.concat(tables, ignore_index=True)
    if not every:
        table = table[table["selected"].fillna(value=False).astype(bool)]
    table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    total = len(table)
    table = table.head(count)
    if output is not None:
        write_table(output, table, record={"runs": [opened.runs.record(name) for name in runs]})
    if sheet is not None:
        page = draw_sheet(opened, table, sheet, runs)
        if not as_json:
            typer.echo(page)
    if as_json:
        typer.echo(table.to_json(orient="records", double_precision=10))
        return
    if len(table):
        told = [c for c in table.columns if c.startswith("p_")]
        shown = ["scan", "tile", "pit", "x_px", "y_px", "score", "anomaly", *told, "class", "valid"]
        shown = [c for c in shown if c in table and table[c].notna().any()]
        typer.echo(table[shown].round(3).to_string(index=False))
    few, more = (f" of {total:,}", "; --count shows more") if total > len(table) else ("", "")
    typer.echo(f"{len(table)}{few} candidates of {', '.join(runs)}{more}")


def _scored_runs(store: Store, scan: str | None) -> list[str]:
    out = []
    for name in store.scans.names() if scan is None else [store.scans.get(scan).name]:
        run = store.runs.latest(name, stage="score")
        if run is not None:
            out.append(run)
    if not out:
        raise NotScored(store.path, "a scored run", "none")
    return out


def draw_sheet(store: Store, table: pd.DataFrame, directory: Path, runs: Sequence[str]) -> Path:
    """Draw the contact sheet of candidates of some runs into a folder and return its page."""
    from etchscope.pages.candidates import write_candidates
    from etchscope.pages.views import gather_views

    pits = pd.concat([store.runs.pits(run) for run in runs], ignore_index=True)
    with progress_bar("Drawing candidates", len(table)) as bar:
        views = gather_views(store, table, progress=bar.advance)
        return write_candidates(views, directory, pits=pits)


COMMANDS: dict[str, Callable[..., None]] = {
    "train": train_command,
    "run": run_command,
    "candidates": candidates_command,
}
"""Name on the command line → function, in the order of the help."""
