"""Cross-validation of a kind of expert over folds of regions and over seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools, Floats
from etchscope.learn.expert import Expert
from etchscope.learn.patches import Patches
from etchscope.learn.train import split_folds, train_expert
from etchscope.learn.training import Training

__all__ = ["CrossValidation", "cross_validate", "learning_curves", "measure_efficiency_at"]


@dataclass(frozen=True)
class CrossValidation:
    """The scores of held-out patches by the experts of all folds and seeds.

    Attributes
    ----------
    scores : (seed, n) float64 logits, each patch scored by the expert of the fold that held it out.
    target : (n,) bool; or int, then scores are (seed, n, classes).
    trainings : DataFrame with one row per training: ``seed, fold, patches, balanced_accuracy,
        epochs, failed`` (trainings that did not learn), ``learnt``.
    histories : (seed, fold) → what ``Expert.history`` is.
    """

    scores: Floats
    target: NDArray[np.generic]
    trainings: pd.DataFrame
    histories: dict[tuple[int, int], Floats]

    @property
    def balanced_accuracy(self) -> Floats:
        """Balanced accuracy of each seed over all folds together, (seed,) float64."""
        is_binary = self.target.dtype == np.bool_
        values = [
            balanced_accuracy_score(self.target, s > 0 if is_binary else s.argmax(1))
            for s in self.scores
        ]
        return np.array(values, np.float64)

    @property
    def learning_curves(self) -> pd.DataFrame:
        """One row per epoch: seed, fold, epoch, training and validation loss and accuracy."""
        return learning_curves(self.histories)


def learning_curves(histories: Mapping[tuple[int, int], Floats]) -> pd.DataFrame:
    """Return the learning curves of trainings, one row per epoch.

    Columns ``seed, fold, epoch, training_loss, validation_loss, validation_accuracy``; the last is
    balanced.

    Parameters
    ----------
    histories : (seed, fold) → (epoch, 3), see ``Expert.history``.
    """
    columns = ["training_loss", "validation_loss", "validation_accuracy"]
    tables = [
        pd.DataFrame(history, columns=columns).assign(
            seed=seed, fold=fold, epoch=np.arange(1, len(history) + 1)
        )
        for (seed, fold), history in histories.items()
    ]
    order = ["seed", "fold", "epoch", *columns]
    return pd.concat(tables, ignore_index=True)[order] if tables else pd.DataFrame(columns=order)


def cross_validate(
    patches: Patches,
    target: Bools,
    training: Training,
    *,
    count: int = 5,
    seeds: Sequence[int] = (0,),
    weight: Floats | None = None,
    device: Device = "cpu",
    progress: Callable[[int], None] | None = None,
) -> CrossValidation:
    """Return the cross-validation of one kind of expert over folds and seeds.

    Folds hold whole regions. A share 1 / ``count`` of the other regions decides when a training
    stops, so the held-out patches have no influence.

    Parameters
    ----------
    patches : n patches to train on and to measure with.
    target : (n,) bool, whether a patch is of the first class.
    training : how each expert is trained.
    count : number of folds.
    seeds : of folds, weights and order.
    weight, device : see ``train_expert``.
    progress : called with 1 after each training.

    Raises
    ------
    BadInput : folds that cannot be split, or no such device.
    """
    scores = np.full((len(seeds), len(patches)), np.nan)
    rows = []
    histories: dict[tuple[int, int], Floats] = {}
    for place, seed in enumerate(seeds):
        for fold, test in enumerate(split_folds(patches.region, target, count, seed)):
            kept = patches.take(~test)
            validation = next(split_folds(kept.region, target[~test], count, seed + 1))
            expert = train_expert(
                kept,
                target[~test],
                training,
                validation=validation,
                seed=100 * seed + fold,
                weight=None if weight is None else weight[~test],
                device=device,
            )
            logits = expert.scores(patches.take(test), device=device)
            scores[place, test] = logits
            rows.append(_row(expert, target[test], logits, seed, fold))
            histories[seed, fold] = expert.history
            if progress is not None:
                progress(1)
    return CrossValidation(scores, target, pd.DataFrame(rows), histories)


def _row(expert: Expert, target: Bools, logits: Floats, seed: int, fold: int) -> dict[str, object]:
    return {
        "seed": seed,
        "fold": fold,
        "patches": len(target),
        "balanced_accuracy": float(balanced_accuracy_score(target, logits > 0)),
        "epochs": len(expert.history),
        "failed": expert.failed,
        "learnt": expert.learnt,
    }


def measure_efficiency_at(
    scores: Floats, target: Bools, false_positive_rate: float
) -> tuple[int, int]:
    """Return the numbers of accepted and of all signal at a false-positive rate.

    The threshold is the lowest that at most this share of the background passes.

    Parameters
    ----------
    scores : (n,) logits.
    target : (n,) bool, whether a patch is signal.
    false_positive_rate : in (0, 1].

    Raises
    ------
    BadInput : a rate outside 0 to 1, or too little background to know such a rate: fewer than one
        over it.
    """
    background = np.sort(scores[~target])[::-1]
    if not 0 < false_positive_rate <= 1:
        raise BadInput("false-positive rate", "above 0, at most 1", repr(false_positive_rate))
    if len(background) * false_positive_rate < 1:
        needed = int(np.ceil(1 / false_positive_rate))
        raise BadInput("background", f"{needed} patches or more", str(len(background)))
    allowed = int(len(background) * false_positive_rate)
    threshold = background[allowed] if allowed < len(background) else -np.inf
    return int((scores[target] > threshold).sum()), int(target.sum())
