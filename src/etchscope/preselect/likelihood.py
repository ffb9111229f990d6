"""The likelihood ratio of an entry and an exit pit: one particle, or two unrelated pits.

The displacement, radii and ellipses of the openings of one particle all follow from its etch ratio
and its direction through a foil of known thickness. So do the depths, but they are not used: the
scale of measured depths depends on the optics and differs between the surfaces, so that true pairs
would be excluded. Of two unrelated pits, the entry pit has the shape of any entry pit of the foil,
and the exit pit has the shape of any exit pit and lies anywhere. The ratio of the two likelihoods
is used like that of stars in two catalogues (Budavári & Szalay 2008, ApJ 679, 301; Salvato et al.
2018, MNRAS 473, 4937), with the local density of exit pits as prior.
"""

import numba
import numpy as np

from etchscope.foil.types import Floats, Ints
from etchscope.preselect.openings import Shapes
from etchscope.preselect.track_model import Tracks

__all__ = [
    "find_pairs",
    "likelihood_terms",
    "log_ratios",
]

_BAND = 5
"""Steps of ``LOG_RATIOS`` beyond which the spread of the etch ratio between the openings of a
particle is neglected."""
_MODEL_ERROR = (0.05, 0.03)
"""Spread of log radius, and of e_cos and e_sin, from pit to pit beyond the stated errors."""
_IMPOSSIBLE = 60.0
"""Squared distance of a shape in standard deviations from which its likelihood is taken as 0."""


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _terms(
    one: Floats,
    other: Floats,
    tables: tuple[Floats, Floats, Floats, Floats],
    uneven: Floats,
    model: tuple[float, float],
    first: Floats,
    second: Floats,
    out: Floats,
    slopes: Floats,
) -> None:  # pragma: no cover
    """Write, for each node, the likelihood that two openings are of one isotropic particle.

    It goes into ``out``, (node,). The tangents of the zenith angle of the particle along x and y, y
    up, go into ``slopes``, (node, 2).
    """
    log_radius, ellipticity, log_density, slope = tables
    out[:] = 0.0
    dx, dy = other[0] - one[0], one[1] - other[1]
    apart = np.sqrt(dx * dx + dy * dy)
    cell = int(apart)
    if cell + 1 >= log_radius.shape[1]:
        return
    w = apart - cell
    cos2, sin2 = 1.0, 0.0
    if apart > 1e-6:
        cos2, sin2 = (dx * dx - dy * dy) / apart**2, 2 * dx * dy / apart**2
    nodes = len(out)
    for side in range(2):
        shape = one if side == 0 else other
        values = first if side == 0 else second
        v_radius = shape[6] ** 2 + model[0] ** 2
        v_ellipse = shape[7] ** 2 + model[1] ** 2
        norm = 1 / (np.sqrt(v_radius) * v_ellipse * (2 * np.pi) ** 1.5)
        possible = False
        for k in range(nodes):
            if log_density[k, cell + 1] == -np.inf:
                values[k] = 0.0
                continue
            r = log_radius[k, cell] * (1 - w) + log_radius[k, cell + 1] * w
            e = ellipticity[k, cell] * (1 - w) + ellipticity[k, cell + 1] * w
            q2 = (shape[2] - r) ** 2 / v_radius
            e *= shape[10]
            q2 += ((shape[3] - e * cos2) ** 2 + (shape[4] - e * sin2) ** 2) / v_ellipse
            values[k] = np.exp(-0.5 * q2) * norm if q2 < _IMPOSSIBLE else 0.0
            possible |= values[k] > 0
        if not possible:
            return
    for k in range(nodes):
        if log_density[k, cell + 1] == -np.inf:
            continue
        a, b = 0.0, 0.0
        for m in range(max(0, k - _BAND), min(nodes, k + _BAND + 1)):
            a += uneven[k, m] * first[m]
            b += uneven[k, m] * second[m]
        density = log_density[k, cell] * (1 - w) + log_density[k, cell + 1] * w
        out[k] = np.exp(density) * a * b
        tangent = slope[k, cell] * (1 - w) + slope[k, cell + 1] * w
        slopes[k, 0] = tangent * dx / max(apart, 1e-6)
        slopes[k, 1] = tangent * dy / max(apart, 1e-6)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _summed(
    terms: Floats, slopes: Floats, prior: Floats, beam: Floats, isotropic: float
) -> float:  # pragma: no cover
    """Return the logarithm of the likelihood of one particle, summed over nodes with the beam."""
    total = 0.0
    for k in range(len(prior)):
        if terms[k] > 0:
            factor = 1.0
            if beam[0] > 0:
                u, v = slopes[k, 0] - beam[1], slopes[k, 1] - beam[2]
                t2 = slopes[k, 0] ** 2 + slopes[k, 1] ** 2
                narrow = np.exp(-(u * u + v * v) / (2 * beam[3] ** 2)) / (2 * np.pi * beam[3] ** 2)
                factor = 1 - beam[0] + beam[0] * narrow * (1 + t2) ** 2 * isotropic
            total += prior[k] * terms[k] * factor
    return np.log(total) if total > 0 else -np.inf


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _terms_of(
    table: Floats,
    entry: Ints,
    exit_: Ints,
    tables: tuple[Floats, Floats, Floats, Floats],
    uneven: Floats,
    model: tuple[float, float],
) -> tuple[Floats, Floats]:  # pragma: no cover
    """Return the terms of pairs, (n, node), and slopes, (n, node, 2)."""
    nodes = len(uneven)
    terms, slopes = np.zeros((len(entry), nodes)), np.zeros((len(entry), nodes, 2))
    first, second = np.empty(nodes), np.empty(nodes)
    for n in range(len(entry)):
        one, other = table[entry[n]], table[exit_[n]]
        _terms(one, other, tables, uneven, model, first, second, terms[n], slopes[n])
    return terms, slopes


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sums_of(
    table: Floats,
    entry: Ints,
    exit_: Ints,
    tables: tuple[Floats, Floats, Floats, Floats],
    uneven: Floats,
    model: tuple[float, float],
    prior: Floats,
    beam: Floats,
    isotropic: float,
) -> Floats:  # pragma: no cover
    """Return the log likelihoods of pairs as one particle, (n,), without storing all terms."""
    nodes, out = len(prior), np.empty(len(entry))
    first, second = np.empty(nodes), np.empty(nodes)
    terms, slopes = np.empty(nodes), np.empty((nodes, 2))
    for n in range(len(entry)):
        one, other = table[entry[n]], table[exit_[n]]
        _terms(one, other, tables, uneven, model, first, second, terms, slopes)
        out[n] = _summed(terms, slopes, prior, beam, isotropic)
    return out


def likelihood_terms(
    shapes: Shapes, entry: Ints, exit_: Ints, tracks: Tracks
) -> tuple[Floats, Floats]:
    """Return the likelihood of pairs as one isotropic particle, for each node of the etch ratio.

    Parameters
    ----------
    shapes : all openings.
    entry, exit_ : (n,) rows of the entry and of the exit pit of each pair.
    tracks : the openings that particles leave.

    Returns
    -------
    (n, node) float64 likelihoods, and (n, node, 2) float64 tangents of the zenith angle along x
    and y, y up.
    """
    terms, slopes = _terms_of(
        shapes.table,
        np.asarray(entry, np.int64),
        np.asarray(exit_, np.int64),
        tracks.tables,
        tracks.uneven,
        _MODEL_ERROR,
    )
    return np.asarray(terms), np.asarray(slopes)


def log_ratios(
    shapes: Shapes, entry: Ints, exit_: Ints, tracks: Tracks, unrelated: Floats
) -> Floats:
    """Return the logarithms of the likelihood ratios of pairs, one particle over unrelated pits.

    Parameters
    ----------
    shapes : all openings.
    entry, exit_ : (n,) rows of the entry and of the exit pit of each pair.
    tracks : the openings that particles leave.
    unrelated : (n,) logarithm of the density of such shapes and of exit pits per square pixel.

    Returns
    -------
    (n,) float64 natural logarithms.
    """
    signal = _sums_of(
        shapes.table,
        np.asarray(entry, np.int64),
        np.asarray(exit_, np.int64),
        tracks.tables,
        tracks.uneven,
        _MODEL_ERROR,
        tracks.prior,
        tracks.beam,
        tracks.isotropic,
    )
    return np.asarray(signal - unrelated)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _above(
    table: Floats,
    entries: Ints,
    exits: Ints,
    start: Ints,
    cells: tuple[int, int],
    origin: tuple[float, float],
    tables: tuple[Floats, Floats, Floats, Floats],
    bounds: Floats,
    prior: Floats,
    uneven: Floats,
    beam: Floats,
    isotropic: float,
    model: tuple[float, float],
    background: Floats,
    density: Floats,
    least: float,
) -> tuple[list[int], list[int], list[float]]:  # pragma: no cover
    """Return entry, exit and log ratio of all pairs above ``least``.

    ``exits`` is sorted by cell. The first value of each list is a placeholder, which gives the list
    its type.
    """
    reach = table.dtype.type(tables[0].shape[1] - 2)
    nodes = len(prior)
    first, second = np.empty(nodes), np.empty(nodes)
    terms, slopes = np.empty(nodes), np.empty((nodes, 2))
    out_i, out_j, out_r = [0], [0], [0.0]
    rows, columns = cells
    for n in range(len(entries)):
        i = entries[n]
        one = table[i]
        u, v = int((one[0] - origin[0]) / reach), int((one[1] - origin[1]) / reach)
        for row in range(max(v - 1, 0), min(v + 2, rows)):
            left = row * columns + max(u - 1, 0)
            right = row * columns + min(u + 1, columns - 1)
            for k in range(start[left], start[right + 1]):
                j = exits[k]
                other = table[j]
                dx, dy = other[0] - one[0], one[1] - other[1]
                apart2 = dx * dx + dy * dy
                if apart2 > reach * reach:
                    continue
                apart = np.sqrt(apart2)
                # Both openings of a slanted particle are elongated along the displacement.
                least_e = bounds[int(apart)]
                if least_e > 0.1:
                    cos2, sin2 = (dx * dx - dy * dy) / apart2, 2 * dx * dy / apart2
                    far = 4 * (one[7] + model[1])
                    if one[3] * cos2 + one[4] * sin2 < one[10] * least_e - far:
                        continue
                    far = 4 * (other[7] + model[1])
                    if other[3] * cos2 + other[4] * sin2 < other[10] * least_e - far:
                        continue
                _terms(one, other, tables, uneven, model, first, second, terms, slopes)
                signal = _summed(terms, slopes, prior, beam, isotropic)
                ratio = signal - background[i] - background[j] - np.log(density[i])
                if ratio > least:
                    out_i.append(i)
                    out_j.append(j)
                    out_r.append(ratio)
    return out_i, out_j, out_r


def find_pairs(
    shapes: Shapes,
    entries: Ints,
    exits: Ints,
    tracks: Tracks,
    background: Floats,
    exit_density_per_px2: Floats,
    least: float,
) -> tuple[Ints, Ints, Floats]:
    """Return the pairs whose log ratio exceeds ``least``: entry rows, exit rows, log ratios.

    Parameters
    ----------
    shapes : all n openings.
    entries, exits : rows of the entry and of the exit pits that may be paired.
    tracks : the openings that particles leave.
    background : (n,) ``log_background_density`` of each opening on its own surface.
    exit_density_per_px2 : (n,) local density of exit pits.
    least : least log ratio.

    Returns
    -------
    (k,) int64, (k,) int64 and (k,) float64 natural logarithms; see ``log_ratios``.
    """
    none = np.empty(0, np.int64)
    if not len(entries) or not len(exits):
        return none, none, np.empty(0)
    reach = tracks.reach_px
    both = np.concatenate([entries, exits])
    x0, y0 = float(shapes.x[both].min()), float(shapes.y[both].min())
    u, v = (
        ((value[exits] - low) / reach).astype(np.int64)
        for value, low in ((shapes.x, x0), (shapes.y, y0))
    )
    columns = int((shapes.x[both].max() - x0) / reach) + 1
    rows = int((shapes.y[both].max() - y0) / reach) + 1
    cell = v * columns + u
    order = np.argsort(cell, kind="stable")
    start = np.searchsorted(cell[order], np.arange(rows * columns + 1))
    there = np.isfinite(tracks.log_density)
    bounds = np.where(there, tracks.ellipticity, np.inf).min(0)
    bounds = np.where(np.isfinite(bounds), bounds, 0.0)
    i, j, ratio = _above(
        shapes.table,
        np.asarray(entries, np.int64),
        np.asarray(exits, np.int64)[order],
        start,
        (rows, columns),
        (x0, y0),
        tracks.tables,
        bounds,
        tracks.prior,
        tracks.uneven,
        tracks.beam,
        tracks.isotropic,
        _MODEL_ERROR,
        np.asarray(background, np.float64),
        np.maximum(exit_density_per_px2, 1e-9),
        least,
    )
    return np.array(i[1:], np.int64), np.array(j[1:], np.int64), np.array(ratio[1:])
