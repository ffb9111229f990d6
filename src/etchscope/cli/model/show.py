"""The command `model show`."""

import json

import typer

from etchscope.cli.model.options import Name
from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(store: StorePath, name: Name) -> None:
    """Print a model's card: data, figures with intervals, working point, validity.

    Example: etchscope model show plate7 first
    """
    from etchscope.api import Store

    card = Store.open(store).card(name)
    for records in card.get("experts", {}).values():
        for record in records:
            record["history"] = f"{len(record['history'])} epochs"
    typer.echo(json.dumps(card, indent=1, ensure_ascii=False))
