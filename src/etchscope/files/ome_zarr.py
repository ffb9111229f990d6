"""Maps as OME-Zarr 0.5 images, which viewers of microscope pictures open."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etchscope.files.atomic import delete, write_folder_aside

__all__ = ["write_ome_zarr"]

_CHUNK = 1024
_UNITS = {"mm": "millimeter"}


def write_ome_zarr(
    path: Path,
    channels: Mapping[str, NDArray[Any]],
    *,
    origin: tuple[float, float],
    step: float,
    unit: str,
    attributes: Mapping[str, Any],
) -> None:
    """Write arrays of one shape as the channels of an OME-Zarr 0.5 image, whole or not at all.

    What lies at ``path`` is replaced. The axes are (channel, y, x), and both coordinates grow with
    the index (https://ngff.openmicroscopy.org/0.5).

    Parameters
    ----------
    path : folder that ends in .zarr.
    channels : name → (y, x) array; all are written as float32.
    origin : x and y of the centre of the first cell.
    step : side of a cell, in the same unit.
    unit : mm, or any other, which the format has no word for.
    attributes : of our own, which stand under ``etchscope``.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    import zarr  # here, because few files need it

    stack = np.stack([np.asarray(v, np.float32) for v in channels.values()])
    axes = [
        {"name": "channel", "type": "channel"},
        *({"name": name, "type": "space"} | _unit(unit) for name in ("y", "x")),
    ]
    transforms = [
        {"type": "scale", "scale": [1.0, step, step]},
        {"type": "translation", "translation": [0.0, origin[1], origin[0]]},
    ]
    datasets = [{"path": "0", "coordinateTransformations": transforms}]
    multiscale = {"name": path.stem, "axes": axes, "datasets": datasets}
    shown = [_channel(name, values) for name, values in zip(channels, stack, strict=True)]
    about = {
        "ome": {
            "version": "0.5",
            "multiscales": [multiscale],
            "omero": {"name": path.stem, "channels": shown, "rdefs": {"model": "greyscale"}},
        },
        "etchscope": dict(attributes),
    }
    json.dumps(about, allow_nan=False)
    delete(path)
    with write_folder_aside(path, path.parent) as aside:
        group = zarr.create_group(str(aside), zarr_format=3, attributes=about)
        written = group.create_array(
            "0",
            shape=stack.shape,
            chunks=(1, *(min(_CHUNK, n) for n in stack.shape[1:])),
            dtype="float32",
            fill_value=float("nan"),
            dimension_names=("channel", "y", "x"),
        )
        written[:] = stack


def _unit(unit: str) -> dict[str, str]:
    return {"unit": _UNITS[unit]} if unit in _UNITS else {}


def _channel(name: str, values: NDArray[np.float32]) -> dict[str, Any]:
    """Return how a viewer shows a channel: grey, from its least to its greatest finite value."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    high = high if high > low else low + 1.0
    window = {"min": low, "max": high, "start": low, "end": high}
    return {"label": name, "color": "FFFFFF", "active": name == "density", "window": window}
