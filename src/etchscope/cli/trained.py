"""What `train` prints and writes of a model that it trained."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from etchscope.cli.messages import echo_json
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.api import Store, TrainReport

__all__ = ["ENOUGH_LABELS", "require_results", "warn_of_few_labels", "write_results"]

ENOUGH_LABELS = 500
"""Labels per class for a smooth training, the experiment's rule of thumb."""


def require_results(audit: Path | None, report: Path | None) -> None:
    """Refuse results that could not be written, before the training and not after it."""
    from etchscope.api.given import require_table_file

    if audit is not None and audit.suffix.lower() != ".csv":
        raise BadInput(audit, "a name that ends in .csv", repr(audit.suffix))
    require_table_file(audit)
    if report is not None and report.exists() and not report.is_dir():
        raise BadInput(report, "a folder for the report", "a file")


def warn_of_few_labels(labels: Mapping[str, int]) -> None:
    """Warn before a training of the classes that have few labels.

    Parameters
    ----------
    labels : class → number of its labels.
    """
    few = ", ".join(f"{n} of {name}" for name, n in labels.items() if n < ENOUGH_LABELS)
    if few:
        typer.echo(
            f"few labels: {few}; a class needs about {ENOUGH_LABELS}, and is left out if "
            "--class NAME names the others",
            err=True,
        )


def _echo_card(store: "Store", done: "TrainReport") -> None:
    """Print what the card of a model has about its training, for a program."""
    card = store.card(done.name)
    short = {k: card[k] for k in ("information", "working_point", "domain")}
    echo_json({"model": done.name, **asdict(done.left_out), **short})


def _echo_figures(done: "TrainReport") -> None:
    """Print how many labels a model was trained on, and how good its experts are."""
    model, left_out = done.trained.model, done.left_out
    information, point = model.information, model.working_point
    labels = ", ".join(f"{n} {c}" for c, n in information["labels"].items())
    typer.echo(
        f"{done.name}: {labels} on {information['tiles']} tiles, {information['folds']} folds"
    )
    if left_out.outside:
        typer.echo(f"  {left_out.outside} labels lie on no included tile and were left out")
    if left_out.conflicts:
        typer.echo(
            f"  the labels of {left_out.conflicts} places conflict and were left out; see "
            "`etchscope label conflicts`"
        )
    for expert, figures in information["experts"].items():
        of_folds = figures["of_folds"]
        failed = _describe_failed(figures["failed"], len(of_folds))
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


def _describe_failed(attempts: int, folds: int) -> str:
    """Return how many attempts to train an expert failed, beside its folds; "" without one."""
    if not attempts:
        return ""
    return f", {attempts} {'attempt' if attempts == 1 else 'attempts'} failed in {folds} folds"


def write_results(
    store: "Store", done: "TrainReport", audit: Path | None, report: Path | None, *, as_json: bool
) -> None:
    """Write the labels that are probably wrong, and the report; print what came of the training."""
    written = []
    if audit is not None:
        written.append(f"{audit}: {done.write_wrong_labels(audit)} labels are probably wrong")
    if report is not None:
        written.append(str(done.write(report)))
    if as_json:
        _echo_card(store, done)
        return
    _echo_figures(done)
    for line in written:
        typer.echo(line)
