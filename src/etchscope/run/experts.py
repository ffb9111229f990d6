"""Experts for any lights: those of the package, and their training on random foils."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from etchscope.ensemble import Model, plan_training, train_model
from etchscope.foil import BadInput, Device
from etchscope.learn import Training, set_threads
from etchscope.run.calibrate_experts import decided_on
from etchscope.run.finder import SHIPPED as SHIPPED_FINDER
from etchscope.run.finder import finder_of
from etchscope.run.finder_classifiers import Progress, silent
from etchscope.run.lesson_patches import CLASSES, labelled_finds
from etchscope.run.lessons import Lessons, Search, draw_lessons, search_with
from etchscope.store import write_model

__all__ = ["SHIPPED", "ExpertsPlan", "trained_experts"]

SHIPPED = Path(str(files("etchscope"))) / "weights" / "experts"
"""The folder of the experts that come with the package."""
_JUDGED = 9000
"""Added to the seed of the foils for the working point."""

_TRAINING = Training(lights="any", batch=64, epochs=16, patience=8, learnt=0.55, restarts=1)
"""The threshold of a failed training is low: foils of all kinds are harder than those of one."""


@dataclass(frozen=True)
class ExpertsPlan:
    """How experts are trained on random foils.

    Parameters
    ----------
    pictures : number of foils that experts are trained on.
    judged : number of other foils, for the calibration and the working point.
    most : largest number of finds of a class.
    folds, training : see ``ensemble.plan_training``.
    false_per_tile : false candidates per tile at the working point.
    judged_densest : openings per tile up to which foils count for the working point.
    prior : share of each class that probabilities assume.
    """

    pictures: int = 2560
    judged: int = 768
    most: int = 7000
    folds: int = 3
    training: Training = _TRAINING
    false_per_tile: float = 1.0
    judged_densest: float = 1000.0
    prior: Mapping[str, float] = field(
        default_factory=lambda: {"hip": 0.05, "top": 0.4, "bottom": 0.4, "misc": 0.15}
    )


def trained_experts(
    folder: Path,
    output: Path,
    plan: ExpertsPlan,
    *,
    finder_weights: Path = SHIPPED_FINDER,
    seed: int = 0,
    workers: int = 2,
    device: Device = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Draw random foils, search them, train and write experts on the finds, and return the card.

    Foils that ``folder`` holds already, of the same seed, are not drawn again.

    Parameters
    ----------
    folder : for pictures, made if absent.
    output : new or empty folder for the model.
    finder_weights : folder of the finder that makes the finds.
    device : where the finder computes and experts are trained; auto means the processor.

    Raises
    ------
    BadInput : ``output`` holds something, no such finder or device, or too few finds of a class.
    MachineFailed : the disk is full.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadInput(output, "a new or empty folder for the model", "something else there")
    finder = finder_of(finder_weights, device)
    lessons, judged = (
        draw_lessons(
            folder,
            count,
            seed + more,
            workers=workers,
            progress=lambda n, count=count: progress("Drawing random foils", n, count),  # type: ignore[misc]
        )
        for count, more in ((plan.pictures, _JUDGED // 10), (plan.judged, _JUDGED))
    )
    before = set_threads(workers)
    try:
        search = search_with(finder)
        model = train_on_lessons(
            lessons, search, plan, others=judged, seed=seed, device=device, progress=progress
        )
        model = decided_on(
            model,
            judged,
            finder,
            false_per_tile=plan.false_per_tile,
            densest=plan.judged_densest,
            progress=progress,
        )
    finally:
        set_threads(before)
    information = {**model.information, "finder": finder.digest[:64]}
    return write_model(output, *replace(model, information=information).to_record())


def train_on_lessons(
    lessons: Lessons,
    search: Search,
    plan: ExpertsPlan,
    *,
    others: Lessons,
    seed: int = 0,
    device: Device = "auto",
    progress: Progress = silent,
) -> Model:
    """Return a model that is trained on the finds of lessons.

    Parameters
    ----------
    others : other lessons, which show how unusual the finds of an unseen foil are.
    device : where the experts are trained; auto means the processor.

    Raises
    ------
    BadInput : too few finds of a class.
    """
    labelled = labelled_finds(lessons, search, plan.most, seed=seed, progress=progress)
    unseen = labelled_finds(others, search, plan.most, seed=seed + 1, progress=progress)
    trainings = plan.folds * 4  # one expert for each two kinds of pits, and one against misc
    planned = plan_training(
        labelled,
        plan.training,
        classes=CLASSES,
        signal="hip",
        prior=plan.prior,
        count=plan.folds,
        seed=seed,
        device=device,
    )
    done = train_model(
        planned,
        context=unseen.patches,
        progress=lambda n: progress("Training", n, trainings),
    )
    figures = {
        name: round(float(one.balanced_accuracy.mean()), 5) for name, one in done.validation.items()
    }
    information = {
        "etchscope": version("etchscope"),
        "labels": {c: int((labelled.label == c).sum()) for c in CLASSES},
        "scans": ["random foils"],
        "plan": {**asdict(plan), "prior": dict(plan.prior)},
        "seed": seed,
        "experts": {name: {"balanced_accuracy": v, "failed": 0} for name, v in figures.items()},
    }
    return replace(done.model, information=information)
