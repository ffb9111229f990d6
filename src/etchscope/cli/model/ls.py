"""The command `model ls`."""

import json
from typing import Any

import typer

from etchscope.cli.options import Json, StorePath

__all__ = ["command"]


def command(store: StorePath, as_json: Json = False) -> None:
    """List the models of a store.

    Example: etchscope model ls plate7
    """
    from etchscope.store import Store

    opened = Store.open(store)
    rows = [_short(name, opened.models.load(name)[1]) for name in opened.models.names()]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        labels = ", ".join(f"{n} {c}" for c, n in row["labels"].items())
        typer.echo(f"{row['name']:<20} {labels}; {row['method']}; {row['chosen_by']}")
    if not rows:
        typer.echo("no models; train one with `etchscope train`")


def _short(name: str, card: dict[str, Any]) -> dict[str, Any]:
    labels = card.get("information", {}).get("labels", {})
    return {
        "name": name,
        "classes": card.get("classes", []),
        "method": card.get("method", ""),
        "labels": {c: labels[c] for c in card.get("classes", []) if c in labels},
        "chosen_by": card.get("working_point", {}).get("chosen_by", ""),
        "weights_sha256": card["weights_sha256"],
    }
