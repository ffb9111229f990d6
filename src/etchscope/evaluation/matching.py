"""Match found points with true ones: one to one, or each with its nearest."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching
from scipy.spatial import KDTree

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints

__all__ = ["Matching", "Rule", "match", "match_nearest", "match_one_to_one"]

Rule = Literal["one-to-one", "nearest"]

# A component of up to this many truth × found pairs is solved as a dense matrix (8 MB), a larger
# one as a sparse one: SciPy's dense solver is faster, and the sparse one needs memory for edges
# only.
_DENSE_CELLS = 1_000_000

_LARGEST = 1e100
"""Bound of places and of the tolerance, whose squares must be numbers."""


@dataclass(frozen=True)
class Matching:
    """The matched pairs: which truths were found, and which found points are true.

    Parameters
    ----------
    truth_index, found_index : (k,) int64, the matched pairs, in the order of the truths. Under
        the rule ``nearest`` a found point may stand in several pairs.
    truth_hit : (n,) bool, whether the truth has a match.
    found_hit : (m,) bool, whether the found point has a match.
    """

    truth_index: Ints
    found_index: Ints
    truth_hit: Bools
    found_hit: Bools

    @property
    def true_pos(self) -> int:
        """Number of truths with a match."""
        return int(self.truth_hit.sum())

    @property
    def false_neg(self) -> int:
        """Number of truths without a match."""
        return len(self.truth_hit) - self.true_pos

    @property
    def false_pos(self) -> int:
        """Number of found points without a match."""
        return int((~self.found_hit).sum())

    @property
    def efficiency(self) -> float:
        """true_pos / (true_pos + false_neg), also called recall; NaN without a truth."""
        return _ratio(self.true_pos, self.true_pos + self.false_neg)

    @property
    def purity(self) -> float:
        """true_pos / (true_pos + false_pos), also called precision; NaN where both are 0."""
        return _ratio(self.true_pos, self.true_pos + self.false_pos)


def match(
    truth_xy: ArrayLike,
    found_xy: ArrayLike,
    tolerance: float,
    *,
    rule: Rule,
    truth_group: ArrayLike | None = None,
    found_group: ArrayLike | None = None,
) -> Matching:
    """Return the matching under a rule; see ``match_one_to_one`` and ``match_nearest``.

    Parameters
    ----------
    truth_xy, found_xy, tolerance, truth_group, found_group : see ``match_one_to_one``.
    rule : one-to-one or nearest.

    Raises
    ------
    BadInput : the rule is unknown; or see ``match_one_to_one``.
    """
    if rule not in ("one-to-one", "nearest"):
        raise BadInput("rule", "one-to-one or nearest", repr(rule))
    matcher = match_one_to_one if rule == "one-to-one" else match_nearest
    return matcher(truth_xy, found_xy, tolerance, truth_group=truth_group, found_group=found_group)


def match_one_to_one(
    truth_xy: ArrayLike,
    found_xy: ArrayLike,
    tolerance: float,
    *,
    truth_group: ArrayLike | None = None,
    found_group: ArrayLike | None = None,
) -> Matching:
    """Return the best one-to-one matching of points strictly closer than ``tolerance``.

    The best matching has the greatest number of matches, and among those the least sum of squared
    distances. Close pairs come from a KD-tree and are solved in connected components, so memory
    grows with the number of close pairs and not with n × m.

    Parameters
    ----------
    truth_xy, found_xy : (n, 2) and (m, 2) finite points of one frame and unit.
    tolerance : in the unit of the points, above 0.
    truth_group, found_group : (n,) and (m,) integers, for example the tile; only points of the
        same group match. Both lists have groups, or neither has.

    Raises
    ------
    BadInput : wrong shapes, a coordinate that is not finite, a tolerance that is not positive.

    Examples
    --------
    >>> match_one_to_one([[0, 0], [4, 0]], [[3, 0], [90, 0]], 6).truth_index.tolist()
    [1]
    """
    truth, found = _points(truth_xy, found_xy, tolerance, truth_group, found_group)
    i, j, cost = _close_pairs(truth, found, tolerance)
    chosen = _assign(i, j, cost, len(truth), len(found), tolerance)
    order = chosen[np.argsort(i[chosen], kind="stable")]
    truth_hit, found_hit = np.zeros(len(truth), bool), np.zeros(len(found), bool)
    truth_hit[i[order]], found_hit[j[order]] = True, True
    return Matching(i[order], j[order], truth_hit, found_hit)


def match_nearest(
    truth_xy: ArrayLike,
    found_xy: ArrayLike,
    tolerance: float,
    *,
    truth_group: ArrayLike | None = None,
    found_group: ArrayLike | None = None,
) -> Matching:
    """Return the matching of each point with its nearest one strictly closer than ``tolerance``.

    This is the rule of the published reference counts: ``true_pos`` and ``false_neg`` count truths
    with and without a found point within the tolerance, ``false_pos`` found points without a truth.
    It is not one-to-one: a pit that is listed twice is not counted as false.

    Parameters
    ----------
    truth_xy, found_xy, tolerance, truth_group, found_group : see ``match_one_to_one``.

    Raises
    ------
    BadInput : see ``match_one_to_one``.

    Examples
    --------
    >>> twice = match_nearest([[0, 0]], [[3, 0], [0, 4]], 6)
    >>> twice.true_pos, twice.false_pos
    (1, 0)
    """
    truth, found = _points(truth_xy, found_xy, tolerance, truth_group, found_group)
    nearest, truth_hit = _nearest(truth, found, tolerance)
    _, found_hit = _nearest(found, truth, tolerance)
    hits = np.flatnonzero(truth_hit)
    return Matching(hits, nearest[hits], truth_hit, found_hit)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _points(
    truth_xy: ArrayLike,
    found_xy: ArrayLike,
    tolerance: float,
    truth_group: ArrayLike | None,
    found_group: ArrayLike | None,
) -> tuple[Floats, Floats]:
    """Return both lists as (n, 3); the third coordinate keeps groups far apart."""
    if not 0 < tolerance < _LARGEST:
        expected = f"a positive number below {_LARGEST:g}"
        raise BadInput("tolerance", expected, f"{tolerance}")
    if (truth_group is None) != (found_group is None):
        raise BadInput("groups", "one for both lists or for neither", "one list's only")
    groups = [np.asarray(g).ravel() for g in (truth_group, found_group) if g is not None]
    codes = np.unique(np.concatenate(groups), return_inverse=True)[1] if groups else None
    out: list[Floats] = []
    start = 0
    for name, given in (("truth", truth_xy), ("found", found_xy)):
        xy = np.asarray(given, float)
        xy = xy.reshape(-1, 2) if xy.size == 0 else xy
        if xy.ndim != 2 or xy.shape[1] != 2:
            raise BadInput(f"{name} points", "an (n, 2) array", f"shape {xy.shape}")
        if not np.isfinite(xy).all():
            raise BadInput(f"{name} points", "finite coordinates", "NaN or infinity")
        if xy.size and np.abs(xy).max() >= _LARGEST:
            largest = f"{np.abs(xy).max():g}"
            raise BadInput(f"{name} points", f"coordinates below {_LARGEST:g}", largest)
        if groups and len(groups[len(out)]) != len(xy):
            raise BadInput(f"{name} groups", f"{len(xy)} values", f"{len(groups[len(out)])}")
        z = np.zeros(len(xy)) if codes is None else codes[start : start + len(xy)] * 4 * tolerance
        start += len(xy)
        out.append(np.column_stack([xy, z]))
    return out[0], out[1]


def _nearest(points: Floats, others: Floats, tolerance: float) -> tuple[Ints, Bools]:
    """Return for each point the index of its nearest other, and whether that is close enough."""
    if not len(points) or not len(others):
        return np.zeros(len(points), np.int64), np.zeros(len(points), bool)
    distance, index = KDTree(others).query(points, k=1)
    return index.astype(np.int64), distance < tolerance


def _close_pairs(truth: Floats, found: Floats, tolerance: float) -> tuple[Ints, Ints, Floats]:
    """Return indices and squared distances of all pairs strictly closer than the tolerance."""
    if not len(truth) or not len(found):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    pairs = KDTree(truth).sparse_distance_matrix(KDTree(found), tolerance, output_type="ndarray")
    pairs = np.sort(pairs[pairs["v"] < tolerance], order=["i", "j"])
    return pairs["i"].astype(np.int64), pairs["j"].astype(np.int64), pairs["v"] ** 2


def _assign(i: Ints, j: Ints, cost: Floats, n: int, m: int, tolerance: float) -> Ints:
    """Return the indices of the chosen edges, one connected component at a time."""
    graph = coo_array((np.ones(len(i), bool), (i, n + j)), shape=(n + m, n + m))
    component = connected_components(graph, directed=False)[1][i]
    order = np.argsort(component, kind="stable")
    starts = np.flatnonzero(np.diff(component[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    chosen = [order[starts[sizes == 1]]]
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        edges = order[start : start + size]
        chosen.append(edges[_assign_component(i[edges], j[edges], cost[edges], tolerance)])
    return np.concatenate(chosen)


def _assign_component(i: Ints, j: Ints, cost: Floats, tolerance: float) -> Ints:
    rows, row = np.unique(i, return_inverse=True)
    columns, column = np.unique(j, return_inverse=True)
    n, m = len(rows), len(columns)
    # An unmatched point costs more than all the squared distances together can save.
    unmatched = (min(n, m) + 1) * tolerance**2
    if n * m <= _DENSE_CELLS:
        table = np.full((n, m), unmatched)
        edge = np.full((n, m), -1)
        table[row, column], edge[row, column] = cost, np.arange(len(cost))
        picked: Ints = edge[linear_sum_assignment(table)]
        return picked[picked >= 0]
    # Every truth gets a column of its own in which it stays unmatched, so that a full matching
    # exists. tolerance² is added to each edge, because an edge of cost 0 would count as no edge.
    offset = tolerance**2
    table = coo_array(
        (
            np.concatenate([cost + offset, np.full(n, unmatched + offset)]),
            (np.concatenate([row, np.arange(n)]), np.concatenate([column, m + np.arange(n)])),
        ),
        shape=(n, m + n),
    ).tocsr()
    to_rows, to_columns = min_weight_full_bipartite_matching(table)
    taken = np.full(n, -1)
    taken[to_rows] = to_columns
    return np.flatnonzero(taken[row] == column)
