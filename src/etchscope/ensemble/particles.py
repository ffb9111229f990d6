"""Pairs in a pit table: the rows of the two openings of one particle."""

import numpy as np
import pandas as pd

from etchscope.foil.types import Floats, Ints

__all__ = ["find_better_rows", "find_particle_rows", "find_partner_rows"]

_SEEN_TOGETHER_PX = 20.0
"""Greatest displacement of two openings that experts are trained to see as one particle."""


def find_partner_rows(pits: pd.DataFrame) -> Ints:
    """Return the row number of the partner of each row, (n,) int64; −1 without a partner.

    Parameters
    ----------
    pits : n rows of a pit table.
    """
    row = pd.Series(np.arange(len(pits)), index=pits["pit"])
    return np.asarray(row.reindex(pits["partner"]).fillna(-1).to_numpy(np.int64))


def find_particle_rows(pits: pd.DataFrame) -> Ints:
    """Return the row number of the other opening of the same candidate, (n,) int64; −1 without one.

    Partners are one candidate, with one score, if they are so near that the picture of either shows
    both. The vote of the experts for a far exit pit says nothing of its entry pit.

    Parameters
    ----------
    pits : n rows of a pit table.
    """
    apart = np.hypot(pits["pair_dx_px"].to_numpy(), pits["pair_dy_px"].to_numpy())
    return np.where(apart > _SEEN_TOGETHER_PX, -1, find_partner_rows(pits))


def find_better_rows(score: Floats, partner: Ints) -> Ints:
    """Return the row number of the opening of the pair with the higher score, (n,) int64.

    It is the row's own number without a partner of a higher score.

    Parameters
    ----------
    score : (n,); NaN, for rows that are no candidates, is neither higher nor lower.
    partner : (n,), see ``find_particle_rows``.
    """
    rows = np.arange(len(score))
    other = np.where(partner < 0, rows, partner)
    return np.asarray(np.where(score[other] > score, other, rows))
