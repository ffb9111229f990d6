"""Digests, which identify a file or a value."""

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["digest_of", "sha256_of"]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256, hexadecimal, of a value that JSON can hold; keys in any order.

    Examples
    --------
    >>> digest_of({"a": 1, "b": [2]}) == digest_of({"b": (2,), "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
