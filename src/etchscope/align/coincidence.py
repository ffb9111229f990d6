"""Coincidences: places at which several surfaces show a pit because an ion crossed them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from etchscope.evaluation import (
    Proportion,
    convex_hull,
    in_hull,
    local_rate,
    match_one_to_one,
    proportion,
)
from etchscope.foil import BadInput, Side
from etchscope.foil.types import Floats, Ints

__all__ = ["Surface", "TagAndProbe", "find_coincidences", "require_multiplicity", "tag_and_probe"]

_CORE = 0.9
"""Share of true pairs whose distance is Gaussian. The others, such as pairs with an opening that an
edge cuts, lie anywhere within reach."""


@dataclass(frozen=True)
class Surface:
    """The pits of one side of a foil without copies, in the common frame of a stack.

    Attributes
    ----------
    name, foil, side : name of the surface, its foil, and its side.
    xy_mm : (n, 2) float64 places.
    row : (n,) int64 row of each pit in the table of the surface.
    """

    name: str
    foil: str
    side: Side
    xy_mm: Floats
    row: Ints


def find_coincidences(
    surfaces: Sequence[Surface], tolerance_mm: float, *, spread_mm: float
) -> pd.DataFrame:
    """Return the places of the pits of all surfaces, where pits that lie together share a place.

    The surfaces are added one after the other. A pit joins the nearest place, one to one
    (``match_one_to_one``), or gets a place of its own if none is near. So each pit is in exactly
    one row, also if it is alone.

    Parameters
    ----------
    surfaces : two or more surfaces in one frame.
    tolerance_mm : greatest distance of a pit from the mean of the pits that it joins.
    spread_mm : standard deviation of the distance of a true pair along an axis.

    Returns
    -------
    One row per place: ``x_mm, y_mm``, the mean of its pits; ``surfaces`` and ``foils``, the numbers
    of surfaces and of foils with a pit there; for each surface a column ``pit.NAME`` with the row
    of its pit in its table, null without a pit; and ``p_accidental``, the probability that the pits
    are unrelated, which is 1 for a single pit.

    Raises
    ------
    BadInput : there are fewer than two surfaces, two of them have one name, or the tolerance is not
        positive.
    """
    names = [s.name for s in surfaces]
    if len(surfaces) < 2 or len(set(names)) < len(names):
        raise BadInput("coincidence", "two or more surfaces of different names", f"{names}")
    at = np.full((0, len(surfaces)), -1, np.int64)  # the pit of each surface at each place, or −1
    mean = np.zeros((0, 2))
    for k, surface in enumerate(surfaces):
        m = match_one_to_one(mean, surface.xy_mm, tolerance_mm)
        at[m.truth_index, k] = m.found_index
        alone = np.flatnonzero(~m.found_hit)
        new = np.full((len(alone), len(surfaces)), -1, np.int64)
        new[:, k] = alone
        at = np.concatenate([at, new])
        mean = _mean(surfaces, at)
    seen = at >= 0
    foils = np.array([s.foil for s in surfaces])
    columns: dict[str, Any] = {"x_mm": mean[:, 0], "y_mm": mean[:, 1]}
    columns["surfaces"] = seen.sum(axis=1)
    columns["foils"] = sum(seen[:, foils == f].any(axis=1).astype(int) for f in np.unique(foils))
    for k, surface in enumerate(surfaces):
        rows = np.append(surface.row, 0)[at[:, k]]  # −1 takes the 0 that is masked
        columns[f"pit.{surface.name}"] = pd.arrays.IntegerArray(rows.astype(np.int64), ~seen[:, k])
    columns["p_accidental"] = _accidental(surfaces, at, mean, tolerance_mm, spread_mm)
    return pd.DataFrame(columns)


def _mean(surfaces: Sequence[Surface], at: Ints) -> Floats:
    total, count = np.zeros((len(at), 2)), np.zeros((len(at), 1))
    for k, surface in enumerate(surfaces):
        has = at[:, k] >= 0
        total[has] += surface.xy_mm[at[has, k]]
        count[has] += 1
    return total / np.maximum(count, 1)


def _accidental(
    surfaces: Sequence[Surface], at: Ints, mean: Floats, tolerance_mm: float, spread_mm: float
) -> Floats:
    """Return the probability that the pits of each place are unrelated, (n,).

    It follows from Bayes' theorem. Ions that leave pits have the density ν per mm². Surface k shows
    an ion with the probability e_k, at a distance d_k from the first pit with the density h, a
    Gaussian with a flat tail. Unrelated pits have the densities ρ_k. If the surfaces S show a pit,
    the likelihood of an ion is ν Π_S e_k Π_(S without the first) h(d_k) Π_(not S) (1 − e_k), and
    that of unrelated pits is Π_S ρ_k. ρ_k is the local density of single pits, ν that of places
    with several pits, and e_k is measured on places that two or more other surfaces show.
    """
    seen = at >= 0
    together = seen.sum(axis=1) >= 2
    area = np.pi * tolerance_mm**2
    ions = np.maximum(local_rate(mean, mean[together], tolerance_mm) / area, 1e-9)
    ion, other = ions.copy(), np.ones(len(at))
    first = seen.argmax(axis=1)
    start = np.empty((len(at), 2))
    for k, surface in enumerate(surfaces):
        start[first == k] = surface.xy_mm[at[first == k, k]]
    for k, surface in enumerate(surfaces):
        here = seen[:, k]
        others = np.delete(seen, k, axis=1).sum(axis=1)
        tags = others >= min(2, len(surfaces) - 1)
        shown = (int((here & tags).sum()) + 1) / (int(tags.sum()) + 2)
        alone = surface.xy_mm[at[here & ~together, k]]
        density = np.maximum(local_rate(mean, alone, tolerance_mm) / area, 1e-9)
        distance = np.full(len(at), np.inf)
        distance[here] = np.hypot(*(surface.xy_mm[at[here, k]] - start[here]).T)
        partner = _partner_density(distance, tolerance_mm, spread_mm)
        ion *= np.where(here, shown * np.where(first == k, 1.0, partner), 1 - shown)
        other *= np.where(here, density, 1.0)
    return np.where(together, other / (other + ion), 1.0)


def _partner_density(distance: Floats, tolerance_mm: float, spread_mm: float) -> Floats:
    """Return the density h per mm², (n,); pits near one mean are up to two tolerances apart."""
    bell = np.exp(-((distance / spread_mm) ** 2) / 2) / (2 * np.pi * spread_mm**2)
    return np.asarray(_CORE * bell + (1 - _CORE) / (4 * np.pi * tolerance_mm**2))


def require_multiplicity(
    places: pd.DataFrame, *, surfaces: int = 2, foils: int = 1
) -> pd.DataFrame:
    """Return the places that at least some number of surfaces, and of foils, show.

    Parameters
    ----------
    places : table of ``find_coincidences``.
    surfaces, foils : least number of surfaces, and of foils.

    Raises
    ------
    BadInput : fewer than two surfaces, which are no coincidence, or less than one foil.
    """
    if surfaces < 2 or foils < 1:
        found = f"{surfaces} surfaces of {foils} foils"
        raise BadInput("multiplicity", "2 or more surfaces of 1 or more foils", found)
    enough = (places["surfaces"] >= surfaces) & (places["foils"] >= foils)
    return places[enough].reset_index(drop=True)


@dataclass(frozen=True)
class TagAndProbe:
    """The efficiency of one surface, measured with coincidences of the others.

    Attributes
    ----------
    surface : name of the surface that is probed.
    passed : tags with a pit of the surface within the tolerance, over all tags.
    by_chance : share of the tags that have an unrelated pit within the tolerance.
    impurity : share of the tags that are accidental.
    efficiency, low, high : ``passed`` with its interval, corrected for both, in [0, 1].
    """

    surface: str
    passed: Proportion
    by_chance: float
    impurity: float
    efficiency: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON, with null instead of NaN."""
        return {
            "surface": self.surface,
            "passed": self.passed.to_dict(),
            "by_chance": self.by_chance,
            "impurity": self.impurity,
            "efficiency": self.efficiency if self.passed.trials else None,
            "low": self.low,
            "high": self.high,
        }


def tag_and_probe(
    surfaces: Sequence[Surface],
    probe: str,
    tolerance_mm: float,
    *,
    spread_mm: float,
    tag_surfaces: int = 2,
    tag_foils: int = 1,
    confidence: float = 0.95,
) -> TagAndProbe:
    """Return the share of the ions on enough other surfaces that one surface shows.

    Tags are places of the other surfaces inside the convex hull of the pits of the probed surface,
    so that an area that was not scanned is no loss. The efficiency ε follows from
    passed = (1 − f)(ε + (1 − ε) c) + f c, where f is the share of accidental tags, and c the share
    of tags with an unrelated pit. It is the efficiency for ions that the other surfaces show; ions
    that no surface shows do not enter.

    Parameters
    ----------
    surfaces : the surfaces of the stack in one frame.
    probe : name of the surface that is probed.
    tolerance_mm : greatest distance between a tag and a pit that belong together.
    spread_mm : standard deviation of the distance of a true pair along an axis.
    tag_surfaces : least number of other surfaces that show a tag.
    tag_foils : least number of foils that show a tag. Two are better where there are two, because a
        fragment may leave pits on both sides of one foil.
    confidence : confidence level of the interval.

    Raises
    ------
    BadInput : no surface has that name, or there are fewer other surfaces than a tag needs.
    """
    named = {s.name: s for s in surfaces}
    others = [s for s in surfaces if s.name != probe]
    if probe not in named or len(others) < tag_surfaces or tag_surfaces < 1:
        expected = f"one of {', '.join(named)}, and {tag_surfaces} other surfaces or more"
        raise BadInput("probe", expected, f"{probe!r} and {len(others)}")
    if len(others) == 1:
        tags, p_tag = others[0].xy_mm, np.zeros(len(others[0].xy_mm))
    else:
        places = find_coincidences(others, tolerance_mm, spread_mm=spread_mm)
        enough = (places["surfaces"] >= tag_surfaces) & (places["foils"] >= tag_foils)
        places = places[enough]
        tags, p_tag = places[["x_mm", "y_mm"]].to_numpy(), places["p_accidental"].to_numpy()
        p_tag = p_tag if tag_surfaces > 1 else np.zeros(len(p_tag))
    found = named[probe].xy_mm
    inside = in_hull(tags, convex_hull(found))
    tags, p_tag = tags[inside], p_tag[inside]
    m = match_one_to_one(tags, found, tolerance_mm)
    passed = proportion(m.true_pos, len(tags), confidence=confidence)
    unrelated = found[~m.found_hit]
    rate = local_rate(tags, unrelated, tolerance_mm)
    chance = float(-np.expm1(-rate).mean()) if len(tags) else 0.0
    impurity = float(np.clip(p_tag.mean(), 0, 0.99)) if len(tags) else 0.0
    freed = [
        float(np.clip(((v - impurity * chance) / (1 - impurity) - chance) / (1 - chance), 0, 1))
        if np.isfinite(v) and chance < 1
        else v
        for v in (passed.value, passed.low, passed.high)
    ]
    return TagAndProbe(probe, passed, chance, impurity, *freed)
