"""Training what comes with the package, from drawn foils alone: finder and experts."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from etchscope.foil import BadInput
from etchscope.progress import ProgressBars

if TYPE_CHECKING:
    from etchscope.foil import Device

__all__ = ["train_shipped"]


def train_shipped(
    store: Path | None,
    output: Path | None,
    work: Path | None,
    pictures: int | None,
    seed: int,
    start: str | None,
    *,
    random_foils: bool,
    device: "Device",
) -> None:
    """Train experts, or a finder, on simulated foils."""
    output, work = _folders(output, work)
    if random_foils:
        if store is not None:
            raise BadInput(store, "no store with --random-foils", "a store")
        _train_experts(output, work, pictures=pictures, seed=seed, device=device)
        return
    if start is not None and not Path(start).is_dir():
        raise BadInput("--start", "the folder of a finder's weights", repr(start))
    begin = None if start is None else Path(start)
    given: dict[str, Any] = {"store": store, "start": begin}
    _train_finder(output, work, **given, pictures=pictures, seed=seed, device=device)


def _folders(output: Path | None, work: Path | None) -> tuple[Path, Path]:
    """Return the folders for weights and pictures of a training that draws foils."""
    if output is None or work is None:
        missing = "-o" if output is None else "--work"
        raise BadInput(missing, "a folder, with --finder or --random-foils", "none")
    return output, work


def _train_experts(
    output: Path, work: Path, *, pictures: int | None, seed: int, device: "Device"
) -> None:
    """Draw random foils, train experts on what is found on them, and say how they do on others."""
    from etchscope.ensemble import WorkingPoint
    from etchscope.run.experts import ExpertsPlan, trained_experts

    plan = ExpertsPlan()
    if pictures is not None:
        plan = replace(plan, pictures=pictures, judged=max(pictures // 4, 1))
    with ProgressBars() as progress:
        card = trained_experts(work, output, plan, seed=seed, device=device, progress=progress)
    information, point = card["information"], WorkingPoint.from_record(card["working_point"])
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
    output: Path,
    work: Path,
    *,
    store: Path | None,
    pictures: int | None,
    seed: int,
    start: Path | None,
    device: "Device",
) -> None:
    """Train the finder on random foils, or go on with a store's labels; say how it does on foils.

    Without ``start`` a training on labels begins with the package's own finder.
    """
    from etchscope.run.finder import SHIPPED, TUNING, FinderPlan, trained_finder
    from etchscope.run.labelled_ground import labelled_samples
    from etchscope.store import Store

    plan, labelled = FinderPlan(), []
    if store is not None:
        plan, start = FinderPlan(pictures=512, judged=256, training=TUNING), start or SHIPPED
        labelled = labelled_samples(Store.open(store))
    plan = replace(plan, training=replace(plan.training, seed=seed))
    if pictures is not None:
        plan = replace(plan, pictures=pictures, judged=max(pictures // 8, 1))
    with ProgressBars() as progress:
        card = trained_finder(
            work, output, plan, start=start, labelled=labelled, device=device, progress=progress
        )
    for lights, figures in card["information"]["figures"].items():
        recall, precision = (
            "{:.1f} % [{:.1f}, {:.1f}]".format(*(100 * v for v in figures[k]))
            for k in ("recall", "precision")
        )
        typer.echo(f"{lights}: recall {recall}, precision {precision} on other foils")
    typer.echo(f"{output}: search with `etchscope find SCAN --finder {output}`")
