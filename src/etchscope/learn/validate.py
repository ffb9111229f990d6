"""How good a kind of expert is: cross-validation over folds of regions and over seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats
from etchscope.learn.patches import Patches
from etchscope.learn.train import Expert, Training, folds, train_expert

__all__ = ["CrossValidation", "cross_validate", "efficiency_at"]


@dataclass(frozen=True)
class CrossValidation:
    """What the experts of all folds and seeds said of patches that they had not seen.

    Attributes
    ----------
    scores : (seed, n) float64 logits, each patch scored by the expert of the fold that held it out.
    target : (n,) bool.
    trainings : DataFrame, one row a training: ``seed, fold, patches, balanced_accuracy, epochs,
        failed`` (trainings that did not learn), ``learnt``.
    """

    scores: Floats
    target: Bools
    trainings: pd.DataFrame

    @property
    def balanced_accuracy(self) -> Floats:
        """Of each seed, over all folds together, (seed,)."""
        values = [balanced_accuracy_score(self.target, s > 0) for s in self.scores]
        return np.array(values, np.float64)


def cross_validate(
    patches: Patches,
    target: Bools,
    training: Training,
    *,
    count: int = 5,
    seeds: Sequence[int] = (0,),
    progress: Callable[[int], None] | None = None,
) -> CrossValidation:
    """Return what ``count`` folds times so many seeds of one kind of expert are worth.

    Folds hold whole regions. Of what is not held out, one part in ``count`` of the regions decides
    when a training stops, so the held-out patches decide nothing.

    Parameters
    ----------
    target : (n,) whether a patch is of the first class.
    progress : called with 1 after each training.

    Raises
    ------
    BadInput : folds that cannot be split.
    """
    scores = np.full((len(seeds), len(patches)), np.nan)
    rows = []
    for place, seed in enumerate(seeds):
        for fold, test in enumerate(folds(patches.region, target, count, seed)):
            kept = patches.take(~test)
            validation = next(folds(kept.region, target[~test], count, seed + 1))
            expert = train_expert(
                kept, target[~test], training, validation=validation, seed=100 * seed + fold
            )
            said = expert.scores(patches.take(test))
            scores[place, test] = said
            rows.append(_row(expert, target[test], said, seed, fold))
            if progress is not None:
                progress(1)
    return CrossValidation(scores, target, pd.DataFrame(rows))


def _row(expert: Expert, target: Bools, said: Floats, seed: int, fold: int) -> dict[str, object]:
    return {
        "seed": seed,
        "fold": fold,
        "patches": len(target),
        "balanced_accuracy": float(balanced_accuracy_score(target, said > 0)),
        "epochs": len(expert.history),
        "failed": expert.failed,
        "learnt": expert.learnt,
    }


def efficiency_at(scores: Floats, target: Bools, false_positive_rate: float) -> tuple[int, int]:
    """Return (accepted, all) signal where so small a share of the background is accepted.

    The threshold is the lowest that lets at most that share of the background pass.

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
