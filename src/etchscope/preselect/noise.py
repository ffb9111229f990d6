"""The noise of the bulk in every response, measured on the ground between the pits.

No finds are used. The ground is where both the slope of the surface and the sign-free pictures stay
within the core of their distributions, except for a margin around the rest. Its camera noise and
its texture are measured by their autocorrelation, which needs only pairs of ground pixels and no
undisturbed region as wide as a response. The noise of a linear response then follows exactly as the
sum, over all lags, of the autocorrelation of the pictures times that of the filter (Papoulis,
Probability, Random Variables and Stochastic Processes, on the output of linear systems).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack
from etchscope.imaging.harmonics import divergence
from etchscope.preselect.responses import Radii, cascade, laplacian

__all__ = ["STEEP", "Ground", "find_ground", "grey_step", "response_noise", "rounding_noise"]

_CORE = 1.5
"""Slope, in widths of the core, up to which slopes determine the width of the core; few of these
slopes are those of pits."""
_SLOPE = 3.3
"""Slope, in widths of the core, beyond which a pixel is no ground. It excludes 0.4 % of a Gaussian
surface."""
STEEP = 5.0
"""Slope, in widths of the core, beyond which a pixel belongs to a pit. It is exceeded by 4 in a
million pixels of a Gaussian surface."""
_SHADE = 5.0
"""The same for the sign-free pictures, towards pits; it is large because clutter has wide tails."""
_MARGIN = 5
"""Diameter, in binned pixels, of the margin around what is no ground, for the blur of a rim."""
_ITERATIONS = 30
_LEAST_PAIRS = 30
"""Least number of pairs of ground pixels at every lag from which the noise is measured."""


@dataclass(frozen=True)
class Ground:
    """The ground of some tiles.

    Attributes
    ----------
    level : for each tile where the surface is level, (y, x) bool in binned pixels.
    bare : the same without the places where a sign-free picture shows something.
    slope : width of the core of either component of the slope, in units of the field; nan without
        lamps, which alone show where the surface is level.
    """

    level: tuple[Bools, ...]
    bare: tuple[Bools, ...]
    slope: float


def _core_width(slopes: Floats, start: float) -> float:
    """Return the width σ of the Rayleigh distribution that the smallest slopes follow.

    It has the greatest likelihood for a Rayleigh distribution that is cut off at ``_CORE`` σ, so
    that steeper slopes, mostly those of pits, have no influence.
    """
    ordered = np.sort(slopes)
    t = _CORE**2 / 2
    lost = 1 - t * np.exp(-t) / -np.expm1(-t)
    squares, width = np.cumsum(ordered.astype(np.float64) ** 2), start
    for _ in range(_ITERATIONS):
        count = int(np.searchsorted(ordered, _CORE * width))
        if count < 2:
            break
        before, width = width, max(float(np.sqrt(squares[count - 1] / count / (2 * lost))), 1e-12)
        if abs(width / before - 1) < 1e-3:
            break
    return width


def _widened(mask: Bools) -> Bools:
    """Return a mask with the margin around it."""
    axis = np.arange(_MARGIN) - _MARGIN // 2
    # A turn by 90° changes the ellipse of OpenCV, but not this disc.
    element = (np.hypot(axis, axis[:, None]) < _MARGIN / 2).astype(np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), element) > 0)


def _level_ground(slopes: list[FloatImage], clear: list[Bools]) -> tuple[list[Bools], float]:
    """Return where the surface of each tile is level, and the width of the core of its slopes.

    Each iteration measures the core on the ground of the one before, so that pits lose their
    influence.
    """
    masks = clear
    first = np.concatenate([s[m] for s, m in zip(slopes, masks, strict=True)])
    # The 2 % quantile of a Rayleigh distribution is 0.201 σ.
    width = max(float(np.partition(first, len(first) // 50)[len(first) // 50]) / 0.201, 1e-12)
    for _ in range(_ITERATIONS):
        of_it = np.concatenate([s[m] for s, m in zip(slopes, masks, strict=True)])
        before, width = width, _core_width(of_it, width)
        masks = [~_widened(s > _SLOPE * width) & c for s, c in zip(slopes, clear, strict=True)]
        if abs(width / before - 1) < 5e-3 or not any(m.any() for m in masks):
            break
    return masks, width


def shade_limit(picture: FloatImage, mask: Bools) -> float:
    """Return the value above which a sign-free picture leaves the core of its values on a mask.

    Pits are bright, so the core is centred on the mode, and its width is that of the darker half.

    Parameters
    ----------
    picture : (y, x) float32 sign-free picture.
    mask : (y, x) bool; without at least two pixels the result is inf.
    """
    values = np.sort(picture[mask])
    if len(values) < 2:
        return np.inf
    middle, width = float(values[len(values) // 2]), np.inf
    for _ in range(_ITERATIONS):
        below = middle - values[: np.searchsorted(values, middle)]
        if not len(below):
            break
        # The median of one half of a normal distribution is 0.6745 σ from its mean.
        before, width = width, max(float(np.median(below)) / 0.6745, 1e-9)
        near = values[np.searchsorted(values, middle - 2 * width) :]
        middle = float(np.median(near[: np.searchsorted(near, middle + 2 * width) + 1]))
        if abs(width / before - 1) < 1e-3:
            break
    return middle + _SHADE * (width if np.isfinite(width) else 1e-9)


def find_ground(
    fields: list[tuple[FloatImage, FloatImage]],
    signs: list[FloatStack],
    clear: list[Bools],
) -> Ground:
    """Return where some tiles show ground and no pit.

    Parameters
    ----------
    fields : first harmonic (A, B) of each tile, each (y, x) float32, binned; empty without lamps.
    signs : (k, y, x) float32 sign-free pictures of each tile, binned.
    clear : (y, x) bool for each tile, where no picture is at the camera's limit.
    """
    masks, width = clear, np.nan
    if fields:
        slopes = [np.asarray(np.hypot(a, b), np.float32) for a, b in fields]
        masks, width = _level_ground(slopes, clear)
    out = []
    for pictures, mask in zip(signs, masks, strict=True):
        shaded = np.zeros_like(mask)
        for picture in pictures:
            shaded |= picture > shade_limit(picture, mask)
        out.append(mask & ~_widened(shaded))
    return Ground(tuple(masks), tuple(out), width)


def _filters(radii: Radii) -> tuple[FloatStack, FloatStack, FloatStack]:
    """Return the responses to one bright pixel of A, of B, and of a sign-free picture."""
    half = 2 + int(np.ceil(6 * radii.sigmas[-1]))
    one = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    one[half, half] = 1
    none = np.zeros_like(one)
    return (
        cascade(-divergence(one, none), radii),
        cascade(-divergence(none, one), radii),
        cascade(laplacian(one), radii),
    )


def _lagged(spectrum: Floats, lag: int) -> Floats:
    """Return the part of a real inverse Fourier transform within a lag, (2·lag + 1)²."""
    whole = fft.ifft2(spectrum).real
    i = np.arange(-lag, lag + 1)
    return np.asarray(whole[np.ix_(i, i)])


def _products(one: FloatImage, other: FloatImage, mask: Bools, lag: int) -> tuple[Floats, Floats]:
    """Return, for each lag, the sum of products of two pictures over pairs of pixels of a mask.

    The second result is the number of the pairs. Each has the shape (2·lag + 1)². The means of the
    pictures over the mask are subtracted first.
    """
    size = [fft.next_fast_len(max(n + lag, 2 * lag + 1)) for n in mask.shape]
    seen = fft.fft2(mask.astype(np.float64), s=size)
    parts = []
    for picture in (one, other):
        mean = picture[mask].mean(dtype=np.float64) if mask.any() else 0.0
        parts.append(fft.fft2(np.where(mask, picture - mean, 0.0), s=size))
    pairs = np.rint(_lagged(np.abs(seen) ** 2, lag))
    return _lagged(parts[0] * parts[1].conj(), lag), pairs


def _autocorrelations(filters: list[FloatImage], lag: int) -> list[Floats]:
    """Return the correlation of every two of some filters, in the order of ``_terms``."""
    size = [fft.next_fast_len(filters[0].shape[0] + lag)] * 2
    parts = [fft.fft2(f.astype(np.float64), s=size) for f in filters]
    return [_lagged(parts[i] * parts[j].conj(), lag) for i, j in _terms(len(parts))]


def _terms(count: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(count) for j in range(i, count)]


def response_noise(
    pictures: list[tuple[FloatImage, ...]], ground: Ground, radii: Radii, *, signed: bool
) -> Floats:
    """Return the standard deviation of the ground in each response, (scale,) float64.

    It is nan where all tiles together have too little ground for the width of a response.

    Parameters
    ----------
    pictures : for each tile (A, B) if ``signed``, else one sign-free picture; each (y, x) float32,
        binned.
    ground : the ground of the same tiles.
    radii : the radii of the responses, in binned pixels.
    signed : whether the responses are the signed ones.
    """
    a, b, sign_free = _filters(radii)
    filters = [a, b] if signed else [sign_free]
    lag = filters[0].shape[1] - 1
    sums: list[Floats] = [np.zeros((2 * lag + 1, 2 * lag + 1)) for _ in _terms(len(filters))]
    pairs = np.zeros_like(sums[0])
    for some, mask in zip(pictures, ground.level if signed else ground.bare, strict=True):
        for k, (i, j) in enumerate(_terms(len(filters))):
            products, number = _products(some[i], some[j], mask, lag)
            sums[k] += products
        pairs += number
    out = np.full(len(radii.sigmas), np.nan)
    for s, sigma in enumerate(radii.sigmas):
        # Beyond six σ the autocorrelation of a response has fallen to 10⁻⁴.
        reach = min(int(np.ceil(6 * sigma)) + 2, lag)
        window = (slice(lag - reach, lag + reach + 1),) * 2
        if pairs[window].min() < _LEAST_PAIRS:
            continue
        variance = 0.0
        own = _autocorrelations([f[s] for f in filters], reach)
        for (i, j), total, filtered in zip(_terms(len(filters)), sums, own, strict=True):
            weight = 1 if i == j else 2
            variance += weight * float((total[window] / pairs[window] * filtered).sum())
        out[s] = np.sqrt(max(variance, 0.0))
    return out


def grey_step(values: Floats) -> float:
    """Return the smallest spacing of the grey levels that occur; 0 if there is only one.

    Parameters
    ----------
    values : grey levels, an array of any shape.

    Examples
    --------
    >>> grey_step(np.array([[4, 8], [8, 16]]))
    4.0
    """
    levels = np.unique(values)
    return float(np.diff(levels.astype(np.float64)).min()) if len(levels) > 1 else 0.0


def rounding_noise(radii: Radii, *, signed: bool) -> Floats:
    """Return the greatest noise in each response that rounding to units of 1 can cause, (scale,).

    A rounding error has the variance 1/12 (Widrow & Kollár, Quantization Noise, 2008, 1.2). On
    level ground it is not white but correlated over some length; the worst length is that with the
    greatest response.

    Parameters
    ----------
    radii : the radii of the responses, in binned pixels.
    signed : whether the responses are the signed ones.
    """
    a, _, sign_free = _filters(radii)
    gain = np.abs(fft.fft2(a if signed else sign_free, axes=(1, 2))).max(axis=(1, 2))
    return np.asarray(gain / np.sqrt(12))
