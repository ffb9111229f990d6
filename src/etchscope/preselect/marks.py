"""The marks that the maps of a network show: dust, scratches, fibres and the like."""

import cv2
import numpy as np

from etchscope.foil.types import Floats, FloatStack
from etchscope.preselect.heat import STRIDE, Peaks

__all__ = ["find_marks"]

_LEAST_MARK_CELLS = 8
"""Least area of a mark in cells of the maps; smaller regions are noise."""


def find_marks(maps: FloatStack, openings: Peaks, least: float, scale: float) -> dict[str, Floats]:
    """Return the position, extent and direction of each mark of one tile.

    A region of which openings cover more than half is no mark.

    Parameters
    ----------
    maps : (map, y, x) float32 maps; the last one is the heat of marks.
    openings : the openings of the tile, see ``read_openings``.
    least : heat above which a cell belongs to a mark.
    scale : size of a pixel of the network in pixels of the picture.

    Returns
    -------
    (n,) float64 columns ``x_px, y_px, radius_px, ellipticity, angle_deg, length_px, width_px``, in
    pixels of the picture; ``radius_px`` is that of the circle of the same area.
    """
    above = (maps[-1] > least).astype(np.uint8)
    explained = np.zeros_like(above)
    radii = np.exp(openings["log_radius"].clip(-1, 5))
    for x, y, r in zip(openings["x"], openings["y"], radii, strict=True):
        cv2.circle(explained, (round(x / STRIDE), round(y / STRIDE)), round(r / STRIDE), 1, -1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    out = []
    for label in range(1, count):
        left, top, wide, high, area = stats[label]
        if area < _LEAST_MARK_CELLS:
            continue
        box = np.s_[top : top + high, left : left + wide]
        part = labels[box] == label
        if explained[box][part].mean() > 0.5:
            continue
        points = np.argwhere(part)[:, ::-1].astype(np.float32)
        (u, v), (one, other), _ = cv2.minAreaRect(points)
        along = np.linalg.eigh(np.cov(points.T))[1][:, 1]
        angle = np.rad2deg(np.arctan2(-along[1], along[0])) % 180
        length = max(one, other) + 1
        out.append((u + left, v + top, length, area / length, area, angle))
    table = np.array(out, np.float64).reshape(-1, 6)
    cell = STRIDE * scale
    height, width = (n * cell for n in maps.shape[1:])
    x, y = (
        ((table[:, k] + 0.5) * cell - 0.5).clip(-0.5, n - 0.5) for k, n in ((0, width), (1, height))
    )
    lengths, widths = table[:, 2] * cell, table[:, 3] * cell
    return {
        "x_px": x,
        "y_px": y,
        "radius_px": np.sqrt(table[:, 4] / np.pi) * cell,
        "ellipticity": 1 - np.minimum(widths / lengths, 1),
        "angle_deg": table[:, 5],
        "length_px": lengths,
        "width_px": widths,
    }
