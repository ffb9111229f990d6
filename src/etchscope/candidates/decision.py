"""From what a model says of openings to their probabilities, classes and verdicts."""

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
    abundance_of,
    better_rows,
    checked_prior,
    estimated_prior,
    measures_of,
    particle_rows,
)
from etchscope.evaluation import Figure
from etchscope.foil import Scan, as_pits
from etchscope.foil.types import Bools, Floats
from etchscope.imaging import Lighting

__all__ = ["Decision", "PriorChoice", "decide"]

PriorChoice = Literal["foil", "model"]
"""foil: the shares of the classes that explain the scan's own scores best; model: the model's."""


@dataclass(frozen=True)
class Decision:
    """The pit table of a scored scan.

    ``shares``: (k,) of the classes, as assumed. ``expected``: how many candidates are signal; None
    where the model cannot tell. ``is_foreign``: whether the scan is unlike what the model knows.
    """

    table: pd.DataFrame
    shares: Floats
    expected: Figure | None
    is_foreign: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many openings are selected, how many are not valid, and 1 for a foreign scan."""
        return {
            "selected": int(self.table["selected"].sum()),
            "not_valid": int((~self.table["valid"].astype(bool)).sum()),
            "foreign_scan": int(self.is_foreign),
        }


def decide(
    model: Model,
    pits: pd.DataFrame,
    judged: pd.DataFrame,
    scan: Scan,
    prior: PriorChoice | Mapping[str, float],
) -> Decision:
    """Return the pit table with probabilities and verdicts, and what was assumed and found.

    Both openings of a pair have one score. What is selected is decided by the score alone, at the
    local density of the candidate, and is signal whatever the prior says; all else is of the
    likeliest class. The openings of a pair that is signal share all of the better one's figures;
    those of another pair stay a top and a bottom pit.

    Parameters
    ----------
    pits : of a search.
    judged : of ``Model.judge``, row by row.
    scan : that was searched.
    prior : what the probabilities assume: a choice, or class → share.
    """
    is_mark = pits["length_px"].notna().to_numpy()
    experts = np.where(is_mark, np.nan, judged["score"].to_numpy(np.float64))
    measures = measures_of(pits, experts)
    judged = model.calibrated(judged, measures)
    best = candidate_table(
        pits.assign(score=judged["score"].to_numpy()), pixel_size_um=scan.pixel_size_um
    )
    is_best = pits["pit"].isin(best["pit"]).to_numpy(bool)
    decided, shares, expected = _decided(model, judged, measures, is_best, prior)
    distance = judged["distance"].to_numpy(np.float64)
    domain = model.domain.under(Lighting.of_scan(scan)) if model.lights.are_planes else model.domain
    is_foreign = domain.is_foreign(distance[~is_mark])
    inside = domain.holds(distance, pits["density_per_mm2"].to_numpy(np.float64))
    inside &= domain.knows_scale(scan.pixel_size_um) and not is_foreign
    inside &= pits["valid"].fillna(value=True).to_numpy(bool)  # the search's own doubts stand
    decided = _without_marks(decided.assign(score=judged["score"], valid=inside), is_mark)
    better = better_rows(experts, particle_rows(pits))
    decided = decided.assign(valid=decided["valid"].to_numpy()[better])
    table = pits.assign(**{str(c): decided[c].to_numpy() for c in decided})
    selected = _selected(model, table, scan)
    decided["class"] = decided["class"].mask(selected, model.signal)
    is_signal = (decided["class"] == model.signal).to_numpy()[better]
    decided = decided.iloc[np.where(is_signal, better, np.arange(len(better)))]
    table = pits.assign(**{str(c): decided[c].to_numpy() for c in decided}, selected=selected)
    return Decision(as_pits(table), shares, expected, is_foreign)


def _decided(
    model: Model,
    judged: pd.DataFrame,
    measures: pd.DataFrame,
    is_best: Bools,
    prior: PriorChoice | Mapping[str, float],
) -> tuple[pd.DataFrame, Floats, Figure | None]:
    """Return probabilities and the likeliest class, shares of classes, and the signal expected.

    With a model that was calibrated on foils whose truth is known signal is as abundant as there,
    or as this foil's candidates say; without, the shares are the model's, or those that explain all
    openings best.

    Parameters
    ----------
    judged : of ``Model.calibrated``, nan for marks.
    is_best : (n,) which openings are candidates.
    """
    is_known = model.calibration.abundance is not None
    if not isinstance(prior, str) or (prior == "model" and not is_known):
        shares = checked_prior(model.prior if isinstance(prior, str) else prior, model.classes)
        return model.decided(judged, shares), shares, None
    score = judged["score"].to_numpy(np.float64)
    log_p = judged[[f"log_p_{c}" for c in model.classes]].to_numpy(np.float64)
    shares = estimated_prior(log_p[np.isfinite(score)])
    if not is_known:
        return model.decided(judged, shares), shares, None
    usual = model.calibration.log_abundance(measures)
    if prior == "foil":
        abundance = abundance_of(score[is_best], usual[is_best], model.calibration.spread)
    else:
        abundance = Abundance.usual(score[is_best], usual[is_best])
    signal = model.classes.index(model.signal)
    share = abundance.expected[0] / max(int(is_best.sum()), 1)
    shares = shares * (1 - share) / max(1 - shares[signal], 1e-12)
    shares[signal] = share
    p = abundance.probability(score + usual)
    return model.decided(judged, shares, signal_is=p), shares, abundance.expected


def _selected(model: Model, table: pd.DataFrame, scan: Scan) -> Bools:
    """Return which openings are of a candidate that passes the working point, (n,)."""
    best = candidate_table(table, pixel_size_um=scan.pixel_size_um)
    least = model.working_point.threshold_at(best["density_per_mm2"].to_numpy(np.float64))
    passed = best["valid"].to_numpy(bool) & (best["score"].to_numpy(np.float64) >= least)
    is_candidate = table["pit"].isin(best.loc[passed, "pit"]).to_numpy(bool)
    partner, score = particle_rows(table), table["score"].to_numpy(np.float64)
    is_pair = (partner >= 0) & (score[partner] == score)
    return np.asarray(is_candidate | (is_pair & is_candidate[partner]))


def _without_marks(decided: pd.DataFrame, is_mark: Bools) -> pd.DataFrame:
    """Return decided rows in which marks are misc, and no candidates.

    The search has seen the whole of a scratch, of which a patch is a piece.
    """
    valid = decided["valid"].to_numpy(bool) | is_mark
    out = decided.mask(np.broadcast_to(is_mark[:, None], decided.shape))
    return out.assign(**{"class": out["class"].mask(is_mark, MISC)}).assign(valid=valid)
