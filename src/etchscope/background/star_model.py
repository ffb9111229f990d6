"""What the prongs of a star leave on a surface: how many openings, how far away, of what shape.

A star is several tracks from one vertex inside the sheet (spallation). No formula gives the
openings of prongs of random direction, range and etch ratio, so a fixed number of them is drawn and
etched with the physics of the simulator, and their openings are tabulated by the depth of the
vertex and by the distance of the opening from it.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d

from etchscope.foil.types import Floats
from etchscope.simulation import Population, Sheet, Stars
from etchscope.simulation.particles import draw_tracks, etch
from etchscope.simulation.populations import Fragments, Hips, StarKind

__all__ = ["ProngTable", "Seen", "tabulate_prongs"]

Seen = Literal["entry", "exit"]
"""The surface that is looked at: the one on which the beam enters the sheet, or the other one."""

_DEPTHS = np.array([0, 0.15, 0.3, 0.45, 0.6, 0.8, 1, 1.4, 1.8, 2.3, 3.0, 3.7, 4.5])
"""Edges of the bins of the vertex's depth, in units of the removed bulk."""
_REACH = 3.0
"""Largest distance of an opening from its vertex, in units of the removed bulk; beyond it lie 5 %
of the openings of stars."""
_BINS = 40
"""Bins of the distance."""
_SMOOTH = 1.2
"""Bins over which the tables are smoothed along the distance, against the noise of the draws."""
_CELLS, _PER_CELL = 4, 20_000.0
"""Cells and stars per reference tile that are drawn: about 100,000 stars."""
_LEAST = 20.0
"""Openings of a bin that its mean shape must stand on; below, shapes of the depth are added."""
_LEAST_VARIANCE = np.array([0.05, 0.1, 0.03]) ** 2
"""Least variance of a shape in a bin, since the model is not exact."""


@dataclass(frozen=True)
class ProngTable:
    """Openings of prongs on one surface, by depth of the vertex and distance from it, float64.

    Attributes
    ----------
    depth_px : (depth,) depth of the vertex below the surface, middle of each bin.
    weight : (depth,) share of the depths in each bin, with the sum 1.
    step_px : width of a bin of the distance.
    log_density : (depth, distance) logarithm of the number of openings per prong and px²; −∞ where
        no prong opens.
    seen : (depth,) openings within reach per prong.
    mean, variance : (depth, distance, 3) of logarithm of the radius in pixels, of the depth in
        pixels, and of the ellipticity, whose long axis points to the vertex.
    covariance : (depth, distance) of the two logarithms.
    """

    depth_px: Floats
    weight: Floats
    step_px: float
    log_density: Floats
    seen: Floats
    mean: Floats
    variance: Floats
    covariance: Floats

    @property
    def reach_px(self) -> float:
        """Largest distance of an opening from its vertex."""
        return float(self.step_px * self.log_density.shape[1])


@lru_cache(maxsize=16)
def tabulate_prongs(
    kind: StarKind,
    surface: Seen,
    sheet: Sheet,
    stars: Stars,
    *,
    pixel_size_um: float,
    least_radius_px: float,
) -> ProngTable:
    """Return the openings that prongs of one kind of star leave on one surface.

    Parameters
    ----------
    kind : see ``simulation.Stars``.
    surface : on which the openings lie.
    sheet : the foil.
    stars : etch ratios and ranges of the prongs, and the largest number of them.
    pixel_size_um : size of a pixel.
    least_radius_px : smallest opening that a search finds.
    """
    h = sheet.removed_um
    opened, thrown = _draw(surface, sheet, replace(stars, per_tile=_PER_CELL, kinds=(kind,)))
    radius = opened["radius_um"] / pixel_size_um
    opened = {name: values[radius >= least_radius_px] for name, values in opened.items()}
    step_um = _REACH * h / _BINS
    at_depth = np.digitize(opened["vertex_um"], _DEPTHS * h) - 1
    at_distance = np.floor(opened["distance_um"] / step_um).astype(np.int64)
    own = (at_depth < len(_DEPTHS) - 1) & (at_distance < _BINS)
    prongs = np.maximum(np.histogram(thrown, _DEPTHS * h)[0], 1)
    cell = at_depth[own] * _BINS + at_distance[own]
    shape = np.column_stack(
        [
            np.log(opened["radius_um"][own] / pixel_size_um),
            np.log(opened["depth_um"][own] / pixel_size_um),
            opened["ellipticity"][own],
        ]
    )
    columns = [np.ones(len(cell)), *shape.T, *(shape**2).T, shape[:, 0] * shape[:, 1]]
    size = (len(_DEPTHS) - 1, _BINS)
    sums: Floats = np.stack(
        [np.bincount(cell, c, minlength=size[0] * _BINS).reshape(size) for c in columns], axis=2
    )
    edges = np.arange(_BINS + 1) * step_um / pixel_size_um
    area = np.pi * np.diff(edges**2)
    # Reflected at distance 0: density and shapes are even functions of the distance.
    per_area = gaussian_filter1d(sums[:, :, 0] / area, _SMOOTH, axis=1, mode="reflect")
    per_area *= sums[:, :, :1].sum(1) / np.maximum((per_area * area).sum(1, keepdims=True), 1e-12)
    smooth = gaussian_filter1d(sums, _SMOOTH, axis=1, mode="reflect")
    smooth = smooth + _LEAST * _of_depth(sums) / (1 + smooth[:, :, :1])
    moments = smooth[:, :, 1:] / smooth[:, :, :1]
    mean = moments[:, :, :3]
    variance = np.maximum(moments[:, :, 3:6] - mean**2, _LEAST_VARIANCE)
    covariance = moments[:, :, 6] - mean[:, :, 0] * mean[:, :, 1]
    most = 0.95 * np.sqrt(variance[:, :, 0] * variance[:, :, 1])
    with np.errstate(divide="ignore"):
        log_density = np.log(per_area / prongs[:, None])
    width = np.diff(_DEPTHS)
    return ProngTable(
        (_DEPTHS[1:] + _DEPTHS[:-1]) / 2 * h / pixel_size_um,
        width / width.sum(),
        step_um / pixel_size_um,
        log_density,
        sums[:, :, 0].sum(1) / prongs,
        mean,
        variance,
        np.clip(covariance, -most, most),
    )


def _of_depth(sums: Floats) -> Floats:
    """Return the mean sums of one opening at each depth, (depth, 1, column)."""
    total = sums.sum(1, keepdims=True) + 1e-9 * sums.sum((0, 1), keepdims=True)
    return np.asarray(total / np.maximum(total[:, :, :1], 1e-12))


def _draw(surface: Seen, sheet: Sheet, stars: Stars) -> tuple[dict[str, Floats], Floats]:
    """Return the openings of drawn prongs, and the depth of the vertex of each prong, µm."""
    population = Population(Hips(per_tile=0.0), Fragments(per_tile=0.0), stars)
    cells = [draw_tracks(0, (i, 0), population, sheet) for i in range(_CELLS)]
    pits = etch(cells, sheet)
    pits = pits[pits["front"] == (surface == "entry")]
    particle = np.concatenate([c["particle"] for c in cells]).astype(np.int64)
    order = np.argsort(particle)
    row = order[np.searchsorted(particle[order], pits["particle"].to_numpy())]
    x_mm, y_mm, z_um = (
        np.concatenate([c[name] for c in cells]) for name in ("x_mm", "y_mm", "z_um")
    )
    thrown = z_um if surface == "entry" else sheet.thickness_um - z_um
    away = np.hypot(pits["x_mm"].to_numpy() - x_mm[row], pits["y_mm"].to_numpy() - y_mm[row])
    major, minor = pits["major_um"].to_numpy(), pits["minor_um"].to_numpy()
    opened = {
        "vertex_um": thrown[row],
        "distance_um": 1000 * away,
        "radius_um": np.sqrt(major * minor) / 2,
        "ellipticity": 1 - minor / major,
        "depth_um": pits["depth_um"].to_numpy(),
    }
    return opened, thrown
