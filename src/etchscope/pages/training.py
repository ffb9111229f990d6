"""The report of a training: experts and ensemble on labels that were held out."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.draw.calibration import draw_reliability
from etchscope.draw.confusion import draw_confusion
from etchscope.draw.efficiency import draw_roc
from etchscope.draw.learning import draw_learning_curves
from etchscope.draw.png import encode_figure
from etchscope.draw.ternary import draw_ternary, is_ternary
from etchscope.ensemble import TrainedModel
from etchscope.evaluation import proportion, roc_curve
from etchscope.foil import BadInput
from etchscope.foil.types import Ints
from etchscope.learn import CrossValidation, measure_efficiency_at
from etchscope.pages.page import Card, Html, render_figure, render_page, render_table
from etchscope.pages.writing import make_page_folder, write_page, write_picture

__all__ = ["write_training"]

_CAPTIONS = {
    "ternary": (
        "Ternary plot",
        "Each label by the probabilities of the ensemble for pits, with misc left out, "
        "coloured by the class of the label.",
    ),
    "roc": (
        "Experts",
        "Each expert on the labels of its own classes: the share of the first class that passes, "
        "against the share of the second class that passes too.",
    ),
    "ensemble_roc": ("Ensemble", "The signal against all other labels together."),
    "learning": (
        "Learning curves",
        "Every training of every expert. A widening gap would be a sign of over-fitting.",
    ),
    "reliability": (
        "Calibration",
        "Probability of signal at equal shares of all classes, on equal numbers of labels of each.",
    ),
    "confusion": (
        "Confusion matrix",
        "Rows are the classes of the labels, columns those that the ensemble decides.",
    ),
}
"""Figure → heading and caption."""


def write_training(done: TrainedModel, directory: Path) -> Path:
    """Write the figures of a training and ``index.html`` into a folder, and return its path.

    All figures are of labels that were held out: the experts and the ensemble that judge a label
    were trained on other folds.

    Parameters
    ----------
    done : the training.
    directory : is made if it is absent; files of the same names are replaced.

    Raises
    ------
    BadInput : the directory is a file.
    MachineFailed : the disk is full.
    """
    folder = make_page_folder(directory, what="report")
    sections = [("Figures of the experts", _expert_table(done))]
    for name, png in _figures(done).items():
        write_picture(png, folder / f"{name}.png")
        heading, caption = _CAPTIONS[name]
        sections.append((heading, render_figure(png, heading, caption)))
    number, information = len(done.labelled.label), done.model.information
    subtitle = f"{number} labels on {information['tiles']} tiles, each held out once"
    footer = f"Etchscope {information['etchscope']}; intervals at 95 %."
    text = render_page("Training", subtitle, _cards(done), sections, footer)
    return write_page(text, folder / "index.html")


def _figures(done: TrainedModel) -> dict[str, bytes]:
    """Return name → PNG in the order of the page."""
    model, labels = done.model, pd.Series(done.labelled.label)
    p = np.exp(done.log_probabilities)
    table = pd.DataFrame(p, columns=[f"p_{c}" for c in model.classes])
    is_signal = (labels == model.signal).to_numpy()
    figures = {}
    if is_ternary(table):
        title = f"{len(labels)} labels, coloured by their class"
        figures["ternary"] = draw_ternary(table, labels, title=title)
    curves = {
        name: roc_curve(v.scores[0], np.asarray(v.target, bool))
        for name, v in done.validation.items()
        if v.target.dtype == np.bool_
    }
    if curves:
        figures["roc"] = draw_roc(curves, title="Each expert on labels that were held out")
    figures["ensemble_roc"] = draw_roc(
        {f"{model.signal}, ensemble": roc_curve(done.score, is_signal)},
        title=f"{model.signal} against all other labels, held out",
    )
    history = [v.learning_curves.assign(expert=name) for name, v in done.validation.items()]
    figures["learning"] = draw_learning_curves(pd.concat(history, ignore_index=True))
    each = _balanced_sample(labels, np.random.default_rng(0))
    k = model.classes.index(model.signal)
    figures["reliability"] = draw_reliability(p[each, k], is_signal[each])
    counts = _confusion(labels, np.array(model.classes, object)[p.argmax(1)], list(model.classes))
    same = int(np.diag(counts.to_numpy()).sum())
    title = f"{same} of {len(labels)} decided as they are labelled"
    figures["confusion"] = draw_confusion(counts, title=title)
    return {name: encode_figure(figure) for name, figure in figures.items()}


def _confusion(labels: "pd.Series[str]", decided: NDArray[Any], names: list[str]) -> pd.DataFrame:
    """Return the numbers of labels of each class (rows) by their decided class (columns)."""
    counts = pd.crosstab(labels.rename("label"), pd.Series(decided, name="decided"))
    return counts.reindex(index=names, columns=names, fill_value=0)


def _balanced_sample(labels: "pd.Series[str]", rng: np.random.Generator) -> Ints:
    """Return rows, (n,), with as many of each class as the rarest class has."""
    fewest = int(labels.value_counts().min())
    rows = [rng.permutation(np.flatnonzero(labels == c))[:fewest] for c in sorted(labels.unique())]
    return np.asarray(np.concatenate(rows), np.int64)


def _cards(done: TrainedModel) -> list[Card]:
    point, labels = done.model.working_point, done.model.information["labels"]
    value, low, high = (100 * v for v in point.efficiency)
    right = done.model.information["decided_right"]
    failed = {name: int(v.trainings["failed"].sum()) for name, v in done.validation.items()}
    folds = max(len(v.trainings) for v in done.validation.values())
    each = f"in training {len(failed)} experts on {folds} folds each"
    of_experts = ", ".join(f"{n} of {name}" for name, n in failed.items() if n)
    return [
        Card(str(sum(labels.values())), "labels", ", ".join(f"{n} {c}" for c, n in labels.items())),
        Card(f"{100 * right['value']:.1f} %", "decided as labelled", "by the ensemble"),
        Card(f"{value:.1f} %", "efficiency", f"[{low:.1f}, {high:.1f}] at the working point"),
        Card(
            str(sum(failed.values())),
            "attempts failed",
            f"{each}: {of_experts}" if of_experts else each,
        ),
    ]


def _expert_table(done: TrainedModel) -> Html:
    rows = []
    for name, v in done.validation.items():
        of_folds = 100 * v.trainings["balanced_accuracy"]
        row: list[object] = [name, len(v.target), f"{100 * v.balanced_accuracy.mean():.2f} %"]
        row += [f"{of_folds.min():.1f} – {of_folds.max():.1f} %"]
        row += [int(v.trainings["failed"].sum())]
        rows.append([*row, _at_one_percent(v)])
    head = ["expert", "labels", "balanced accuracy", "of single folds", "failed attempts"]
    return render_table([*head, "efficiency at 1 % false positives"], rows, numbers_from=1)


def _at_one_percent(v: CrossValidation) -> str:
    if v.target.dtype != np.bool_:
        return "–"
    try:
        passed, count = measure_efficiency_at(v.scores[0], np.asarray(v.target, bool), 0.01)
    except BadInput:  # fewer than a hundred labels of the second class
        return "too few labels"
    return str(proportion(passed, count))
