"""The command `model ls`."""

import json

import typer

from etchscope.cli.options import Json, StorePath

__all__ = ["command"]


def command(store: StorePath, as_json: Json = False) -> None:
    """List the models of a store.

    Example: etchscope model ls plate7
    """
    from etchscope.api import Store

    rows = Store.open(store).models().to_dict("records")
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        labels = ", ".join(f"{n} {c}" for c, n in row["labels"].items())
        typer.echo(f"{row['name']:<20} {labels}; {row['method']}; {row['chosen_by']}")
    if not rows:
        typer.echo("no models; train one with `etchscope train`")
