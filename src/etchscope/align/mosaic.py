"""The errors of the stage, tile by tile, from the pits that two neighbouring tiles saw.

The same pit stands in two tiles' pictures; what its two places differ by is the difference of the
two tiles' errors. Many such differences give every tile its correction by least squares, in which
a tile without any stays where the stage says.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, diags_array, vstack
from scipy.sparse.linalg import lsqr
from scipy.spatial import KDTree

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints

__all__ = ["Mosaic", "are_uncut", "find_copies", "solve_mosaic"]

_ROUNDS = 10
_FREEDOM = 4.0  # of the t distribution of the copies' differences
_UNRELATED = 0.1  # unrelated pits within reach of a pit, at most
_FEWEST = 3  # copies; fewer say nothing


@dataclass(frozen=True)
class Mosaic:
    """Corrections of the tiles, that make the copies of pits in overlaps agree.

    Parameters
    ----------
    tile : (k,) numbers of the tiles, rising.
    shift_mm : (k, 2) to be added to the places of a tile's pits; about 0 on average.
    pairs : copies that were used.
    before_mm, after_mm : median distance of two copies, as the stage has it and corrected; NaN
        without a copy.
    stage_mm, pit_mm : standard deviation, along one axis, of a tile's error and of a pit's place
        in its picture, as the copies tell them apart.
    """

    tile: Ints
    shift_mm: Floats
    pairs: int
    before_mm: float
    after_mm: float
    stage_mm: float
    pit_mm: float

    def correct(self, xy_mm: ArrayLike, tile: ArrayLike) -> Floats:
        """Return (n, 2) places with their tiles' corrections; unknown tiles have none."""
        xy, numbers = np.asarray(xy_mm, float).reshape(-1, 2), np.asarray(tile, np.int64)
        if not len(self.tile):
            return xy.copy()
        at = np.clip(np.searchsorted(self.tile, numbers), 0, len(self.tile) - 1)
        known = self.tile[at] == numbers
        return np.asarray(xy + np.where(known[:, None], self.shift_mm[at], 0.0))

    def table(self) -> pd.DataFrame:
        """Return one row a tile: ``tile, dx_mm, dy_mm``."""
        x, y = self.shift_mm.T
        return pd.DataFrame({"tile": self.tile, "dx_mm": x, "dy_mm": y})

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON, without the corrections; null where there is no copy."""
        lengths = {
            "before_um": self.before_mm,
            "after_um": self.after_mm,
            "stage_um": self.stage_mm,
            "pit_um": self.pit_mm,
        }
        known = {n: 1000 * mm if np.isfinite(mm) else None for n, mm in lengths.items()}
        return {"pairs": self.pairs, **known}


def find_copies(xy_mm: Floats, tile: Ints, reach_mm: float) -> Ints:
    """Return (k, 2) rows that are each other's nearest of another tile, and within reach.

    Parameters
    ----------
    xy_mm : (n, 2); tile : (n,) the tile of each.
    reach_mm : a few stage errors; unrelated pits nearer than that pass for copies.
    """
    if len(xy_mm) < 2:
        return np.zeros((0, 2), np.int64)
    pairs = KDTree(xy_mm).query_pairs(reach_mm, output_type="ndarray")
    pairs = pairs[tile[pairs[:, 0]] != tile[pairs[:, 1]]]
    apart = np.hypot(*(xy_mm[pairs[:, 0]] - xy_mm[pairs[:, 1]]).T)
    # A pit in a corner has a copy in each of four tiles: nearest of each tile, not of all.
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    order = np.lexsort((np.tile(apart, 2), tile[ends[:, 1]], ends[:, 0]))
    first = np.unique(
        np.column_stack([ends[order, 0], tile[ends[order, 1]]]), axis=0, return_index=True
    )[1]
    best = ends[order[first]]
    both = np.concatenate([best, best[:, ::-1]])
    mutual, count = np.unique(both, axis=0, return_counts=True)
    chosen = mutual[(count == 2) & (mutual[:, 0] < mutual[:, 1])]
    return np.asarray(chosen, np.int64)


def solve_mosaic(
    xy_mm: ArrayLike, tile: ArrayLike, whole: ArrayLike | None = None, *, reach_mm: float = 0.1
) -> Mosaic:
    """Return the corrections of the tiles of one scan.

    Least squares of copies' distances with, for every tile, a correction of 0 ± ``stage_mm``: what
    a tile's few copies cannot tell from the errors of pits is not corrected. The ratio of the two
    errors is that under which the copies' distances are most probable (the evidence; D. J. C.
    MacKay, Neural Computation 4 (1992) 415, by its fixed-point iteration).

    Parameters
    ----------
    xy_mm : (n, 2) places as the stage has them.
    tile : (n,) number of the tile of each.
    whole : (n, 2) bool, whether the opening's x and y are not those of one that the tile's edge
        cuts; see ``are_uncut``. Where a copy is cut only the other coordinate counts, because the
        centre of what is left lies too far inside by some pixels, always the same way.
    reach_mm : copies are nearer than that, 15 px of the reference scan; and where pits are dense,
        so near that a tenth of them have an unrelated one there.

    Raises
    ------
    BadInput : places and tiles of different numbers, or a place that is not finite.
    """
    xy, numbers = np.asarray(xy_mm, float).reshape(-1, 2), np.asarray(tile, np.int64)
    if len(xy) != len(numbers) or not np.isfinite(xy).all():
        found = f"{len(xy)} places and {len(numbers)} tiles, or a place that is not finite"
        raise BadInput("mosaic", "a finite place and a tile for each pit", found)
    is_whole = np.ones((len(xy), 2), bool) if whole is None else np.asarray(whole, bool)
    known, of = np.unique(numbers, return_inverse=True)
    area = float(np.prod(np.ptp(xy, axis=0))) if len(xy) else 0.0
    reach = min(reach_mm, float(np.sqrt(_UNRELATED * area / (np.pi * max(len(xy), 1)))))
    pairs = find_copies(xy, numbers, reach)
    shift, error = np.zeros((len(known), 2)), np.full((2, 2), np.nan)
    for last in (False, True):  # what is a copy of what shows better once the errors are known
        for axis in (0, 1):
            usable = pairs[is_whole[pairs, axis].all(axis=1)]
            if len(usable) >= _FEWEST:
                difference = xy[usable[:, 1], axis] - xy[usable[:, 0], axis]
                shift[:, axis], *error[axis] = _solved(of[usable], len(known), difference)
        if not last:
            pairs = find_copies(xy + shift[of], numbers, reach)
    told = [np.median(np.hypot(*d.T)) if len(d) else np.nan for d in _apart(xy, of, shift, pairs)]
    stage, pit = np.sqrt((error**2).mean(axis=0)).tolist()
    return Mosaic(known, shift, len(pairs), float(told[0]), float(told[1]), stage, pit)


def are_uncut(
    x_px: ArrayLike, y_px: ArrayLike, image_size: tuple[int, int], radius_px: float
) -> Bools:
    """Return (n, 2) whether x, and whether y, are those of openings that no edge of the tile cuts.

    Parameters
    ----------
    x_px, y_px : (n,) in the tile; ``image_size`` : (height, width).
    radius_px : of an opening; nearer to an edge it is cut.
    """
    height, width = image_size
    x, y = np.asarray(x_px, float), np.asarray(y_px, float)
    return np.column_stack(
        [np.minimum(x, width - 1 - x) >= radius_px, np.minimum(y, height - 1 - y) >= radius_px]
    )


def _apart(xy: Floats, of: Ints, shift: Floats, pairs: Ints) -> tuple[Floats, Floats]:
    """Return the differences of copies, before and after the correction."""
    i, j = pairs.T
    before = xy[j] - xy[i]
    return before, before + shift[of[j]] - shift[of[i]]


def _solved(ends: Ints, tiles: int, difference: Floats) -> tuple[Floats, float, float]:
    """Return one coordinate's corrections, and the errors of tiles and of pits."""
    n = len(ends)
    rows = np.arange(n)
    design = coo_array(
        (np.repeat([1.0, -1.0], n), (np.tile(rows, 2), ends.T.ravel())), shape=(n, tiles)
    ).tocsr()
    shift, weight, stage, pit, ratio = np.zeros(tiles), np.ones(n), 0.0, 0.0, 1.0
    for _ in range(_ROUNDS):
        ridge = 2 * ratio**2  # two pits err in a difference, one tile in a correction
        scaled = diags_array(np.sqrt(weight)) @ design
        whole = vstack([scaled, diags_array(np.full(tiles, np.sqrt(ridge)))]).tocsr()
        aim = np.append(np.sqrt(weight) * difference, np.zeros(tiles))
        shift = lsqr(whole, aim, atol=1e-10, btol=1e-10)[0]
        # The tiles' share in what is fitted, from the diagonal alone: a tile has few neighbours.
        own = (scaled**2).sum(axis=0)
        free = float((own / (own + ridge)).sum())
        left = difference - design @ shift
        variance = max(float((weight * left**2).sum()) / max(n - free, 1.0), 1e-18)
        # Unrelated pits that pass for copies: Student's t, by expectation and maximisation.
        weight = (_FREEDOM + 1) / (_FREEDOM + left**2 / variance)
        pit = np.sqrt(variance / 2)
        stage = np.sqrt(float((shift**2).sum()) / max(free, 1e-9))
        ratio = float(np.clip(pit / max(stage, 1e-9), 0.05, 20.0))
    return shift, float(stage), float(pit)
