"""Labelled patches as one NumPy file: written for other programs, checked when they come back."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from etchscope.files.atomic import write_aside
from etchscope.foil import BadInput

__all__ = ["PATCH_ARRAYS", "PatchArray", "read_patches", "write_patches"]

_PICTURE = ("channel", "y", "x")
_FEW = ("lamp", "who", "source")
"""Axes that may have no element: without lamps, or where all labels were taken."""


@dataclass(frozen=True)
class PatchArray:
    """One array of a file of patches.

    Attributes
    ----------
    axes : its axes by name; an axis has one length in all arrays of a file.
    dtype : float32, float64, int64, or str for text of any length.
    meaning : what it holds, with the unit.
    may_be_nan : whether NaN stands for a value that is not known.
    """

    name: str
    axes: tuple[str, ...]
    dtype: Literal["float32", "float64", "int64", "str"]
    meaning: str
    may_be_nan: bool = False


PATCH_ARRAYS = (
    PatchArray("patches", ("patch", *_PICTURE), "float32", "normalised pictures, the bulk at 0"),
    PatchArray("label", ("patch",), "str", "class of the label, without its subclass"),
    PatchArray("weight", ("patch",), "float64", "what the patch counts; the patches of a label: 1"),
    PatchArray("region", ("patch",), "int64", "place on the foil; a fold holds whole places"),
    PatchArray("scan", ("patch",), "str", "scan that the patch was cut from"),
    PatchArray("tile", ("patch",), "int64", "number of the tile in the scan"),
    PatchArray("x_px", ("patch",), "float64", "centre in the tile, to the right"),
    PatchArray("y_px", ("patch",), "float64", "centre in the tile, downwards"),
    PatchArray("id", ("patch",), "str", "id of the label"),
    PatchArray("density_per_mm2", ("patch",), "float64", "pits around the pit", may_be_nan=True),
    PatchArray("evidence", ("patch",), "float64", "log-likelihood ratio of the pair, 0 without"),
    PatchArray("pixel_size_um", ("patch",), "float64", "scale of the scan", may_be_nan=True),
    PatchArray("context", ("find", *_PICTURE), "float32", "patches of finds, labelled or not"),
    PatchArray("context_region", ("find",), "int64", "number of the tile of each find"),
    PatchArray("channels", ("channel",), "str", "names of the channels, the lamps first"),
    PatchArray("azimuths_deg", ("lamp",), "float64", "azimuths of the lamps, counter-clockwise"),
    PatchArray("size", (), "int64", "pixels per side of a patch"),
    PatchArray("scans", ("scan",), "str", "the scans, each once"),
    PatchArray("normalisation_sha256", ("scan",), "str", "of recipe and fit of each scan"),
    PatchArray("labels_outside", (), "int64", "labels left out: on no included tile"),
    PatchArray("label_conflicts", (), "int64", "places left out: their labels conflict"),
    PatchArray("labels_of_who", ("who",), "str", "people whose labels these are; empty: of all"),
    PatchArray("labels_of_source", ("source",), "str", "kinds of labels; empty: all kinds"),
)
"""The arrays of a file of patches, in its order."""


def write_patches(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write labelled patches as ``.npz``, whole or not at all; equal arrays give equal bytes.

    Parameters
    ----------
    path : must end in .npz.
    arrays : those of ``PATCH_ARRAYS``.

    Raises
    ------
    BadInput : another suffix, no such folder, or arrays that ``read_patches`` would refuse.
    MachineFailed : the disk is full.
    """
    if path.suffix.lower() != ".npz":
        raise BadInput(path, "a name that ends in .npz", repr(path.suffix))
    if not path.parent.is_dir():
        raise BadInput(path, "an existing folder", f"no folder {path.parent}")
    whole: dict[str, Any] = _checked(arrays, path)
    # An open file, because NumPy would add a suffix to the name of one that is written aside.
    with write_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, **whole)


def read_patches(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``PATCH_ARRAYS`` from a file; others that it has are left out.

    No code of the file is run: an array of Python objects is refused.

    Raises
    ------
    BadInput : no such file, not a file of NumPy arrays, or damaged; an array that is missing, of
        another dtype or shape, or with a value that is not finite.
    """
    expected = "an intact .npz file of NumPy arrays"
    known = {array.name for array in PATCH_ARRAYS}
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise BadInput(path, expected, "a single array")
            with file:
                arrays = {name: file[name] for name in file.files if name in known}
    except OSError as error:
        raise BadInput(path, expected, error.strerror or str(error)) from error
    except BadInput:
        raise
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(path, expected, str(error)) from error
    return _checked(arrays, path)


def _checked(arrays: Mapping[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays in the order of ``PATCH_ARRAYS``; refuse what they must not be."""
    lengths: dict[str, int] = {}
    out = {}
    for array in PATCH_ARRAYS:
        if array.name not in arrays:
            raise BadInput(path, f"an array {array.name}", ", ".join(sorted(arrays)) or "none")
        values = arrays[array.name]
        where = f"{path}: {array.name}"
        is_dtype = values.dtype.kind == "U" if array.dtype == "str" else values.dtype == array.dtype
        if not is_dtype:
            raise BadInput(where, f"dtype {array.dtype}", f"dtype {values.dtype}")
        _require_shape(where, array, values, lengths)
        if values.dtype.kind == "f":
            is_wrong = np.isinf(values) if array.may_be_nan else ~np.isfinite(values)
            if is_wrong.any():
                raise BadInput(where, "finite values", f"{values[is_wrong].flat[0]}")
        out[array.name] = values
    size = int(out["size"])
    if (lengths["y"], lengths["x"]) != (size, size):
        found = f"{lengths['y']} × {lengths['x']} px"
        raise BadInput(f"{path}: patches", f"{size} × {size} px, as size says", found)
    return out


def _require_shape(
    where: str, array: PatchArray, values: NDArray[Any], lengths: dict[str, int]
) -> None:
    """Refuse an array of another shape.

    Parameters
    ----------
    lengths : of the axes of the arrays before it; those that it is the first to have are added.
    """
    wanted = [str(lengths.get(axis, axis)) for axis in array.axes]
    expected = f"shape ({', '.join(wanted)})"
    if values.ndim != len(array.axes):
        raise BadInput(where, expected, f"shape {values.shape}")
    for axis, length in zip(array.axes, values.shape, strict=True):
        is_empty = length == 0 and axis not in _FEW
        if is_empty or lengths.setdefault(axis, length) != length:
            raise BadInput(where, expected, f"shape {values.shape}")
