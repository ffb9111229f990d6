"""JSON: read strictly, and written so that a value has one text only."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from etchscope.files.foreign import read_bytes
from etchscope.foil import BadInput
from etchscope.foil.storable import require_storable

__all__ = ["canonical_json", "first_fault", "parse_json", "read_json"]

_MOST_DIGITS = 20  # with the sign
_MOST_VALUES = 20_000_000


def read_json(path: Path) -> Any:
    """Return the value of a JSON file; see ``parse_json``.

    Raises
    ------
    BadInput : the file is absent, no regular file, larger than 256 MB, has more than 20 million
        values, or is refused by ``parse_json``.
    """
    data = read_bytes(path)
    values = sum(data.count(mark) for mark in b",[{")
    if values > _MOST_VALUES:  # an empty list takes 3 bytes of a file and 64 of memory
        raise BadInput(path, f"at most {_MOST_VALUES:,} values", f"about {values:,}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(path, "JSON in UTF-8", f"byte {error.start} is not UTF-8") from error
    return parse_json(text, path)


def parse_json(text: str, path: str | Path) -> Any:
    """Return the value of a JSON text; a key that stands twice and NaN are errors.

    Parameters
    ----------
    path : the file or the thing that the text is from, which an error names.

    Raises
    ------
    BadInput : no JSON (the error has line and column), a key that stands twice, NaN, a whole
        number of more than 64 bits, text that is no Unicode, or values nested
        more than 100 deep.
    """

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in pairs:
            if key in out:
                raise BadInput(path, "every key once", f"{key!r} twice")
            out[key] = value
        return out

    def refuse(constant: str) -> float:
        raise BadInput(path, "numbers", constant)

    def whole_number(digits: str) -> int:
        if len(digits) > _MOST_DIGITS:
            raise BadInput(path, "whole numbers of at most 64 bits", f"one of {len(digits)} digits")
        return int(digits)

    try:
        value = json.loads(
            text, object_pairs_hook=object_of, parse_constant=refuse, parse_int=whole_number
        )
        return require_storable(value, is_finite=False)
    except BadInput:
        raise
    except json.JSONDecodeError as error:
        where = f"{path}: line {error.lineno}, column {error.colno}"
        raise BadInput(where, "JSON", error.msg) from error
    except RecursionError as error:
        raise BadInput(path, "JSON", "brackets nested too deep") from error
    except ValueError as error:
        raise BadInput(path, "JSON that a store can hold", str(error)) from error


def first_fault(where: str | Path, error: ValidationError) -> tuple[str, str]:
    """Return the place of the first key that a model refused, and what is wrong there.

    Parameters
    ----------
    where : the file or the thing that was validated.
    """
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    return f"{where}: {key}" if key else str(where), first["msg"].removeprefix("Value error, ")


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: with sorted keys, without spaces.

    Raises
    ------
    ValueError : the value contains NaN or an infinite number.

    >>> canonical_json({"b": 1, "a": [1.5, None]})
    '{"a":[1.5,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
