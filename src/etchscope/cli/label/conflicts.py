"""The command `label conflicts`."""

import json
from typing import Annotated

import typer

from etchscope.cli.label.options import All, OfFoil, OfSide
from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    foil: OfFoil = None,
    side: OfSide = None,
    tolerance_mm: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            help="Labels that are closer than this are of one place [3 px of the foil's scans].",
        ),
    ] = None,
    every: All = False,
    as_json: Json = False,
) -> None:
    """List the places where labels name different decidable classes.

    With --all, places where one person changed their mind are listed, too.

    Example: etchscope label conflicts plate7 --tolerance-mm 0.02
    """
    from etchscope.api import Store

    opened = Store.open(store)
    table = opened.conflicts(foil=foil, side=side, tolerance_mm=tolerance_mm, every=every)
    if as_json:
        columns = {c: table[c].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for c in ("when_1", "when_2")}
        text = table.assign(**columns).to_json(orient="records", double_precision=15)
        echo_json(json.loads(text))
    elif len(table):
        shown = table.drop(columns=["id_1", "id_2"]).dropna(axis="columns", how="all")
        typer.echo(shown.to_string(index=False, na_rep="-"))
    else:
        typer.echo("no conflicts")
