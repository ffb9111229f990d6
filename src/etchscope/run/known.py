"""Compare finds with foils whose openings are known, and keep trees fitted to them as tables."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from etchscope.evaluation import match_one_to_one
from etchscope.foil.openings import SURFACES
from etchscope.foil.types import Bools, Ints
from etchscope.geometry import in_tile
from etchscope.imaging import Lighting
from etchscope.learn import Openings
from etchscope.preselect.classifier import Trees
from etchscope.preselect.heat import Peaks

__all__ = [
    "ENOUGH",
    "MEASURED",
    "SMALLEST_LEAF",
    "TREES",
    "grown_trees",
    "inside",
    "matched",
    "with_lights",
]

_TOLERANCE = (2.0, 0.5)
"""Largest distance of a find from its opening: in px, or as a share of the radius."""
TREES = {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.08, "subsample": 0.3}
SMALLEST_LEAF = 100
"""Fewest finds in a leaf of boosted trees."""
MEASURED = 4
"""Every fourth of the foils is kept for the figures; nothing is fitted to it."""
ENOUGH = 20
"""Fewest true finds that classifiers are fitted to."""


def with_lights(lighting: Lighting, which: str) -> Lighting:
    """Return the lamps alone (``lamps``), the backlight alone (``backlit``), or all."""
    none = np.empty(0, np.int64)
    if which == "lamps":
        return replace(lighting, dark=none, bright=none)
    if which == "backlit":
        return replace(lighting, directional=none, azimuths_deg=np.empty(0), bright=none)
    return lighting


def _may_be(true: Openings, surface: str) -> Bools:
    """Return which openings may lie on a surface, (n,); for ``unknown`` all of them."""
    of_it, unknown = SURFACES.index(surface), len(SURFACES) - 1
    if of_it == unknown:
        return np.ones(len(true.surface), bool)
    return np.isin(true.surface, (of_it, unknown))


def inside(true: Openings, size: int) -> Bools:
    """Return which openings have their centre in a picture of ``size`` px a side, (n,)."""
    return in_tile(true.x_px, true.y_px, (size, size))


def matched(said: Peaks, true: Openings, size: int) -> tuple[Bools, Ints, Ints]:
    """Return which finds of a picture count, and matching rows of finds and of openings.

    A find that matches an opening which is no target does not count.

    Parameters
    ----------
    size : side of the picture, px.

    Returns
    -------
    (n,) bool for each find, and two arrays (k,) of rows.
    """
    n = len(said["x"])
    counts, finds, those = np.ones(n, bool), [], []
    target = true.is_target & inside(true, size)
    places, at = np.column_stack([true.x_px, true.y_px]), np.column_stack([said["x"], said["y"]])
    for name in SURFACES:
        mine = np.flatnonzero(said["surface"] == name)
        of_it = _may_be(true, name)
        wanted, other = np.flatnonzero(target & of_it), np.flatnonzero(~target & of_it)
        hit = match_one_to_one(places[wanted], at[mine], 6.0)
        i, j = mine[hit.found_index], wanted[hit.truth_index]
        apart = np.hypot(*(at[i] - places[j]).T)
        near = apart < np.maximum(_TOLERANCE[0], _TOLERANCE[1] * true.radius_px[j])
        finds.append(i[near])
        those.append(j[near])
        rest = np.setdiff1d(mine, i[near])
        spare = match_one_to_one(places[other], at[rest], 4.0)
        counts[rest[spare.found_index]] = False
    return counts, np.concatenate(finds), np.concatenate(those)


def grown_trees(grown: GradientBoostingClassifier | GradientBoostingRegressor) -> Trees:
    """Return boosted trees, fitted from an initial value of zero, as tables."""
    trees = [one.tree_ for one in grown.estimators_[:, 0]]
    nodes = max(t.node_count for t in trees)

    def table(name: str, empty: float, dtype: type) -> NDArray[Any]:
        out = np.full((len(trees), nodes), empty, dtype)
        for row, tree in zip(out, trees, strict=True):
            row[: tree.node_count] = getattr(tree, name).reshape(tree.node_count)
        return out

    return Trees(
        feature=table("feature", -1, np.int32),
        threshold=table("threshold", 0, np.float64),
        left=table("children_left", -1, np.int32),
        right=table("children_right", -1, np.int32),
        value=table("value", 0, np.float32) * np.float32(grown.learning_rate),
    )
