"""What any set of lights shows of a tile, in the same planes: the input of every network.

Mean, first and second harmonic of the lamps, what these leave, backlit and halo; and for each of
them whether it is there. Three lamps or twelve, with a halo or without, give the same planes, and
an exact symmetry of the optics only turns the pictures and mixes the harmonics' components.
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
"""The pictures: contrast against the bulk. ``a, b`` and ``a2, b2`` are the first and the second
harmonic over azimuth, y up, ``gradient_sign`` taken out; ``residual`` the r.m.s. over the lamps of
what the harmonics leave."""
GIVEN = ("lamps", "second", "residual", "backlit", "halo")
"""What is there: 1 or 0. The second harmonic needs five lamps, a residual more lamps than
harmonics."""
_SMALL = 0.05
"""Contrast up to which compression keeps things in proportion: about that of a faint pit."""
_SLOW_PX = 32.0
"""Standard deviation of the Gaussian whose average is taken away: slower than any pit."""
_REDUCED = 8
"""The slow part is found on pictures reduced so many times."""


@dataclass(frozen=True)
class Planes:
    """One tile as networks see it.

    Attributes
    ----------
    pictures : (8, y, x) float32, as in ``PLANES``; 0 where a light is not there.
    given : (5,) float32 of 0 and 1, as in ``GIVEN``.
    """

    pictures: FloatStack
    given: NDArray[np.float32]

    @property
    def stacked(self) -> FloatStack:
        """(13, y, x) float32: the pictures, then one constant plane for each of ``given``."""
        shape = (len(self.given), *self.pictures.shape[1:])
        flat = np.broadcast_to(self.given[:, None, None], shape)
        return np.concatenate([self.pictures, flat], dtype=np.float32)


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _residual(
    light: FloatImage, harmonics: FloatStack, basis: FloatImage, y: int, freedom: int
) -> None:  # pragma: no cover
    """Write what the harmonics leave of a row of the lamps into plane 5."""
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
    """Write the harmonics of the lamps, and what they leave, row by row.

    ``weights`` (orders, n) gives the harmonics, ``basis`` (n, orders) the lamps back from them;
    ``inverse`` has one row and column where a light is even.
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
    """Return the planes of one tile as contrasts: neither flattened nor compressed.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.

    Raises
    ------
    BadInput : pictures that do not fit the normalisation.
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
    """Return which of ``GIVEN`` some lights give, (5,) float32 of 0 and 1.

    >>> eight = Lighting(np.arange(8), 45.0 * np.arange(8), 1, np.array([8]), np.empty(0, int))
    >>> given_lights(eight).tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0]
    """
    lamps = len(lighting.directional)
    second = lamps > 0 and _second(lighting.azimuths_deg)
    residual = lamps > (5 if second else 3)
    told = [lamps > 0, second, residual, len(lighting.dark) > 0, len(lighting.bright) > 0]
    return np.array(told, np.float32)


def _second(azimuths_deg: Floats) -> bool:
    """Return whether lamps tell the second harmonic apart."""
    try:
        harmonic_weights(azimuths_deg, 2)
    except BadInput:
        return False
    return True


def _without_slow(picture: FloatImage, slow_px: float) -> FloatImage:
    """Return a picture less its slow part."""
    rows, columns = picture.shape
    size = (max(columns // _REDUCED, 1), max(rows // _REDUCED, 1))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(small, (0, 0), slow_px / _REDUCED, borderType=cv2.BORDER_REFLECT)
    wide = cv2.resize(slow, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture - wide, np.float32)


@numba.njit(nogil=True, cache=True, fastmath=True)
def _compress(pictures: FloatStack, small: np.float32) -> None:  # pragma: no cover
    """Replace contrasts u · small by u / √(1 + |u|), those of a harmonic by their length's."""
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
    """Return planes as networks take them: resampled, without what varies slowly, compressed.

    A contrast of u times 0.05 becomes u / √(1 + |u|), so that noise is in proportion and a black
    wall is not a hundred times a faint one; of a harmonic the length is compressed and the
    direction kept.

    Parameters
    ----------
    scale : size of the result's pixels over that of the picture's; 2 halves the picture.
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
        # The residual's own level is the noise, which is worth knowing.
        out[k] = picture if PLANES[k] == "residual" else _without_slow(picture, _SLOW_PX)
    _compress(out, np.float32(_SMALL))
    return Planes(out, planes.given)


def light_planes(
    raw: RawStack, normalisation: Normalisation, lighting: Lighting, scale: float = 1.0
) -> Planes:
    """Return one tile as networks see it: ``compress_planes`` ``harmonic_planes``."""
    return compress_planes(harmonic_planes(raw, normalisation, lighting), scale)


def plane_representation(symmetry: Symmetry) -> Floats:
    """Return what a symmetry of the scene does to the planes at a point, (13, 13).

    The pictures themselves are moved as well; the two together are the scene's.

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
