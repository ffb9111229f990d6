"""Arrays as deterministic ``.npz`` files that load without running code."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from etchscope.foil import BadInput

__all__ = ["arrays_from_npz", "arrays_to_npz"]


def arrays_to_npz(arrays: Mapping[str, "np.ndarray[Any, Any]"]) -> tuple[bytes, str]:
    """Return the bytes of an .npz file and their SHA-256; equal arrays give equal bytes.

    Parameters
    ----------
    arrays : name → array of any numeric dtype.

    Raises
    ------
    BadInput : an array holds Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            if arrays[name].dtype.hasobject:
                raise BadInput(f"fit: array {name}", "numbers", "Python objects")
            member = io.BytesIO()
            np.save(member, np.asarray(arrays[name], order="C"), allow_pickle=False)
            # A ZipInfo of its own carries a fixed date, so the bytes do not depend on the clock.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def arrays_from_npz(path: Path, sha256: str) -> dict[str, "np.ndarray[Any, Any]"]:
    """Return the arrays of a file that has this SHA-256.

    Raises
    ------
    BadInput : absent or damaged.
    """
    hint = "Run `etchscope check`."
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(path, "the file of a fit", "no file", hint=hint) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise BadInput(path, f"SHA-256 {sha256[:12]}…", f"{found[:12]}…", hint=hint)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
