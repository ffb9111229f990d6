"""The report of a training: what the experts and their ensemble say of labels held out."""

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
from etchscope.learn import CrossValidation, efficiency_at
from etchscope.pages.page import Card, Html, render_figure, render_page, render_table
from etchscope.pages.writing import make_page_folder, write_page, write_picture

__all__ = ["write_training"]

_CAPTIONS = {
    "ternary": (
        "Ternary plot",
        "Each label where the ensemble puts it among pits, with misc left out of the shares, "
        "coloured by what the label says.",
    ),
    "roc": (
        "Experts",
        "Each expert on the labels of its own classes: what share of the first class passes, "
        "against what share of the second passes with it.",
    ),
    "ensemble_roc": ("Ensemble", "The signal against all other labels together."),
    "learning": (
        "Learning curves",
        "Every training of every expert; a gap that widens would be over-fitting.",
    ),
    "reliability": (
        "Calibration",
        "Probability of signal at equal shares of all classes, of as many labels of each.",
    ),
    "confusion": (
        "Confusion matrix",
        "Rows: what the labels say. Columns: what the ensemble decides.",
    ),
}
"""Figure → heading and caption."""


def write_training(done: TrainedModel, directory: Path) -> Path:
    """Write the figures of a training and ``index.html`` into a folder; return the page's path.

    All of it is of labels held out: each was judged by experts, and an ensemble, of other folds.

    Parameters
    ----------
    directory : made if absent; files of the same names are replaced.

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
    number, information = len(done.labelled.said), done.model.information
    told = f"{number} labels on {information['tiles']} tiles, each held out once"
    footer = f"Etchscope {information['etchscope']}; intervals at 95 %."
    text = render_page("Training", told, _cards(done), sections, footer)
    return write_page(text, folder / "index.html")


def _figures(done: TrainedModel) -> dict[str, bytes]:
    """Return name → PNG in the order of the page."""
    model, said = done.model, pd.Series(done.labelled.said)
    p = np.exp(done.log_probabilities)
    told = pd.DataFrame(p, columns=[f"p_{c}" for c in model.classes])
    is_signal = (said == model.signal).to_numpy()
    figures = {}
    if is_ternary(told):
        title = f"{len(said)} labels, coloured by their class"
        figures["ternary"] = draw_ternary(told, said, title=title)
    curves = {
        name: roc_curve(v.scores[0], np.asarray(v.target, bool))
        for name, v in done.validation.items()
        if v.target.dtype == np.bool_
    }
    if curves:
        figures["roc"] = draw_roc(curves, title="Each expert on labels held out")
    figures["ensemble_roc"] = draw_roc(
        {f"{model.signal}, ensemble": roc_curve(done.score, is_signal)},
        title=f"{model.signal} against all other labels, held out",
    )
    history = [v.learning_curves.assign(expert=name) for name, v in done.validation.items()]
    figures["learning"] = draw_learning_curves(pd.concat(history, ignore_index=True))
    each = _balanced_sample(said, np.random.default_rng(0))
    k = model.classes.index(model.signal)
    figures["reliability"] = draw_reliability(p[each, k], is_signal[each])
    counts = _confusion(said, np.array(model.classes, object)[p.argmax(1)], list(model.classes))
    same = int(np.diag(counts.to_numpy()).sum())
    title = f"{same} of {len(said)} decided as they are labelled"
    figures["confusion"] = draw_confusion(counts, title=title)
    return {name: encode_figure(figure) for name, figure in figures.items()}


def _confusion(said: "pd.Series[str]", decided: NDArray[Any], names: list[str]) -> pd.DataFrame:
    """Return how many labels of each class, a row, were decided as each, a column."""
    counts = pd.crosstab(said.rename("label"), pd.Series(decided, name="decided"))
    return counts.reindex(index=names, columns=names, fill_value=0)


def _balanced_sample(said: "pd.Series[str]", rng: np.random.Generator) -> Ints:
    """Return rows with as many of each class as the rarest one has."""
    fewest = int(said.value_counts().min())
    rows = [rng.permutation(np.flatnonzero(said == c))[:fewest] for c in sorted(said.unique())]
    return np.asarray(np.concatenate(rows), np.int64)


def _cards(done: TrainedModel) -> list[Card]:
    point, labels = done.model.working_point, done.model.information["labels"]
    value, low, high = (100 * v for v in point.efficiency)
    right = done.model.information["decided_right"]
    failed = sum(int(v.trainings["failed"].sum()) for v in done.validation.values())
    trainings = sum(len(v.trainings) for v in done.validation.values())
    return [
        Card(str(sum(labels.values())), "labels", ", ".join(f"{n} {c}" for c, n in labels.items())),
        Card(f"{100 * right['value']:.1f} %", "decided as labelled", "by the ensemble"),
        Card(f"{value:.1f} %", "efficiency", f"[{low:.1f}, {high:.1f}] at the working point"),
        Card(f"{failed} of {trainings}", "trainings failed", "and were started anew"),
    ]


def _expert_table(done: TrainedModel) -> Html:
    rows = []
    for name, v in done.validation.items():
        of_folds = 100 * v.trainings["balanced_accuracy"]
        row: list[object] = [name, len(v.target), f"{100 * v.balanced_accuracy.mean():.2f} %"]
        row += [f"{of_folds.min():.1f} – {of_folds.max():.1f} %"]
        row += [int(v.trainings["failed"].sum())]
        rows.append([*row, _at_one_percent(v)])
    head = ["expert", "labels", "balanced accuracy", "of single folds", "failed"]
    return render_table([*head, "efficiency at 1 % false positives"], rows, numbers_from=1)


def _at_one_percent(v: CrossValidation) -> str:
    if v.target.dtype != np.bool_:
        return "–"
    try:
        passed, count = efficiency_at(v.scores[0], np.asarray(v.target, bool), 0.01)
    except BadInput:  # fewer than a hundred labels of the second class
        return "too few labels"
    return str(proportion(passed, count))
