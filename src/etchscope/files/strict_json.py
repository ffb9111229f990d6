"""JSON: read strictly, and written so that a value has one text only."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from etchscope.foil import BadInput

__all__ = ["canonical_json", "first_fault", "read_json"]


def read_json(path: Path) -> Any:
    """Return the value of a JSON file; a key that stands twice and NaN are errors.

    Raises
    ------
    BadInput : the file is absent or no JSON (the error has line and column), a key stands twice,
        or a number is NaN or infinite.
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

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(path, "JSON in UTF-8", f"byte {error.start} is not UTF-8") from error
    except OSError as error:
        raise BadInput(path, "a readable file", error.strerror or str(error)) from error
    try:
        return json.loads(text, object_pairs_hook=object_of, parse_constant=refuse)
    except json.JSONDecodeError as error:
        where = f"{path}: line {error.lineno}, column {error.colno}"
        raise BadInput(where, "JSON", error.msg) from error
    except RecursionError as error:
        raise BadInput(path, "JSON", "brackets nested too deep") from error


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
