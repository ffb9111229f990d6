"""Which rows of a pit table are the two openings of one particle, and which of them is better."""

import numpy as np
import pandas as pd

from etchscope.foil.types import Floats, Ints

__all__ = ["better_rows", "particle_rows", "partner_rows"]

_SEEN_TOGETHER_PX = 20.0
"""Displacement up to which experts are taught that two openings are one particle's."""


def partner_rows(pits: pd.DataFrame) -> Ints:
    """Return, per row, the row of its partner; −1 without one."""
    row = pd.Series(np.arange(len(pits)), index=pits["pit"])
    return np.asarray(row.reindex(pits["partner"]).fillna(-1).to_numpy(np.int64))


def particle_rows(pits: pd.DataFrame) -> Ints:
    """Return, per row, the row of the other opening of its particle; −1 without one.

    Partners are one candidate, and share a score, where they are so near that the picture of either
    shows both: what experts say of a far exit pit says nothing of its entry pit.

    Parameters
    ----------
    pits : rows of a pit table.
    """
    apart = np.hypot(pits["pair_dx_px"].to_numpy(), pits["pair_dy_px"].to_numpy())
    return np.where(apart > _SEEN_TOGETHER_PX, -1, partner_rows(pits))


def better_rows(score: Floats, partner: Ints) -> Ints:
    """Return, per row, the row of the better opening of its pair; its own without one better.

    Parameters
    ----------
    score : (n,); nan, of what is no candidate, is neither better nor worse than another.
    partner : (n,), see ``partner_rows``.
    """
    rows = np.arange(len(score))
    other = np.where(partner < 0, rows, partner)
    return np.asarray(np.where(score[other] > score, other, rows))
