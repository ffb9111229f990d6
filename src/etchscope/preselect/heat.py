"""From the maps of a network to openings: the peaks of the heat and their log odds."""

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
"""Side of a cell of the maps in pixels of the network."""
Peaks = dict[str, NDArray[Any]]
"""The peaks of the heat of one tile as named columns, each (n, …)."""
_SAME = (0.4, 1.5)
"""Distance below which two finds of one surface are one opening, as a share of the larger radius,
and its least value in pixels."""
_EXPLAINED = 0.7
"""Distance, as a share of the larger radius, below which two finds are one opening."""
_LEAST_REACH_PX = 3.0
"""Least value of that distance, whatever the radius."""


@numba.njit(nogil=True, cache=True)
def _peaks(heat: FloatImage, least: float) -> Ints:  # pragma: no cover
    """Return the cells (y, x) that are at least ``least`` and exceed all neighbours, (n, 2)."""
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
    """Return which finds have no better find near them, (n,); the finds are in order, best first.

    Near is a distance below ``share`` of the larger radius, or below ``least``.
    """
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
    """Return the peaks of one surface in descending order of heat, in pixels of the network."""
    first = SURFACES.index(surface) * len(VALUES)
    cells = _peaks(maps[first], LOWEST_HEAT)
    at = maps[first : first + len(VALUES), cells[:, 0], cells[:, 1]].astype(np.float64)
    peaks: dict[str, NDArray[Any]] = dict(zip([v.name for v in VALUES], at, strict=True))
    centre = (STRIDE - 1) / 2
    peaks["row"], peaks["column"] = cells.T
    peaks["x"] = peaks["column"] * STRIDE + centre + peaks.pop("dx")
    peaks["y"] = peaks["row"] * STRIDE + centre - peaks.pop("dy")
    order = np.argsort(-peaks["heat"], kind="stable")
    peaks = {k: v[order] for k, v in peaks.items()}
    radius = np.exp(peaks["log_radius"].clip(-1, 5))
    keep = _first_of(peaks["x"], peaks["y"], radius, *_SAME)
    return {k: v[keep] for k, v in peaks.items()}


@numba.njit(nogil=True, cache=True)
def _outdone(peaks: Floats, others: Floats) -> Bools:  # pragma: no cover
    """Return which finds have a likelier one among others at the same place, (n,).

    The columns of both tables are x, y, radius and log odds. There is no table of distances, which
    would take most of the time in a crowd.
    """
    out = np.zeros(len(peaks), np.bool_)
    for i in range(len(peaks)):
        x, y, radius, odds = peaks[i]
        for j in range(len(others)):
            if others[j, 3] > odds:
                reach = max(_EXPLAINED * max(radius, others[j, 2]), _LEAST_REACH_PX)
                if (x - others[j, 0]) ** 2 + (y - others[j, 1]) ** 2 < reach * reach:
                    out[i] = True
                    break
    return out


def _explained(peaks: Peaks, known: Peaks) -> Bools:
    """Return which peaks lie at the place of a known find, whatever their log odds."""
    return np.asarray(_outdone(_rows(peaks, -np.inf), _rows(known, known["log_odds"])))


def _second(peaks: Peaks) -> Bools:
    """Return which peaks have a likelier peak of the other surface at the same place."""
    rows, is_top = _rows(peaks, peaks["log_odds"]), peaks["surface"] == "top"
    out = np.zeros(len(rows), bool)
    for mine in (is_top, ~is_top):
        out[mine] = _outdone(rows[mine], rows[~mine])
    return out


def _rows(peaks: Peaks, odds: Floats | float) -> Floats:
    """Return x, y, radius and log odds of peaks, (n, 4)."""
    table = np.empty((len(peaks["x"]), 4))
    table[:, 0], table[:, 1], table[:, 3] = peaks["x"], peaks["y"], odds
    table[:, 2] = np.exp(peaks["log_radius"])
    return table


def _classified(maps: FloatStack, surfaces: Sequence[str], classifier: Trees) -> Peaks:
    """Return the peaks of some surfaces with their features and log odds."""
    parts = [_of_surface(maps, s) for s in surfaces]
    peaks = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    peaks["surface"] = np.repeat(np.array(surfaces), [len(p["x"]) for p in parts])
    cells = (peaks["row"], peaks["column"])
    peaks["features"] = measure_finds(maps, peaks["heat"], peaks["surface"], *cells)
    peaks["log_odds"] = classifier(peaks["features"])
    return peaks


def read_openings(
    maps: FloatStack,
    finder: Finder,
    *,
    has_lamps: bool,
    least: float = FindSettings().least_log_odds,
) -> Peaks:
    """Return the openings that the maps of one tile show, in pixels of the network.

    Parameters
    ----------
    maps : (map, y, x) float32 maps in the order of ``MAPS``.
    finder : the network's classifiers.
    has_lamps : whether there are lamps, which distinguish the two surfaces.
    least : least log odds of a find.

    Returns
    -------
    Columns of n rows: ``VALUES`` without the offsets, ``x``, ``y``, ``row``, ``column``,
    ``surface``, ``log_odds``, and ``features``, (n, feature) in the order of ``FEATURES``.
    """
    if not has_lamps:
        peaks = _classified(maps, SURFACES[2:], finder.classifiers["alone"])
        keep = peaks["log_odds"] >= least
        return {k: v[keep] for k, v in peaks.items()}
    peaks = _classified(maps, SURFACES[:2], finder.classifiers["lamps"])
    keep = peaks["log_odds"] >= least
    known = {k: v[keep] for k, v in peaks.items()}
    # A second opening at the place of a likelier one needs a probability above one half.
    keep = (known["log_odds"] > 0) | ~_second(known)
    known = {k: v[keep] for k, v in known.items()}
    either = _classified(maps, SURFACES[2:], finder.classifiers["beside"])
    keep = (either["log_odds"] >= least) & ~_explained(either, known)
    return {k: np.concatenate([known[k], either[k][keep]]) for k in known}
