"""From the scores of openings to their probabilities, classes and selection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from etchscope.candidates.rank import candidate_table
from etchscope.ensemble import (
    MISC,
    Abundance,
    Model,
    check_prior,
    estimate_abundance,
    estimate_prior,
    find_better_rows,
    find_particle_rows,
    gather_measures,
)
from etchscope.evaluation import Figure
from etchscope.foil import Scan, as_pits
from etchscope.foil.types import Bools, Floats
from etchscope.imaging import Lighting

__all__ = ["Decision", "PriorChoice", "decide"]

PriorChoice = Literal["foil", "model"]
"""foil: the shares of the classes that explain the scores of the scan best; model: those of the
model."""


@dataclass(frozen=True)
class Decision:
    """The classified openings of a scan.

    Attributes
    ----------
    table : pit table with probabilities, classes and selection.
    shares : (k,) shares of the classes that the probabilities assume.
    expected : number of candidates that are signal, with its 95 % interval; None for a model
        without a calibration on foils of known truth.
    is_foreign : whether the scan is of another kind than the training, see ``Domain.is_foreign``.
    """

    table: pd.DataFrame
    shares: Floats
    expected: Figure | None
    is_foreign: bool

    @property
    def counts(self) -> dict[str, int]:
        """Number of selected openings, of openings that are not valid, and 1 for a foreign scan."""
        return {
            "selected": int(self.table["selected"].sum()),
            "not_valid": int((~self.table["valid"].astype(bool)).sum()),
            "foreign_scan": int(self.is_foreign),
        }


def decide(
    model: Model,
    pits: pd.DataFrame,
    scores: pd.DataFrame,
    scan: Scan,
    prior: PriorChoice | Mapping[str, float],
) -> Decision:
    """Return the pit table with probabilities, classes and selection.

    Both openings of a pair have one score. A candidate is selected by its score alone, against the
    threshold at its local density, and then its class is signal, whatever the prior is. All other
    openings have their most probable class. The openings of a pair that is signal share all figures
    of the one with the higher score; those of another pair stay a top and a bottom pit.

    Parameters
    ----------
    model : the model of the scores.
    pits : n openings of a search.
    scores : see ``Model.score_patches``, row by row.
    scan : the scan that was searched.
    prior : shares of the classes that the probabilities assume: a choice, or class → share.

    Raises
    ------
    BadInput : a prior of other classes, or shares that are not above 0 or do not sum to 1.
    """
    is_mark = pits["length_px"].notna().to_numpy()
    experts = np.where(is_mark, np.nan, scores["score"].to_numpy(np.float64))
    measures = gather_measures(pits, experts)
    scores = model.calibrate(scores, measures)
    best = candidate_table(
        pits.assign(score=scores["score"].to_numpy()), pixel_size_um=scan.pixel_size_um
    )
    is_best = pits["pit"].isin(best["pit"]).to_numpy(bool)
    classified, shares, expected = _classify(model, scores, measures, is_best, prior)
    distance = scores["distance"].to_numpy(np.float64)
    domain = model.domain.under(Lighting.of_scan(scan)) if model.lights.are_planes else model.domain
    is_foreign = domain.is_foreign(distance[~is_mark])
    inside = domain.holds(distance, pits["density_per_mm2"].to_numpy(np.float64))
    inside &= domain.knows_scale(scan.pixel_size_um) and not is_foreign
    inside &= (
        pits["valid"].fillna(value=True).to_numpy(bool)
    )  # what the search found invalid stays so
    classified = _without_marks(classified.assign(score=scores["score"], valid=inside), is_mark)
    better = find_better_rows(experts, find_particle_rows(pits))
    classified = classified.assign(valid=classified["valid"].to_numpy()[better])
    table = pits.assign(**{str(c): classified[c].to_numpy() for c in classified})
    selected = _find_selected(model, table, scan)
    classified["class"] = classified["class"].mask(selected, model.signal)
    is_signal = (classified["class"] == model.signal).to_numpy()[better]
    classified = classified.iloc[np.where(is_signal, better, np.arange(len(better)))]
    table = pits.assign(**{str(c): classified[c].to_numpy() for c in classified}, selected=selected)
    return Decision(as_pits(table), shares, expected, is_foreign)


def _classify(
    model: Model,
    scores: pd.DataFrame,
    measures: pd.DataFrame,
    is_best: Bools,
    prior: PriorChoice | Mapping[str, float],
) -> tuple[pd.DataFrame, Floats, Figure | None]:
    """Return probabilities and classes, the shares of the classes, and the expected signal.

    A model that was calibrated on foils of known truth knows the abundance of signal there, which
    the candidates of this foil may correct. Otherwise the shares are those of the model, or those
    that explain all openings best.

    Parameters
    ----------
    scores : see ``Model.calibrate``; NaN for marks.
    is_best : (n,) which openings are candidates.
    """
    is_known = model.calibration.abundance is not None
    if not isinstance(prior, str) or (prior == "model" and not is_known):
        shares = check_prior(model.prior if isinstance(prior, str) else prior, model.classes)
        return model.classify(scores, shares), shares, None
    score = scores["score"].to_numpy(np.float64)
    log_p = scores[[f"log_p_{c}" for c in model.classes]].to_numpy(np.float64)
    shares = estimate_prior(log_p[np.isfinite(score)])
    if not is_known:
        return model.classify(scores, shares), shares, None
    usual = model.calibration.log_abundance(measures)
    if prior == "foil":
        abundance = estimate_abundance(score[is_best], usual[is_best], model.calibration.spread)
    else:
        abundance = Abundance.usual(score[is_best], usual[is_best])
    signal = model.classes.index(model.signal)
    share = abundance.expected[0] / max(int(is_best.sum()), 1)
    shares = shares * (1 - share) / max(1 - shares[signal], 1e-12)
    shares[signal] = share
    p = abundance.probability(score + usual)
    return model.classify(scores, shares, p_signal=p), shares, abundance.expected


def _find_selected(model: Model, table: pd.DataFrame, scan: Scan) -> Bools:
    """Return which openings belong to a candidate that passes the working point, (n,) bool."""
    best = candidate_table(table, pixel_size_um=scan.pixel_size_um)
    least = model.working_point.threshold_at(best["density_per_mm2"].to_numpy(np.float64))
    passed = best["valid"].to_numpy(bool) & (best["score"].to_numpy(np.float64) >= least)
    is_candidate = table["pit"].isin(best.loc[passed, "pit"]).to_numpy(bool)
    partner, score = find_particle_rows(table), table["score"].to_numpy(np.float64)
    is_pair = (partner >= 0) & (score[partner] == score)
    return np.asarray(is_candidate | (is_pair & is_candidate[partner]))


def _without_marks(classified: pd.DataFrame, is_mark: Bools) -> pd.DataFrame:
    """Return classified rows in which marks are misc, and no candidates.

    The search saw a scratch as a whole, whereas a patch shows a piece of it.
    """
    valid = classified["valid"].to_numpy(bool) | is_mark
    out = classified.mask(np.broadcast_to(is_mark[:, None], classified.shape))
    return out.assign(**{"class": out["class"].mask(is_mark, MISC)}).assign(valid=valid)
