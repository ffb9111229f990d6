"""The direction of a beam, from how far its pits move between two depths."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from etchscope.foil import BadInput

__all__ = ["Beam", "beam_direction"]

_MEDIAN = 1.2533  # error of a median over that of a mean, normal distribution: √(π/2)


@dataclass(frozen=True)
class Beam:
    """A direction: angle to the normal, and azimuth of the displacement (ccw from +x, y up).

    ``dx_mm, dy_mm`` the median displacement, ``error_mm`` its standard error along each axis,
    ``zenith_low_deg, zenith_high_deg`` a 95 % interval, ``particles`` how many were used.
    """

    zenith_deg: float
    zenith_low_deg: float
    zenith_high_deg: float
    azimuth_deg: float
    dx_mm: float
    dy_mm: float
    error_mm: float
    particles: int

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return dict(vars(self))


def beam_direction(dx_mm: ArrayLike, dy_mm: ArrayLike, depth_mm: float) -> Beam:
    """Return the direction in which particles go on by (dx, dy) over a depth.

    Entry to exit pit in one picture, over the foil's thickness; or a foil's pits to the next
    foil's in a frame that datum holes give to both, over the distance of the surfaces. An offset
    that a registration found without datum holes says nothing: it holds the displacement and the
    foils' own places together.

    Parameters
    ----------
    dx_mm, dy_mm : (n,) displacements of single particles, y up.
    depth_mm : above 0.

    Raises
    ------
    BadInput : no displacement, one that is not finite, or a depth that is not positive.

    Examples
    --------
    >>> beam = beam_direction([0.05, 0.05, 0.05], [0.0, 0.0, 0.0], 0.5)
    >>> round(beam.zenith_deg, 2), beam.azimuth_deg
    (5.71, 0.0)
    """
    d = np.column_stack([np.asarray(dx_mm, float).ravel(), np.asarray(dy_mm, float).ravel()])
    if not len(d) or not np.isfinite(d).all():
        raise BadInput("beam", "finite displacements, one or more", f"{len(d)}, or not finite")
    if not (np.isfinite(depth_mm) and depth_mm > 0):
        raise BadInput("beam: depth", "millimetres above 0", f"{depth_mm}")
    middle = np.median(d, axis=0)
    spread = 1.4826 * np.median(np.abs(d - middle), axis=0)
    error = float(_MEDIAN * np.sqrt((spread**2).mean() / len(d)))
    length = float(np.hypot(*middle))
    low, high = max(length - 1.96 * error, 0.0), length + 1.96 * error
    zenith, zenith_low, zenith_high = np.degrees(np.arctan2([length, low, high], depth_mm)).tolist()
    azimuth = float(np.degrees(np.arctan2(middle[1], middle[0])) % 360)
    x, y = middle.tolist()
    return Beam(zenith, zenith_low, zenith_high, azimuth, x, y, error, len(d))
