"""From scored openings to candidates: one per place, by falling score."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.candidates.columns import is_voted
from etchscope.ensemble import find_particle_rows
from etchscope.foil.types import Bools, Floats

__all__ = ["add_votes", "candidate_table", "places_px", "select_best"]

_SAME_PLACE_PX = 7.0
"""Distance below which openings, closer than the radius of a pit, belong to one particle."""


def places_px(pits: pd.DataFrame, pixel_size_um: float | None) -> Floats:
    """Return the places of openings in pixels, in one frame for all tiles, (n, 2) float64.

    Without a scale the tiles are set far apart from each other.

    Parameters
    ----------
    pits : n rows of the pit table of one scan.
    pixel_size_um : of the scan, in µm; None if it is unknown.
    """
    if pixel_size_um is not None and pits["x_mm"].notna().all():
        return np.asarray(pits[["x_mm", "y_mm"]].to_numpy(np.float64) * 1000 / pixel_size_um)
    far = 1e6 * pits["tile"].to_numpy(np.float64)
    return np.asarray(pits[["x_px", "y_px"]].to_numpy(np.float64) + far[:, None])


def select_best(place_px: Floats, score: Floats, reach_px: float = _SAME_PLACE_PX) -> Bools:
    """Return which openings are the best of their place, (n,) bool.

    They are taken by falling score, and each removes the openings within reach. Of equal scores the
    first row is better.

    Parameters
    ----------
    place_px : (n, 2) in pixels of one frame, see ``places_px``.
    score : (n,) finite.
    reach_px : greatest distance of openings of one place, in pixels.
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
    """Return the candidates of a scored pit table by falling score, one row per place.

    The openings of a pair share one score; its row is that of the entry pit.

    Parameters
    ----------
    pits : scored rows of one scan, see ``foil.COLUMNS``; rows without a score are no candidates.
    pixel_size_um : of the scan, in µm; None if it is unknown.
    """
    partner, score = find_particle_rows(pits), pits["score"].to_numpy(np.float64)
    has_entry = (partner >= 0) & (pits["surface"] == "bottom").to_numpy()
    is_exit = has_entry & (score[partner] == score)
    is_scored = np.asarray(~np.isnan(score) & ~is_exit)
    scored = pits[is_scored]
    best = select_best(places_px(scored, pixel_size_um), score[is_scored])
    kept = scored[best].sort_values("score", ascending=False, kind="stable")
    return kept.reset_index(drop=True)


def add_votes(candidates: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return candidates with the model's figures for the picture of each opening alone.

    Parameters
    ----------
    candidates : see ``candidate_table``.
    scores : see ``Model.score_patches``, with a column ``pit``: one row per opening, in any order.
    """
    voted = [name for name in scores.columns if is_voted(name)]
    return candidates.join(scores.set_index("pit")[voted], on="pit")
