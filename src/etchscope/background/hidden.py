"""Pits that others hide: how many there are, from how many are found.

A pit that lies in the opening of another is not told from it. If pits lie at random with density Λ,
and one whose centre is nearer than some distance to another is lost, the fraction exp(−Λ A) is
found, where A is the area within that distance. It is the law of a counter with extended dead time
(W. Feller in Studies and Essays, Courant Anniversary Volume, 1948, 105), and is inverted by
Λ = −W(−λ A) / A with the principal branch of Lambert's W. The found density λ cannot exceed
1 / (e A); from there on Λ cannot be known from λ.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import lambertw

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats

__all__ = ["Corrected", "EfficiencyCurve", "HiddenPits", "excluded_area"]

EXCLUDED = 0.3
"""Area in which a pit of the same surface is lost, per mean area of an opening. It follows from the
recall and precision of ``find`` on simulated foils of the preset ``experiment`` with 1,000 to 3,000
pits per tile, which give 0.22 to 0.41 if openings have radii of 7 px and both surfaces as many."""
EXCLUDED_ERROR = 0.1
"""Standard error of ``EXCLUDED``, from the scatter of these values."""
_MOST_HIDDEN = 0.5
"""Greatest share of hidden pits that is corrected; the foils behind ``EXCLUDED`` reach 0.3."""


def excluded_area(radius: Floats, share: Floats) -> float:
    """Return the area A in which a pit is lost to another one, in the unit of the radius squared.

    Parameters
    ----------
    radius : (n,) radii of openings.
    share : (k,) shares of the surfaces among the pits, of sum 1. Openings of two surfaces are told
        apart.

    Examples
    --------
    >>> round(excluded_area(np.array([1.0]), np.array([0.5, 0.5])), 3)
    0.471
    """
    known = radius[np.isfinite(radius)]
    if not len(known):
        return 0.0
    return float(EXCLUDED * np.pi * np.mean(known**2) * np.sum(share**2))


@dataclass(frozen=True)
class HiddenPits:
    """The correction for hidden pits by the area in which a pit is lost.

    Parameters
    ----------
    area : see ``excluded_area``; 0 corrects nothing.
    relative_error : standard error of the area, relative to it.
    """

    area: float
    relative_error: float = EXCLUDED_ERROR / EXCLUDED

    def undo(self, found: Floats, low: Floats, high: Floats) -> "Corrected":
        """Return the densities of all pits, from those of found pits with their interval.

        The errors of the density and of the area are added in quadrature.
        """
        value = self._invert(found, self.area)
        ends = [self._invert(end, self.area) for end in (low, high)]
        by_area = [
            self._invert(found, self.area * max(1 + sign * 1.96 * self.relative_error, 0.0))
            for sign in (-1, 1)
        ]
        return _combined(value, ends, by_area, found)

    @staticmethod
    def _invert(found: Floats, area: float) -> Floats:
        """Return the density of all pits; infinite where it cannot be known."""
        if area <= 0:
            return found
        argument = -found * area
        known = argument >= -np.exp(-1)
        true = -np.real(lambertw(np.where(known, argument, 0.0))) / area
        return np.where(known & (true * area <= -np.log(1 - _MOST_HIDDEN)), true, np.inf)


@dataclass(frozen=True)
class EfficiencyCurve:
    """The correction by a measured efficiency against the density of all pits.

    Parameters
    ----------
    density : (k,) densities, increasing, in the unit of the map.
    efficiency, low, high : (k,) found per present pit, with its 95 % interval.

    Raises
    ------
    BadInput : no rows, densities that do not increase from more than 0, or efficiencies that are
        not in order between 0 and 1.
    """

    density: Floats
    efficiency: Floats
    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        rows = np.array([self.low, self.efficiency, self.high])
        if not len(self.density) or not (np.diff(self.density, prepend=0.0) > 0).all():
            raise BadInput("efficiency", "densities that increase from above 0", f"{self.density}")
        if not ((np.diff(rows, axis=0) >= 0).all() and (rows > 0).all() and (rows <= 1).all()):
            raise BadInput("efficiency", "0 < low <= efficiency <= high <= 1", "other values")

    def undo(self, found: Floats, low: Floats, high: Floats) -> "Corrected":
        """Return the densities of all pits, see ``HiddenPits.undo``."""
        value = self._invert(found, self.efficiency)
        ends = [self._invert(end, self.efficiency) for end in (low, high)]
        by_curve = [self._invert(found, curve) for curve in (self.high, self.low)]
        return _combined(value, ends, by_curve, found)

    def _invert(self, found: Floats, efficiency: Floats) -> Floats:
        """Return the density of all pits; infinite beyond what was measured."""
        of_found = self.density * efficiency
        rising = np.append(True, np.diff(of_found) > 0)
        end = len(rising) if rising.all() else int(np.argmin(rising))
        x, y = np.append(0.0, of_found[:end]), np.append(0.0, self.density[:end])
        # Below the first density the efficiency is that of the first.
        return np.where(found <= x[-1], np.interp(found, x, y), np.inf)


@dataclass(frozen=True)
class Corrected:
    """Densities of all pits with their interval; all arrays have one shape.

    Where ``known`` is false, the value is that of found pits, the lower end still holds, and the
    upper end is infinite. ``factor`` is the density of all pits per found one with its systematic
    interval, (3, …): value, low, high.
    """

    value: Floats
    low: Floats
    high: Floats
    factor: Floats
    known: Bools

    @classmethod
    def of_found(cls, found: Floats, low: Floats, high: Floats) -> "Corrected":
        """Return densities where no pits are hidden."""
        return cls(found, low, high, np.ones((3, *found.shape)), np.isfinite(found))

    def of_part(self, found: Floats, low: Floats, high: Floats) -> "Corrected":
        """Return the densities of a part of the pits, which are hidden as often as all of them."""
        value, less, more = self.factor
        down = np.hypot((found - low) * value, found * (value - less))
        up = np.hypot((high - found) * value, found * (more - value))
        true = found * value
        up, true = np.where(self.known, up, np.inf), np.where(self.known, true, found)
        return Corrected(true, np.maximum(true - down, 0), true + up, self.factor, self.known)


def _combined(
    value: Floats, ends: list[Floats], systematic: list[Floats], found: Floats
) -> Corrected:
    """Return the value with the errors of counting and of the correction in quadrature."""
    known = np.isfinite(value) & np.isfinite(ends[1]) & np.isfinite(systematic[1])
    some = known & (found > 0)
    factor = np.ones((3, *found.shape))
    for k, part in enumerate((value, *systematic)):
        factor[k][some] = part[some] / found[some]
    with np.errstate(invalid="ignore"):
        low = value - np.hypot(value - ends[0], value - systematic[0])
        high = value + np.hypot(ends[1] - value, systematic[1] - value)
    # What was found is there in any case.
    low = np.where(known, np.maximum(low, 0), np.where(np.isfinite(ends[0]), ends[0], found))
    return Corrected(
        np.where(known, value, found), low, np.where(known, high, np.inf), factor, known
    )
