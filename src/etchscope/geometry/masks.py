"""A mask: the parts of a scan's tiles that are to be searched."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from etchscope.foil.errors import BadInput
from etchscope.foil.records import Scan
from etchscope.foil.types import Bools, Floats
from etchscope.geometry.frames import foil_frame, stage_to_tile

__all__ = ["Mask", "fill_polygon", "mask_unit"]

_Unit = Literal["mm", "px"]


def mask_unit(scan: Scan) -> _Unit:
    """Return the unit of polygons: "mm" of the foil, or without a scale "px" of each tile."""
    placed = all(t.stage_x_mm is not None and t.stage_y_mm is not None for t in scan.tiles)
    return "mm" if scan.pixel_size_um is not None and placed else "px"


def fill_polygon(corners: Floats, image_size: tuple[int, int]) -> Bools:
    """Return which pixels have their centre inside a polygon (even–odd rule), (y, x) bool.

    The result is that of ``in_polygon`` for every pixel.

    Parameters
    ----------
    corners : (m, 2) x and y in pixels, m ≥ 3; the last corner does not repeat the first.
    image_size : (height, width).

    Examples
    --------
    >>> fill_polygon(np.array([[0.5, -1], [2.5, -1], [2.5, 0.5], [0.5, 0.5]]), (2, 4)).tolist()
    [[False, True, True, False], [False, False, False, False]]
    """
    height, width = image_size
    starts = np.zeros((height, width + 1), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = np.clip([np.ceil(min(y0, y1)), np.ceil(max(y0, y1))], 0, height).astype(int)
        y = np.arange(low, high)
        if not len(y):
            continue
        x = (x1 - x0) * (y - y0) / (y1 - y0) + x0
        # At the first pixel on the edge or right of it, inside changes to outside or back.
        first = np.clip(np.ceil(x), 0, width).astype(int)
        starts[y, first] ^= True
    return np.asarray(np.logical_xor.accumulate(starts, axis=1)[:, :width])


@dataclass(frozen=True, eq=False)
class Mask:
    """The parts of a scan that are to be searched, as polygons or as pictures.

    Attributes
    ----------
    polygons : each (m, 2) corners x and y in ``unit``; what lies inside any of them is searched.
        Empty where there are pictures.
    unit : "mm" of the foil, y up, or "px" of every tile, y down.
    pictures : (n, y, x) bool, true where a tile is searched; one picture for all tiles, or one for
        each of ``tiles``.
    tiles : numbers of the tiles of the pictures; empty where one picture holds for all.

    Raises
    ------
    BadInput : there are neither polygons nor pictures, or both; a polygon has fewer than three
        corners or one that is not finite; or there are not as many pictures as tiles.
    """

    polygons: tuple[Floats, ...] = ()
    unit: _Unit = "mm"
    pictures: Bools | None = None
    tiles: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.polygons) == (self.pictures is not None):
            raise BadInput("mask", "polygons or pictures", "both" if self.polygons else "neither")
        for polygon in self.polygons:
            if polygon.ndim != 2 or polygon.shape[1:] != (2,) or len(polygon) < 3:
                raise BadInput("mask", "polygons of three or more corners", f"{polygon.shape}")
            if not np.isfinite(polygon).all():
                raise BadInput("mask", "finite corners", "a corner that is not finite")
        if self.pictures is not None and (
            self.pictures.ndim != 3 or len(self.pictures) != (len(self.tiles) or 1)
        ):
            expected = f"{len(self.tiles) or 1} pictures, one per tile or one for all"
            raise BadInput("mask", expected, f"an array of shape {self.pictures.shape}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the mask, 16 hexadecimal digits."""
        sha = hashlib.sha256()
        for name, array in sorted(self.to_arrays().items()):
            sha.update(f"{name} {array.dtype.str} {array.shape} ".encode())
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()[:16]

    def of_tile(self, scan: Scan, tile: int) -> Bools:
        """Return which pixels of a tile are to be searched, (y, x) bool.

        Raises
        ------
        BadInput : the scan or the mask has no such tile, or the polygons are in mm and the scan has
            no scale or no positions.
        """
        return self.on_scan(scan)(tile)

    def on_scan(self, scan: Scan) -> Callable[[int], Bools]:
        """Return ``of_tile`` for the tiles of one scan, which prepares once what they share.

        Raises
        ------
        BadInput : see ``of_tile``.
        """
        tiles = {t.number: t for t in scan.tiles}
        in_mm = self.pictures is None and self.unit == "mm"
        frame = foil_frame(scan) if in_mm else None

        def of_tile(number: int) -> Bools:
            if number not in tiles:
                raise BadInput(f"scan {scan.name}", "one of its tiles", f"tile {number}")
            if self.pictures is not None:
                return self._picture(scan, number)
            out = np.zeros(scan.image_size, bool)
            for polygon in self.polygons:
                x, y = polygon[:, 0], polygon[:, 1]
                if frame is not None:
                    # Tiles without a position were refused with the frame.
                    at = tiles[number]
                    centre = np.array([at.stage_x_mm, at.stage_y_mm], np.float64)
                    x, y = stage_to_tile(*frame.to_stage(x, y), centre[0], centre[1], scan)
                out |= fill_polygon(np.column_stack([x, y]), scan.image_size)
            return out

        return of_tile

    def _picture(self, scan: Scan, tile: int) -> Bools:
        if self.pictures is None or (self.tiles and tile not in self.tiles):
            raise BadInput("mask", "a picture of every tile", f"none of tile {tile}")
        picture = self.pictures[self.tiles.index(tile) if self.tiles else 0]
        if picture.shape != scan.image_size:
            raise BadInput("mask", f"pictures of shape {scan.image_size}", f"{picture.shape}")
        return np.asarray(picture, bool)

    def touched(self, scan: Scan) -> tuple[int, ...]:
        """Return the numbers of the tiles that are searched in part or whole, excluded ones too."""
        of_tile = self.on_scan(scan)
        return tuple(t.number for t in scan.tiles if of_tile(t.number).any())

    def to_arrays(self) -> dict[str, "np.ndarray[Any, Any]"]:
        """Return the mask as arrays, with the pictures in bits; see ``from_arrays``."""
        if self.pictures is not None:
            return {
                "bits": np.packbits(self.pictures, axis=-1),
                "width": np.array(self.pictures.shape[-1], np.int64),
                "tiles": np.array(self.tiles, np.int64),
            }
        return {
            "corners": np.concatenate(self.polygons),
            "counts": np.array([len(p) for p in self.polygons], np.int64),
            "is_mm": np.array(self.unit == "mm"),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, "np.ndarray[Any, Any]"]) -> "Mask":
        """Return the mask from the arrays of ``to_arrays``.

        Raises
        ------
        BadInput : the arrays are not those of a mask.
        """
        try:
            if "bits" in arrays:
                width = int(arrays["width"])
                pictures = np.unpackbits(arrays["bits"], axis=-1, count=width).astype(bool)
                return cls(pictures=pictures, tiles=tuple(arrays["tiles"].tolist()))
            parts = np.split(arrays["corners"], np.cumsum(arrays["counts"])[:-1])
            return cls(polygons=tuple(parts), unit="mm" if arrays["is_mm"] else "px")
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput("mask", "the arrays of a mask", f"{sorted(arrays)}") from error
