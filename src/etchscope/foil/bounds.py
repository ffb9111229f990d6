"""The allowed range of every parameter of the simulation, checked before anything is drawn."""

import math
from collections.abc import Collection, Mapping, Sequence

from etchscope.foil.errors import BadInput

__all__ = ["Bounds", "require_bounds", "require_numbers", "require_one_of", "require_within"]

Bounds = Mapping[str, tuple[float, float]]
"""Parameter → its least and its greatest value; both are allowed."""


def require_within(where: str, value: float, least: float, most: float, hint: str = "") -> None:
    """Refuse a value outside ``least <= value <= most``; NaN is refused too.

    Parameters
    ----------
    where : name of the parameter, for the error.
    hint : what to do next, a whole sentence.

    Raises
    ------
    BadInput : the value lies outside.
    """
    if not least <= value <= most:
        upper = f" to {most:g}" if math.isfinite(most) else " or more"
        raise BadInput(f"simulation: {where}", f"{least:g}{upper}", repr(value), hint=hint)


def require_numbers(
    where: str, values: Sequence[object], least: float, most: float, *, count: int
) -> None:
    """Refuse anything but ``count`` numbers, each from ``least`` to ``most``.

    Raises
    ------
    BadInput : another count, something that is no number, or a number outside.
    """
    if len(values) != count:
        raise BadInput(f"simulation: {where}", f"{count} numbers", repr(values))
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInput(f"simulation: {where}", f"{count} numbers", repr(values))
        require_within(where, value, least, most)


def require_one_of(where: str, value: str, allowed: Collection[str]) -> None:
    """Refuse a word that is not among those allowed.

    Raises
    ------
    BadInput : names the allowed words.
    """
    if value not in allowed:
        raise BadInput(f"simulation: {where}", " or ".join(allowed), repr(value))


def require_bounds(parameters: object, bounds: Bounds, what: str | None = None) -> None:
    """Refuse a parameter object of which an attribute lies outside its bounds.

    Parameters
    ----------
    what : prefix of the attribute's name in the error; by default the name of the object's class.

    Raises
    ------
    BadInput : names the object, the attribute, its allowed range and the value found.
    """
    prefix = f"{type(parameters).__name__.lower()}." if what is None else what
    for name, (least, most) in bounds.items():
        require_within(f"{prefix}{name}", getattr(parameters, name), least, most)
