"""Values that every table, catalogue and file can hold."""

import math
from typing import TypeVar

__all__ = ["LARGEST", "require_storable"]

Value = TypeVar("Value")

LARGEST = 2**63 - 1
"""The largest whole number of a table, a catalogue or a file."""
_DEEPEST = 100


def require_storable(value: Value, *, is_finite: bool = True, depth: int = 0) -> Value:
    """Return a value of JSON as it is.

    Parameters
    ----------
    is_finite : whether numbers that are not finite are refused.
    depth : of the brackets that the value lies in.

    Raises
    ------
    ValueError : a whole number of more than 64 bits, a number that is not finite, text that is no
        Unicode, values nested more than 100 deep, or what JSON does not have.

    Examples
    --------
    >>> require_storable({"exposure_ms": [2.5, None]})
    {'exposure_ms': [2.5, None]}
    """
    if depth > _DEEPEST:
        raise ValueError(f"values nested more than {_DEEPEST} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r}, which is no text")
            _require_plain(key, is_finite)
            require_storable(item, is_finite=is_finite, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            require_storable(item, is_finite=is_finite, depth=depth + 1)
    else:
        _require_plain(value, is_finite)
    return value


def _require_plain(value: object, is_finite: bool) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"text that is no Unicode: {value[:50]!a}") from error
    elif isinstance(value, int):
        if not -LARGEST <= value <= LARGEST:
            raise ValueError("a whole number of more than 64 bits")
    elif isinstance(value, float):
        if is_finite and not math.isfinite(value):
            raise ValueError(f"the number {value}")
    elif value is not None:
        raise ValueError(f"a {type(value).__name__}")
