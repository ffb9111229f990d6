"""Where several surfaces show a pit at one place: an ion went through. And how sure that is."""

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

_CORE = 0.9  # of true pairs; the rest, as openings cut by an edge, lie anywhere within reach


@dataclass(frozen=True)
class Surface:
    """The pits of one side of a foil, each once, all surfaces of a stack in one frame.

    ``xy_mm`` (n, 2); ``row`` (n,) the row of the surface's own table that each stands for.
    """

    name: str
    foil: str
    side: Side
    xy_mm: Floats
    row: Ints


def find_coincidences(
    surfaces: Sequence[Surface], tolerance_mm: float, *, spread_mm: float
) -> pd.DataFrame:
    """Return the places where pits of different surfaces lie together, one row a place.

    The surfaces are joined one after the other: each pit with the place nearest to it, one to one
    (``match_one_to_one``), and into a place of its own where none is near. So each pit stands in
    one row, single ones too; counts in are counts out.

    Parameters
    ----------
    surfaces : two or more, in one frame.
    tolerance_mm : a pit is closer than that to the mean of those that it joins.
    spread_mm : standard deviation of a true pair's distance along an axis.

    Returns
    -------
    ``x_mm, y_mm`` the mean; ``surfaces``, ``foils`` how many show it; for each surface a column
    ``pit.NAME`` with the row of its table, null where it shows none; ``p_accidental``, see
    ``_accidental``: that the pits have nothing to do with each other, 1 for a single pit.

    Raises
    ------
    BadInput : fewer than two surfaces, two of one name, or a tolerance that is not positive.
    """
    names = [s.name for s in surfaces]
    if len(surfaces) < 2 or len(set(names)) < len(names):
        raise BadInput("coincidence", "two or more surfaces of different names", f"{names}")
    at = np.full((0, len(surfaces)), -1, np.int64)  # of each place, the point of each surface
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
    """Return the probability that a place's pits are unrelated.

    Bayes: an ion that leaves pits, at ν a mm², shows on surface k with probability e_k and there
    at the distance d_k from the first pit, drawn from a Gaussian with a flat tail, h; unrelated
    pits have the densities ρ_k. Seen on the surfaces S:
    ion ν Π_S e_k Π_(S less first) h(d_k) Π_(not S) (1 − e_k), unrelated Π_S ρ_k. ρ_k and ν come
    from the local densities of pits that stand alone and that do not, e_k from the places that two
    or more of the other surfaces show.
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
    """Return h per mm²; two pits that lie near one mean are up to two tolerances apart."""
    bell = np.exp(-((distance / spread_mm) ** 2) / 2) / (2 * np.pi * spread_mm**2)
    return np.asarray(_CORE * bell + (1 - _CORE) / (4 * np.pi * tolerance_mm**2))


def require_multiplicity(
    places: pd.DataFrame, *, surfaces: int = 2, foils: int = 1
) -> pd.DataFrame:
    """Return the places that so many surfaces, of so many foils, show.

    Raises
    ------
    BadInput : fewer than two surfaces are asked for: one is no coincidence.
    """
    if surfaces < 2 or foils < 1:
        found = f"{surfaces} surfaces of {foils} foils"
        raise BadInput("multiplicity", "2 or more surfaces of 1 or more foils", found)
    enough = (places["surfaces"] >= surfaces) & (places["foils"] >= foils)
    return places[enough].reset_index(drop=True)


@dataclass(frozen=True)
class TagAndProbe:
    """The efficiency of one surface, measured from what the others show.

    Parameters
    ----------
    surface : the one that is probed.
    passed : tags with a pit of the surface within the tolerance, over all tags.
    by_chance : share of tags that an unrelated pit would pass.
    impurity : share of tags that are accidental themselves.
    efficiency, low, high : ``passed`` with its interval, freed of both; in [0, 1].
    """

    surface: str
    passed: Proportion
    by_chance: float
    impurity: float
    efficiency: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON: null instead of NaN."""
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
    """Return how many ions a surface shows of those that enough other surfaces show.

    Tags are places of the other surfaces inside the convex hull of the probe's pits, so that what
    it has not scanned is no loss. With passed = (1 − f)(ε + (1 − ε) c) + f c, f the share of
    accidental tags and c of those that chance passes, ε follows. It is that of ions which the tags'
    surfaces show: what all surfaces miss alike is not seen.

    Parameters
    ----------
    surfaces : of the stack, in one frame.
    probe : name of one of them.
    tag_surfaces : so many of the others show a tag; one may be asked for where there are two.
    tag_foils : and of so many foils. A fragment may show on both sides of its foil and on no
        other, so two are better where there are two.

    Raises
    ------
    BadInput : no surface of that name, or fewer others than a tag takes.
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
