"""The allowed range of every parameter of the simulation, checked before anything is drawn."""

import math
from collections.abc import Mapping

from etchscope.foil import BadInput

__all__ = ["Bounds", "check", "within"]

Bounds = Mapping[str, tuple[float, float]]
"""Parameter → least and greatest allowed value, both allowed."""


def within(where: str, value: float, least: float, most: float, hint: str = "") -> None:
    """Raise ``BadInput`` unless ``least <= value <= most``; not a number is refused too."""
    if not least <= value <= most:
        upper = f" to {most:g}" if math.isfinite(most) else " or more"
        raise BadInput(f"simulation: {where}", f"{least:g}{upper}", repr(value), hint=hint)


def check(parameters: object, bounds: Bounds) -> None:
    """Check the attributes of a parameter object against their bounds.

    Raises
    ------
    BadInput : names the object, the parameter, its allowed range and what was found.
    """
    what = type(parameters).__name__.lower()
    for name, (least, most) in bounds.items():
        within(f"{what}.{name}", getattr(parameters, name), least, most)
