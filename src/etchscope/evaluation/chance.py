"""Chance: how often a list matches the truth after shifts by 10 and 20 tolerances in 8 directions.

A shift keeps the number of points, their clustering and the density around each of them, and
destroys their relation to the truth. A rotation of the whole foil would not do: it moves the hot
spots of one list off those of the other, and makes chance too rare. Hot spots as narrow as the
shifts are smeared, so chance is too low there; ``accidental_matches`` is an independent check.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from etchscope.evaluation.accidental import convex_hull, in_hull
from etchscope.evaluation.matching import Rule, match
from etchscope.foil.types import Bools, Floats

__all__ = ["Chance", "chance_matches", "in_box", "local_shifts", "mean_known"]

_DISTANCES = (10.0, 20.0)  # in tolerances
_DIRECTIONS = 8


def local_shifts(tolerance: float) -> Floats:
    """Return the (16, 2) shifts over which chance is averaged, in the unit of the tolerance.

    >>> local_shifts(6)[[0, 2, 15]].round(1).tolist()
    [[60.0, 0.0], [0.0, 60.0], [84.9, -84.9]]
    """
    phi = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    around = np.column_stack([np.cos(phi), np.sin(phi)])
    return np.concatenate([distance * tolerance * around for distance in _DISTANCES])


@dataclass(frozen=True)
class Chance:
    """How often each point has a match when the found list is shifted.

    ``truth``, (n,), and ``found``, (m,), are shares of the shifts that count for the point, in
    [0, 1]; NaN where no shift counts, as in a list that is smaller than a shift.
    """

    truth: Floats
    found: Floats


def chance_matches(
    truth_xy: ArrayLike,
    found_xy: ArrayLike,
    tolerance: float,
    *,
    rule: Rule,
    inside: Callable[[Floats], Bools] | None = None,
    truth_group: ArrayLike | None = None,
    found_group: ArrayLike | None = None,
) -> Chance:
    """Return how often points match unrelated ones of the same local density.

    A point that is shifted out of the searched area would match nothing. So a shift counts for a
    found point only if the point stays inside, and for a truth only if the points that are shifted
    to it come from inside.

    Parameters
    ----------
    truth_xy, found_xy, tolerance, rule, truth_group, found_group : see ``matching.match``.
    inside : function of (k, 2) places, which returns (k,) bool: those in the searched area; by
        default those in the convex hull of both lists.

    Raises
    ------
    BadInput : see ``matching.match``.

    Examples
    --------
    >>> xy = np.random.default_rng(1).uniform(0, 100, (2000, 2))
    >>> density = 2000 / 100**2
    >>> chance = chance_matches(xy, xy, 0.5, rule="nearest")
    >>> round(density * np.pi * 0.5**2, 2), round(float(chance.truth.mean()), 2)
    (0.16, 0.15)
    """
    truth, found = (np.asarray(xy, np.float64).reshape(-1, 2) for xy in (truth_xy, found_xy))
    if inside is None:
        outline = convex_hull(np.concatenate([truth, found]))

        def inside(xy: Floats) -> Bools:
            return in_hull(xy, outline)

    hits = [np.zeros(len(truth)), np.zeros(len(found))]
    counted = [np.zeros(len(truth)), np.zeros(len(found))]
    groups = {"truth_group": truth_group, "found_group": found_group}
    for shift in local_shifts(tolerance):
        m = match(truth, found + shift, tolerance, rule=rule, **groups)
        for n, (hit, at) in enumerate(((m.truth_hit, truth - shift), (m.found_hit, found + shift))):
            counts = inside(at)
            hits[n] += hit & counts
            counted[n] += counts
    shares = (
        np.divide(h, c, where=c > 0, out=np.full(len(h), np.nan))
        for h, c in zip(hits, counted, strict=True)
    )
    return Chance(*shares)


def in_box(low: ArrayLike, high: ArrayLike) -> Callable[[Floats], Bools]:
    """Return a function of (k, 2) places: whether each lies in the box between two corners.

    Parameters
    ----------
    low, high : (2,) corners, in the unit of the places.
    """
    least, most = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return lambda xy: np.asarray(((xy >= least) & (xy <= most)).all(axis=1))


def mean_known(shares: Floats) -> float:
    """Return the mean of the values that are not NaN; NaN if all are.

    Parameters
    ----------
    shares : (n,) values.
    """
    known = shares[np.isfinite(shares)]
    return float(known.mean()) if len(known) else float("nan")
