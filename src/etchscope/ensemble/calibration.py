"""The score of an opening: its log odds of signal from the measures of experts, pair and search."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from etchscope.ensemble.measures import MEASURES
from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["AS_TRAINED", "Calibration"]


@dataclass(frozen=True)
class Calibration:
    """Weights of the measures of an opening in its score.

    The log odds of signal are ``constant`` + Σ (``weights`` + ``slopes`` · l) · measure, l the
    measure ``log_density``. The score is their part beyond the abundance of signal at that density:
    the log odds at equal shares of signal and others.

    Attributes
    ----------
    weights : measure → weight where l = 0.
    constant : added to the log odds.
    abundance : pairs of l, ascending, and the log odds that a candidate of that density is signal
        on the foils of the calibration; None where they are unknown.
    fitted_on : the candidates of the fit, in words.
    spread : standard deviation, from foil to foil, of the logarithm of the factor by which the
        expected signal is wrong beyond its own interval.
    slopes : measure → change of its weight with l.
    """

    weights: Mapping[str, float]
    constant: float
    abundance: tuple[tuple[float, float], ...] | None
    fitted_on: str
    spread: float = 0.0
    slopes: Mapping[str, float] = field(default_factory=dict)

    def score(self, measures: pd.DataFrame) -> Floats:
        """Return the score, (n,); NaN where the measure ``experts`` is.

        Parameters
        ----------
        measures : n rows, see ``gather_measures``.
        """
        log_density = measures["log_density"].to_numpy(np.float64)
        odds = np.full(len(measures), self.constant)
        for weights, by in ((self.weights, 1.0), (self.slopes, log_density)):
            own = measures[list(weights)].to_numpy(np.float64)
            odds += (own @ np.fromiter(weights.values(), np.float64)) * by
        return odds if self.abundance is None else odds - self.log_abundance(measures)

    def log_abundance(self, measures: pd.DataFrame) -> Floats:
        """Return the log odds of signal by density alone, (n,).

        They are interpolated between the densities of ``abundance``, and constant beyond them.

        Parameters
        ----------
        measures : n rows, see ``gather_measures``.

        Raises
        ------
        ValueError : ``abundance`` is unknown.
        """
        if self.abundance is None:
            raise ValueError("the abundance of signal is not known")
        at, odds = np.array(self.abundance).T
        return np.asarray(np.interp(measures["log_density"].to_numpy(np.float64), at, odds))

    def to_record(self) -> dict[str, Any]:
        """Return the calibration for JSON."""
        return {
            "weights": dict(self.weights),
            "constant": self.constant,
            "abundance": None if self.abundance is None else [list(p) for p in self.abundance],
            "fitted_on": self.fitted_on,
            "spread": self.spread,
            "slopes": dict(self.slopes),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Calibration":
        """Return the calibration of a card.

        Raises
        ------
        LookupError, TypeError, ValueError : the record is not that of a calibration.
        BadInput : an unknown measure.
        """
        weights, slopes = (
            {str(k): float(v) for k, v in record[name].items()} for name in ("weights", "slopes")
        )
        unknown = sorted((set(weights) | set(slopes)) - set(MEASURES))
        if unknown:
            raise BadInput("model: calibration", ", ".join(MEASURES), ", ".join(unknown))
        pairs = record["abundance"]
        abundance = None if pairs is None else tuple((float(at), float(o)) for at, o in pairs)
        return cls(
            weights,
            float(record["constant"]),
            abundance,
            str(record["fitted_on"]),
            float(record["spread"]),
            slopes,
        )


AS_TRAINED = Calibration(
    {"experts": 1.0, "experts_apart": 0.5, "pair": 0.38},
    0.0,
    None,
    "nothing: as experts were taught",  # models keep this text
)
"""The calibration of experts that only labels have calibrated. Entry pits have labels and exit pits
have none, so the higher vote of a pair counts: half the sum plus half the difference. The geometry
has 0.38 of the weight of the experts, who see part of the same: a logistic regression on the
candidates of 640 random foils that were not trained on gave 0.288 against 0.756."""
