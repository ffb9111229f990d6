"""Graphics that a program has drawn into pictures: scale bars with their text, strips of text."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from etchscope.foil.types import Bools, FloatImage, RawStack

__all__ = ["Box", "find_graphics"]

_Image = NDArray[Any]

Box = tuple[int, int, int, int]
"""A box: first row, row after the last, first column, column after the last."""

_LONG_PX = 32
"""Least length of a bar."""
_THICK_PX = 40
"""Greatest thickness of a bar."""
_ACROSS = 0.6
"""Greatest length of a bar as a share of the picture. A line between the cells of a sheet is
longer."""
_SAME = 0.02
"""Greatest deviation of the grey level within a drawing, and between pictures, as a share of the
range; JPEG compression causes it."""
_CONTRAST = 0.1
"""Least step from a bar to the rows above and below it, as a share of the range."""
_GLYPH_PX = 64
"""Greatest size of a letter."""


def find_graphics(raw: RawStack, full: float) -> list[Box]:
    """Return boxes around scale bars with their text, and strips of text at the top or bottom.

    Parameters
    ----------
    raw : (channel, y, x) grey levels of one tile.
    full : grey level at which the camera clips, see ``full_scale``.
    """
    most, least = raw[0], raw[0]
    for picture in raw[1:]:
        most, least = np.maximum(most, picture), np.minimum(least, picture)
    same = full * _SAME
    white, black = least >= full - 2 * same, most <= 2 * same
    masks = [m for m in (white, black) if m.any()]
    out = [strip for mask in masks for strip in _strips(mask)]
    flat = _flat(most, least, same)
    if flat.any():
        masks.append(flat)
    grey = most.astype(np.float32)
    for mask in masks:
        for turned in (False, True):
            view = mask.T if turned else mask
            picture = grey.T if turned else grey
            for box in _bars(view, picture, full):
                found = (box[2], box[3], box[0], box[1]) if turned else box
                out.append(_with_text(found, most, least, same))
    return out


def _flat(most: _Image, least: _Image, same: float) -> Bools:
    """Return which pixels have the same grey level as their neighbours, in all pictures, (y, x)."""
    kernel = np.ones((3, 3), np.uint8)
    return np.asarray(
        cv2.dilate(most, kernel).astype(np.float32) - cv2.erode(least, kernel) <= same
    )


def _bars(mask: Bools, grey: FloatImage, full: float) -> list[Box]:
    """Return the horizontal bars of a mask: straight, long, and clearly different from around."""
    line = np.ones((1, _LONG_PX), np.uint8)
    runs = cv2.morphologyEx(np.ascontiguousarray(mask, np.uint8), cv2.MORPH_OPEN, line)
    if not runs.any():
        return []  # most pictures have none, and the components take most of the time
    _, _, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=4)
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    is_bar = (height >= 2) & (height <= _THICK_PX) & (width >= 3 * height)
    is_bar &= width <= _ACROSS * mask.shape[1]
    is_bar &= stats[:, cv2.CC_STAT_AREA] >= 0.9 * width * height
    is_bar[0] = False
    out = []
    for x, y, w, h, _ in stats[is_bar].tolist():
        level = float(np.median(grey[y : y + h, x : x + w]))
        # A few pixels away, because JPEG compression blurs a drawing, although the lens does not.
        beside = [grey[at, x : x + w] for at in (y - 4, y + h + 3) if 0 <= at < len(grey)]
        steps = [np.abs(row - level) / full for row in beside]
        # Beside a black bar, a crowd of pits is nearly black, but differs a little from the bar.
        if steps and all(
            np.mean(step > _SAME) >= 0.9 and np.mean(step > _CONTRAST) >= 0.2 for step in steps
        ):
            out.append((y, y + h, x, x + w))
    return out


def _with_text(bar: Box, most: _Image, least: _Image, same: float) -> Box:
    """Return the box around a bar and the letters near it that have its grey level."""
    top, bottom, left, right = bar
    level = float(np.median(most[top:bottom, left:right]))
    length = max(right - left, bottom - top)
    y0, x0 = max(top - _GLYPH_PX, 0), max(left - length // 2, 0)
    window = (slice(y0, bottom + _GLYPH_PX), slice(x0, right + length // 2))
    drawn = (most[window] <= level + same) & (least[window] >= level - same)
    _, _, stats, _ = cv2.connectedComponentsWithStats(drawn.astype(np.uint8), connectivity=8)
    x, y = stats[1:, cv2.CC_STAT_LEFT] + x0, stats[1:, cv2.CC_STAT_TOP] + y0
    w, h = stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]
    is_glyph = (h >= 5) & (h <= _GLYPH_PX) & (w <= _GLYPH_PX)
    x, y, w, h = x[is_glyph], y[is_glyph], w[is_glyph], h[is_glyph]
    return (
        int(np.min(y, initial=top)),
        int(np.max(y + h, initial=bottom)),
        int(np.min(x, initial=left)),
        int(np.max(x + w, initial=right)),
    )


def _strips(mask: Bools) -> list[Box]:
    """Return strips of mostly one colour across the whole picture, at its top or bottom."""
    height, width = mask.shape
    share = mask.mean(axis=1)
    out = []
    for is_top in (True, False):
        rows = share if is_top else share[::-1]
        count = int(np.argmax(rows < 0.5)) if (rows < 0.5).any() else height
        # A strip ends in a sharp line, which clipped ground does not.
        if 8 <= count <= height // 3 and float(rows[count + 1 : count + 5].max()) < 0.1:
            out.append((0, count, 0, width) if is_top else (height - count, height, 0, width))
    return out
