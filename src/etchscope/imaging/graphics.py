"""Graphics that a program has burnt into pictures: scale bars with their text, strips of text."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from etchscope.foil.types import Bools, FloatImage, RawStack

__all__ = ["Box", "find_graphics"]

_Image = NDArray[Any]

Box = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last."""

_LONG_PX = 32
"""Least length of a bar."""
_THICK_PX = 40
"""A thicker rectangle is no bar."""
_ACROSS = 0.6
"""A bar is no longer than this share of the picture; a line between the cells of a sheet is."""
_SAME = 0.02
"""A drawing has one grey level up to this share of the range (JPEG), alike in all pictures."""
_CONTRAST = 0.1
"""Least step from a bar to what lies above and below it, a share of the range."""
_GLYPH_PX = 64
"""Letters are no larger."""


def find_graphics(raw: RawStack, full: float) -> list[Box]:
    """Return boxes around scale bars with their text, and strips of text at the top or bottom."""
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
    """Return pixels whose neighbours have their grey level, which is alike in all pictures."""
    kernel = np.ones((3, 3), np.uint8)
    return np.asarray(
        cv2.dilate(most, kernel).astype(np.float32) - cv2.erode(least, kernel) <= same
    )


def _bars(mask: Bools, grey: FloatImage, full: float) -> list[Box]:
    """Return horizontal bars of a mask: straight, long, and unlike what lies above and below."""
    line = np.ones((1, _LONG_PX), np.uint8)
    runs = cv2.morphologyEx(np.ascontiguousarray(mask, np.uint8), cv2.MORPH_OPEN, line)
    if not runs.any():
        return []  # as on most pictures; components cost more than all the rest
    _, _, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=4)
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    is_bar = (height >= 2) & (height <= _THICK_PX) & (width >= 3 * height)
    is_bar &= width <= _ACROSS * mask.shape[1]
    is_bar &= stats[:, cv2.CC_STAT_AREA] >= 0.9 * width * height
    is_bar[0] = False
    out = []
    for x, y, w, h, _ in stats[is_bar].tolist():
        level = float(np.median(grey[y : y + h, x : x + w]))
        # A few pixels away, since lenses do not blur drawings but JPEG does.
        beside = [grey[at, x : x + w] for at in (y - 4, y + h + 3) if 0 <= at < len(grey)]
        steps = [np.abs(row - level) / full for row in beside]
        # Of a crowd beside a black bar most is nearly black, but nothing quite.
        if steps and all(
            np.mean(step > _SAME) >= 0.9 and np.mean(step > _CONTRAST) >= 0.2 for step in steps
        ):
            out.append((y, y + h, x, x + w))
    return out


def _with_text(bar: Box, most: _Image, least: _Image, same: float) -> Box:
    """Return the box around a bar and what is drawn near it at its grey level."""
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
    """Return strips across the whole picture, at its top or bottom, most of which is one colour."""
    height, width = mask.shape
    share = mask.mean(axis=1)
    out = []
    for is_top in (True, False):
        rows = share if is_top else share[::-1]
        count = int(np.argmax(rows < 0.5)) if (rows < 0.5).any() else height
        # Below a strip the picture begins at once; clipped ground ends nowhere so.
        if 8 <= count <= height // 3 and float(rows[count + 1 : count + 5].max()) < 0.1:
            out.append((0, count, 0, width) if is_top else (height - count, height, 0, width))
    return out
