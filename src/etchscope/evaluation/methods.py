"""Two searches against the same truth: which truths one finds and the other misses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from etchscope.evaluation.compare import Evaluation
from etchscope.evaluation.intervals import Proportion
from etchscope.evaluation.tiles import proportion_over_tiles
from etchscope.foil import BadInput
from etchscope.foil.types import Bools

__all__ = ["MethodComparison", "compare_methods"]


@dataclass(frozen=True)
class MethodComparison:
    """The truths by the searches that found them.

    Parameters
    ----------
    first_hit, second_hit : (n,) bool, whether either search found the truth.
    p_value : probability that two equally good searches differ as much (McNemar's exact test, Q.
        McNemar, Psychometrika 12 (1947) 153, on the truths that only one of them found).
    either : efficiency of both searches together, with its interval over tiles.
    """

    first_hit: Bools
    second_hit: Bools
    p_value: float
    either: Proportion

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of truths that both searches, only one, or neither found; they add up to all."""
        a, b = self.first_hit, self.second_hit
        return {
            "both": int((a & b).sum()),
            "only_first": int((a & ~b).sum()),
            "only_second": int((~a & b).sum()),
            "neither": int((~a & ~b).sum()),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {**self.counts, "p_value": self.p_value, "either": self.either.to_dict()}

    def truths(self, truth: pd.DataFrame) -> pd.DataFrame:
        """Return the truth with a column ``found_by``: both, only_first, only_second, neither."""
        names = {(True, True): "both", (True, False): "only_first", (False, True): "only_second"}
        pairs = zip(self.first_hit.tolist(), self.second_hit.tolist(), strict=True)
        return truth.assign(found_by=[names.get(pair, "neither") for pair in pairs])


def compare_methods(first: Evaluation, second: Evaluation) -> MethodComparison:
    """Return the comparison of two searches on one truth.

    Parameters
    ----------
    first, second : evaluations against the same truth, by the same rule.

    Raises
    ------
    BadInput : they are of different truths, rules or tolerances.
    """
    for what, one, other in (
        ("truths", len(first.truth), len(second.truth)),
        ("rule", first.rule, second.rule),
        ("tolerance", (first.tolerance, first.unit), (second.tolerance, second.unit)),
    ):
        if one != other:
            raise BadInput(f"comparison: {what}", f"{one} in both", f"{other}")
    a, b = first.matching.truth_hit, second.matching.truth_hit
    alone, other_alone = int((a & ~b).sum()), int((~a & b).sum())
    both = alone + other_alone
    p = float(binomtest(alone, both, 0.5).pvalue) if both else 1.0
    tiles, every = first.tiles, np.ones(len(a), bool)
    hits = tiles.truths(a | b), tiles.truths(every)
    either = proportion_over_tiles(*hits, confidence=first.confidence)
    return MethodComparison(a, b, p, either)
