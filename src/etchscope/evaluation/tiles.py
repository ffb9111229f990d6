"""Intervals over tiles: false finds come in groups, so the bootstrap draws tiles and not finds.

An interval that takes finds as independent is too narrow by about the root of χ²/ndf of their
numbers per tile, see ``overdispersion``.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, t

from etchscope.evaluation.intervals import Proportion, poisson_interval, proportion
from etchscope.foil import BadInput
from etchscope.foil.types import Floats, Ints

__all__ = [
    "draw_tiles",
    "expanded_interval",
    "format_chi2",
    "number_cells",
    "overdispersion",
    "proportion_over_tiles",
    "rate_over_tiles",
    "ratio_over_tiles",
]

_DRAWS = 2000
_SEED = 0


def overdispersion(counts: ArrayLike, exposure: ArrayLike | None = None) -> float:
    """Return χ²/ndf of counts per tile against one rate for all tiles; 1 if they are independent.

    Σ (k − λe)²/(λe) / (n − 1), λ = Σk/Σe (R. A. Fisher, Statistical Methods for Research Workers
    (1925), § 16, the index of dispersion).

    Parameters
    ----------
    counts : (n,) at least 0.
    exposure : (n,) searched share of each tile, at least 0; by default equal for all. Tiles with
        exposure 0 do not count.

    Returns
    -------
    A number of at least 0; NaN for fewer than two tiles, or if all counts are 0.

    Raises
    ------
    BadInput : as many exposures as counts are needed, and no value may be negative.

    Examples
    --------
    >>> overdispersion([4, 6, 5, 5]) < 1 < overdispersion([0, 0, 20, 0])
    True
    """
    k, e = _checked(counts, 1.0 if exposure is None else exposure)
    k, e = k[e > 0], e[e > 0]
    if len(k) < 2 or not k.sum():
        return float("nan")
    mean = k.sum() / e.sum() * e
    return float(((k - mean) ** 2 / mean).sum() / (len(k) - 1))


def format_chi2(chi2_ndf: float) -> str:
    """Return χ²/ndf as text.

    Parameters
    ----------
    chi2_ndf : see ``overdispersion``.

    Examples
    --------
    >>> format_chi2(13.62), format_chi2(float("nan"))
    ('χ²/ndf 13.6', 'χ²/ndf undefined')
    """
    return f"χ²/ndf {chi2_ndf:.3g}" if np.isfinite(chi2_ndf) else "χ²/ndf undefined"


def draw_tiles(rng: np.random.Generator, tiles: int, draws: int) -> Floats:
    """Return how often each tile is drawn, with replacement, (draws, tiles) float64.

    Parameters
    ----------
    rng : source of the random numbers.
    tiles, draws : their numbers.
    """
    picks = rng.integers(0, tiles, (draws, tiles)) + tiles * np.arange(draws)[:, None]
    times = np.bincount(picks.ravel(), minlength=draws * tiles)
    return times.reshape(draws, tiles).astype(np.float64)


def expanded_interval(
    drawn: Floats, tiles: int, *, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Return percentiles of the results of draws, at levels that correct for few tiles.

    The levels are Φ(−√(n/(n − 1)) t) instead of half the rest, t the quantile of Student's
    distribution of n − 1 degrees of freedom (T. C. Hesterberg, The American Statistician 69 (2015)
    371, the expanded percentile interval).

    Parameters
    ----------
    drawn : (draws, k) results. Those that are not finite, as ratios to 0, are left out.
    tiles : n, the number of tiles.
    confidence : in (0, 1).

    Returns
    -------
    Low and high, (k,); NaN for fewer than two tiles, which have no spread, or without a result.

    Examples
    --------
    >>> drawn = np.arange(1001.0)[:, None]
    >>> [np.ravel(expanded_interval(drawn, n)).round().tolist() for n in (5, 60)]
    [[1.0, 999.0], [22.0, 978.0]]
    """
    low, high = np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    finite = np.isfinite(drawn)
    some = finite.any(axis=0)
    if tiles < 2 or not some.any():
        return low, high
    tail = norm.cdf(-np.sqrt(tiles / (tiles - 1)) * t.ppf((1 + confidence) / 2, tiles - 1))
    if finite.all():
        low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    else:  # slower
        known = np.where(finite, drawn, np.nan)[:, some]
        low[some], high[some] = np.nanquantile(known, [tail, 1 - tail], axis=0)
    return low, high


def ratio_over_tiles(
    numerator: ArrayLike, denominator: ArrayLike, *, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Return the interval of Σ numerator / Σ denominator by a bootstrap over tiles.

    As many tiles as there are are drawn with replacement, 2,000 times from a fixed seed; the bounds
    are percentiles of the ratio, see ``expanded_interval``.

    Parameters
    ----------
    numerator, denominator : (n,), or (n, k) for k ratios of the same tiles; at least 0. Tiles
        where both are 0 are left out.
    confidence : in (0, 1).

    Returns
    -------
    Low and high, (k,), or (1,) of vectors; NaN for fewer than two tiles, which have no spread. The
    interval has no width if all tiles agree; for instance it is [0, 0] if there is no count.
    ``proportion_over_tiles`` and ``rate_over_tiles`` are never narrower than the exact intervals.

    Raises
    ------
    BadInput : arrays of different lengths, negative values, or a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise BadInput("confidence", "a number between 0 and 1", f"{confidence}")
    above, below = (v[:, None] if v.ndim == 1 else v for v in _checked(numerator, denominator))
    own = ((above > 0) | (below > 0)).any(axis=1)
    above, below = above[own], below[own]
    if len(above) < 2:
        return np.full(above.shape[1], np.nan), np.full(above.shape[1], np.nan)
    times = draw_tiles(np.random.default_rng(_SEED), len(above), _DRAWS)
    whole = times @ below
    drawn = np.divide(times @ above, whole, where=whole > 0, out=np.full(whole.shape, np.nan))
    return expanded_interval(drawn, len(above), confidence=confidence)


def proportion_over_tiles(
    successes: ArrayLike, trials: ArrayLike, *, confidence: float = 0.95
) -> Proportion:
    """Return a proportion with an interval over tiles, never narrower than the exact one.

    For one tile, or if all tiles agree (as without any success), it is the Clopper–Pearson interval
    of independent trials.

    Parameters
    ----------
    successes, trials : (n,) of each tile, with no more successes than trials in total.
    confidence : of the interval, in (0, 1).

    Raises
    ------
    BadInput : see ``ratio_over_tiles`` and ``proportion``.

    Examples
    --------
    >>> print(proportion_over_tiles([9, 9, 9, 9], [10, 10, 10, 10]))
    90.0 % [76.3, 97.2]
    >>> print(proportion_over_tiles([10, 10, 10, 6], [10, 10, 10, 10]))
    90.0 % [60.0, 100.0]
    """
    k, n = (np.asarray(v) for v in (successes, trials))
    exact = proportion(k.sum().item(), n.sum().item(), confidence=confidence)
    (low,), (high,) = ratio_over_tiles(k, n, confidence=confidence)
    wide = float(np.fmin(exact.low, low)), float(np.clip(np.fmax(exact.high, high), None, 1))
    return Proportion(exact.successes, exact.trials, exact.value, *wide, confidence)


def rate_over_tiles(
    counts: ArrayLike, exposure: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return Σ counts / Σ exposure with an interval over tiles, never narrower than the exact one.

    For one tile, or if all tiles agree (as without any count), it is Garwood's interval of
    independent counts, see ``poisson_interval``.

    Parameters
    ----------
    counts : (n,) whole numbers.
    exposure : (n,) searched share of each tile; not all 0.
    confidence : of the interval, in (0, 1).

    Returns
    -------
    Value, low and high.

    Raises
    ------
    BadInput : see ``ratio_over_tiles``.
    """
    k, e = _checked(counts, exposure)
    whole = float(e.sum())
    low, high = (v / whole for v in poisson_interval(int(k.sum()), confidence=confidence))
    (lower,), (higher,) = ratio_over_tiles(k, e, confidence=confidence)
    return float(k.sum()) / whole, float(np.fmin(low, lower)), float(np.fmax(high, higher))


def number_cells(xy: ArrayLike, size: tuple[float, float]) -> Ints:
    """Return the cell of each point as a number, for foils whose tiles are unknown.

    The box around all points is cut into equal cells of about ``size``.

    Parameters
    ----------
    xy : (n, 2) finite.
    size : (width, height) of a cell, in the unit of the points.

    Returns
    -------
    (n,) int64 from 0 on; cells without a point are numbered too.

    Examples
    --------
    >>> number_cells([[0, 0], [4.1, 0], [7.9, 5.9]], (4, 3)).tolist()
    [0, 1, 3]
    """
    points = np.asarray(xy, float).reshape(-1, 2)
    if not len(points):
        return np.zeros(0, np.int64)
    extent = np.ptp(points, axis=0)
    number = np.maximum(np.rint(extent / size), 1).astype(np.int64)
    step = np.where(extent > 0, extent / number, 1.0)
    cell = np.minimum(((points - points.min(axis=0)) / step).astype(np.int64), number - 1)
    return np.asarray(cell[:, 1] * number[0] + cell[:, 0])


def _checked(one: ArrayLike, other: ArrayLike) -> tuple[Floats, Floats]:
    """Return two arrays of one length as float64; the second one is broadcast to the first."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if b.ndim < a.ndim and b.ndim:
        b = b[:, None]
    if (b.ndim and len(a) != len(b)) or (a < 0).any() or (b < 0).any():
        found = f"shapes {a.shape} and {b.shape}, least {np.min([*a.flat, *b.flat]):g}"
        raise BadInput("counts of tiles", "as many values of at least 0 in both", found)
    return a, np.broadcast_to(b, a.shape)
