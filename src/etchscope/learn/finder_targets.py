"""Target maps of the finder for a picture whose openings are known."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from etchscope.foil import BadInput
from etchscope.foil.openings import SURFACES
from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, Ints
from etchscope.learn.finder import STRIDE

__all__ = ["Openings", "Targets", "make_targets"]

SMALLEST_PX = 2.0
"""A find at an opening of a smaller radius is neither right nor wrong. The network still learns how
small such openings are, so that it states a small size if it finds one."""
_SPECK_PX = 1.2
"""Openings of a still smaller radius are ground."""
_SHALLOWEST_PX = 0.5
"""A find at a shallower opening is neither right nor wrong."""
_EITHER = SURFACES.index("unknown")
_DISMISSED, _DESCRIBED, _WANTED = range(3)
"""Kinds of openings: the network learns nothing of them; their shape; their shape and place."""
_HEAT = (0.3, 1.0, 2.5)
"""Spread of the heat around a centre: share of the radius, least and most, pixels."""


@dataclass(frozen=True)
class Openings:
    """The true openings of one picture, each (n,) float64 but ``surface``.

    Attributes
    ----------
    x_px, y_px : centres, y down.
    radius_px, ellipticity, angle_deg, depth_px : their shape; all but the radius may be NaN,
        not known.
    surface : (n,) int64 place in ``SURFACES`` of the one they lie on; its last where it is not
        known.
    """

    x_px: Floats
    y_px: Floats
    radius_px: Floats
    ellipticity: Floats
    angle_deg: Floats
    depth_px: Floats
    surface: Ints

    def __post_init__(self) -> None:
        sizes = {len(v) for v in vars(self).values()}
        if len(sizes) > 1:
            raise BadInput("openings", "columns of one length", f"lengths {sorted(sizes)}")

    @property
    def is_target(self) -> Bools:
        """Which openings are large and deep enough to be found, (n,)."""
        return np.asarray(
            (self.radius_px >= SMALLEST_PX) & ~(self.depth_px < _SHALLOWEST_PX) & ~self.is_hidden
        )

    @property
    def is_hidden(self) -> Bools:
        """Which openings lie wholly inside a larger and deeper one of their surface, (n,)."""
        hidden = np.zeros(len(self.x_px), bool)
        order = np.argsort(self.x_px, kind="stable")
        x, y, r, d = (v[order] for v in (self.x_px, self.y_px, self.radius_px, self.depth_px))
        hidden[order] = _inside_deeper(x, y, r, d, self.surface[order])
        return hidden


@numba.njit(nogil=True, cache=True)
def _inside_deeper(
    x: Floats, y: Floats, radius: Floats, depth: Floats, surface: Ints
) -> Bools:  # pragma: no cover
    """Return which openings, sorted by x, lie wholly inside a deeper one of their surface."""
    n = len(x)
    hidden = np.zeros(n, np.bool_)
    for i in range(n):  # the larger and deeper one
        for step in (-1, 1):
            j = i + step
            while 0 <= j < n and abs(x[j] - x[i]) < radius[i]:
                if surface[j] == surface[i] and depth[j] < depth[i]:
                    apart = np.sqrt((x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2)
                    if apart + radius[j] < radius[i]:
                        hidden[j] = True
                j += step
    return hidden


@dataclass(frozen=True)
class Targets:
    """The target maps of one picture; y and x are in cells.

    Attributes
    ----------
    heat : (3, y, x) float32, 1 at an opening's centre, falling off around it.
    counts : (3, y, x) float32, 0 where nothing is known of the heat, else 1.
    values : (3, 6, y, x) float32 dx, dy, log_radius, e_cos, e_sin, log_depth near a centre.
    near : (3, y, x) bool, where ``values`` are known.
    mark : (y, x) float32, share of the cell that is dust, scratch and the like.
    mark_counts : (y, x) float32, 0 where nothing is known of marks, else 1.
    """

    heat: FloatStack
    counts: FloatStack
    values: NDArray[np.float32]
    near: Bools
    mark: NDArray[np.float32]
    mark_counts: NDArray[np.float32]


@numba.njit(nogil=True, cache=True)
def _dismiss(x: float, y: float, reach: float, counts: FloatImage) -> None:  # pragma: no cover
    """Let a disc count neither for nor against a find; all lengths in cells."""
    height, width = counts.shape
    for v in range(max(int(y - reach), 0), min(int(y + reach) + 2, height)):
        for u in range(max(int(x - reach), 0), min(int(x + reach) + 2, width)):
            if (u - x) ** 2 + (v - y) ** 2 <= reach * reach:
                counts[v, u] = 0


@numba.njit(nogil=True, cache=True)
def _warm(x: float, y: float, spread: float, heat: FloatImage) -> None:  # pragma: no cover
    """Draw the heat of one opening, 1 in the cell of its centre; all lengths in cells."""
    height, width = heat.shape
    reach = 3 * spread + 1
    for v in range(max(int(y - reach), 0), min(int(y + reach) + 2, height)):
        for u in range(max(int(x - reach), 0), min(int(x + reach) + 2, width)):
            d2 = (u - x) ** 2 + (v - y) ** 2
            heat[v, u] = max(heat[v, u], np.exp(-0.5 * d2 / (spread * spread)))
    top, left = int(np.rint(y)), int(np.rint(x))
    if 0 <= top < height and 0 <= left < width:
        heat[top, left] = 1


@numba.njit(nogil=True, cache=True)
def _describe(
    x: float, y: float, shape: Floats, values: FloatStack, near: Bools, apart: FloatImage
) -> None:  # pragma: no cover
    """Write the shape of one opening around its centre, where none is nearer; lengths in cells."""
    height, width = near.shape
    top, left = int(np.rint(y)), int(np.rint(x))
    for v in range(max(top - 1, 0), min(top + 2, height)):
        for u in range(max(left - 1, 0), min(left + 2, width)):
            d2 = (u - x) ** 2 + (v - y) ** 2
            if d2 < apart[v, u]:
                apart[v, u] = d2
                near[v, u] = True
                values[0, v, u] = (x - u) * STRIDE
                values[1, v, u] = -(y - v) * STRIDE
                for k in range(len(shape)):
                    values[2 + k, v, u] = shape[k]


@numba.njit(nogil=True, cache=True)
def _draw(
    rows: Floats,
    surfaces: Ints,
    kinds: Ints,
    spreads: Floats,
    heat: FloatStack,
    counts: FloatStack,
    values: NDArray[np.float32],
    near: Bools,
    apart: FloatStack,
) -> None:  # pragma: no cover
    """Draw openings, (n, 7) x, y, radius and shape, each according to its kind."""
    for i in range(len(rows)):
        x, y = (rows[i, 0] + 0.5) / STRIDE - 0.5, (rows[i, 1] + 0.5) / STRIDE - 0.5
        for s in range(len(heat)):
            if s not in (surfaces[i], _EITHER):
                if surfaces[i] == _EITHER:  # it may be of this one
                    _dismiss(x, y, rows[i, 2] / STRIDE, counts[s])
                continue
            if kinds[i] == _WANTED:
                _warm(x, y, spreads[i] / STRIDE, heat[s])
            else:
                _dismiss(x, y, rows[i, 2] / STRIDE, counts[s])
            if kinds[i] != _DISMISSED:
                _describe(x, y, rows[i, 3:], values[s], near[s], apart[s])


def make_targets(
    openings: Openings, image_size: tuple[int, int], marked: Bools | None = None
) -> Targets:
    """Return the target maps of a picture.

    Parameters
    ----------
    openings : all that are there; those whose centre lies outside the picture need not be found.
    image_size : (height, width) of the picture, multiples of ``STRIDE``.
    marked : (height, width) where dust, scratches and the like are; nowhere unless given.
    """
    height, width = image_size[0] // STRIDE, image_size[1] // STRIDE
    heat = np.zeros((3, height, width), np.float32)
    counts = np.ones_like(heat)
    values = np.zeros((3, 6, height, width), np.float32)
    near = np.zeros(heat.shape, bool)
    apart = np.full(heat.shape, np.inf, np.float32)
    theta = 2 * np.deg2rad(openings.angle_deg)
    x, y, r = openings.x_px, openings.y_px, openings.radius_px
    inside = (x > -0.5) & (x < image_size[1] - 0.5) & (y > -0.5) & (y < image_size[0] - 0.5)
    is_speck = (r < SMALLEST_PX) & ~openings.is_hidden & inside
    kinds = np.where(is_speck, _DESCRIBED, _DISMISSED)
    kinds[openings.is_target & inside] = _WANTED
    use = np.flatnonzero(r >= _SPECK_PX)
    use = use[np.argsort(kinds[use], kind="stable")]  # wanted ones last, drawn over dismissed ones
    shape = np.column_stack(
        [
            x,
            y,
            r,
            np.log(np.maximum(r, 0.1)),
            openings.ellipticity * np.cos(theta),
            openings.ellipticity * np.sin(theta),
            np.log(np.maximum(openings.depth_px, 0.05)),
        ]
    )
    _draw(
        shape[use],
        openings.surface[use].astype(np.int64),
        kinds[use],
        np.clip(_HEAT[0] * r, _HEAT[1], _HEAT[2])[use],
        heat,
        counts,
        values,
        near,
        apart,
    )
    counts[heat > 0.6] = 1
    mark = np.zeros((height, width), np.float32)
    if marked is not None:
        cells = marked[: height * STRIDE, : width * STRIDE].astype(np.float32)
        mark = cells.reshape(height, STRIDE, width, STRIDE).mean((1, 3)).astype(np.float32)
    return Targets(heat, counts, values, near, mark, np.ones_like(mark))
