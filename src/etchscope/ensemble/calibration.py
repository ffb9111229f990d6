"""What experts, pair and search together say of an opening, as log odds of signal.

Experts see a small picture. How likely an opening and its partner are one particle, how sure the
search is of both, size, contrast and the density around say more. What each is worth is a logistic
regression on candidates whose truth is known, which also makes the odds those that come true.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from etchscope.ensemble.particles import particle_rows
from etchscope.foil import BadInput, PitFlag, has_flag
from etchscope.foil.types import Bools, Floats

__all__ = [
    "AS_TAUGHT",
    "MEASURES",
    "Abundance",
    "Calibration",
    "abundance_of",
    "fit_calibration",
    "measures_of",
    "pair_evidence",
]

MEASURES = (
    "experts",
    "experts_apart",
    "pair",
    "entry",
    "no_entry",
    "exit",
    "no_exit",
    "log_radius",
    "log_radius_squared",
    "contrast",
    "contrast_squared",
    "ellipticity",
    "ellipticity_squared",
    "log_wall",
    "no_partner",
    "other_log_radius",
    "other_log_radius_squared",
    "other_contrast",
    "other_contrast_squared",
    "walls_apart",
    "log_density",
)
"""Columns of ``measures_of``: of the opening itself, or of its pair's entry pit; ``other_…`` of the
exit pit, 0 without one; ``…_apart`` how much both differ; ``log_wall`` of depth over radius."""

_HIDDEN = 0.2
"""Share of the particles whose exit pit is not found, or not as one: under its entry pit or in a
crowd."""
_SURE = 8.0
"""Log odds beyond this are as good as certain, and would rule a regression."""
_UNSURE = -6.0
_FLATTEST = 0.02
"""Depth over radius; what is flatter is as flat as that."""
_LEAST = 30
"""Candidates of signal, and others, that a calibration needs."""
_Z = 1.96
"""Standard deviations that hold 95 %."""
_SHARES = np.logspace(-6, -0.02, 240)
"""Shares of signal among candidates that are held possible, all equally on a logarithmic scale."""
_OFF = (-0.1, 0.0, 0.1)
"""By how much the scores of all candidates of a foil may be off, all equally likely: in a crowd,
where candidates say little each, that is most of what is not known."""
_MOST_BINS = 12
"""Densities at which the abundance of signal is kept."""


def pair_evidence(pits: pd.DataFrame) -> Floats:
    """Return by how much the geometry of partners speaks for signal, log of a ratio, (n,).

    The exit pit of a particle is hidden, by ``_HIDDEN`` of the particles, or the pair is as likely
    one as ``hip`` says. 0 where two openings lie at one place, and where no surface is known: there
    the geometry tells nothing.

    Parameters
    ----------
    pits : rows of a pit table.
    """
    ratio = pits["hip"].to_numpy(np.float64)
    is_told = pits["surface"].isin(["top", "bottom"]).to_numpy() & np.isfinite(ratio)
    is_told &= ~has_flag(pits, PitFlag.STEEP_PAIR).to_numpy()
    told = np.log(_HIDDEN + (1 - _HIDDEN) * np.exp(np.where(is_told, ratio, 0.0)))
    return np.where(is_told, told, 0.0)


def measures_of(pits: pd.DataFrame, experts: Floats) -> pd.DataFrame:
    """Return what was measured of each opening, all finite: the columns ``MEASURES``.

    Partners that are one candidate (see ``particle_rows``) have the same measures, those of the
    entry pit, but of experts the mean of both.

    Parameters
    ----------
    pits : rows of a pit table.
    experts : (n,) their log odds of signal, nan for what is no candidate.
    """
    partner = particle_rows(pits)
    rows = np.arange(len(pits))
    is_pair = partner >= 0
    other = np.where(is_pair, partner, rows)
    is_exit = is_pair & (pits["surface"] == "bottom").to_numpy()
    of, of_other = (
        pits.iloc[np.where(is_exit, other, rows)],
        pits.iloc[np.where(is_exit, rows, other)],
    )
    each = np.clip(experts, -_SURE, _SURE)
    mean = np.where(np.isnan(each[other]), each, (each + each[other]) / 2)
    columns: dict[str, Any] = {
        "experts": mean,
        "experts_apart": np.nan_to_num(np.abs(each - each[other])),
        "pair": np.clip(pair_evidence(of), -_SURE, _SURE),
    }
    for surface in ("entry", "exit"):
        odds = of[surface].to_numpy(np.float64)
        columns[surface] = np.clip(np.nan_to_num(odds, nan=_UNSURE), _UNSURE, _SURE)
        columns[f"no_{surface}"] = np.isnan(odds).astype(np.float64)
    radius, contrast, ellipticity, wall = _shapes(of)
    other_radius, other_contrast, _, other_wall = (
        np.where(is_pair, v, 0) for v in _shapes(of_other)
    )
    density = np.nan_to_num(of["density_per_mm2"].to_numpy(np.float64), nan=1.0)
    columns |= {
        "log_radius": radius,
        "log_radius_squared": radius**2,
        "contrast": contrast,
        "contrast_squared": contrast**2,
        "ellipticity": ellipticity,
        "ellipticity_squared": ellipticity**2,
        "log_wall": wall,
        "no_partner": (~is_pair).astype(np.float64),
        "other_log_radius": other_radius,
        "other_log_radius_squared": other_radius**2,
        "other_contrast": other_contrast,
        "other_contrast_squared": other_contrast**2,
        "walls_apart": np.where(is_pair, np.abs(wall - other_wall), 0.0),
        "log_density": np.log(np.maximum(density, 1.0)),
    }
    return pd.DataFrame(columns, index=pits.index)


def _shapes(pits: pd.DataFrame) -> tuple[Floats, Floats, Floats, Floats]:
    """Return log of radius, contrast, ellipticity and log of depth over radius; 0 if unknown."""
    log_radius = np.log(pits["radius_px"].to_numpy(np.float64))
    log_wall = np.log(np.maximum(pits["wall_slope"].to_numpy(np.float64), _FLATTEST))
    contrast, ellipticity = (
        np.nan_to_num(pits[c].to_numpy(np.float64)) for c in ("contrast", "ellipticity")
    )
    return log_radius, contrast, ellipticity, np.nan_to_num(log_wall)


@dataclass(frozen=True)
class Calibration:
    """What each measure of an opening is worth.

    ``weights``: measure → its weight in the log odds of signal where the logarithm of the density
    is 0; ``constant`` is added. ``abundance``: pairs of the logarithm of a density, ascending, and
    the log odds that a candidate is signal there, as it was on the foils of ``fitted_on``; None
    where that is not known. The score is what is left without them: the log odds at equal shares.
    ``spread``: by how much foils differ, one standard deviation of the log of the factor by which
    the signal expected of a foil is wrong beside its own interval. ``slopes``: measure → how its
    weight changes with the logarithm of the density.
    """

    weights: Mapping[str, float]
    constant: float
    abundance: tuple[tuple[float, float], ...] | None
    fitted_on: str
    spread: float = 0.0
    slopes: Mapping[str, float] = field(default_factory=dict)

    def score(self, measures: pd.DataFrame) -> Floats:
        """Return the score, (n,), nan where experts say nothing."""
        log_density = measures["log_density"].to_numpy(np.float64)
        odds = np.full(len(measures), self.constant)
        for weights, by in ((self.weights, 1.0), (self.slopes, log_density)):
            own = measures[list(weights)].to_numpy(np.float64)
            odds += (own @ np.fromiter(weights.values(), np.float64)) * by
        return odds if self.abundance is None else odds - self.log_abundance(measures)

    def log_abundance(self, measures: pd.DataFrame) -> Floats:
        """Return the log odds of signal by density alone, (n,).

        Between the densities of ``abundance`` by interpolation, beyond them as at the ends.

        Raises
        ------
        ValueError : ``abundance`` is not known.
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
        LookupError, TypeError, ValueError : no such record.
        BadInput : a measure that is not known.
        """
        weights, slopes = (
            {str(k): float(v) for k, v in record[name].items()} for name in ("weights", "slopes")
        )
        unknown = sorted((set(weights) | set(slopes)) - set(MEASURES))
        if unknown:
            raise BadInput("model: calibration", ", ".join(MEASURES), ", ".join(unknown))
        pairs = record["abundance"]
        abundance = None if pairs is None else tuple((float(at), float(o)) for at, o in pairs)
        told = float(record["constant"]), abundance, str(record["fitted_on"])
        return cls(weights, *told, float(record["spread"]), slopes)


AS_TAUGHT = Calibration(
    {"experts": 1.0, "experts_apart": 0.5, "pair": 0.38},
    0.0,
    None,
    "nothing: as experts were taught",
)
"""Of experts whose odds were calibrated on labels, which entry pits have and exit pits have not:
of a pair the better one is heard, half the sum and half the difference. The geometry is worth that
share of what experts are, who see part of the same: by logistic regression on the candidates of 640
random foils that taught the experts nothing, 0.288 against 0.756."""


def fit_calibration(
    measures: pd.DataFrame,
    is_signal: Bools,
    *,
    fitted_on: str,
    of: Iterable[str] = MEASURES,
    by_density: bool = True,
) -> Calibration:
    """Return the calibration that candidates of known truth ask for.

    In a crowd the same pair, or the same vote, is worth less: with ``by_density`` each weight
    changes with the logarithm of the density.

    Parameters
    ----------
    measures : of candidates, one row a place.
    is_signal : (n,), at most one true for a particle.
    fitted_on : in words.
    of : the measures that count.

    Raises
    ------
    BadInput : too few candidates of signal, or others.
    """
    true = int(is_signal.sum())
    for what, count in (("of signal", true), ("that are not", len(is_signal) - true)):
        if count < _LEAST:
            hint = "Simulate or search more tiles."
            raise BadInput("calibration", f"{_LEAST} candidates {what} or more", str(count), hint)
    names = list(of)
    own = measures[names].to_numpy(np.float64)
    log_density = measures[["log_density"]].to_numpy(np.float64)
    told = np.hstack([own, own * log_density]) if by_density else own
    scaler, regression = StandardScaler(), LogisticRegression(C=1.0, max_iter=5000)
    make_pipeline(scaler, regression).fit(told, is_signal)
    fitted = regression.coef_[0] / scaler.scale_
    constant = float(regression.intercept_[0] - fitted @ scaler.mean_)
    weights, slopes = (
        {name: round(v, 6) for name, v in zip(names, part.tolist(), strict=False)}
        for part in (fitted[: len(names)], fitted[len(names) :])
    )
    abundance = _abundance_by(log_density[:, 0], is_signal)
    return Calibration(weights, round(constant, 6), abundance, fitted_on, slopes=slopes)


def _abundance_by(log_density: Floats, is_signal: Bools) -> tuple[tuple[float, float], ...]:
    """Return log odds of signal at some densities: of candidates between as many true ones each.

    A curve of few parameters would be off by half a unit in a crowd, and that much is all signal.
    The first and the last density are those that occur, by continuation.
    """
    bins = max(min(int(is_signal.sum()) // _LEAST, _MOST_BINS), 1)
    edges = np.unique(np.quantile(log_density[is_signal], np.linspace(0, 1, bins + 1)[1:-1]))
    own = np.unique(np.searchsorted(edges, log_density), return_inverse=True)[1]
    count, true = np.bincount(own), np.bincount(own, is_signal)
    at = np.bincount(own, log_density) / count
    odds = np.log(true + 0.5) - np.log(count - true + 0.5)
    if len(at) > 1:
        ends = np.array([log_density.min(), log_density.max()])
        slopes = np.diff(odds)[[0, -1]] / np.diff(at)[[0, -1]]
        beyond = odds[[0, -1]] + slopes * (ends - at[[0, -1]])
        at, odds = np.r_[ends[0], at, ends[1]], np.r_[beyond[0], odds, beyond[1]]
    return tuple(zip(at.round(4).tolist(), odds.round(4).tolist(), strict=True))


@dataclass(frozen=True)
class Abundance:
    """How much signal a foil holds, beside that of the foils that a calibration was fitted on.

    ``shift``: (m,) log of the factor of the odds, that is held possible; ``weight``: (m,) how
    likely, sum 1.
    ``expected``: (value, low, high) number of candidates that are signal, at 95 %.
    """

    shift: Floats
    weight: Floats
    expected: tuple[float, float, float]

    @classmethod
    def usual(cls, score: Floats, log_abundance: Floats) -> "Abundance":
        """Return that of the foils of the calibration; see ``abundance_of`` for parameters."""
        expected = float(expit(score + log_abundance).sum())
        return cls(np.zeros(1), np.ones(1), (expected, expected, expected))

    def probability(self, log_odds: Floats) -> Floats:
        """Return the probability of signal, (n,), of log odds before the shift; nan stays nan."""
        out = np.zeros(len(log_odds))
        for shift, weight in zip(self.shift, self.weight, strict=True):
            out += weight * expit(log_odds + shift)
        return out


def abundance_of(score: Floats, log_abundance: Floats, spread: float = 0.0) -> Abundance:
    """Return how much signal the candidates of a foil speak for.

    The likelihood of a mixture of signal and others with the share of signal free, all shares from
    one in a million on held equally possible on a logarithmic scale, and averaged over ``_OFF``.
    Without candidates nothing is learnt.

    Parameters
    ----------
    score : (n,) log of the ratio of the likelihoods, of one candidate a place.
    log_abundance : (n,) log odds of signal by density, on the foils of the calibration.
    spread : of ``Calibration``.
    """
    n = len(score)
    usual = float(np.mean(log_abundance)) if n else 0.0
    shift = np.log(_SHARES) - np.log1p(-_SHARES) - usual
    weight = np.zeros((len(_OFF), len(shift)))
    for of_off, off in zip(weight, _OFF, strict=True):
        gain = np.expm1(np.clip(score - off, -50, 50))
        of_off[:] = [np.log1p(expit(log_abundance + by) * gain).sum() for by in shift]
        of_off[:] = np.exp(of_off - logsumexp(of_off)) / len(_OFF)
    among = np.array([expit(log_abundance + by).sum() for by in shift])
    reached = np.cumsum(weight.sum(0))
    low, high = (
        float(among[np.searchsorted(reached, q).clip(0, len(among) - 1)]) * np.exp(z * spread)
        for q, z in ((0.025, -_Z), (0.975, _Z))
    )
    possible = weight > 1e-9
    kept = weight[possible] / weight[possible].sum()
    value = float(weight.sum(0) @ among)
    at = shift - np.array(_OFF)[:, None]
    return Abundance(at[possible], kept, (value, float(low), float(min(high, n))))
