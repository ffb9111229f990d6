"""The position error of the stage for every tile, from pits that two neighbouring tiles show.

The difference between the two places of such a pit is the difference of the errors of the two
tiles. A least-squares fit to many differences gives the correction of each tile. A tile without
such pits keeps the position that the stage states.
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

_ROUNDS = 10  # iterations of the fit
_FREEDOM = 4.0  # degrees of freedom of the t distribution of the differences
_UNRELATED = 0.1  # greatest expected number of unrelated pits within reach of a pit
_FEWEST = 3  # least number of copies for a fit


@dataclass(frozen=True)
class Mosaic:
    """The corrections of the tiles of a scan, which make the copies of pits in overlaps agree.

    Attributes
    ----------
    tile : (k,) int64 numbers of the tiles, ascending.
    shift_mm : (k, 2) float64 correction to be added to the places of the pits of each tile.
    pairs : number of pairs of copies.
    before_mm, after_mm : median distance of two copies before and after the correction; NaN without
        a copy.
    stage_mm, pit_mm : standard deviation along one axis of the position of a tile, and of the place
        of a pit in its picture.
    """

    tile: Ints
    shift_mm: Floats
    pairs: int
    before_mm: float
    after_mm: float
    stage_mm: float
    pit_mm: float

    def correct(self, xy_mm: ArrayLike, tile: ArrayLike) -> Floats:
        """Return corrected places, (n, 2) float64; unknown tiles have no correction.

        Parameters
        ----------
        xy_mm : (n, 2) places as the stage states them.
        tile : (n,) number of the tile of each.
        """
        xy, numbers = np.asarray(xy_mm, float).reshape(-1, 2), np.asarray(tile, np.int64)
        if not len(self.tile):
            return xy.copy()
        at = np.clip(np.searchsorted(self.tile, numbers), 0, len(self.tile) - 1)
        known = self.tile[at] == numbers
        return np.asarray(xy + np.where(known[:, None], self.shift_mm[at], 0.0))

    def table(self) -> pd.DataFrame:
        """Return a table with the columns ``tile, dx_mm, dy_mm``."""
        x, y = self.shift_mm.T
        return pd.DataFrame({"tile": self.tile, "dx_mm": x, "dy_mm": y})

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON without the corrections, with null instead of NaN."""
        lengths = {
            "before_um": self.before_mm,
            "after_um": self.after_mm,
            "stage_um": self.stage_mm,
            "pit_um": self.pit_mm,
        }
        known = {n: 1000 * mm if np.isfinite(mm) else None for n, mm in lengths.items()}
        return {"pairs": self.pairs, **known}


def find_copies(xy_mm: Floats, tile: Ints, reach_mm: float) -> Ints:
    """Return pairs of rows that are each other's nearest in their tiles and within reach.

    Parameters
    ----------
    xy_mm : (n, 2) places.
    tile : (n,) number of the tile of each.
    reach_mm : greatest distance of two copies. It should be a few times the error of the stage,
        because unrelated pits within reach are taken for copies.

    Returns
    -------
    (k, 2) int64.
    """
    if len(xy_mm) < 2:
        return np.zeros((0, 2), np.int64)
    pairs = KDTree(xy_mm).query_pairs(reach_mm, output_type="ndarray")
    pairs = pairs[tile[pairs[:, 0]] != tile[pairs[:, 1]]]
    apart = np.hypot(*(xy_mm[pairs[:, 0]] - xy_mm[pairs[:, 1]]).T)
    # A pit in a corner has a copy in each of four tiles, so the nearest of each tile is found.
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

    The distances of copies are minimised by least squares, with the prior that the correction of a
    tile is 0 ± ``stage_mm``, so that a tile with few copies is not corrected for the errors of its
    pits. The ratio of the two errors is that for which the distances are most probable (the
    evidence; D. J. C. MacKay, Neural Computation 4 (1992) 415, by its fixed-point iteration).

    Parameters
    ----------
    xy_mm : (n, 2) places as the stage states them.
    tile : (n,) number of the tile of each.
    whole : (n, 2) bool, whether x and y of the centre can be used, see ``are_uncut``; by default
        all can. If an edge cuts an opening, only the other coordinate counts, because the centre of
        the visible part lies too far inside by some pixels.
    reach_mm : greatest distance of two copies; the default is 15 px of the reference scan. Where
        pits are dense it is reduced until a tenth of them have an unrelated pit within reach.

    Raises
    ------
    BadInput : the numbers of places and tiles differ, or a place is not finite.
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
    for last in (False, True):  # copies are found more reliably once the errors are known
        for axis in (0, 1):
            usable = pairs[is_whole[pairs, axis].all(axis=1)]
            if len(usable) >= _FEWEST:
                difference = xy[usable[:, 1], axis] - xy[usable[:, 0], axis]
                shift[:, axis], *error[axis] = _solved(of[usable], len(known), difference)
        if not last:
            pairs = find_copies(xy + shift[of], numbers, reach)
    before, after = (
        float(np.median(np.hypot(*d.T))) if len(d) else np.nan for d in _apart(xy, of, shift, pairs)
    )
    stage, pit = np.sqrt((error**2).mean(axis=0)).tolist()
    return Mosaic(known, shift, len(pairs), before, after, stage, pit)


def are_uncut(
    x_px: ArrayLike, y_px: ArrayLike, image_size: tuple[int, int], radius_px: float
) -> Bools:
    """Return whether no edge of the tile cuts openings along x, and along y, (n, 2) bool.

    Parameters
    ----------
    x_px, y_px : (n,) centres in the tile in pixels.
    image_size : (height, width) of the tile in pixels.
    radius_px : radius of an opening; nearer to an edge it is cut.
    """
    height, width = image_size
    x, y = np.asarray(x_px, float), np.asarray(y_px, float)
    return np.column_stack(
        [np.minimum(x, width - 1 - x) >= radius_px, np.minimum(y, height - 1 - y) >= radius_px]
    )


def _apart(xy: Floats, of: Ints, shift: Floats, pairs: Ints) -> tuple[Floats, Floats]:
    """Return the differences of copies before and after the correction, each (k, 2)."""
    i, j = pairs.T
    before = xy[j] - xy[i]
    return before, before + shift[of[j]] - shift[of[i]]


def _solved(ends: Ints, tiles: int, difference: Floats) -> tuple[Floats, float, float]:
    """Return the corrections of one coordinate, (tile,), and the errors of tiles and of pits."""
    n = len(ends)
    rows = np.arange(n)
    design = coo_array(
        (np.repeat([1.0, -1.0], n), (np.tile(rows, 2), ends.T.ravel())), shape=(n, tiles)
    ).tocsr()
    shift, weight, stage, pit, ratio = np.zeros(tiles), np.ones(n), 0.0, 0.0, 1.0
    for _ in range(_ROUNDS):
        ridge = 2 * ratio**2  # a difference has the errors of two pits, a correction of one tile
        scaled = diags_array(np.sqrt(weight)) @ design
        whole = vstack([scaled, diags_array(np.full(tiles, np.sqrt(ridge)))]).tocsr()
        aim = np.append(np.sqrt(weight) * difference, np.zeros(tiles))
        shift = lsqr(whole, aim, atol=1e-10, btol=1e-10)[0]
        # The effective number of parameters. The diagonal suffices, as a tile has few neighbours.
        own = (scaled**2).sum(axis=0)
        free = float((own / (own + ridge)).sum())
        left = difference - design @ shift
        variance = max(float((weight * left**2).sum()) / max(n - free, 1.0), 1e-18)
        # Student's t distribution allows for unrelated pits that were taken for copies; its weights
        # come from expectation and maximisation.
        weight = (_FREEDOM + 1) / (_FREEDOM + left**2 / variance)
        pit = np.sqrt(variance / 2)
        stage = np.sqrt(float((shift**2).sum()) / max(free, 1e-9))
        ratio = float(np.clip(pit / max(stage, 1e-9), 0.05, 20.0))
    return shift, float(stage), float(pit)
