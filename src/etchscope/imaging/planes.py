"""The planes of a tile, the input of every network, which are the same for every set of lights.

They are the mean and the first and second harmonic of the lamps, the residual of the harmonics, the
backlit and the halo picture, and flags that state which of them there are. Three lamps or twelve,
with a halo picture or without one, give the same planes. An exact symmetry of the optics only turns
or mirrors the pictures, and mixes the components of the harmonics.
"""

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from etchscope.foil import BadInput
from etchscope.foil.types import FloatImage, Floats, FloatStack, Ints, RawStack
from etchscope.imaging.harmonics import harmonic_weights
from etchscope.imaging.lighting import Lighting
from etchscope.imaging.normalise import Normalisation
from etchscope.imaging.symmetry import Symmetry

__all__ = [
    "GIVEN",
    "PLANES",
    "Planes",
    "compress_planes",
    "given_lights",
    "harmonic_planes",
    "light_planes",
    "plane_representation",
]

PLANES = ("mean", "a", "b", "a2", "b2", "residual", "backlit", "halo")
"""The pictures, as contrasts against the bulk. ``a, b`` and ``a2, b2`` are the first and the second
harmonic over azimuth, y up, for gradient_sign +1. ``residual`` is the root mean square over the
lamps of the residual of the harmonics."""
GIVEN = ("lamps", "second", "residual", "backlit", "halo")
"""The flags, 1 for a picture that exists, else 0. The second harmonic needs five lamps, and the
residual more lamps than harmonics."""
_SMALL = 0.05
"""Contrast up to which the compression is nearly linear; it is about that of a faint pit."""
_SLOW_PX = 32.0
"""Standard deviation of the Gaussian whose average is subtracted; it is wider than any pit."""
_REDUCED = 8
"""Factor by which pictures are reduced to find their slowly varying part."""


@dataclass(frozen=True)
class Planes:
    """The planes of one tile.

    Attributes
    ----------
    pictures : (8, y, x) float32 in the order of ``PLANES``; a picture that does not exist is 0.
    given : (5,) float32 of 0 and 1 in the order of ``GIVEN``.
    """

    pictures: FloatStack
    given: NDArray[np.float32]

    @property
    def stacked(self) -> FloatStack:
        """The pictures and then one constant plane for each of ``given``, (13, y, x) float32."""
        shape = (len(self.given), *self.pictures.shape[1:])
        flat = np.broadcast_to(self.given[:, None, None], shape)
        return np.concatenate([self.pictures, flat], dtype=np.float32)


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _residual(
    light: FloatImage, harmonics: FloatStack, basis: FloatImage, y: int, freedom: int
) -> None:  # pragma: no cover
    """Write the residual of the harmonics in one row into plane 5."""
    out = harmonics[5, y]
    out[:] = 0
    for k in range(len(light)):
        for x in range(len(out)):
            rest = light[k, x]
            for m in range(basis.shape[1]):
                rest -= basis[k, m] * harmonics[m, y, x]
            out[x] += rest * rest
    for x in range(len(out)):
        out[x] = np.sqrt(out[x] / np.float32(freedom))


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _project(
    raw: RawStack,
    inverse: FloatStack,
    offset: NDArray[np.float32],
    channels: Ints,
    weights: FloatImage,
    basis: FloatImage,
    freedom: int,
    out: FloatStack,
) -> None:  # pragma: no cover
    """Write the harmonics of the lamps and their residual into ``out``, row by row.

    ``weights``, (orders, n), gives the harmonics from the lamps, and ``basis``, (n, orders), the
    lamps from the harmonics. ``inverse`` has one row and one column if the average light is even.
    """
    rows, columns = raw.shape[1:]
    orders, lamps = weights.shape
    light = np.empty((lamps, columns), np.float32)
    even = inverse.shape[2] == 1
    for y in range(rows):
        for k in range(lamps):
            grey, shift = raw[channels[k], y], offset[k]
            factor = inverse[channels[k], 0 if even else y]
            for x in range(columns):
                light[k, x] = np.float32(grey[x]) * factor[0 if even else x] - shift
        for m in range(orders):
            plane = out[m, y]
            plane[:] = 0
            for k in range(lamps):
                weight = weights[m, k]
                for x in range(columns):
                    plane[x] += weight * light[k, x]
        if freedom > 0:
            _residual(light, out, basis, y, freedom)


def harmonic_planes(raw: RawStack, normalisation: Normalisation, lighting: Lighting) -> Planes:
    """Return the planes of one tile as contrasts, before ``compress_planes``.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.
    normalisation, lighting : of the tile's scan.

    Raises
    ------
    BadInput : the pictures do not fit the normalisation.
    """
    normalisation.require_fit(raw)
    out = np.zeros((len(PLANES), *raw.shape[1:]), np.float32)
    lamps, given = len(lighting.directional), given_lights(lighting)
    if lamps:
        second = given[1] > 0
        weights = harmonic_weights(lighting.azimuths_deg, 2 if second else 1)
        phi = np.deg2rad(lighting.azimuths_deg)
        basis = [np.ones(lamps), np.cos(phi), np.sin(phi), np.cos(2 * phi), np.sin(2 * phi)]
        freedom = lamps - len(weights)
        offset = normalisation.offset[lighting.directional].astype(np.float32)
        _project(
            np.ascontiguousarray(raw),
            normalisation.inverse,
            offset,
            np.asarray(lighting.directional, np.int64),
            weights.astype(np.float32),
            np.ascontiguousarray(np.stack(basis[: len(weights)], 1), np.float32),
            freedom,
            out,
        )
        if lighting.gradient_sign < 0:
            out[1:3] *= -1
    for place, channels in ((6, lighting.dark), (7, lighting.bright)):
        for c in channels:
            light = raw[c] * normalisation.inverse[c] - np.float32(normalisation.offset[c])
            out[place] += light / np.float32(len(channels))
    return Planes(out, given)


def given_lights(lighting: Lighting) -> NDArray[np.float32]:
    """Return which of ``GIVEN`` a lighting has, (5,) float32 of 0 and 1.

    Parameters
    ----------
    lighting : of a scan.

    Examples
    --------
    >>> eight = Lighting(np.arange(8), 45.0 * np.arange(8), 1, np.array([8]), np.empty(0, int))
    >>> given_lights(eight).tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0]
    """
    lamps = len(lighting.directional)
    second = lamps > 0 and _has_second(lighting.azimuths_deg)
    residual = lamps > (5 if second else 3)
    given = [lamps > 0, second, residual, len(lighting.dark) > 0, len(lighting.bright) > 0]
    return np.array(given, np.float32)


def _has_second(azimuths_deg: Floats) -> bool:
    """Return whether lamps at these azimuths determine the second harmonic."""
    try:
        harmonic_weights(azimuths_deg, 2)
    except BadInput:
        return False
    return True


def _without_slow(picture: FloatImage, slow_px: float) -> FloatImage:
    """Return a picture without its slowly varying part."""
    rows, columns = picture.shape
    size = (max(columns // _REDUCED, 1), max(rows // _REDUCED, 1))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(small, (0, 0), slow_px / _REDUCED, borderType=cv2.BORDER_REFLECT)
    wide = cv2.resize(slow, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture - wide, np.float32)


@numba.njit(nogil=True, cache=True, fastmath=True)
def _compress(pictures: FloatStack, small: np.float32) -> None:  # pragma: no cover
    """Replace contrasts u · small by u / √(1 + |u|), where |u| of a harmonic is its length."""
    unit, one = np.float32(1) / small, np.float32(1)
    for first, of in ((0, 1), (1, 2), (3, 2), (5, 1), (6, 1), (7, 1)):
        for y in range(pictures.shape[1]):
            p, q = pictures[first, y], pictures[first + of - 1, y]
            if of == 1:
                for x in range(len(p)):
                    p[x] *= unit / np.sqrt(one + unit * abs(p[x]))
            else:
                for x in range(len(p)):
                    length = np.sqrt(p[x] * p[x] + q[x] * q[x])
                    factor = unit / np.sqrt(one + unit * length)
                    p[x] *= factor
                    q[x] *= factor


def compress_planes(planes: Planes, scale: float = 1.0) -> Planes:
    """Return the input of networks: planes resampled, without slow variations, and compressed.

    A contrast of u times 0.05 becomes u / √(1 + |u|), which is linear for noise and keeps a black
    wall from being a hundred times as large as a faint one. The length of a harmonic is compressed,
    and its direction is kept.

    Parameters
    ----------
    planes : the planes of a tile as contrasts.
    scale : size of the pixels of the result in pixels of the picture; 2 halves the picture.
    """
    pictures = planes.pictures
    rows, columns = (max(round(n / scale), 1) for n in pictures.shape[1:])
    out = np.zeros((len(pictures), rows, columns), np.float32)
    is_there = planes.given[[0, 0, 0, 1, 1, 2, 3, 4]] > 0
    for k in np.flatnonzero(is_there).tolist():
        picture = pictures[k]
        if (rows, columns) != picture.shape:
            how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
            picture = cv2.resize(picture, (columns, rows), interpolation=how)
        # The level of the residual is the noise, which the network needs.
        out[k] = picture if PLANES[k] == "residual" else _without_slow(picture, _SLOW_PX)
    _compress(out, np.float32(_SMALL))
    return Planes(out, planes.given)


def light_planes(
    raw: RawStack, normalisation: Normalisation, lighting: Lighting, scale: float = 1.0
) -> Planes:
    """Return the input of networks for one tile: its ``harmonic_planes``, compressed.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.
    normalisation, lighting : of the tile's scan.
    scale : size of the pixels of the result in pixels of the picture.

    Raises
    ------
    BadInput : the pictures do not fit the normalisation.
    """
    return compress_planes(harmonic_planes(raw, normalisation, lighting), scale)


def plane_representation(symmetry: Symmetry) -> Floats:
    """Return the matrix by which a symmetry mixes the planes at a point, (13, 13) float64.

    A symmetry of the scene also turns or mirrors the pictures themselves.

    Parameters
    ----------
    symmetry : one of ``D4``.

    Examples
    --------
    >>> plane_representation(Symmetry(quarter_turns=1))[1:3, 1:3].astype(int).tolist()
    [[0, -1], [1, 0]]
    """
    out = np.eye(len(PLANES) + len(GIVEN))
    if symmetry.mirrored:
        out[1, 1], out[4, 4] = -1, -1
    turn = np.array([[0, -1], [1, 0]])
    for _ in range(symmetry.quarter_turns % 4):
        out[1:3] = turn @ out[1:3]
        out[3:5] *= -1
    return out
