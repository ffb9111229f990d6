"""The pits that a density map counts, and the groups that they are split into."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from etchscope.foil import BadInput, NotScored
from etchscope.foil.types import Bools, Floats

__all__ = ["MapGroups", "Split", "group_pits", "size_edges"]

Split = Literal["surface", "class", "size"]
_SIZES = 3
_OTHER_SIDE = {"top": "bottom", "bottom": "top"}


@dataclass(frozen=True)
class MapGroups:
    """Which of n rows of a pit table are counted, and which group they are in; each (n,) bool."""

    counted: Bools
    groups: Mapping[str, Bools]

    def seen_from_the_other_side(self) -> "MapGroups":
        """Return the groups with top and bottom exchanged, as the other side's scan has them."""
        return MapGroups(self.counted, {_OTHER_SIDE.get(n, n): w for n, w in self.groups.items()})


def size_edges(pits: pd.DataFrame) -> Floats:
    """Return the radii in pixels between which pits are in three groups of equal number, (2,)."""
    radius = pits["radius_px"].dropna().to_numpy(np.float64)
    if not len(radius):
        return np.array([1.0, 2.0])
    return np.asarray(np.quantile(radius, [1 / _SIZES, 2 / _SIZES]))


def group_pits(
    pits: pd.DataFrame,
    by: Split | None,
    pixel_size_um: float | None,
    edges_px: Floats | None = None,
) -> MapGroups:
    """Return which rows of a pit table are counted, and their groups.

    Marks, which are no pits, are not counted; by class they are the group ``misc``.

    Parameters
    ----------
    by : nothing, surface (top, bottom, unknown), class, or size (radius).
    pixel_size_um : for the names of the sizes; in pixels without it.
    edges_px : radii between groups; ``size_edges`` of the counted pits unless given.

    Raises
    ------
    NotScored : by class, and no row has one of a model.
    BadInput : another ``by``.
    """
    kind = pits["class"].astype("str")
    counted = ~(kind.str.partition(".")[0] == "misc").fillna(value=False).to_numpy(bool)
    if by is None:
        return MapGroups(counted, {})
    if by == "surface":
        surface = pits["surface"].to_numpy(object)
        names = [n for n in ("top", "bottom", "unknown") if (surface == n).any()]
        return MapGroups(counted, {n: counted & (surface == n) for n in names})
    if by == "class":
        named = pits["class"].notna().to_numpy(bool)
        if len(pits) and not (named & counted).any():
            raise NotScored("class", "pits that a model has classified", "none")
        values = kind.to_numpy(object)
        return MapGroups(counted, {n: values == n for n in sorted(set(values[named]))})
    if by != "size":
        raise BadInput("by", "surface, class or size", repr(by))
    edges = size_edges(pits[counted]) if edges_px is None else edges_px
    radius = pits["radius_px"].to_numpy(np.float64)
    which = np.digitize(radius, edges)
    known = counted & np.isfinite(radius)
    return MapGroups(
        counted,
        {n: known & (which == k) for k, n in enumerate(_size_names(edges, pixel_size_um))},
    )


def _size_names(edges_px: Floats, pixel_size_um: float | None) -> list[str]:
    """Return the names of groups of radii, as "radius 30–42 µm"."""
    scale, unit = (1.0, "px") if pixel_size_um is None else (pixel_size_um, "µm")
    ends = [f"{scale * e:.3g}" for e in edges_px.tolist()]
    between = [f"radius {a}–{b} {unit}" for a, b in pairwise(ends)]
    return [f"radius below {ends[0]} {unit}", *between, f"radius from {ends[-1]} {unit}"]
