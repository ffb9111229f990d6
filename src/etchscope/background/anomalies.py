"""Where the pictures hold what neither the background nor a found pit explains.

The deviations of the residual in all lights are added up, and smoothed over the size of a pit: a χ²
per degree of freedom whose usual value is 1. How it varies on empty ground depends on the texture
of the foil. So it is measured: most peaks of the χ² are those of empty ground, and their quantiles,
the median over tiles, give the rate at which empty ground has a peak above any value, with an
exponential tail. On the ground of found pits, whose models are not perfect, it is measured
separately. The score is −log₁₀ of that rate: 0 where one place per tile is expected by accident, 1
where 0.1 is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from etchscope.background.residuals import Residual
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, FloatImage, Floats
from etchscope.imaging.deviations import add_deviations

__all__ = ["EmptyGround", "Peaks", "anomaly_chi2", "find_peaks", "fit_empty_ground", "list_places"]

_FIRST, _SECOND = 0.25, 0.6
"""Standard deviations of the two smoothings, in radii of a pit."""
_QUANTILES = (0.75, 0.95)
"""Quantiles of the peaks that give the tail."""
_LEAST_PEAKS = 60
"""Peaks of a tile from which its quantiles count."""


@dataclass(frozen=True)
class Peaks:
    """The peaks of the χ² of a tile.

    Attributes
    ----------
    x_px, y_px, chi2 : (n,) places and values.
    at_pit : (n,) whether each lies on the ground of a found pit.
    """

    x_px: Floats
    y_px: Floats
    chi2: Floats
    at_pit: Bools


@dataclass(frozen=True)
class EmptyGround:
    """How often ground with nothing on it has a peak above a value.

    Attributes
    ----------
    per_mpx : peaks per million pixels of empty ground, and of the ground of pits.
    start, width : χ² from which the tail is exponential, and its width, likewise.
    tiles : number of tiles that gave them.
    """

    per_mpx: tuple[float, float]
    start: tuple[float, float]
    width: tuple[float, float]
    tiles: int

    def score(self, chi2: FloatImage, at_pit: Bools, tile_px: float) -> FloatImage:
        """Return −log₁₀ of the expected number of accidental peaks per tile, of any shape.

        Parameters
        ----------
        chi2, at_pit : values, and whether each lies on the ground of a found pit.
        tile_px : pixels of a tile.
        """
        which = at_pit.astype(int)
        per, start, width = (np.array(v)[which] for v in (self.per_mpx, self.start, self.width))
        rate = np.log10(np.maximum(per * tile_px / 1e6 * (1 - _QUANTILES[0]), 1e-12))
        out = (chi2 - start) / width / np.log(10) - rate
        return np.asarray(out, np.float32)


def anomaly_chi2(
    residual: Residual, noise: Floats, radius_px: float, ground: Bools | None = None
) -> FloatImage:
    """Return the smoothed χ² per light of a residual, (y, x) float32; NaN where nothing is known.

    Parameters
    ----------
    residual : of a tile.
    noise : (channel,) standard deviation of the noise from pixel to pixel.
    radius_px : usual radius of a pit.
    ground : (y, x) where the tile shows foil; everywhere unless given.
    """
    known = np.ones(residual.pits.shape, bool) if ground is None else ground.copy()
    if not residual.is_modelled:
        known &= ~residual.pits
    if not known.any():
        return np.full(known.shape, np.nan, np.float32)
    first, second = (max(share * radius_px, 0.8) for share in (_FIRST, _SECOND))
    square = add_deviations(
        residual.pictures,
        noise,
        first,
        known=known,
        empty=known & ~residual.pits,
        error=residual.error,
    )
    near = cv2.GaussianBlur(known.astype(np.float32), (0, 0), second)
    out = cv2.GaussianBlur(square, (0, 0), second) / np.maximum(near, 1e-3)
    return np.where(known & (near > 0.5), out, np.nan).astype(np.float32)


def find_peaks(chi2: FloatImage, pits: Bools, radius_px: float) -> Peaks:
    """Return the local maxima of a χ², a pit's width apart.

    Parameters
    ----------
    chi2 : (y, x), see ``anomaly_chi2``.
    pits : (y, x) the ground of the found pits.
    radius_px : usual radius of a pit.
    """
    filled = np.nan_to_num(chi2, nan=-1.0)
    side = 2 * max(round(radius_px), 1) + 1
    top = cv2.dilate(filled, np.ones((side, side), np.uint8))
    is_peak = (filled == top) & (filled > 0)
    y, x = np.nonzero(is_peak)
    return Peaks(
        x.astype(np.float64), y.astype(np.float64), filled[y, x].astype(np.float64), pits[y, x]
    )


def fit_empty_ground(
    peaks: Sequence[Peaks], empty_px: Sequence[int], pit_px: Sequence[int]
) -> EmptyGround:
    """Return the rate of peaks on empty ground, and on the ground of pits, from some tiles.

    A quantile is the median over the tiles, so that dirty tiles do not decide. Where the pits of
    no tile have enough peaks, those of all tiles together count, or those of empty ground.

    Parameters
    ----------
    peaks : of each tile.
    empty_px, pit_px : pixels of empty ground and of the ground of pits on each tile.

    Raises
    ------
    BadInput : there is not enough empty ground.
    """
    fits: list[tuple[float, float, float]] = []
    for is_pit, area in ((False, empty_px), (True, pit_px)):
        values = [p.chi2[p.at_pit == is_pit] for p in peaks]
        enough = [v for v in values if len(v) >= _LEAST_PEAKS]
        if not enough:
            enough = [np.concatenate([*values, np.zeros(0)])]
        if len(enough[0]) < _LEAST_PEAKS:
            if not is_pit:
                found = f"{len(enough[0])} peaks of the residual"
                expected = f"at least {_LEAST_PEAKS} on ground without pits"
                raise BadInput("anomalies", expected, found, "Give more tiles, or larger ones.")
            fits.append(fits[0])
            continue
        low, high = np.median([np.quantile(v, _QUANTILES) for v in enough], axis=0).tolist()
        shares = np.log((1 - _QUANTILES[0]) / (1 - _QUANTILES[1]))
        density = 1e6 * sum(map(len, values)) / max(sum(area), 1)
        fits.append((density, low, max(float((high - low) / shares), 1e-6)))
    (a, b, c), (d, e, f) = fits
    return EmptyGround((a, d), (b, e), (c, f), len(peaks))


def list_places(
    score: FloatImage, pits: Bools, least: float, radius_px: float = 0.0
) -> pd.DataFrame:
    """Return the places whose score is at least so high, the best first.

    A place is a region without wide gaps; it lies where its score is greatest.

    Parameters
    ----------
    score : (y, x), NaN where nothing is known.
    pits : (y, x) the ground of the found pits.
    least : least score of a place.
    radius_px : widest gap in a place.

    Returns
    -------
    Columns ``x_px, y_px, score, expected_per_tile, area_px, at_pit``, one row for each place:
    ``expected_per_tile`` is the number of places of at least this score that empty ground has.
    """
    filled = np.nan_to_num(score, nan=-np.inf)
    above = (filled >= least).astype(np.uint8)
    wide = cv2.dilate(above, np.ones((2 * round(radius_px / 2) + 1,) * 2, np.uint8))
    labels = cv2.connectedComponents(wide, connectivity=8)[1] * above
    area = np.bincount(labels.ravel())
    order = np.argsort(filled, axis=None, kind="stable")[::-1]
    order = order[: int(above.sum())]
    of, first = np.unique(labels.ravel()[order], return_index=True)
    at = order[first]
    y, x = np.divmod(at, score.shape[1])
    table = pd.DataFrame(
        {
            "x_px": x.astype(np.float64),
            "y_px": y.astype(np.float64),
            "score": filled.ravel()[at].astype(np.float64),
            "expected_per_tile": 10.0 ** -filled.ravel()[at].astype(np.float64),
            "area_px": area[of].astype(np.int64),
            "at_pit": pits.ravel()[at],
        }
    )
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
