"""Training what comes with the package, on simulated foils alone: finder and experts."""

from pathlib import Path
from typing import Any

import typer

from etchscope.cli.errors import name_options
from etchscope.foil import BadInput

__all__ = ["train_shipped"]


def train_shipped(
    output: Path | None,
    work: Path | None,
    store: Path | None,
    start: str | None,
    *,
    random_foils: bool,
    **drawing: Any,
) -> None:
    """Train experts on random foils, or a finder; ``drawing``: pictures, seed and device."""
    if output is None or work is None:
        missing = "-o" if output is None else "--work"
        raise BadInput(missing, "a folder, with --finder or --random-foils", "none")
    if not random_foils:
        _train_finder(output, work, store, start, **drawing)
        return
    if store is not None:
        raise BadInput(store, "no store with --random-foils", "a store")
    _train_experts(output, work, **drawing)


def _train_experts(output: Path, work: Path, **drawing: Any) -> None:
    """Train experts on what is found on random foils, and print how they do on other foils."""
    from etchscope import api

    card = api.train_experts(output, work, **drawing, progress=True)
    information, point = card["information"], api.read_working_point(card)
    typer.echo(", ".join(f"{n} {c}" for c, n in information["labels"].items()))
    for expert, figures in information["experts"].items():
        typer.echo(f"  {expert:<14} balanced accuracy {100 * figures['balanced_accuracy']:.2f} %")
    value, low, high = (100 * v for v in point.efficiency)
    typer.echo(
        f"  working point: {point.in_words} at {point.chosen_by}, "
        f"efficiency {value:.1f} % [{low:.1f}, {high:.1f}] on {point.measured_on}"
    )
    typer.echo(f"{output}: score with `etchscope run SCAN --model {output}`")


def _train_finder(
    output: Path, work: Path, store: Path | None, start: str | None, **drawing: Any
) -> None:
    """Train a finder on random foils and a store's labels, and print how it does on other foils."""
    from etchscope import api

    opened = None if store is None else api.Store.open(store)
    with name_options({"finder to begin with": "--start"}):
        card = api.train_finder(output, work, store=opened, start=start, **drawing, progress=True)
    for lights, figures in card["information"]["figures"].items():
        recall, precision = (
            "{:.1f} % [{:.1f}, {:.1f}]".format(*(100 * v for v in figures[k]))
            for k in ("recall", "precision")
        )
        typer.echo(f"{lights}: recall {recall}, precision {precision} on other foils")
    typer.echo(f"{output}: search with `etchscope find SCAN --finder {output}`")
