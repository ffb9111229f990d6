"""Search for a better training with the first expert, before all experts are trained."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from etchscope.ensemble import ExpertKind, default_kinds
from etchscope.foil import Device
from etchscope.learn import Training
from etchscope.run.stages.training import Gathered

__all__ = ["count_experts", "first_kind", "tune_training"]


def count_experts(
    classes: tuple[str, ...], kinds: tuple[ExpertKind, ...] | None, method: str
) -> int:
    """Return the number of networks that an ensemble trains per fold."""
    return 1 if method == "multiclass" else len(kinds or default_kinds(classes))


def first_kind(classes: tuple[str, ...]) -> ExpertKind:
    """Return the first of the experts that classes have by default."""
    return default_kinds(classes)[0]


def tune_training(
    gathered: Gathered,
    training: Training,
    *,
    trials: int,
    seed: int = 0,
    device: Device = "auto",
    progress: Callable[[int], None] | None = None,
) -> tuple[Training, pd.DataFrame]:
    """Return the best training of the first expert, and all trainings that were tried.

    Parameters
    ----------
    gathered : the patches of labels.
    training : the first training; the others differ from it in some parameters.
    trials : number of other trainings.
    device : where networks are trained; auto means the processor.
    progress : called with 1 after each trial.

    Raises
    ------
    BadInput : see ``learn.search_training``.
    MissingExtra : Optuna is not installed.
    """
    from etchscope.learn import search_training  # here, since no other training needs Optuna

    kind, labelled = first_kind(gathered.classes), gathered.labelled
    chosen = pd.Series(labelled.label).isin(kind.classes).to_numpy()
    return search_training(
        labelled.patches.take(chosen),
        np.asarray(kind.target(labelled.label[chosen]), bool),
        training,
        trials=trials,
        seed=seed,
        weight=labelled.weight[chosen],
        device=device,
        progress=progress,
    )
