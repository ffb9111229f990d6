"""From scored openings to candidates: one per place, the best first."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.candidates.columns import is_voted
from etchscope.ensemble import particle_rows
from etchscope.foil.types import Bools, Floats

__all__ = ["best_of_each_place", "candidate_table", "places_px", "with_votes"]

_SAME_PLACE_PX = 7.0
"""Openings closer than a pit's radius speak of one particle."""


def places_px(pits: pd.DataFrame, pixel_size_um: float | None) -> Floats:
    """Return where openings are in pixels of one frame for all tiles, (n, 2).

    Without a scale each tile is a place of its own, far from the others.
    """
    if pixel_size_um is not None and pits["x_mm"].notna().all():
        return np.asarray(pits[["x_mm", "y_mm"]].to_numpy(np.float64) * 1000 / pixel_size_um)
    far = 1e6 * pits["tile"].to_numpy(np.float64)
    return np.asarray(pits[["x_px", "y_px"]].to_numpy(np.float64) + far[:, None])


def best_of_each_place(place_px: Floats, score: Floats, reach_px: float = _SAME_PLACE_PX) -> Bools:
    """Return which openings have the best score of all within reach that are left, (n,).

    The best first, each takes its neighbours away; of equal scores the first row is better.

    Parameters
    ----------
    place_px : (n, 2).
    score : (n,).
    """
    n = len(score)
    best = np.zeros(n, bool)
    if n == 0:
        return best
    rank = np.empty(n, np.int64)
    rank[np.lexsort((np.arange(n), -np.asarray(score)))] = np.arange(n)
    pairs = cKDTree(place_px).query_pairs(reach_px, output_type="ndarray")
    swap = rank[pairs[:, 0]] > rank[pairs[:, 1]]
    better, worse = np.where(swap, pairs[:, ::-1].T, pairs.T)
    left = np.ones(n, bool)
    while left.any():
        beaten = np.zeros(n, bool)
        beaten[worse[left[better] & left[worse]]] = True
        kept = left & ~beaten
        best |= kept
        left &= ~kept
        left[worse[kept[better]]] = False
    return best


def candidate_table(pits: pd.DataFrame, *, pixel_size_um: float | None) -> pd.DataFrame:
    """Return the candidates of a scored pit table, the best first, one row a place.

    A pair, whose openings share one score, has its row at the entry pit.

    Parameters
    ----------
    pits : scored rows of one scan, see ``foil.COLUMNS``; rows without a score are no candidates.
    """
    partner, score = particle_rows(pits), pits["score"].to_numpy(np.float64)
    has_entry = (partner >= 0) & (pits["surface"] == "bottom").to_numpy()
    is_exit = has_entry & (score[partner] == score)
    is_scored = np.asarray(~np.isnan(score) & ~is_exit)
    scored = pits[is_scored]
    best = best_of_each_place(places_px(scored, pixel_size_um), score[is_scored])
    kept = scored[best].sort_values("score", ascending=False, kind="stable")
    return kept.reset_index(drop=True)


def with_votes(candidates: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """Return candidates with what the model said of each opening's own picture.

    Parameters
    ----------
    candidates : of ``candidate_table``.
    judged : of ``Model.judge``, and ``pit``: one row per opening, in any order.
    """
    voted = [name for name in judged.columns if is_voted(name)]
    return candidates.join(judged.set_index("pit")[voted], on="pit")
