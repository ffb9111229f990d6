"""Commands on the labels of a store: label import, export, ls, conflicts, from-coincidence."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import typer

from etchscope.evaluate import conflicts
from etchscope.files import write_labels
from etchscope.foil import BadInput, Taxonomy, parent
from etchscope.ingest import LabelDefaults, import_labels, read_class_map
from etchscope.run.stages.align import label_from_coincidence
from etchscope.store import Store, read_taxonomy

__all__ = ["app"]

_ENOUGH = 500
"""Labels a class for smooth training, the experiment's rule of thumb."""

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
OfFoil = Annotated[str | None, typer.Option("--foil", help="Only labels of this foil.")]
OfSide = Annotated[
    Literal["front", "back"] | None, typer.Option("--side", help="Only labels of this side.")
]
OfWho = Annotated[str | None, typer.Option("--who", help="Only what this one says.")]
All = Annotated[bool, typer.Option("--all", help="Every event, with those replaced and withdrawn.")]

app = typer.Typer(
    name="label",
    help="Labels: import, export, count, compare (see `etchscope label import --help`).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("import")
def import_command(
    store: StorePath,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...", help="Tables (.csv, .parquet), YOLO boxes (.txt), folders of boxes."
        ),
    ] = None,
    who: Annotated[str | None, typer.Option(help="Who says so, where the file does not.")] = None,
    source: Annotated[
        Literal["person", "model", "coincidence"], typer.Option(help="What says so.")
    ] = "person",
    when: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When, UTC [the time the file was changed]."),
    ] = None,
    scan: Annotated[
        str | None, typer.Option(help="Scan of labels in tile pixels, or of YOLO's pictures.")
    ] = None,
    class_map: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='YOLO\'s classes, JSON: {"15": "top"}.'),
    ] = None,
    exit_pits: Annotated[
        bool, typer.Option("--exit-pits", help="Of pit tables, also the exit pits of hip.")
    ] = False,
    taxonomy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='Set the store\'s classes, JSON: {"classes": {"hip": "signal", "top": "", '
            '"top.fission": "", "dirt": "", "maybe": ""}, "undecidable": ["maybe"], '
            '"no_pit": ["dirt"]}.',
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Import labels, all of them or none; what the store has already changes nothing.

    A table has a column class, and foil, side, x_mm, y_mm, or scan, tile, x_px, y_px; it may have
    who, source, when, note, id, region_mm, region_px. A pit table with a class will do. The class
    withdrawn takes back the label at its place.

    Example: etchscope label import plate7 labels.csv --who anna

    Example: etchscope label import plate7 boxes --who anna --class-map classes.json
    """
    opened = Store.open(store)
    if not paths and taxonomy is None:
        raise BadInput("label import", "files of labels, or --taxonomy FILE", "neither")
    defaults = LabelDefaults(
        who=who,
        source=source,
        when=when,
        scan=scan,
        class_map=None if class_map is None else read_class_map(class_map),
        exit_pits=exit_pits,
    )
    classes = None if taxonomy is None else read_taxonomy(taxonomy)
    done = import_labels(opened, paths or [], defaults, taxonomy=classes)
    if as_json:
        _echo_json(vars(done))
        return
    typer.echo(f"{done.added} labels added, {done.known} were there already")
    if done.exit_pits_left_out:
        typer.echo(f"{done.exit_pits_left_out} exit pits of hip left out (--exit-pits takes them)")


@app.command("export")
def export_command(
    store: StorePath,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="TABLE", help=".csv or .parquet to write.")
    ],
    foil: OfFoil = None,
    side: OfSide = None,
    who: OfWho = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Only this class with its subclasses; may be repeated."),
    ] = None,
    every: All = False,
) -> None:
    """Write labels as a table: for each person and place the latest.

    Example: etchscope label export plate7 -o labels.parquet
    """
    opened = Store.open(store)
    for name in classes or []:
        opened.labels.taxonomy().require("--class", name)
    found = opened.labels.table(foil=foil, side=side, who=who, classes=classes, latest=not every)
    write_labels(output, found)
    typer.echo(f"{output}: {len(found)} labels")


@app.command("ls")
def ls_command(
    store: StorePath,
    foil: OfFoil = None,
    side: OfSide = None,
    who: OfWho = None,
    as_json: Json = False,
) -> None:
    """Count the labels of each class, beside the 500 or so that training needs.

    Example: etchscope label ls plate7 --who anna
    """
    opened = Store.open(store)
    events = opened.labels.table(foil=foil, side=side, who=who, latest=False)
    standing = opened.labels.table(foil=foil, side=side, who=who)
    told = _counts(standing, opened.labels.taxonomy())
    told |= {
        "labels": len(standing),
        "events": len(events),
        "who": {str(k): int(v) for k, v in standing["who"].value_counts().sort_index().items()},
    }
    if as_json:
        _echo_json(told)
    else:
        _tell_counts(told)


def _counts(labels: pd.DataFrame, taxonomy: Taxonomy) -> dict[str, Any]:
    own = labels["class"].value_counts()
    whole = labels["class"].map(parent).value_counts()
    rows = [
        {
            "class": name,
            "labels": int((whole if name == parent(name) else own).get(name, 0)),
            "decidable": taxonomy.decidable(name),
        }
        for name in taxonomy.classes
    ]
    return {"enough": _ENOUGH, "classes": rows}


def _tell_counts(told: dict[str, Any]) -> None:
    enough = told["enough"]
    for row in (r for r in told["classes"] if r["decidable"]):
        is_sub = row["class"] != parent(row["class"])
        short = "" if is_sub or row["labels"] >= enough else f"  {enough - row['labels']} short"
        name = f"  {row['class']}" if is_sub else row["class"]
        typer.echo(f"{name:<24}{row['labels']:>8}{short}")
    for row in (r for r in told["classes"] if not r["decidable"]):
        typer.echo(f"{row['class']:<24}{row['labels']:>8}  undecidable, not for training")
    typer.echo(
        f"{told['labels']} labels stand of {told['events']} events; a class with its subclasses "
        f"needs about {enough}"
    )
    for who, count in told["who"].items():
        typer.echo(f"  {who}: {count}")


@app.command("conflicts")
def conflicts_command(
    store: StorePath,
    foil: OfFoil = None,
    side: OfSide = None,
    tolerance_mm: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Closer than this is one place [3 px of the foil's scans]."),
    ] = None,
    every: All = False,
    as_json: Json = False,
) -> None:
    """List the places where labels say different decidable classes.

    With --all also where one person changed their mind.

    Example: etchscope label conflicts plate7 --tolerance-mm 0.02
    """
    opened = Store.open(store)
    labels = opened.labels.table(foil=foil, side=side, latest=not every, tolerance_mm=tolerance_mm)
    tolerance = opened.labels.tolerances_mm() if tolerance_mm is None else tolerance_mm
    table = conflicts(labels, tolerance, taxonomy=opened.labels.taxonomy())
    if as_json:
        columns = {c: table[c].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for c in ("when_1", "when_2")}
        text = table.assign(**columns).to_json(orient="records", double_precision=15)
        _echo_json(json.loads(text))
    elif len(table):
        shown = table.drop(columns=["id_1", "id_2"]).dropna(axis="columns", how="all")
        typer.echo(shown.to_string(index=False, na_rep="-"))
    else:
        typer.echo("no conflicts")


@app.command("from-coincidence")
def from_coincidence_command(
    store: StorePath,
    alignment: Annotated[Path, typer.Option(metavar="DIR", help="What `etchscope align` made.")],
    target: Annotated[
        str, typer.Option("--for", metavar="LIST", help="The list, or scan, that is labelled.")
    ],
    surfaces: Annotated[
        int, typer.Option(min=2, help="So many surfaces of other foils must show a place.")
    ] = 2,
    foils: Annotated[int, typer.Option(min=1, help="Of so many foils.")] = 1,
    most_p: Annotated[
        float, typer.Option(min=0, max=1, help="No place that is accidental more probably.")
    ] = 0.05,
    name: Annotated[str, typer.Option("--class", help="Class of the labels.")] = "hip",
    who: Annotated[str, typer.Option(help="Who says so.")] = "coincidence",
    as_json: Json = False,
) -> None:
    """Label where the other foils of a stack agree that an ion went through.

    Each label's note says which surfaces show it, and how probably it is accidental. Labels stand
    in the frame of the list that is labelled, which must be that of the store's scan.

    Example: etchscope label from-coincidence plate7 --alignment aligned --for d-front
    """
    done = label_from_coincidence(
        Store.open(store),
        alignment,
        target,
        surfaces=surfaces,
        foils=foils,
        most_p=most_p,
        name=name,
        who=who,
    )
    if as_json:
        _echo_json(vars(done))
        return
    typer.echo(
        f"{done.added} labels added, {done.known} were there already; "
        f"{done.expected_accidental:.2g} of them are accidental by expectation"
    )
    if done.outside:
        typer.echo(f"{done.outside} of {done.places} places lie outside the scan")


def _echo_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))
