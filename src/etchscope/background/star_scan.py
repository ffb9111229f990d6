"""The likelihood of a vertex at a place and depth, and the search for the best ones."""

from dataclasses import dataclass

import numba
import numpy as np
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from etchscope.background.star_model import ProngTable
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.preselect.openings import Shapes

__all__ = ["PRONGS", "Vertices", "find_vertices", "score_vertices"]

PRONGS = 4.0
"""Mean number of prongs that a vertex is expected to have, visible or not."""
_MEMBER = 0.5
"""Probability above which an opening belongs to a vertex."""
_CELL_PX = 3.0
"""Of the starts within a cell of this size only the best one is refined."""
_STEPS_PX = (3.0, 1.5, 0.75)
"""Steps by which a vertex is moved towards a greater likelihood, each twice at most."""
_PROMISING = 0.0
"""Log ratio from which a start is refined."""
_ROUNDS = 4
"""Times that the vertices left over are scored anew without the openings of accepted ones."""
_CROSSING = 0.2
"""Least sine of the angle at which long axes cross in a start."""


@dataclass(frozen=True)
class Vertices:
    """The vertices found among openings of one surface.

    Attributes
    ----------
    place : (n, 2) x and y in pixels, y down.
    depth_node : (n,) int64 most likely depth, as index of the table's depths.
    score : (n,) log likelihood ratio of a star there against unrelated openings, at that depth.
    star, opening : (m,) int64 which opening belongs to which vertex.
    share : (m,) probability of that.
    """

    place: Floats
    depth_node: Ints
    score: Floats
    star: Ints
    opening: Ints
    share: Floats


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _score(
    at: Floats,
    first: Ints,
    near: Ints,
    pits: Floats,
    log_background: Floats,
    step: float,
    log_density: Floats,
    seen: Floats,
    mean: Floats,
    variance: Floats,
    covariance: Floats,
    prongs: float,
    nodes: Ints,
    out: Floats,
    ratios: Floats,
) -> None:  # pragma: no cover
    """Fill ``out`` (vertex, depth) with log ratios; ``ratios`` (near, depth) too unless empty.

    Depths outside the first and last of ``nodes`` (vertex, 2) stay as they are.
    """
    vertices = len(out)
    bins = log_density.shape[1]
    log_prongs = np.log(prongs)
    for i in range(vertices):
        low, high = nodes[i, 0], nodes[i, 1] + 1
        for z in range(low, high):
            out[i, z] = -prongs * seen[z]
        for k in range(first[i], first[i + 1]):
            j = near[k]
            dx, dy = at[i, 0] - pits[j, 0], pits[j, 1] - at[i, 1]
            d2 = dx * dx + dy * dy
            d = np.sqrt(d2)
            b = int(d / step)
            if b >= bins:
                if len(ratios):
                    ratios[k, :] = -np.inf
                continue
            cos2, sin2 = 1.0, 0.0
            if d2 > 0:
                cos2, sin2 = (dx * dx - dy * dy) / d2, 2 * dx * dy / d2
            along = pits[j, 3] * cos2 + pits[j, 4] * sin2
            across = pits[j, 4] * cos2 - pits[j, 3] * sin2
            s_r2, s_e2 = pits[j, 6] ** 2, pits[j, 7] ** 2
            s_p2, share = pits[j, 8] ** 2, pits[j, 10]
            kept = np.exp(-2 * s_p2 / (d2 + s_p2))  # of the ellipse, as its direction is uncertain
            deep = np.isfinite(pits[j, 5])
            for z in range(low, high):
                if log_density[z, b] == -np.inf:
                    if len(ratios):
                        ratios[k, z] = -np.inf
                    continue
                r, e = pits[j, 2] - mean[z, b, 0], share * mean[z, b, 2]
                v_r = variance[z, b, 0] + s_r2
                like = -0.5 * (r * r / v_r + np.log(v_r))
                if deep:
                    # Depth at given radius.
                    c = covariance[z, b]
                    v_d = variance[z, b, 1] + pits[j, 9] ** 2 - c * c / v_r
                    q = pits[j, 5] - mean[z, b, 1] - c / v_r * r
                    like += -0.5 * (q * q / v_d + np.log(v_d) + 1.8378770664093453)
                v_a = share * share * variance[z, b, 2] + s_e2
                v_c = s_e2 + e * e * (1 - kept * kept) / 2
                like -= 0.5 * ((along - kept * e) ** 2 / v_a + across * across / v_c)
                like -= 0.5 * np.log(v_a * v_c)
                like -= 1.5 * 1.8378770664093453
                ratio = log_prongs + log_density[z, b] + like - log_background[j]
                out[i, z] += np.log1p(np.exp(ratio)) if ratio < 30 else ratio
                if len(ratios):
                    ratios[k, z] = ratio


def _neighbours(place: Floats, at: Floats, reach: float, usable: Bools) -> tuple[Ints, Ints]:
    """Return for each vertex the openings within reach: first index of each, and openings."""
    rows = np.flatnonzero(usable)
    if not len(rows) or not len(at):
        return np.zeros(len(at) + 1, np.int64), np.empty(0, np.int64)
    pairs = cKDTree(at).sparse_distance_matrix(cKDTree(place[rows]), reach, output_type="ndarray")
    order = np.lexsort((pairs["j"], pairs["i"]))
    count = np.bincount(pairs["i"], minlength=len(at))
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return first, rows[pairs["j"][order]].astype(np.int64)


def score_vertices(
    shapes: Shapes,
    log_background: Floats,
    table: ProngTable,
    at: Floats,
    *,
    usable: Bools | None = None,
    prongs: float = PRONGS,
    nodes: Ints | None = None,
    with_ratios: bool = True,
) -> tuple[Floats, Ints, Ints, Floats]:
    """Return the log likelihood ratio of a star at places, for each depth of a table.

    Openings are a Poisson process whose density is that of unrelated openings, plus, around a
    vertex, ``prongs`` times that of the table; its log likelihood ratio is
    ``−prongs · seen + Σ log(1 + prongs · f / b)`` with f and b the densities of opening and shape
    (Daley & Vere-Jones, An Introduction to the Theory of Point Processes, 2003, eq. 7.1.2).

    Parameters
    ----------
    shapes : the n openings of one surface, in one frame.
    log_background : (n,) logarithm of the density b at each opening with its shape.
    table : the openings of prongs.
    at : (m, 2) x and y in pixels, y down.
    usable : (n,) the openings that count, by default all.
    prongs : mean number of prongs.
    nodes : (m, 2) first and last depth to score at each place, by default all.
    with_ratios : whether the log ratios of single openings are kept.

    Returns
    -------
    (m, depth) log ratios, −∞ at depths that are not scored; and for openings within reach the first
    index of each vertex (m + 1,), the openings (k,), and their own log ratios (k, depth), or none.
    """
    place = np.column_stack([shapes.x, shapes.y])
    usable = np.ones(len(place), bool) if usable is None else usable
    first, near = _neighbours(place, at, table.reach_px, usable)
    depths = len(table.seen)
    if nodes is None:
        nodes = np.tile(np.array([0, depths - 1], np.int64), (len(at), 1))
    out = np.full((len(at), depths), -np.inf)
    ratios = np.full((len(near) if with_ratios else 0, depths), -np.inf)
    _score(
        np.ascontiguousarray(at, np.float64),
        first,
        near,
        shapes.table,
        log_background,
        table.step_px,
        table.log_density,
        table.seen,
        table.mean,
        table.variance,
        table.covariance,
        prongs,
        nodes,
        out,
        ratios,
    )
    return out, first, near, ratios


def find_vertices(shapes: Shapes, log_background: Floats, table: ProngTable) -> Vertices:
    """Return the vertices to which openings of one surface point, each with at least two of them.

    Starts are the middle between any two openings within reach of each other and the crossing of
    their long axes. Each is moved to the greatest likelihood; the best vertex takes its openings,
    and the others are scored again without them. No opening belongs to two vertices.

    Parameters
    ----------
    shapes, log_background, table : see ``score_vertices``.
    """
    usable = np.ones(len(shapes.x), bool)
    at = _refined(shapes, log_background, table, _starts(shapes, table.reach_px))
    parts: list[Vertices] = []
    for _ in range(_ROUNDS):
        accepted, at = _accept(shapes, log_background, table, at, usable)
        if not len(accepted.score):
            break
        parts.append(accepted)
        usable[accepted.opening] = False
    return _joined(parts)


def _starts(shapes: Shapes, reach: float) -> Floats:
    """Return places between pairs of openings, and crossings of their long axes, (n, 2)."""
    place = np.column_stack([shapes.x, shapes.y])
    pairs = cKDTree(place).query_pairs(reach, output_type="ndarray") if len(place) else None
    if pairs is None or not len(pairs):
        return np.empty((0, 2))
    i, j = pairs.T
    angle = -0.5 * np.arctan2(shapes.e_sin, shapes.e_cos)  # of the long axis with y down
    ux, uy = np.cos(angle), np.sin(angle)
    sine = ux[i] * uy[j] - uy[i] * ux[j]
    gap = place[j] - place[i]
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (gap[:, 0] * uy[j] - gap[:, 1] * ux[j]) / sine
    crossing = place[i] + np.nan_to_num(along)[:, None] * np.column_stack([ux[i], uy[i]])
    near = (np.abs(sine) > _CROSSING) & (np.hypot(*(crossing - place[i]).T) < reach)
    near &= np.hypot(*(crossing - place[j]).T) < reach
    return np.concatenate([(place[i] + place[j]) / 2, crossing[near]])


def _best_of_cells(at: Floats, score: Floats) -> Ints:
    """Return the best promising place of each cell, as indices."""
    good = np.flatnonzero(score > _PROMISING)
    good = good[np.argsort(-score[good], kind="stable")]
    cell = np.floor(at[good] / _CELL_PX).astype(np.int64)
    return np.asarray(np.sort(good[np.unique(cell, axis=0, return_index=True)[1]]), np.int64)


def _refined(shapes: Shapes, log_background: Floats, table: ProngTable, at: Floats) -> Floats:
    """Return the promising places moved to a greater likelihood, one for each cell."""
    scores = score_vertices(shapes, log_background, table, at, with_ratios=False)[0]
    best = scores.max(1, initial=-np.inf)
    chosen = _best_of_cells(at, best)
    at, score, node = at[chosen], best[chosen], scores[chosen].argmax(1)
    last = len(table.seen) - 1
    around = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    rows = np.arange(len(at))
    for step in (s for s in _STEPS_PX for _ in range(2)):
        tried = at[:, None, :] + step * around
        nodes = np.column_stack([np.maximum(node - 1, 0), np.minimum(node + 1, last)])
        new = score_vertices(
            shapes,
            log_background,
            table,
            tried.reshape(-1, 2),
            nodes=np.repeat(nodes, len(around), axis=0),
            with_ratios=False,
        )[0].reshape(len(at), len(around), last + 1)
        best = new.max(2)
        side = best.argmax(1)
        better = best[rows, side] > score
        at = np.where(better[:, None], tried[rows, side], at)
        node = np.where(better, new[rows, side].argmax(1), node)
        score = np.where(better, best[rows, side], score)
    return np.asarray(at[_best_of_cells(at, score)])


def _accept(
    shapes: Shapes, log_background: Floats, table: ProngTable, at: Floats, usable: Bools
) -> tuple[Vertices, Floats]:
    """Return the vertices of which no opening prefers another one, and the other places."""
    scores, first, near, ratios = score_vertices(shapes, log_background, table, at, usable=usable)
    node, best = scores.argmax(1), scores.max(1, initial=-np.inf)
    of = np.repeat(np.arange(len(at)), np.diff(first))
    ratio = ratios[np.arange(len(near)), node[of]]
    share = 1 / (1 + np.exp(-np.clip(ratio, -50, 50)))
    member = share > _MEMBER
    size = np.bincount(of[member], minlength=len(at))
    able = (size >= 2) & (best > 0)
    member &= able[of]
    of, near, share = of[member], near[member], share[member]
    # The rank makes ties impossible.
    rank = np.empty(len(at))
    rank[np.argsort(best, kind="stable")] = np.arange(len(at))
    greatest = np.full(len(shapes.x), -1.0)
    np.maximum.at(greatest, near, rank[of])
    beaten = coo_matrix((greatest[near] > rank[of], (of, near)), (len(at), len(shapes.x)))
    wins = able & (np.asarray(beaten.sum(1)).ravel() == 0)
    number = np.cumsum(wins) - 1
    own = wins[of]
    accepted = Vertices(at[wins], node[wins], best[wins], number[of[own]], near[own], share[own])
    return accepted, at[able & ~wins]


def _joined(parts: list[Vertices]) -> Vertices:
    """Return the vertices of several rounds as one, the best first."""
    none = np.empty(0, np.int64)
    if not parts:
        return Vertices(np.empty((0, 2)), none, np.empty(0), none, none, np.empty(0))
    start = np.cumsum([0, *(len(p.score) for p in parts)])
    score = np.concatenate([p.score for p in parts])
    order = np.argsort(-score, kind="stable")
    position = np.argsort(order)
    star = position[np.concatenate([p.star + s for p, s in zip(parts, start, strict=False)])]
    opening = np.concatenate([p.opening for p in parts])
    rows = np.lexsort((opening, star))
    return Vertices(
        np.concatenate([p.place for p in parts])[order],
        np.concatenate([p.depth_node for p in parts])[order],
        score[order],
        star[rows],
        opening[rows],
        np.concatenate([p.share for p in parts])[rows],
    )
