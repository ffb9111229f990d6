"""Harmonics of the illumination over the azimuth of the lamps, which show the slope of the surface.

A pixel of the directional pictures depends on the azimuth φ as I(φ) = I₀ + A cos φ + B sin φ +
A₂ cos 2φ + …, where (A, B) = −gradient_sign · k ∇h with y up (photometric stereo, Woodham 1980,
Opt. Eng. 19, 139).
"""

from functools import lru_cache

import numba
import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.types import FloatImage, Floats, FloatStack, Ints, RawStack
from etchscope.imaging.normalise import Normalisation

__all__ = ["divergence", "fit_harmonics", "harmonic_weights", "normalised_harmonics"]


def harmonic_weights(azimuths_deg: Floats, order: int = 1) -> Floats:
    """Return the weights of the channels in a least-squares fit of the harmonics.

    Parameters
    ----------
    azimuths_deg : (n,) azimuths, degrees ccw from +x, y up, in any order and spacing.
    order : highest harmonic; order 1 needs three different azimuths, order 2 needs five.

    Returns
    -------
    (1 + 2·order, n) float64: rows I₀, A, B, A₂, B₂, …

    Raises
    ------
    BadInput : there are too few different azimuths.

    Examples
    --------
    >>> harmonic_weights(np.array([0.0, 120.0, 240.0])).round(3)[0]
    array([0.333, 0.333, 0.333])
    """
    return _weights(tuple(np.asarray(azimuths_deg, float).tolist()), order).copy()


@lru_cache(maxsize=64)
def _weights(azimuths_deg: tuple[float, ...], order: int) -> Floats:
    """Return ``harmonic_weights``; they are cached, since all tiles of a scan need the same."""
    phi = np.deg2rad(np.array(azimuths_deg))
    distinct = len(np.unique(np.round(np.exp(1j * phi), 6)))
    if distinct < 1 + 2 * order:
        raise BadInput(
            "directional channels",
            f"at least {1 + 2 * order} different azimuths",
            f"{distinct}",
            hint="The harmonics over azimuth need them; correct the channels' azimuth_deg.",
        )
    columns = [np.ones_like(phi)]
    for m in range(1, order + 1):
        columns += [np.cos(m * phi), np.sin(m * phi)]
    return np.asarray(np.linalg.pinv(np.stack(columns, axis=1)))


def fit_harmonics(stack: FloatStack, azimuths_deg: Floats, order: int = 1) -> FloatStack:
    """Return the harmonics I₀, A, B, … of normalised directional pictures.

    Parameters
    ----------
    stack : (n, y, x) float32 directional pictures.
    azimuths_deg : (n,) their azimuths, degrees ccw from +x, y up.
    order : highest harmonic.

    Returns
    -------
    (1 + 2·order, y, x) float32.

    Raises
    ------
    BadInput : there are too few different azimuths.
    """
    weights = harmonic_weights(azimuths_deg, order)
    return np.tensordot(weights, stack, axes=1).astype(np.float32)


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _accumulate(
    raw: RawStack, inverse: FloatStack, channels: Ints, weights: FloatImage, out: FloatStack
) -> None:
    """Add weights[m, k] · raw[c] · inverse[c] to out[m], row by row so that it vectorises."""
    rows, columns = raw.shape[1:]
    for y in range(rows):
        mean, a, b = out[0, y], out[1, y], out[2, y]
        for k in range(len(channels)):
            grey, factor = raw[channels[k], y], inverse[channels[k], y]
            w0, w1, w2 = weights[0, k], weights[1, k], weights[2, k]
            for x in range(columns):
                value = np.float32(grey[x]) * factor[x]
                mean[x] += w0 * value
                a[x] += w1 * value
                b[x] += w2 * value


def normalised_harmonics(
    raw: RawStack, normalisation: Normalisation, channels: Ints, azimuths_deg: Floats
) -> FloatStack:
    """Return the harmonics I₀, A, B of raw pictures in one pass over the grey levels.

    The result is that of ``fit_harmonics(normalisation.apply(raw)[channels], azimuths_deg)``.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.
    normalisation : of the scan.
    channels : (n,) int64 indices of the directional channels.
    azimuths_deg : (n,) their azimuths, degrees ccw from +x, y up.

    Returns
    -------
    (3, y, x) float32.

    Raises
    ------
    BadInput : there are too few different azimuths, or the pictures do not fit the normalisation.
    """
    normalisation.require_fit(raw)
    weights = harmonic_weights(azimuths_deg)
    out = np.empty((3, *raw.shape[1:]), np.float32)
    out[:] = -(weights @ normalisation.offset[channels]).astype(np.float32)[:, None, None]
    inverse = np.broadcast_to(normalisation.inverse, raw.shape)
    _accumulate(raw, np.ascontiguousarray(inverse), channels, weights.astype(np.float32), out)
    return out


@numba.njit(nogil=True, cache=True)
def divergence(a: FloatImage, b: FloatImage) -> FloatImage:
    """Return the signed divergence D = ∂A/∂x − ∂B/∂y_px, (y, x) float32.

    With gradient_sign +1, D is negative at the centre of a top pit and positive at that of a bottom
    pit. Derivatives are central differences. D is 0 on the outermost pixels, where a one-sided
    difference would have twice the noise.

    Parameters
    ----------
    a, b : (y, x) float32 first harmonic, y up.
    """
    rows, columns = a.shape
    out = np.zeros((rows, columns), np.float32)
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            along, across = a[y, x + 1] - a[y, x - 1], b[y + 1, x] - b[y - 1, x]
            out[y, x] = np.float32(0.5) * (along - across)
    return out
