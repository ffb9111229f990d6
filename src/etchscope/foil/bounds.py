"""The allowed range of every parameter of the simulation, checked before anything is drawn."""

import math
from collections.abc import Collection, Mapping, Sequence

from etchscope.foil.errors import BadInput

__all__ = ["Bounds", "check", "numbers", "one_of", "within"]

Bounds = Mapping[str, tuple[float, float]]
"""Parameter → least and greatest allowed value, both allowed."""


def within(where: str, value: float, least: float, most: float, hint: str = "") -> None:
    """Raise ``BadInput`` unless ``least <= value <= most``; not a number is refused too."""
    if not least <= value <= most:
        upper = f" to {most:g}" if math.isfinite(most) else " or more"
        raise BadInput(f"simulation: {where}", f"{least:g}{upper}", repr(value), hint=hint)


def numbers(where: str, values: Sequence[object], least: float, most: float, *, count: int) -> None:
    """Raise ``BadInput`` unless there are so many numbers, all from ``least`` to ``most``."""
    if len(values) != count:
        raise BadInput(f"simulation: {where}", f"{count} numbers", repr(values))
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInput(f"simulation: {where}", f"{count} numbers", repr(values))
        within(where, value, least, most)


def one_of(where: str, value: str, allowed: Collection[str]) -> None:
    """Raise ``BadInput`` unless a word is one of those allowed."""
    if value not in allowed:
        raise BadInput(f"simulation: {where}", " or ".join(allowed), repr(value))


def check(parameters: object, bounds: Bounds, what: str | None = None) -> None:
    """Check the attributes of a parameter object, called ``what``, against their bounds.

    Raises
    ------
    BadInput : names the object, the parameter, its allowed range and what was found.
    """
    prefix = f"{type(parameters).__name__.lower()}." if what is None else what
    for name, (least, most) in bounds.items():
        within(f"{prefix}{name}", getattr(parameters, name), least, most)
