"""The etched cone: the pit that etching makes of a latent track, in closed form.

The etchant removes the bulk at the rate V_B and the track at V_T = V · V_B. After a layer h of the
bulk is removed, every point at a distance s along the track has been the centre of a sphere of
radius h − s / V (Huygens' construction). Their union is a round cone: a cone of half-angle
asin(1 / V) as long as the track lasts, with a sphere at its end once the track is over-etched.
"""

from dataclasses import dataclass

import numpy as np

from etchscope.foil.types import Bools, Floats

__all__ = ["Opening", "compute_opening", "etched_length_um"]


@dataclass(frozen=True)
class Opening:
    """The openings of pits in the plane of the etched surface, each (n,) float64, micrometres.

    ``exists`` is false where V·sin(dip) ≤ 1 or no length of the track is etched; the lengths are 0
    there. ``major_um`` and ``minor_um`` are full axes. ``shift_um`` is the distance from the point
    where the track entered the plastic to the centre of the opening, along the track's projection.
    """

    exists: Bools
    major_um: Floats
    minor_um: Floats
    shift_um: Floats
    depth_um: Floats


def etched_length_um(v: Floats, removed_um: Floats, length_um: Floats) -> Floats:
    """Return the length of each track that is etched, (n,) float64 micrometres.

    The parameters are those of ``compute_opening``.
    """
    return np.minimum(length_um, v * removed_um)


def compute_opening(v: Floats, dip_rad: Floats, removed_um: Floats, length_um: Floats) -> Opening:
    """Return the opening of each pit.

    As long as the track is not over-etched this is minor = 2h·√((V sin θ − 1)/(V sin θ + 1)) and
    major = 2h·√(V² − 1)/(V sin θ + 1) (Somogyi & Szalay, Nucl. Instrum. Meth. 109 (1973) 211);
    for an over-etched track, Huygens' construction ends at the track's end.

    Parameters
    ----------
    v : (n,) etch ratio V_T / V_B, 1 or more.
    dip_rad : (n,) angle between track and surface, 0 to π/2.
    removed_um : (n,) bulk removed since the etchant reached the track.
    length_um : (n,) length of the track from there on.
    """
    sine, cosine = np.sin(dip_rad), np.cos(dip_rad)
    length = etched_length_um(v, removed_um, length_um)
    exists = (v * sine > 1) & (length > 0) & (removed_um > 0)
    m = np.where(exists, sine - 1 / v, 1.0)
    k = sine + 1 / v
    h = removed_um
    # A point s = (h / k)(1 + cos τ) along the track makes a circle of radius h √(m / k) sin τ
    # around s·cos θ in the plane; the track ends at τ = `least`, so τ runs from there to π.
    reach = np.divide(length * k, h, out=np.zeros_like(k), where=h > 0)
    least = np.arccos(np.clip(reach - 1, -1, 1))
    tilt = np.arctan2(np.sqrt(m * k), cosine)

    def edge(tau: Floats, sign: float) -> Floats:
        along = h * cosine / k * (1 + np.cos(tau))
        return np.asarray(along + sign * h * np.sqrt(m / k) * np.sin(tau))

    far, near = edge(np.maximum(tilt, least), 1.0), edge(np.maximum(np.pi - tilt, least), -1.0)
    minor = 2 * h * np.sqrt(m / k) * np.sin(np.maximum(np.pi / 2, least))

    def where_it_exists(values: Floats) -> Floats:
        return np.where(exists, values, 0.0)

    return Opening(
        exists=exists,
        major_um=where_it_exists(np.maximum(far - near, minor)),
        minor_um=where_it_exists(minor),
        shift_um=where_it_exists((far + near) / 2),
        depth_um=where_it_exists(length * m),
    )
