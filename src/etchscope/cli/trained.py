"""What `train` prints and writes of a model that it trained."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from etchscope.cli.messages import echo_json

if TYPE_CHECKING:
    from etchscope.ensemble import TrainedModel
    from etchscope.run.labelled import LeftOut
    from etchscope.store import Store

__all__ = ["echo_card", "echo_figures", "write_results"]


def echo_card(store: "Store", name: str, left_out: "LeftOut") -> None:
    """Print what the card of a model says of its training, for a program."""
    _, card = store.models.load(name)
    short = {k: card[k] for k in ("information", "working_point", "domain")}
    echo_json({"model": name, **asdict(left_out), **short})


def echo_figures(name: str, done: "TrainedModel", left_out: "LeftOut") -> None:
    """Print how many labels a model was trained on, and how good its experts are."""
    information, point = done.model.information, done.model.working_point
    labels = ", ".join(f"{n} {c}" for c, n in information["labels"].items())
    typer.echo(f"{name}: {labels} on {information['tiles']} tiles, {information['folds']} folds")
    if left_out.outside:
        typer.echo(f"  {left_out.outside} labels lie on no included tile and were left out")
    if left_out.conflicts:
        typer.echo(
            f"  the labels of {left_out.conflicts} places conflict and were left out; see "
            "`etchscope label conflicts`"
        )
    for expert, figures in information["experts"].items():
        of_folds = figures["of_folds"]
        failed = f", {figures['failed']} trainings failed" if figures["failed"] else ""
        typer.echo(
            f"  {expert:<14} balanced accuracy {100 * figures['balanced_accuracy']:.2f} % "
            f"(folds {100 * min(of_folds):.1f} to {100 * max(of_folds):.1f}){failed}"
        )
    if information.get("start_saw"):
        seen = ", ".join(information["start_saw"])
        typer.echo(
            f"  it goes on from a model that saw labels of {seen}, so these figures flatter; "
            "measure it on another foil"
        )
    value, low, high = (100 * v for v in point.efficiency)
    typer.echo(
        f"  working point: {point.in_words}, efficiency {value:.1f} % "
        f"[{low:.1f}, {high:.1f}] on {point.measured_on}"
    )


def write_results(done: "TrainedModel", audit: Path | None, report: Path | None) -> int:
    """Write the labels that are probably wrong, and the report; return how many such labels."""
    from etchscope.files.tables import write_table
    from etchscope.run.stages.train import audited

    wrong = audited(done) if audit is not None else None
    if audit is not None and wrong is not None:
        write_table(audit, wrong)
    if report is not None:
        from etchscope.pages.training import write_training

        write_training(done, report)
    return 0 if wrong is None else len(wrong)
