"""The requirement on a working point: an efficiency, or a rate of false candidates."""

from dataclasses import dataclass

import numpy as np

from etchscope.foil import BadInput

__all__ = ["Requirement"]


@dataclass(frozen=True)
class Requirement:
    """The requirement on thresholds: an efficiency in (0, 1], or false candidates per tile above 0.

    Raises
    ------
    BadInput : none or both of them, or a value out of range.
    """

    efficiency: float | None = None
    false_per_tile: float | None = None

    def __post_init__(self) -> None:
        if (self.efficiency is None) == (self.false_per_tile is None):
            raise BadInput("working point", "an efficiency or false candidates per tile", "not one")
        if self.efficiency is not None and not 0 < self.efficiency <= 1:
            found = f"{self.efficiency:g}"
            raise BadInput("working point: efficiency", "above 0, at most 1", found)
        if self.false_per_tile is not None and not 0 < self.false_per_tile < np.inf:
            found = repr(self.false_per_tile)
            hint = "A threshold that none of these passes lets some of the next foil pass."
            raise BadInput("working point: false candidates", "above 0", found, hint)

    def __str__(self) -> str:
        if self.efficiency is not None:
            return f"efficiency {self.efficiency:g}"
        return f"{self.false_per_tile:g} false candidates a tile"  # models keep this text
