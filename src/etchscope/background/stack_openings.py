"""The openings on the surfaces of an aligned stack, prepared for the search for particles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from etchscope.background.stack_kernels import COLUMNS
from etchscope.foil import BadInput, Side
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.preselect.background import log_background_density
from etchscope.preselect.openings import Shapes

__all__ = ["StackOpenings", "StackSurface", "seen_everywhere"]

_SHIFT = 0.68
"""Distance of the centre of an opening from the surface before etching, measured along the track's
projection, over the tangent of the zenith angle and the removed bulk h. It is h / (1 + 1 / (V cos
θ)), so between 0.5 h and h; ``_BEND`` is its spread."""
_BEND = 0.12
_PLACE_PX = 0.4
"""Error of a place by the registration of its surface, in px."""
_MODEL_ERROR = (0.05, 0.03)
"""Spread of log radius and of ellipticity from pit to pit beyond the stated errors."""
_NEIGHBOURS = 20
"""Number of neighbours from whose distance the local density follows."""


def seen_everywhere(place_px: Floats) -> Bools:
    """Return that each of (n, 2) places was searched."""
    return np.ones(len(place_px), bool)


@dataclass(frozen=True)
class StackSurface:
    """The openings on one surface of a foil in the frame of the stack.

    Attributes
    ----------
    foil, side : which surface it is.
    depth_px : depth of the surface before etching below the first surface of the stack.
    removed_px : bulk removed there.
    shapes : the n openings; x to the right, y down, as in ``preselect.Shapes``.
    seen : function of (k, 2) places in px, y up, that returns where the surface was searched.
    """

    foil: str
    side: Side
    depth_px: float
    removed_px: float
    shapes: Shapes = field(repr=False)
    seen: Callable[[Floats], Bools] = seen_everywhere


@dataclass(frozen=True)
class StackOpenings:
    """All openings of a stack.

    Attributes
    ----------
    surfaces : the surfaces, by depth.
    table : (m, 10) float64, see ``stack_kernels.COLUMNS``.
    shapes : the m openings.
    shape_density : (m,) logarithm of the density of unrelated shapes, without that of places.
    surface : (m,) int64 number of the surface of each.
    own : (m,) int64 number of each among the openings of its surface.
    shift_px : (s, 2) by which the surfaces were shifted, y up.
    """

    surfaces: tuple[StackSurface, ...]
    table: Floats
    shapes: Shapes
    shape_density: Floats
    surface: Ints
    own: Ints
    shift_px: Floats

    @classmethod
    def of(cls, surfaces: Sequence[StackSurface]) -> "StackOpenings":
        """Return the openings of two or more surfaces.

        Raises
        ------
        BadInput : fewer than two surfaces, or one surface twice.
        """
        ordered = tuple(sorted(surfaces, key=lambda s: s.depth_px))
        names = [f"{s.foil} {s.side}" for s in ordered]
        if len(ordered) < 2 or len(set(names)) < len(names):
            raise BadInput("stack", "two or more surfaces, each once", ", ".join(names) or "none")
        both = [vars(s.shapes) for s in ordered]
        shapes = Shapes(**{name: np.concatenate([b[name] for b in both]) for name in both[0]})
        counts = [len(s.shapes.x) for s in ordered]
        surface = np.repeat(np.arange(len(ordered)), counts)
        own = np.concatenate([np.arange(n) for n in counts])
        density, shape_density = np.empty(len(own)), np.empty(len(own))
        for k in range(len(ordered)):
            rows = np.flatnonzero(surface == k)
            shape_density[rows] = log_background_density(shapes, rows)
            density[rows] = _local_density(np.column_stack([shapes.x[rows], shapes.y[rows]]))
        columns = (
            shapes.x,
            -shapes.y,
            shapes.log_radius,
            shapes.e_cos,
            shapes.e_sin,
            shapes.s_place**2 + _PLACE_PX**2,
            shapes.s_radius**2 + _MODEL_ERROR[0] ** 2,
            shapes.s_ellipse**2 + _MODEL_ERROR[1] ** 2,
            shapes.measured_share,
            shape_density + np.log(density),
        )
        table = np.ascontiguousarray(np.column_stack(columns).reshape(-1, len(COLUMNS)))
        none = np.zeros((len(ordered), 2))
        return cls(ordered, table, shapes, shape_density, surface, own, none)

    @property
    def depth_px(self) -> Floats:
        """Depth of the centres of the openings on each surface, (s,)."""
        inward = [1 if s.side == "front" else -1 for s in self.surfaces]
        return np.array(
            [
                s.depth_px + i * _SHIFT * s.removed_px
                for s, i in zip(self.surfaces, inward, strict=True)
            ]
        )

    @property
    def bend_px(self) -> Floats:
        """Spread of that depth from particle to particle, (s,)."""
        return np.array([_BEND * s.removed_px for s in self.surfaces])

    def shifted(self, by_px: Floats) -> "StackOpenings":
        """Return the openings with each surface shifted by (s, 2) px, y up."""
        by = by_px[self.surface]
        table = self.table.copy()
        table[:, :2] += by
        shapes = replace(self.shapes, x=self.shapes.x + by[:, 0], y=self.shapes.y - by[:, 1])
        return replace(self, table=table, shapes=shapes, shift_px=self.shift_px + by_px)

    def take(self, rows: Ints) -> "StackOpenings":
        """Return some of the openings; densities stay those of all."""
        of = {name: getattr(self, name)[rows] for name in ("table", "shape_density")}
        numbers = {name: getattr(self, name)[rows] for name in ("surface", "own")}
        return replace(self, shapes=self.shapes.take(rows), **of, **numbers)

    def is_seen(self, surface: int, place_px: Floats) -> Bools:
        """Return where a surface was searched, for (k, 2) places in px, y up."""
        if not len(place_px):
            return np.zeros(0, bool)
        return self.surfaces[surface].seen(place_px - self.shift_px[surface])


def _local_density(xy: Floats) -> Floats:
    """Return the density of points around each of them, from the nearest ``_NEIGHBOURS``, (n,)."""
    n = min(_NEIGHBOURS, len(xy) - 1)
    if n < 2:
        return np.full(len(xy), 1e-6)
    far = cKDTree(xy).query(xy, k=[n + 1])[0][:, 0]
    return np.asarray((n - 1) / (np.pi * np.maximum(far, 0.1) ** 2))
