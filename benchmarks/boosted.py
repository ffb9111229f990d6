"""Gradient-boosted trees on measured features, a baseline for experts, used by learn.py."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score

from etchscope.foil.types import Bools
from etchscope.learn.features import measure_features
from etchscope.learn.patches import Patches
from etchscope.learn.train import split_folds
from etchscope.learn.validate import CrossValidation

__all__ = ["cross_validate_boosted"]


def cross_validate_boosted(
    patches: Patches, target: Bools, *, count: int = 5, seeds: Sequence[int] = (0,)
) -> CrossValidation:
    """Return the cross-validation of boosted trees on ``measure_features``, see ``cross_validate``.

    Raises
    ------
    BadInput : the regions cannot be divided into folds.
    """
    features = measure_features(patches)
    scores = np.full((len(seeds), len(patches)), np.nan)
    rows = []
    for place, seed in enumerate(seeds):
        for fold, test in enumerate(split_folds(patches.region, target, count, seed)):
            trees = HistGradientBoostingClassifier(
                max_iter=150, class_weight="balanced", random_state=seed
            )
            trees.fit(features[~test], target[~test])
            values = trees.decision_function(features[test])
            scores[place, test] = values
            accuracy = float(balanced_accuracy_score(target[test], values > 0))
            rows.append(
                {
                    "seed": seed,
                    "fold": fold,
                    "patches": int(test.sum()),
                    "balanced_accuracy": accuracy,
                    "epochs": trees.n_iter_,
                    "failed": 0,
                    "learnt": True,
                }
            )
    return CrossValidation(scores, target, pd.DataFrame(rows), {})
