"""What etching makes of a latent track: pits in closed form, and the height map of a surface.

The etchant removes the bulk at V_B and the track at V = V_T / V_B times that, so after the bulk
``removed`` is gone, every point s along the track has been the centre of a sphere of radius
removed − s / V (Huygens' construction). Their union is a round cone: a cone of half-angle
asin(1 / V) as long as the track lasts, with a sphere at its end once the track is over-etched.
"""

from dataclasses import dataclass

import numba
import numpy as np
import pandas as pd

from etchscope.foil.types import Bools, FloatImage, Floats

__all__ = ["Opening", "etched", "height_map", "opening"]


@dataclass(frozen=True)
class Opening:
    """What pits look like in the plane of the etched surface, each (n,) float64, micrometres.

    ``exists`` is false where V·sin(dip) ≤ 1 or nothing of the track was left to etch; the lengths
    are 0 there. ``major_um`` and ``minor_um`` are full axes; ``shift_um`` is from the point where
    the track entered the plastic to the centre of the opening, along the track's projection.
    """

    exists: Bools
    major_um: Floats
    minor_um: Floats
    shift_um: Floats
    depth_um: Floats


def etched(v: Floats, removed_um: Floats, length_um: Floats) -> Floats:
    """Return how far along each track the etchant got, micrometres."""
    return np.minimum(length_um, v * removed_um)


def opening(v: Floats, dip_rad: Floats, removed_um: Floats, length_um: Floats) -> Opening:
    """Return the opening of each pit.

    As long as the track is not over-etched this is minor = 2h·√((V sin θ − 1)/(V sin θ + 1)) and
    major = 2h·√(V² − 1)/(V sin θ + 1) (Somogyi & Szalay, Nucl. Instrum. Meth. 109 (1973) 211);
    else the same circles of Huygens' construction, only up to the track's end.

    Parameters
    ----------
    v : V_T / V_B, 1 or more.
    dip_rad : angle between track and surface, 0 to π/2.
    removed_um : bulk removed since the etchant reached the track.
    length_um : length of the track from there on.
    """
    sine, cosine = np.sin(dip_rad), np.cos(dip_rad)
    length = etched(v, removed_um, length_um)
    exists = (v * sine > 1) & (length > 0) & (removed_um > 0)
    m = np.where(exists, sine - 1 / v, 1.0)
    k = sine + 1 / v
    h = removed_um
    # A point s = (h / k)(1 + cos τ) along the track makes a circle of radius h √(m / k) sin τ
    # around s·cos θ in the plane; the track's end allows τ from `least` to π.
    reach = np.divide(length * k, h, out=np.zeros_like(k), where=h > 0)
    least = np.arccos(np.clip(reach - 1, -1, 1))
    tilt = np.arctan2(np.sqrt(m * k), cosine)

    def edge(tau: Floats, sign: float) -> Floats:
        along = h * cosine / k * (1 + np.cos(tau))
        return np.asarray(along + sign * h * np.sqrt(m / k) * np.sin(tau))

    far, near = edge(np.maximum(tilt, least), 1.0), edge(np.maximum(np.pi - tilt, least), -1.0)
    minor = 2 * h * np.sqrt(m / k) * np.sin(np.maximum(np.pi / 2, least))

    def kept(values: Floats) -> Floats:
        return np.where(exists, values, 0.0)

    return Opening(
        exists=exists,
        major_um=kept(np.maximum(far - near, minor)),
        minor_um=kept(minor),
        shift_um=kept((far + near) / 2),
        depth_um=kept(length * m),
    )


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
                # Is the point in the plane of the surface etched away? g(s) ≤ 0 for some s.
                a = a0 + h * uz
                s = min(max((a - h / vi) / (1 - 1 / (vi * vi)), 0.0), end)
                if rho2 + h * h - 2 * s * a + s * s - (h - s / vi) ** 2 > 0:
                    continue
                deepest = h
                # Where the vertical line leaves the cone: A z² + 2 B z + C = 0.
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

    Where pits overlap the deeper wall remains. What lies under an overhanging wall is not seen
    from above and not in the map.

    Parameters
    ----------
    pits : of this surface; ``x_px, y_px`` where the track entered the plastic (y down; those
        outside the picture may reach into it), ``v``, ``dip_rad``, ``azimuth_rad`` of the track
        on its way into the plastic (ccw from +x, y up), ``removed_um``, ``length_um``.
    image_size : (height, width) in pixels.
    pixel_size_um : of this picture.

    Returns
    -------
    (y, x) float32.
    """
    surface = np.zeros(image_size, np.float32)
    names = ["x_px", "y_px", "v", "dip_rad", "azimuth_rad", "removed_um", "length_um"]
    x, y, v, dip, azimuth, removed, length = np.ascontiguousarray(pits[names].to_numpy(float).T)
    shape = opening(v, dip, removed, length)
    use = shape.exists
    reached = etched(v, removed, length)
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
