"""What other programs read of a scan's pictures: OME-Zarr 0.5 metadata of the group around them.

Axes, pixel size and channels stand where the specification has them
(https://ngff.openmicroscopy.org/0.5). It has no word for the positions of tiles that lie in one
array, so these stand beside it, under ``etchscope``.
"""

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from etchscope.foil import Channel, Scan
from etchscope.foil.types import RawStack

__all__ = ["AXES", "describe_scan", "display_windows", "sample_places"]

AXES = ("tile", "channel", "y", "x")
"""Names of the axes of a scan's array."""
_SHOWN_PERCENT = (0.5, 99.5)


def sample_places(scan: Scan, places: Mapping[int, int]) -> list[int]:
    """Return the places of the first, the middle and the last tile, for ``display_windows``.

    Parameters
    ----------
    places : tile number → index in the array.
    """
    used = sorted(places[tile.number] for tile in scan.tiles)
    return sorted({used[0], used[len(used) // 2], used[-1]})


def display_windows(tiles: Sequence[RawStack]) -> list[tuple[int, int]]:
    """Return the grey levels that a viewer shows as black and white, of each channel.

    Parameters
    ----------
    tiles : (channel, y, x) each, of a few tiles.
    """
    low, high = np.percentile(np.stack(tiles), _SHOWN_PERCENT, axis=(0, 2, 3))
    return [(int(a), max(int(np.ceil(b)), int(a) + 1)) for a, b in zip(low, high, strict=True)]


def describe_scan(
    scan: Scan, places: Mapping[int, int], windows: Sequence[tuple[int, int]], length: int
) -> dict[str, Any]:
    """Return the attributes of the group that holds a scan's array as ``0``.

    Parameters
    ----------
    places : tile number → index in the array.
    windows : of ``display_windows``.
    length : of the array's first axis.
    """
    size = scan.pixel_size_um
    scale = [1.0, 1.0, size or 1.0, size or 1.0]
    unit = {} if size is None else {"unit": "micrometer"}
    axes = [
        {"name": AXES[0], "type": "tile"},
        {"name": AXES[1], "type": "channel"},
        *({"name": name, "type": "space", **unit} for name in AXES[2:]),
    ]
    largest = int(np.iinfo(scan.dtype).max)
    datasets = [
        {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]},
    ]
    channels = [
        {
            "label": _label(channel),
            "color": _colour(scan, channel),
            "active": index == 0,
            "window": {"min": 0, "max": largest, "start": low, "end": high},
        }
        for index, (channel, (low, high)) in enumerate(zip(scan.channels, windows, strict=True))
    ]
    return {
        "ome": {
            "version": "0.5",
            "multiscales": [{"name": scan.name, "axes": axes, "datasets": datasets}],
            "omero": {"name": scan.name, "channels": channels, "rdefs": {"model": "color"}},
        },
        "etchscope": {"foil": scan.foil, "side": scan.side, **_tile_list(scan, places, length)},
    }


def _tile_list(scan: Scan, places: Mapping[int, int], length: int) -> dict[str, Any]:
    """Return of each place in the array the number of its tile, and where that tile lies.

    ``translation_um`` is (y, x) of the centre of the first pixel, on the stage with y turned down
    as in pictures; None where it is unknown, and where no tile is.
    """
    numbers: list[int | None] = [None] * length
    translations: list[list[float] | None] = [None] * length
    height, width = scan.image_size
    for tile in scan.tiles:
        place = places[tile.number]
        numbers[place] = tile.number
        if None not in (scan.pixel_size_um, tile.stage_x_mm, tile.stage_y_mm):
            x, y, size = tile.stage_x_mm, tile.stage_y_mm, scan.pixel_size_um
            translations[place] = [-1000 * y - height / 2 * size, 1000 * x - width / 2 * size]  # type: ignore[operator]
    return {"tiles": numbers, "translation_um": translations}


def _label(channel: Channel) -> str:
    azimuth = "" if channel.azimuth_deg is None else f" {channel.azimuth_deg:g}°"
    return f"step {channel.step}: {channel.role}{azimuth}"


def _colour(scan: Scan, channel: Channel) -> str:
    """Return the hue of an azimuth, so that slopes show as colours; white for other lights."""
    if channel.azimuth_deg is None:
        return "FFFFFF"
    sense = 1 if scan.azimuth_sense == "ccw" else -1
    rgb = colorsys.hsv_to_rgb(sense * channel.azimuth_deg / 360 % 1, 1, 1)
    return "".join(f"{round(255 * part):02X}" for part in rgb)
