"""The command `label ls`."""

from typing import TYPE_CHECKING, Any

import typer

from etchscope.cli.label.options import OfFoil, OfSide, OfWho
from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, StorePath

if TYPE_CHECKING:
    import pandas as pd

    from etchscope.foil import Taxonomy

__all__ = ["command"]

_ENOUGH = 500
"""Labels per class for a smooth training, the experiment's rule of thumb."""


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
    from etchscope.store import Store

    opened = Store.open(store)
    events = opened.labels.table(foil=foil, side=side, who=who, latest=False)
    standing = opened.labels.table(foil=foil, side=side, who=who)
    counts = _counts(standing, opened.labels.taxonomy())
    counts |= {
        "labels": len(standing),
        "events": len(events),
        "who": {str(k): int(v) for k, v in standing["who"].value_counts().sort_index().items()},
    }
    if as_json:
        echo_json(counts)
    else:
        _tell_counts(counts)


def _counts(labels: "pd.DataFrame", taxonomy: "Taxonomy") -> dict[str, Any]:
    from etchscope.foil import parent_class

    own = labels["class"].value_counts()
    whole = labels["class"].map(parent_class).value_counts()
    rows = [
        {
            "class": name,
            "labels": int((whole if name == parent_class(name) else own).get(name, 0)),
            "decidable": taxonomy.is_decidable(name),
        }
        for name in taxonomy.classes
    ]
    return {"enough": _ENOUGH, "classes": rows}


def _tell_counts(counts: dict[str, Any]) -> None:
    from etchscope.foil import parent_class

    enough = counts["enough"]
    for row in (r for r in counts["classes"] if r["decidable"]):
        is_sub = row["class"] != parent_class(row["class"])
        short = "" if is_sub or row["labels"] >= enough else f"  {enough - row['labels']} short"
        name = f"  {row['class']}" if is_sub else row["class"]
        typer.echo(f"{name:<24}{row['labels']:>8}{short}")
    for row in (r for r in counts["classes"] if not r["decidable"]):
        typer.echo(f"{row['class']:<24}{row['labels']:>8}  undecidable, not for training")
    typer.echo(
        f"{counts['labels']} labels stand of {counts['events']} events; a class with its "
        f"subclasses needs about {enough}"
    )
    for who, count in counts["who"].items():
        typer.echo(f"  {who}: {count}")
