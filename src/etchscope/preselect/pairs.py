"""Entry and exit pits of one particle, by geometry, and how likely chance makes so good a pair."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from etchscope.foil.types import Floats, Ints

__all__ = ["Pairs", "pair_by_geometry"]

_LOG_RADIUS = 0.3
"""Spread of the logarithm of exit over entry radius that still is one particle."""
_LOCALISATION_PX = 1.0
"""Error of a displacement: two pits at the same place are no better a pair than that."""
_SAMPLE = 512
"""Exit pits whose radii stand for all in the chance probability."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of an entry and an exit row, and the probability that density alone makes each.

    The chance of a pair that was known before is nan: it was split from one find, and no density
    of unrelated pits tells how often such a find is none.
    """

    entry: Ints
    exit: Ints
    chance: Floats


def _incompatibility2(
    distance_px: Floats, log_ratio: Floats, reach_px: float, *, found: bool
) -> Floats:
    """Return q², 0 for the best pair: (d / reach)² + (ln r ratio / spread)²."""
    error = _LOCALISATION_PX if found else 0.0
    return np.asarray((distance_px**2 + error**2) / reach_px**2 + (log_ratio / _LOG_RADIUS) ** 2)


def _greedy(entry: Ints, exit_: Ints, quality: Floats) -> Ints:
    """Return which candidate pairs are chosen: the best first, each pit once."""
    order = np.lexsort((exit_, entry, quality))
    taken_entry, taken_exit, chosen = set(), set(), []
    for k in order.tolist():
        i, j = int(entry[k]), int(exit_[k])
        if i not in taken_entry and j not in taken_exit:
            taken_entry.add(i)
            taken_exit.add(j)
            chosen.append(k)
    return np.array(chosen, np.int64)


def pair_by_geometry(
    place_px: Floats,
    radius_px: Floats,
    entries: Ints,
    exits: Ints,
    exit_density_per_px2: Floats,
    reach_px: float,
    known: Ints,
) -> Pairs:
    """Return one-to-one pairs of entry and exit pits, best first.

    The chance of a pair is 1 − exp(−μ), μ the expected number of unrelated exit pits at least as
    compatible with the entry pit, without competition between entries. An exit pit of log radius
    ratio u is at least as compatible as q within the area π reach² (q² − u²), but never beyond the
    reach, so μ = ρ π reach² ⟨q² − u² held between 0 and 1⟩, the mean over the radii of the exit
    pits, ρ their local density.

    Parameters
    ----------
    place_px : (n, 2) positions in one frame for all tiles, in pixels.
    radius_px : (n,) radii.
    entries, exits : rows of top and of bottom pits.
    exit_density_per_px2 : (n,) local density of exit pits at every row.
    reach_px : largest displacement.
    known : (k, 2) rows (entry, exit) that are pairs whatever their neighbours; their chance is nan.
    """
    free_entry = np.setdiff1d(entries, known[:, 0])
    free_exit = np.setdiff1d(exits, known[:, 1])
    i, j = np.empty(0, np.int64), np.empty(0, np.int64)
    if len(free_entry) and len(free_exit):
        near = cKDTree(place_px[free_exit]).query_ball_point(place_px[free_entry], reach_px)
        i = np.repeat(free_entry, [len(n) for n in near])
        j = free_exit[np.concatenate([np.asarray(n, np.int64) for n in near]).astype(np.int64)]
    i, j = np.r_[known[:, 0], i], np.r_[known[:, 1], j]
    apart = place_px[j] - place_px[i]
    log_radius = np.log(np.maximum(radius_px, 0.1))
    q2 = _incompatibility2(
        np.hypot(apart[:, 0], apart[:, 1]), log_radius[j] - log_radius[i], reach_px, found=True
    )
    rank = np.where(np.arange(len(i)) < len(known), -1.0, q2)
    chosen = _greedy(i, j, rank)
    i, j, q2, is_known = i[chosen], j[chosen], q2[chosen], chosen < len(known)
    if not len(i):
        return Pairs(i, j, np.empty(0))
    sample = np.sort(log_radius[exits])
    sample = sample[np.linspace(0, len(sample) - 1, min(len(sample), _SAMPLE)).astype(int)]
    chance = np.empty(len(i))
    for part in np.array_split(np.arange(len(i)), max(len(i) // 4096, 1)):
        u2 = _incompatibility2(
            np.zeros(1), sample[None, :] - log_radius[i[part], None], reach_px, found=False
        )
        within = np.clip(q2[part, None] - u2, 0, 1).mean(axis=1)
        chance[part] = -np.expm1(-exit_density_per_px2[i[part]] * np.pi * reach_px**2 * within)
    return Pairs(i, j, np.where(is_known, np.nan, chance))
