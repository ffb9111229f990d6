"""The command `label import`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, StorePath
from etchscope.foil import BadInput

__all__ = ["command"]


def command(
    store: StorePath,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...", help="Tables (.csv, .parquet), YOLO boxes (.txt), folders of boxes."
        ),
    ] = None,
    who: Annotated[
        str | None, typer.Option(help="Name of who labelled, where the file has none.")
    ] = None,
    source: Annotated[
        Literal["person", "model", "coincidence"], typer.Option(help="What the labels come from.")
    ] = "person",
    when: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the labels were made, in UTC [the time the file was changed].",
        ),
    ] = None,
    scan: Annotated[
        str | None,
        typer.Option(help="Scan that labels in tile pixels, or YOLO's pictures, belong to."),
    ] = None,
    class_map: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='Classes of YOLO\'s numbers, JSON: {"15": "top"}.'),
    ] = None,
    exit_pits: Annotated[
        bool, typer.Option("--exit-pits", help="Import also the exit pits of hip from pit tables.")
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
    from etchscope.api import Store

    opened = Store.open(store)
    if not paths and taxonomy is None:
        raise BadInput("label import", "files of labels, or --taxonomy FILE", "neither")
    done = opened.label(
        paths or [],
        who=who,
        source=source,
        when=when,
        scan=scan,
        class_map=class_map,
        exit_pits=exit_pits,
        taxonomy=taxonomy,
    )
    if as_json:
        echo_json(vars(done))
        return
    typer.echo(f"{done.added} labels added, {done.known} were there already")
    if done.exit_pits_left_out:
        typer.echo(f"{done.exit_pits_left_out} exit pits of hip left out (--exit-pits takes them)")
