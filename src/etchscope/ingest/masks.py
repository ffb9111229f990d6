"""Masks from files: polygons as JSON, or black and white pictures."""

from pathlib import Path
from typing import Any

import numpy as np

from etchscope.files.foreign_pictures import PICTURE_SUFFIX, Page, read_picture
from etchscope.files.strict_json import read_json
from etchscope.foil import BadInput, Scan
from etchscope.foil.types import Bools, Floats
from etchscope.geometry import Mask, mask_unit
from etchscope.geometry.masks import fill_polygon
from etchscope.ingest.montage import Sheet

__all__ = ["read_mask"]

_FARTHEST = 1e6
"""Greatest coordinate of a corner in mm or px; a larger one is an error in the file."""


def read_mask(path: Path, scan: Scan, sheet: Sheet | None = None) -> Mask:
    """Return the mask in a file, checked against its scan.

    JSON holds one polygon ``[[x, y], …]`` or several, and the area inside any of them is searched.
    The unit is mm of the foil. If the scan has no scale or no positions, it is pixels: of every
    tile, or of the whole montage. A picture has the size of a tile or of the whole montage; white
    is searched, black is left out.

    Parameters
    ----------
    sheet : how the tiles lie in their montage; None for other layouts, or if it is not known any
        more.

    Raises
    ------
    BadInput : there is no such file; a polygon has fewer than three corners, or a corner that is
        not two numbers; a picture is not black and white or has another size; or the mask leaves
        nothing of the scan to search.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise BadInput(path, "a mask: JSON polygons or a black and white picture", what)
    if path.suffix.lower() == ".json":
        mask = _of_polygons(path, scan, sheet)
    elif PICTURE_SUFFIX.fullmatch(path.suffix):
        mask = _of_picture(path, scan, sheet)
    else:
        raise BadInput(path, "a name that ends in .json, .png or .tif", repr(path.suffix))
    if not mask.touched(scan):
        raise BadInput(path, f"a mask that leaves some of scan {scan.name}", _nothing(mask, scan))
    return mask


def _nothing(mask: Mask, scan: Scan) -> str:
    """Return in words why a mask leaves nothing: it is black, or its polygons are elsewhere."""
    if not mask.polygons:
        return "black everywhere"
    corners = np.concatenate(mask.polygons)
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    place = f"x from {x0:g} to {x1:g}, y from {y0:g} to {y1:g} {mask.unit}"
    return f"polygons on none of its {len(scan.tiles)} tiles ({place})"


def _of_polygons(path: Path, scan: Scan, sheet: Sheet | None) -> Mask:
    polygons, unit = _polygons(path), mask_unit(scan)
    if unit == "px" and scan.layout == "montage":
        if sheet is None:
            hint = "Give polygons to `add`, which sees the whole montage."
            raise BadInput(path, "a picture of a tile's size", "polygons", hint=hint)
        whole = np.zeros(sheet.image_size, bool)
        for polygon in polygons:
            whole |= fill_polygon(polygon, sheet.image_size)
        return _cut(whole, sheet)
    return Mask(polygons=polygons, unit=unit)


def _polygons(path: Path) -> tuple[Floats, ...]:
    """Return the polygons of a JSON file, each (m, 2)."""
    expected = "a polygon [[x, y], …] of three or more corners, or several"
    value = read_json(path)
    if not isinstance(value, list) or not value:
        what = "an empty list" if isinstance(value, list) else type(value).__name__
        raise BadInput(path, expected, what)
    is_one = not (isinstance(value[0], list) and value[0] and isinstance(value[0][0], list))
    out = []
    for number, polygon in enumerate([value] if is_one else value, 1):
        where = str(path) if is_one else f"{path}: polygon {number}"
        if not isinstance(polygon, list) or not all(map(_is_corner, polygon)):
            wrong = next((c for c in polygon if not _is_corner(c)), polygon)
            raise BadInput(where, expected, repr(wrong)[:60])
        corners = np.array(polygon, np.float64).reshape(-1, 2)
        if len(corners) > 1 and (corners[0] == corners[-1]).all():
            corners = corners[:-1]  # other programs repeat the first corner
        if len(np.unique(corners, axis=0)) < 3:
            raise BadInput(where, expected, f"{len(np.unique(corners, axis=0))} corners")
        out.append(corners)
    return tuple(out)


def _is_corner(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
        and all(abs(v) < _FARTHEST for v in value)
    )


def _of_picture(path: Path, scan: Scan, sheet: Sheet | None) -> Mask:
    pages = read_picture(path)
    if len(pages) != 1:
        raise BadInput(path, "one picture", f"{len(pages)} pages")
    is_white = _white(path, pages[0])
    if is_white.shape == scan.image_size:
        return Mask(pictures=is_white[None])
    if sheet is not None and is_white.shape == sheet.image_size:
        return _cut(is_white, sheet)
    expected = f"{_size(scan.image_size)}, the size of a tile"
    if sheet is not None:
        expected += f", or {_size(sheet.image_size)}, the size of the montage"
    hint = "" if sheet is not None or scan.layout != "montage" else "`add` sees the whole montage."
    raise BadInput(path, expected, _size(is_white.shape), hint=hint)


def _white(path: Path, page: Page) -> Bools:
    levels = np.unique(page)
    others = levels[levels > 0]
    if len(others) > 1:
        some = ", ".join(map(str, levels[:4].tolist()))
        more = ", …" if len(levels) > 4 else ""
        found = f"{len(levels)} grey levels ({some}{more})"
        raise BadInput(path, "black and white: 0 and one other grey level", found)
    return np.asarray(page > 0)


def _cut(whole: Bools, sheet: Sheet) -> Mask:
    pictures = np.stack([whole[cell] for cell in sheet.cells])
    return Mask(pictures=pictures, tiles=tuple(range(1, len(sheet.cells) + 1)))


def _size(image_size: tuple[int, ...]) -> str:
    return f"{image_size[1]} × {image_size[0]} pixels"
