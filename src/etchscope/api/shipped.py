"""Training what comes with the package, on simulated foils of every kind: finder and experts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from etchscope.api.given import File
from etchscope.api.kept import OfStore
from etchscope.foil import BadInput, Device
from etchscope.progress import Progress, watch_steps

__all__ = ["train_experts", "train_finder"]


def train_experts(
    folder: File,
    work: File,
    *,
    pictures: int | None = None,
    seed: int = 0,
    device: Device = "auto",
    progress: Progress = False,
) -> dict[str, Any]:
    """Train experts on simulated foils of every kind, without a store, and return their card.

    Parameters
    ----------
    folder : new, for the model.
    work : for the pictures and the state of the training; what is there already is used again.
    pictures : random foils to draw; 2560 unless given.
    device : where experts are trained: cpu, cuda, or auto, which is the processor.

    Raises
    ------
    BadInput : ``folder`` holds something.
    MachineFailed : the disk is full.
    """
    from etchscope.run.experts import ExpertsPlan, trained_experts

    plan = ExpertsPlan()
    if pictures is not None:
        plan = replace(plan, pictures=pictures, judged=max(pictures // 4, 1))
    with watch_steps(progress) as step:
        return trained_experts(
            Path(work), Path(folder), plan, seed=seed, device=device, progress=step
        )


def train_finder(
    folder: File,
    work: File,
    *,
    store: OfStore | None = None,
    start: File | None = None,
    pictures: int | None = None,
    seed: int = 0,
    device: Device = "auto",
    progress: Progress = False,
) -> dict[str, Any]:
    """Train a finder on simulated foils, and on the labels of a store, and return its card.

    Parameters
    ----------
    folder : new, for the weights.
    work : for the pictures and the state of the training; what is there already is used again.
    store : the finder is trained on its labels, too.
    start : folder of the weights of a finder to begin with; with a store, those of the package
        unless given.
    pictures : random foils to draw; 12000 unless given, or 512 with a store.
    device : where it is trained: cpu, cuda, or auto, which is a GPU where there is one.

    Raises
    ------
    NotLabelled : the store has no labels to train on.
    BadInput : ``folder`` holds something, or ``start`` is no finder.
    MachineFailed : the disk is full.
    """
    from etchscope.run.finder import SHIPPED
    from etchscope.run.finder_training import TUNING, FinderPlan, trained_finder
    from etchscope.run.labelled_ground import labelled_samples

    begin = None if start is None else Path(start)
    if begin is not None and not begin.is_dir():
        raise BadInput("finder to begin with", "the folder of a finder's weights", repr(str(start)))
    plan, labelled = FinderPlan(), []
    if store is not None:
        plan, begin = FinderPlan(pictures=512, judged=256, training=TUNING), begin or SHIPPED
        labelled = labelled_samples(store.kept)
    plan = replace(plan, training=replace(plan.training, seed=seed))
    if pictures is not None:
        plan = replace(plan, pictures=pictures, judged=max(pictures // 8, 1))
    with watch_steps(progress) as step:
        return trained_finder(
            Path(work),
            Path(folder),
            plan,
            start=begin,
            labelled=labelled,
            device=device,
            progress=step,
        )
