"""From a number of particles to fluence and flux: acceptance and exposure of the foils."""

import math
from dataclasses import dataclass

from etchscope.foil import BadInput

__all__ = ["YEAR_S", "Exposure", "acceptance_sr"]

YEAR_S = 365.25 * 86_400
"""Seconds of a Julian year."""
_CM2_OF_M2 = 1e4
_LARGEST_ACCEPTANCE_SR = 2 * math.pi * (1 + 1e-3)
"""That of a foil that sees both halves of the sky, and what rounding may add to it."""


def acceptance_sr(largest_zenith_deg: float = 90.0, *, sides: int = 1) -> float:
    """Return the acceptance of a flat foil in an isotropic flux, per area.

    It is the integral of cos θ over the directions that leave a track: π sin²θ for each side from
    which particles come, where θ is the largest angle to the normal. A foil that is open to one
    half of the sky has π, one that sees both halves 2π.

    Parameters
    ----------
    largest_zenith_deg : largest angle to the normal at which a track is etched, up to 90.
    sides : 1 or 2.

    Raises
    ------
    BadInput : another angle or number of sides.

    Examples
    --------
    >>> round(acceptance_sr(), 4), round(acceptance_sr(30.0, sides=2), 4)
    (3.1416, 1.5708)
    """
    if not 0 < largest_zenith_deg <= 90:
        found = f"{largest_zenith_deg}"
        raise BadInput("largest zenith angle", "degrees above 0, at most 90", found)
    if sides not in (1, 2):
        raise BadInput("sides", "1 or 2", f"{sides}")
    return sides * math.pi * math.sin(math.radians(largest_zenith_deg)) ** 2


@dataclass(frozen=True)
class Exposure:
    """What the foils were exposed to; None for what is not known or does not apply.

    Parameters
    ----------
    area_m2 : searched area, the overlap of tiles once.
    solid_angle_sr : acceptance per area, see ``acceptance_sr``; None for a beam of one direction,
        whose particles are stated per area.
    years : duration; None for a fluence only.

    Raises
    ------
    BadInput : a number that is not above 0 or not finite, or an acceptance above 2π.
    """

    area_m2: float | None = None
    solid_angle_sr: float | None = None
    years: float | None = None

    def __post_init__(self) -> None:
        for name in ("area_m2", "solid_angle_sr", "years"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise BadInput(name, "a number above 0", f"{value}")
        if self.solid_angle_sr is not None and self.solid_angle_sr > _LARGEST_ACCEPTANCE_SR:
            hint = "State the integral of cos θ over the directions, not the bare solid angle."
            raise BadInput("solid_angle_sr", "at most 2π", f"{self.solid_angle_sr}", hint=hint)

    @property
    def seconds(self) -> float | None:
        """Duration in seconds, or None."""
        return None if self.years is None else self.years * YEAR_S

    @property
    def aperture(self) -> float | None:
        """Area times acceptance in cm² sr, or the area in cm² without an acceptance, or None."""
        if self.area_m2 is None:
            return None
        return self.area_m2 * _CM2_OF_M2 * (self.solid_angle_sr or 1.0)
