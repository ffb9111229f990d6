"""Is it one particle, or two pits that have nothing to do with each other: a likelihood ratio.

Of one particle the openings' displacement, radii and ellipses all follow from its etch ratio and
its direction through a foil of known thickness. Depths do too, but the scale of a measured depth
depends on the optics, differs from surface to surface, and would rule out true pairs. Of unrelated
pits the entry pit looks like any entry pit of the foil, the exit pit like any exit pit, and lies
anywhere. The ratio of the two is what a catalogue match of stars rests on (Budavári & Szalay 2008,
ApJ 679, 301; Salvato et al. 2018, MNRAS 473, 4937), with the local density of exit pits as prior.
"""

from dataclasses import dataclass

import numba
import numpy as np
from scipy.special import ive

from etchscope.foil.types import Floats, Ints
from etchscope.physics.cone import opening
from etchscope.preselect.openings import Shapes

__all__ = [
    "LOG_RATIOS",
    "Tracks",
    "background_of",
    "expected_tracks",
    "log_ratios",
    "pairs_above",
    "terms_of",
]

LOG_RATIOS = np.linspace(np.log(0.1), np.log(8.0), 28)
"""Logarithms of V − 1 over which a particle's etch ratio is summed."""
_USUAL_RATIO, _SPREAD_OF_RATIOS = 1.0, 0.8
"""V − 1 of the particles that are sought: median, and spread of its logarithm."""
_UNEVEN = 0.25
"""Spread of the logarithm of V − 1 from one opening of a particle to the other."""
_BAND = 5
"""Steps of ``LOG_RATIOS`` beyond which that spread counts for nothing."""
_MODEL_ERROR = (0.05, 0.03)
"""Of log radius and ellipse: what differs from pit to pit beyond the errors stated."""
_IMPOSSIBLE = 60.0
"""Squared distance of a shape, in standard deviations, from which it is none of a particle's."""
_BARELY = 1.02
"""V sin(dip) from which an opening is reckoned with: nearer to 1 it vanishes."""
_KERNELS = 384
"""Finds of a surface that stand for all of it."""
_RADIUS_WIDTH = 0.12
"""Of a kernel, in log radius."""
_ELLIPSE_WIDTH = (0.01, 0.05)
"""Of a kernel in ellipse, least and most, between which Scott's rule for two dimensions decides:
wider ones would make round openings, which all are to a finder that sees little, rarer than they
are."""
_TAIL = (0.1, 2.5)
"""Share of a kernel that is wider, and by how much: rare shapes are not impossible ones."""
_ANY, _PSEUDO = (0.5, 0.2), 20.0
"""Spread of the openings of any foil in log radius and ellipse, and as how many finds they
count."""


@dataclass(frozen=True)
class Tracks:
    """What particles of some etch ratios look like, by the displacement of their openings.

    Attributes
    ----------
    log_radius, ellipticity : (node, distance) of either opening; a distance is a whole number of
        pixels.
    log_density : (node, distance) of the displacement, per square pixel; −∞ where there is none.
    slope : (node, distance) tangent of the zenith angle.
    beam : (4,) share of the particles that arrive in a beam, the tangents of its zenith angle along
        x and y (y up), and their spread; the others come from everywhere.
    isotropic : one over the density of an isotropic flux at the normal, in the plane of tan θ.
    prior : (node,) sums to 1.
    uneven : (node, node) chance that an opening has the etch ratio of the other node.
    """

    log_radius: Floats
    ellipticity: Floats
    log_density: Floats
    slope: Floats
    beam: Floats
    isotropic: float
    prior: Floats
    uneven: Floats

    @property
    def tables(self) -> tuple[Floats, Floats, Floats, Floats]:
        """What a compiled loop looks up."""
        return self.log_radius, self.ellipticity, self.log_density, self.slope

    @property
    def reach_px(self) -> int:
        """Largest displacement, pixels."""
        return int(self.log_radius.shape[1]) - 2


def expected_tracks(
    thickness_px: Floats, removed_px: float, reach_px: float, max_zenith_deg: float
) -> Tracks:
    """Return what particles look like that come from everywhere up to a zenith angle.

    An isotropic flux has cos⁴θ of its particles per area of the plane of tan θ.

    Parameters
    ----------
    thickness_px : (k,) of the foil; several where it is not known, which count alike.
    removed_px : bulk removed on each side.
    reach_px : largest displacement that is looked at.
    """
    zenith = np.deg2rad(np.linspace(0, max_zenith_deg, 181))
    distance = np.arange(int(np.ceil(reach_px)) + 2, dtype=np.float64)
    norm = np.log(np.pi * np.sin(np.deg2rad(max_zenith_deg)) ** 2)
    ratio = 1 + np.exp(LOG_RATIOS)
    tables = [
        _track(v, float(thick), removed_px, zenith, distance, norm)
        for thick in np.atleast_1d(thickness_px)
        for v in ratio.tolist()
    ]
    log_radius, ellipticity, log_density, slopes = (
        np.stack(column) for column in zip(*tables, strict=True)
    )
    weight = np.exp(-0.5 * ((LOG_RATIOS - np.log(_USUAL_RATIO)) / _SPREAD_OF_RATIOS) ** 2)
    prior = np.tile(weight, len(tables) // len(ratio))
    uneven = np.exp(-0.5 * ((LOG_RATIOS[:, None] - LOG_RATIOS) / _UNEVEN) ** 2)
    uneven /= uneven.sum(1, keepdims=True)
    each = np.asarray(np.kron(np.eye(len(tables) // len(ratio)), uneven), np.float64)
    return Tracks(
        log_radius,
        ellipticity,
        log_density,
        slopes,
        np.array([0.0, 0.0, 0.0, 1.0]),
        float(np.exp(norm)),
        prior / prior.sum(),
        each,
    )


def _track(
    v: float, thickness_px: float, removed_px: float, zenith: Floats, distance: Floats, norm: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return log radius, ellipticity, log density and slope of one etch ratio, (distance,) each.

    Parameters
    ----------
    zenith : (n,) angles that are looked at, radians.
    norm : logarithm of ``Tracks.isotropic``.
    """
    none = np.zeros(len(distance))
    density = np.full(len(distance), -np.inf)
    seen = zenith[v * np.cos(zenith) > _BARELY]
    n = len(seen)
    if n < 3:
        return none, none, density, none
    one = opening(np.full(n, v), np.pi / 2 - seen, np.full(n, removed_px), np.full(n, np.inf))
    apart = thickness_px * np.tan(seen) - 2 * one.shift_um
    apart = np.maximum.accumulate(np.maximum(apart, 0) + 1e-9 * np.arange(n))
    there = distance <= apart[-1]
    log_radius, ellipticity, slope = (
        np.interp(distance, apart, column)
        for column in (
            0.5 * np.log(one.major_um * one.minor_um) - np.log(2),
            1 - one.minor_um / one.major_um,
            np.tan(seen),
        )
    )
    # From the plane of tan θ to that of displacements.
    along = np.gradient(slope, distance)
    across = np.where(distance > 0, slope / np.maximum(distance, 1), along)
    area = np.maximum(along * across, 1e-12)
    density[there] = (-2 * np.log1p(slope**2) - norm + np.log(area))[there]
    return log_radius, ellipticity, density, slope


def background_of(shapes: Shapes, rows: Ints) -> Floats:
    """Return the logarithm of the density of a surface's shapes, at these; (len(rows),).

    A sum of kernels on some of the other finds, whatever the directions of their long axes, and of
    one for openings of any foil, which counts as much as ``_PSEUDO`` finds.
    """
    out = np.empty(len(rows))
    if not len(rows):
        return out
    few = rows[np.linspace(0, len(rows) - 1, min(len(rows), _KERNELS)).round().astype(np.int64)]
    radius, e = shapes.log_radius, shapes.ellipticity
    usual = np.array([np.median(radius[rows])]), np.zeros(1)
    spread = float(np.sqrt(np.mean(e[rows] ** 2) / 2))
    narrow = _RADIUS_WIDTH, float(np.clip(spread * len(few) ** (-1 / 6), *_ELLIPSE_WIDTH))
    for part in np.array_split(np.arange(len(rows)), len(rows) // 4096 + 1):
        mine = rows[part]
        at = radius[mine], e[mine]
        total = np.zeros(len(part))
        for share, wider in ((1 - _TAIL[0], 1.0), _TAIL):
            width = tuple(w * wider for w in narrow)
            each = _kernel(at, (radius[few], e[few]), width)
            each[mine[:, None] == few] = 0.0
            total += share * each.sum(1)
        broad = _kernel(at, usual, _ANY)[:, 0]
        count = len(few) - np.isin(mine, few)
        out[part] = np.log((total + _PSEUDO * broad) / (count + _PSEUDO))
    return out


def _kernel(
    at: tuple[Floats, Floats],
    centre: tuple[Floats, Floats],
    width: tuple[float, ...],
) -> Floats:
    """Return (n, m) normal densities in log radius, e_cos and e_sin.

    Parameters
    ----------
    at, centre : log radius and ellipticity of n places and of m kernels, the mean over all
        directions of whose long axes is taken.
    """
    q2 = np.zeros((len(at[0]), len(centre[0])))
    for x, c, w in zip(at, centre, width, strict=True):
        q2 += ((x[:, None] - c) / w) ** 2
    turned = ive(0, at[1][:, None] * centre[1] / width[1] ** 2)
    norm = width[0] * width[1] ** 2 * (2 * np.pi) ** 1.5
    # ive holds a factor exp(−e c / w²), which completes the square of the ellipticities.
    return np.asarray(np.exp(-q2 / 2) * turned / norm)


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
    """Write for each node the likelihood of two openings as one isotropic particle's.

    ``slopes``: (node, 2) tangents of the particle's zenith angle along x and y, y up.
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
        said = first if side == 0 else second
        v_radius = shape[6] ** 2 + model[0] ** 2
        v_ellipse = shape[7] ** 2 + model[1] ** 2
        norm = 1 / (np.sqrt(v_radius) * v_ellipse * (2 * np.pi) ** 1.5)
        possible = False
        for k in range(nodes):
            if log_density[k, cell + 1] == -np.inf:
                said[k] = 0.0
                continue
            r = log_radius[k, cell] * (1 - w) + log_radius[k, cell + 1] * w
            e = ellipticity[k, cell] * (1 - w) + ellipticity[k, cell + 1] * w
            q2 = (shape[2] - r) ** 2 / v_radius
            e *= shape[10]
            q2 += ((shape[3] - e * cos2) ** 2 + (shape[4] - e * sin2) ** 2) / v_ellipse
            said[k] = np.exp(-0.5 * q2) * norm if q2 < _IMPOSSIBLE else 0.0
            possible |= said[k] > 0
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
    """Return the log likelihood of one particle: the sum over nodes, a beam reckoned with."""
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
    """Return the log likelihoods of pairs as one particle, (n,), without a table of all terms."""
    nodes, out = len(prior), np.empty(len(entry))
    first, second = np.empty(nodes), np.empty(nodes)
    terms, slopes = np.empty(nodes), np.empty((nodes, 2))
    for n in range(len(entry)):
        one, other = table[entry[n]], table[exit_[n]]
        _terms(one, other, tables, uneven, model, first, second, terms, slopes)
        out[n] = _summed(terms, slopes, prior, beam, isotropic)
    return out


def terms_of(shapes: Shapes, entry: Ints, exit_: Ints, tracks: Tracks) -> tuple[Floats, Floats]:
    """Return the likelihood of pairs as one isotropic particle's at each node, and its direction.

    Returns
    -------
    (n, node), and (n, node, 2) tangents of the zenith angle along x and y, y up.
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
    """Return how much likelier pairs are one particle than unrelated, natural logarithm, (n,).

    Parameters
    ----------
    entry, exit_ : (n,) rows of the openings.
    unrelated : (n,) logarithm of the density of such shapes and of exit pits a square pixel.
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
    """Return entry, exit and ratio of all pairs above ``least``; exits are sorted by cell."""
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
                # A slanted particle's openings are long, and both along the displacement.
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


def pairs_above(
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
    entries, exits : rows of top and of bottom pits that may be paired.
    background : (n,) of ``background_of``, each opening on its own surface.
    exit_density_per_px2 : (n,) local density of exit pits.
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
