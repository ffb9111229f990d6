"""Compiled loops of the search for particles through a stack: extend seeds, score hypotheses."""

import numba
import numpy as np

from etchscope.foil.types import Bools, Floats, Ints

__all__ = ["COLUMNS", "extend_seeds", "score_hypotheses"]

COLUMNS = (
    "x",
    "y",
    "log_radius",
    "e_cos",
    "e_sin",
    "v_place",
    "v_radius",
    "v_ellipse",
    "measured_share",
    "accidental",
)
"""Columns of the table of openings: place in px, y up; shape as in ``preselect.Shapes``; variances;
and the logarithm of the density of unrelated openings of such a shape per square pixel."""
_BAND = 5
"""Steps of the etch ratio beyond which two openings of one particle do not differ."""
_TAIL = (0.1, 3.0)
"""Share of the places whose error is larger than stated, and the factor by which it is larger."""
_GATE2 = 20.0
"""Squared distance in standard deviations up to which an opening may belong to a particle."""


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _shape(
    one: Floats,
    slope: tuple[float, float],
    log_radius: Floats,
    ellipticity: Floats,
    steps: float,
    uneven: Floats,
    scratch: Floats,
) -> None:  # pragma: no cover
    """Write the likelihood of the shape of an opening for each etch ratio into ``scratch[1]``."""
    each, out = scratch[0], scratch[1]
    tangent2 = slope[0] ** 2 + slope[1] ** 2
    cos2, sin2 = 1.0, 0.0
    if tangent2 > 1e-12:
        cos2 = (slope[0] ** 2 - slope[1] ** 2) / tangent2
        sin2 = 2 * slope[0] * slope[1] / tangent2
    at = np.arctan(np.sqrt(tangent2)) * steps
    cell = min(int(at), log_radius.shape[1] - 2)
    w = min(at - cell, 1.0)
    norm = 1 / (np.sqrt(one[6]) * one[7] * (2 * np.pi) ** 1.5)
    nodes = len(out)
    for k in range(nodes):
        r = log_radius[k, cell] * (1 - w) + log_radius[k, cell + 1] * w
        e = (ellipticity[k, cell] * (1 - w) + ellipticity[k, cell + 1] * w) * one[8]
        q2 = (one[2] - r) ** 2 / one[6]
        q2 += ((one[3] - e * cos2) ** 2 + (one[4] - e * sin2) ** 2) / one[7]
        each[k] = np.exp(-0.5 * min(q2, 200.0)) * norm
    for k in range(nodes):
        total = 0.0
        for m in range(max(0, k - _BAND), min(nodes, k + _BAND + 1)):
            total += uneven[k, m] * each[m]
        out[k] = total + 1e-30


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _log_bell(q2: float) -> float:  # pragma: no cover
    """Return the logarithm of a normal density in a plane with tails, but for 2π σ²."""
    wide = _TAIL[0] / _TAIL[1] ** 2 * np.exp(-0.5 * q2 / _TAIL[1] ** 2)
    return float(np.log((1 - _TAIL[0]) * np.exp(-0.5 * q2) + wide))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _line(sums: Floats) -> tuple[float, float, float, float, float]:  # pragma: no cover
    """Return x and y at z = 0, both slopes and the determinant of weighted least squares."""
    det = sums[0] * sums[2] - sums[1] ** 2
    x = (sums[2] * sums[3] - sums[1] * sums[5]) / det
    y = (sums[2] * sums[4] - sums[1] * sums[6]) / det
    u = (sums[0] * sums[5] - sums[1] * sums[3]) / det
    v = (sums[0] * sums[6] - sums[1] * sums[4]) / det
    return x, y, u, v, det


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _add(sums: Floats, z: float, x: float, y: float, variance: float) -> None:  # pragma: no cover
    w = 1 / variance
    sums[0] += w
    sums[1] += w * z
    sums[2] += w * z * z
    sums[3] += w * x
    sums[4] += w * y
    sums[5] += w * z * x
    sums[6] += w * z * y


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sum_line(
    hits: Ints, table: Floats, z: Floats, bend: Floats, tangent2: float, sums: Floats
) -> None:  # pragma: no cover
    sums[:] = 0.0
    for s in range(len(z)):
        i = hits[s]
        if i >= 0:
            _add(sums, z[s], table[i, 0], table[i, 1], table[i, 5] + bend[s] ** 2 * tangent2)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _weigh(
    hits: Ints,
    table: Floats,
    slope: tuple[float, float],
    tables: tuple[Floats, Floats, float, Floats],
    scratch: Floats,
) -> None:  # pragma: no cover
    """Multiply ``scratch[0]`` by the likelihood of the shapes of openings, and normalise it."""
    for s in range(len(hits)):
        if hits[s] >= 0:
            one = table[hits[s]]
            _shape(one, slope, tables[0][s], tables[1][s], tables[2], tables[3], scratch[1:])
            scratch[0] *= scratch[2]
    scratch[0] /= scratch[0].sum()


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _best_near(
    s: int,
    at: tuple[float, float, float],
    slope: tuple[float, float],
    hits: Ints,
    table: Floats,
    grid: tuple[Ints, Ints, Floats, Ints],
    tables: tuple[Floats, Floats, float, Floats],
    log_odds: float,
    scratch: Floats,
) -> int:  # pragma: no cover
    """Return the opening of surface ``s`` that fits best at x, y and a variance, or −1.

    ``scratch`` holds the probabilities of the etch ratios; they are negative
    until they are known.
    """
    order, start, box, size = grid
    x, y, spread = at
    reach = np.sqrt(_GATE2 * (spread + box[3]))
    left = max(int((x - reach - box[0]) / box[2]), 0)
    right = min(int((x + reach - box[0]) / box[2]), size[1] - 1)
    low = max(int((y - reach - box[1]) / box[2]), 0)
    high = min(int((y + reach - box[1]) / box[2]), size[0] - 1)
    best, chosen = 0.0, -1
    for row in range(low, high + 1 if left <= right else low):
        first = (s * size[0] + row) * size[1]
        for k in range(start[first + left], start[first + right + 1]):
            one = table[order[k]]
            variance = spread + one[5]
            q2 = ((one[0] - x) ** 2 + (one[1] - y) ** 2) / variance
            if q2 > _GATE2:
                continue
            if scratch[0, 0] < 0:
                scratch[0] *= -1
                _weigh(hits, table, slope, tables, scratch)
            _shape(one, slope, tables[0][s], tables[1][s], tables[2], tables[3], scratch[1:])
            value = log_odds + _log_bell(q2) - np.log(2 * np.pi * variance) - one[9]
            value += np.log((scratch[0] * scratch[2]).sum())
            if value > best:
                best, chosen = value, order[k]
    return chosen


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _nearest(hits: Ints, is_done: Bools, z: Floats) -> int:  # pragma: no cover
    """Return the surface nearest to the middle of the first two openings, or −1 after the last."""
    middle, count = 0.0, 0
    for s in range(len(z)):
        if hits[s] >= 0:
            middle += z[s]
            count += 1
    nearest, chosen = np.inf, -1
    for s in range(len(z)):
        apart = abs(z[s] - middle / count)
        if not is_done[s] and apart < nearest:
            nearest, chosen = apart, s
    return chosen


@numba.njit(nogil=True, cache=True, error_model="numpy")
def extend_seeds(
    seeds: Ints,
    table: Floats,
    surface: Ints,
    grid: tuple[Ints, Ints, Floats, Ints],
    z: Floats,
    bend: Floats,
    tables: tuple[Floats, Floats, float, Floats],
    prior: Floats,
    log_odds: Floats,
) -> Ints:  # pragma: no cover
    """Return the openings that fit the line through two openings best, one on each surface.

    From the surfaces nearest to the seed on, the opening with the highest likelihood ratio joins if
    a particle with this opening is more likely than one without an opening there.

    Parameters
    ----------
    seeds : (n, 2) rows of openings on two surfaces.
    table : (m, 10) all openings, see ``COLUMNS``.
    surface : (m,) number of the surface of each.
    grid : rows sorted by cell; first row of each cell of each surface; origin x, origin y, side of
        a cell, and greatest variance of a place; and the numbers of rows and of columns.
    z : (s,) depth of the openings on each surface in px.
    bend : (s,) standard deviation of the place of an opening along the track, over its tangent.
    tables : log radius and ellipticity of openings, (s, node, zenith), steps of the zenith angle
        per radian, and the probability that two openings have other etch ratios, (node, node).
    prior : (node,) probability of the etch ratios.
    log_odds : (s,) logarithm of recall over 1 − recall.

    Returns
    -------
    (n, s) int64 rows, −1 without an opening.
    """
    hits = np.full((len(seeds), len(z)), -1)
    scratch, sums, is_done = np.empty((3, len(prior))), np.empty(7), np.empty(len(z), np.bool_)
    for n in range(len(seeds)):
        mine = hits[n]
        for i in seeds[n]:
            mine[surface[i]] = i
        is_done[:] = mine >= 0
        scratch[0] = -prior
        tangent2 = 0.0
        while True:
            s = _nearest(mine, is_done, z)
            if s < 0:
                break
            is_done[s] = True
            _sum_line(mine, table, z, bend, tangent2, sums)
            x, y, u, v, det = _line(sums)
            tangent2 = u * u + v * v
            spread = (sums[2] - 2 * z[s] * sums[1] + z[s] ** 2 * sums[0]) / det
            spread += bend[s] ** 2 * tangent2
            at = x + u * z[s], y + v * z[s], spread
            j = _best_near(s, at, (u, v), mine, table, grid, tables, log_odds[s], scratch)
            if j >= 0:
                mine[s] = j
                one = table[j]
                of = tables[0][s], tables[1][s]
                _shape(one, (u, v), of[0], of[1], tables[2], tables[3], scratch[1:])
                scratch[0] *= scratch[2]
                scratch[0] /= scratch[0].sum()
    return hits


@numba.njit(nogil=True, cache=True, error_model="numpy")
def score_hypotheses(
    hits: Ints,
    table: Floats,
    z: Floats,
    bend: Floats,
    tables: tuple[Floats, Floats, float, Floats],
    prior: Floats,
    over: Floats,
    beam: Floats,
    isotropic: float,
) -> Floats:  # pragma: no cover
    """Return the likelihood ratio of hypotheses, one particle over unrelated openings.

    The likelihood of the places is integrated over all straight lines, with one particle per square
    pixel and the density of directions at the line that fits best. The spread of the beam is added
    to the error of the slopes.

    Parameters
    ----------
    hits : (n, s) rows of at least two openings, −1 without an opening.
    table, z, bend, tables, prior : see ``extend_seeds``.
    over : (node,) ln(V − 1).
    beam : (4,) share of the beam, its slopes along x and y, and their spread.
    isotropic : density of an isotropic flux at the normal, in the plane of tan θ.

    Returns
    -------
    (n, 7) float64: natural logarithm of the ratio, without recall; x and y in px at z = 0; slopes
    along x and y and their error; mean of ln(V − 1).
    """
    surfaces, nodes = len(z), len(prior)
    out = np.empty((len(hits), 7))
    weight, scratch, sums = np.empty(nodes), np.empty((2, nodes)), np.empty(7)
    log_radius, ellipticity, steps, uneven = tables
    for n in range(len(hits)):
        u, v = 0.0, 0.0
        _sum_line(hits[n], table, z, bend, u * u + v * v, sums)
        _, _, u, v, _ = _line(sums)
        tangent2 = u * u + v * v
        _sum_line(hits[n], table, z, bend, tangent2, sums)
        x, y, u, v, det = _line(sums)
        value, count = -np.log(det), 0
        weight[:] = prior
        for s in range(surfaces):
            i = hits[n, s]
            if i < 0:
                continue
            count += 1
            variance = table[i, 5] + bend[s] ** 2 * tangent2
            q2 = (table[i, 0] - x - u * z[s]) ** 2 + (table[i, 1] - y - v * z[s]) ** 2
            value += _log_bell(q2 / variance) - np.log(variance) - table[i, 9]
            of = log_radius[s], ellipticity[s]
            _shape(table[i], (u, v), of[0], of[1], steps, uneven, scratch)
            weight *= scratch[1]
            total = weight.sum()
            value += np.log(total)
            weight /= total
        value -= (count - 2) * np.log(2 * np.pi)
        error2 = sums[0] / det
        flux = (1 - beam[0]) * isotropic / (1 + u * u + v * v) ** 2
        if beam[0] > 0:
            spread2 = beam[3] ** 2 + error2
            apart2 = (u - beam[1]) ** 2 + (v - beam[2]) ** 2
            flux += beam[0] * np.exp(-0.5 * apart2 / spread2) / (2 * np.pi * spread2)
        out[n, 0] = value + np.log(flux)
        out[n, 1], out[n, 2], out[n, 3], out[n, 4] = x, y, u, v
        out[n, 5] = np.sqrt(error2)
        out[n, 6] = (weight * over).sum()
    return out
