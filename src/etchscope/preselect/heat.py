"""From the maps of a network to openings: the peaks of the heat, judged and told apart."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from etchscope.foil.openings import SURFACES, VALUES
from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, Ints
from etchscope.preselect.classifier import LOWEST_HEAT, Trees, measure_finds
from etchscope.preselect.finder import Finder
from etchscope.preselect.settings import FindSettings

__all__ = ["STRIDE", "Peaks", "read_openings"]

STRIDE = 2
"""Pixels of the network's picture per cell of its maps."""
Peaks = dict[str, NDArray[Any]]
"""Peaks of the heat of one tile, a column a name, each (n, …)."""
_SAME = (0.4, 1.5)
"""Two finds of one surface are one opening nearer than this share of the radius, or pixels."""
_EXPLAINED = 0.7
"""Share of the radius within which a find is another one's opening."""
_LEAST_REACH_PX = 3.0
"""Nearer than this, it is so whatever the radius."""


@numba.njit(nogil=True, cache=True)
def _peaks(heat: FloatImage, least: float) -> Ints:  # pragma: no cover
    """Return (n, 2) cells y, x that are at least ``least`` and above all eight neighbours."""
    rows, columns = heat.shape
    found = []
    for y in range(rows):
        for x in range(columns):
            value = heat[y, x]
            if value < least:
                continue
            is_peak = True
            for v in range(max(y - 1, 0), min(y + 2, rows)):
                for u in range(max(x - 1, 0), min(x + 2, columns)):
                    other = heat[v, u]
                    if other > value or (other == value and (v, u) < (y, x)):
                        is_peak = False
            if is_peak:
                found.append((y, x))
    out = np.empty((len(found), 2), np.int64)
    for i in range(len(found)):
        out[i, 0], out[i, 1] = found[i]
    return out


@numba.njit(nogil=True, cache=True)
def _first_of(
    x: Floats, y: Floats, radius: Floats, share: float, least: float
) -> Bools:  # pragma: no cover
    """Return which finds, the best first, have no better one within a share of the radius."""
    keep = np.ones(len(x), np.bool_)
    for i in range(len(x)):
        for j in range(i):
            if keep[j]:
                reach = max(share * max(radius[i], radius[j]), least)
                if (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 < reach * reach:
                    keep[i] = False
                    break
    return keep


def _of_surface(maps: FloatStack, surface: str) -> dict[str, NDArray[Any]]:
    """Return the peaks of one surface, the hottest first, in the network's pixels."""
    first = SURFACES.index(surface) * len(VALUES)
    cells = _peaks(maps[first], LOWEST_HEAT)
    at = maps[first : first + len(VALUES), cells[:, 0], cells[:, 1]].astype(np.float64)
    said: dict[str, NDArray[Any]] = dict(zip([v.name for v in VALUES], at, strict=True))
    centre = (STRIDE - 1) / 2
    said["row"], said["column"] = cells.T
    said["x"] = said["column"] * STRIDE + centre + said.pop("dx")
    said["y"] = said["row"] * STRIDE + centre - said.pop("dy")
    order = np.argsort(-said["heat"], kind="stable")
    said = {k: v[order] for k, v in said.items()}
    radius = np.exp(said["log_radius"].clip(-1, 5))
    keep = _first_of(said["x"], said["y"], radius, *_SAME)
    return {k: v[keep] for k, v in said.items()}


@numba.njit(nogil=True, cache=True)
def _outdone(said: Floats, others: Floats) -> Bools:  # pragma: no cover
    """Return which finds have a likelier one of others at the same place; rows x, y, radius, odds.

    One pass without a table of distances, which in a crowd would be most of the work.
    """
    out = np.zeros(len(said), np.bool_)
    for i in range(len(said)):
        x, y, radius, odds = said[i]
        for j in range(len(others)):
            if others[j, 3] > odds:
                reach = max(_EXPLAINED * max(radius, others[j, 2]), _LEAST_REACH_PX)
                if (x - others[j, 0]) ** 2 + (y - others[j, 1]) ** 2 < reach * reach:
                    out[i] = True
                    break
    return out


def _explained(said: Peaks, known: Peaks) -> Bools:
    """Return which peaks a known find explains, likelier or not."""
    return np.asarray(_outdone(_rows(said, -np.inf), _rows(known, known["log_odds"])))


def _second(said: Peaks) -> Bools:
    """Return which peaks have a likelier one of the other surface at the same place."""
    rows, is_top = _rows(said, said["log_odds"]), said["surface"] == "top"
    out = np.zeros(len(rows), bool)
    for mine in (is_top, ~is_top):
        out[mine] = _outdone(rows[mine], rows[~mine])
    return out


def _rows(said: Peaks, odds: Floats | float) -> Floats:
    """Return x, y, radius and log odds of peaks, (n, 4)."""
    table = np.empty((len(said["x"]), 4))
    table[:, 0], table[:, 1], table[:, 3] = said["x"], said["y"], odds
    table[:, 2] = np.exp(said["log_radius"])
    return table


def _judged(maps: FloatStack, surfaces: Sequence[str], judge: Trees) -> Peaks:
    """Return the peaks of some surfaces with what is known of them and their log odds."""
    parts = [_of_surface(maps, s) for s in surfaces]
    said = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    said["surface"] = np.repeat(np.array(surfaces), [len(p["x"]) for p in parts])
    cells = (said["row"], said["column"])
    said["features"] = measure_finds(maps, said["heat"], said["surface"], *cells)
    said["log_odds"] = judge(said["features"])
    return said


def read_openings(
    maps: FloatStack,
    finder: Finder,
    *,
    has_lamps: bool,
    least: float = FindSettings().least_log_odds,
) -> Peaks:
    """Return what the maps say of each opening, in the network's pixels.

    Parameters
    ----------
    maps : (map, y, x) of one tile.
    has_lamps : whether the lights can tell the surfaces apart.
    least : log odds from which a find counts.

    Returns
    -------
    ``VALUES`` but the offsets, ``x``, ``y``, ``surface``, ``features`` of ``FEATURES`` and
    ``log_odds``, each (n, …).
    """
    if not has_lamps:
        said = _judged(maps, SURFACES[2:], finder.classifiers["alone"])
        keep = said["log_odds"] >= least
        return {k: v[keep] for k, v in said.items()}
    said = _judged(maps, SURFACES[:2], finder.classifiers["lamps"])
    keep = said["log_odds"] >= least
    known = {k: v[keep] for k, v in said.items()}
    # Where one opening is seen, that there are two must be likelier than not.
    keep = (known["log_odds"] > 0) | ~_second(known)
    known = {k: v[keep] for k, v in known.items()}
    either = _judged(maps, SURFACES[2:], finder.classifiers["beside"])
    keep = (either["log_odds"] >= least) & ~_explained(either, known)
    return {k: np.concatenate([known[k], either[k][keep]]) for k in known}
