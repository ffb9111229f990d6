"""The command `label ls`."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import typer

from etchscope.cli.label.options import OfFoil, OfSide, OfWho
from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, StorePath
from etchscope.cli.trained import ENOUGH_LABELS

if TYPE_CHECKING:
    from etchscope.api import LabelCounts

__all__ = ["command"]


def command(
    store: StorePath,
    foil: OfFoil = None,
    side: OfSide = None,
    who: OfWho = None,
    as_json: Json = False,
) -> None:
    """Count the labels of each class, beside the 500 or so that training needs.

    Example: etchscope label ls plate7 --who anna
    """
    from etchscope.api import Store

    counts = Store.open(store).count_labels(foil=foil, side=side, who=who)
    rows = counts.classes.to_dict("records")
    if as_json:
        numbers = {"labels": counts.labels, "events": counts.events, "who": dict(counts.who)}
        echo_json({"enough": ENOUGH_LABELS, "classes": rows, **numbers})
    else:
        _echo_counts(counts, rows)


def _echo_counts(counts: "LabelCounts", rows: list[dict[Hashable, Any]]) -> None:
    from etchscope.foil import parent_class

    for row in (r for r in rows if r["decidable"]):
        is_sub = row["class"] != parent_class(row["class"])
        is_enough = is_sub or row["labels"] >= ENOUGH_LABELS
        short = "" if is_enough else f"  {ENOUGH_LABELS - row['labels']} short"
        name = f"  {row['class']}" if is_sub else row["class"]
        typer.echo(f"{name:<24}{row['labels']:>8}{short}")
    for row in (r for r in rows if not r["decidable"]):
        typer.echo(f"{row['class']:<24}{row['labels']:>8}  undecidable, not for training")
    typer.echo(
        f"{counts.labels} labels stand of {counts.events} events; a class with its "
        f"subclasses needs about {ENOUGH_LABELS}"
    )
    for who, count in counts.who.items():
        typer.echo(f"  {who}: {count}")
