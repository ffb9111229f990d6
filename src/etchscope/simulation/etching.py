"""The height map of an etched surface: the cones of ``physics.cone`` at each point."""

import numba
import numpy as np
import pandas as pd

from etchscope.foil.types import FloatImage, Floats
from etchscope.physics.cone import compute_opening, etched_length_um

__all__ = ["height_map"]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _carve(
    surface: FloatImage,
    x: Floats,
    y: Floats,
    v: Floats,
    dip: Floats,
    azimuth: Floats,
    removed: Floats,
    length: Floats,
    major: Floats,
    shift: Floats,
    pixel: float,
) -> None:  # pragma: no cover
    """Lower the surface to each pit's floor; places in pixels, lengths in micrometres."""
    rows, columns = surface.shape
    for i in range(len(x)):
        ux, uy = np.cos(dip[i]) * np.cos(azimuth[i]), -np.cos(dip[i]) * np.sin(azimuth[i])
        uz, h, vi, end = np.sin(dip[i]), removed[i], v[i], length[i]
        v2 = vi * vi - 1
        bx = x[i] + shift[i] * np.cos(azimuth[i]) / pixel
        by = y[i] - shift[i] * np.sin(azimuth[i]) / pixel
        reach = major[i] / 2 / pixel + 1
        r0, r1 = max(int(np.floor(by - reach)), 0), min(int(np.ceil(by + reach)) + 1, rows)
        c0, c1 = max(int(np.floor(bx - reach)), 0), min(int(np.ceil(bx + reach)) + 1, columns)
        end_radius = h - end / vi
        for r in range(r0, r1):
            for c in range(c0, c1):
                dx, dy = (c - x[i]) * pixel, (r - y[i]) * pixel
                rho2, a0 = dx * dx + dy * dy, dx * ux + dy * uy
                # The point of the surface is etched away if g(s) ≤ 0 for some s.
                a = a0 + h * uz
                s = min(max((a - h / vi) / (1 - 1 / (vi * vi)), 0.0), end)
                if rho2 + h * h - 2 * s * a + s * s - (h - s / vi) ** 2 > 0:
                    continue
                deepest = h
                # The vertical line leaves the cone where A z² + 2 B z + C = 0.
                qa = 1 - vi * vi * uz * uz / v2
                qb = -vi * uz * (vi * a0 - h) / v2
                qc = rho2 - h * h - (vi * a0 - h) ** 2 / v2
                root = qb * qb - qa * qc
                if root >= 0:
                    root = np.sqrt(root)
                    z = -qc / (qb + root) if qb > 0 else (root - qb) / qa
                    s = (a0 + z * uz - h / vi) / (1 - 1 / (vi * vi))
                    if 0 <= s <= end:
                        deepest = max(deepest, z)
                ex, ey = dx - end * ux, dy - end * uy
                rest = end_radius * end_radius - ex * ex - ey * ey
                if rest >= 0:
                    deepest = max(deepest, end * uz + np.sqrt(rest))
                surface[r, c] = min(surface[r, c], h - deepest)


def height_map(pits: pd.DataFrame, image_size: tuple[int, int], pixel_size_um: float) -> FloatImage:
    """Return the height of one surface in micrometres: 0 in the bulk, negative in a pit.

    Where pits overlap the deeper wall remains. The map does not hold what lies under an overhanging
    wall, which is not seen from above.

    Parameters
    ----------
    pits : of this surface, one row per pit: ``x_px, y_px`` where the track enters the plastic (y
        down; a pit outside the map may reach into it), ``v``, ``dip_rad``, ``azimuth_rad`` of the
        track into the plastic (ccw from +x, y up), ``removed_um``, ``length_um``.
    image_size : (height, width) in points of the map.
    pixel_size_um : distance of the points.

    Returns
    -------
    (y, x) float32.
    """
    surface = np.zeros(image_size, np.float32)
    names = ["x_px", "y_px", "v", "dip_rad", "azimuth_rad", "removed_um", "length_um"]
    x, y, v, dip, azimuth, removed, length = np.ascontiguousarray(pits[names].to_numpy(float).T)
    shape = compute_opening(v, dip, removed, length)
    use = shape.exists
    reached = etched_length_um(v, removed, length)
    _carve(
        surface,
        x[use],
        y[use],
        v[use],
        dip[use],
        azimuth[use],
        removed[use],
        reached[use],
        shape.major_um[use],
        shape.shift_um[use],
        pixel_size_um,
    )
    return surface
