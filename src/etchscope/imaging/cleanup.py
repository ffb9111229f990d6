"""Removal of thin lines and spots, which are no pits, and detection of long scratches."""

import cv2
import numpy as np

from etchscope.foil.types import Bools, FloatImage

__all__ = ["find_long_scratches", "remove_thin_features"]


def remove_thin_features(picture: FloatImage, width_px: int, *, bright: bool) -> FloatImage:
    """Return a picture without narrow features, such as fine scratches and hot spots.

    It is a morphological opening (for bright features) or closing (for dark features) with a round
    element. Wider features keep their place and size.

    Parameters
    ----------
    picture : (y, x) float32.
    width_px : width below which a feature is removed; below 2 the picture is returned as it is.
    bright : whether the features to remove are brighter than their surroundings.

    Returns
    -------
    (y, x) float32.
    """
    if width_px < 2:
        return picture
    axis = np.abs(np.arange(width_px) - (width_px - 1) / 2)
    # A turn by 90° changes the ellipse of OpenCV, and the symmetries of the optics must hold.
    element = (np.hypot(axis, axis[:, None]) < width_px / 2 - 0.2).astype(np.uint8)
    steps = [cv2.erode, cv2.dilate] if bright else [cv2.dilate, cv2.erode]
    # An element of even width has no centre pixel, so the second step shifts the picture back by
    # what the first one shifted it. A margin makes all borders of the picture equivalent.
    edge, (rows, columns) = width_px, picture.shape
    out = cv2.copyMakeBorder(picture, edge, edge, edge, edge, cv2.BORDER_REFLECT_101)
    for step, at in zip(steps, (width_px // 2, (width_px - 1) // 2), strict=True):
        out = step(out, element, anchor=(at, at))
    return np.asarray(out[edge : edge + rows, edge : edge + columns], np.float32)


def find_long_scratches(picture: FloatImage, least: float, length_px: float) -> Bools:
    """Return where long thin bright features lie, (y, x) bool.

    A connected region above ``least`` is a scratch if the smallest rectangle around it is at least
    ``length_px`` long and more than eight times as long as the region is wide on average.

    Parameters
    ----------
    picture : (y, x) float32 picture in which scratches are bright.
    least : value above which a pixel may belong to a scratch.
    length_px : least length of a scratch in pixels.
    """
    above = (picture > least).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    extent = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    scratch = np.zeros(count, bool)
    for label in np.flatnonzero(extent >= length_px).tolist():
        if label == 0:
            continue
        x, y, width, height, area = stats[label]
        part = (labels[y : y + height, x : x + width] == label).astype(np.uint8)
        _, (one, other), _ = cv2.minAreaRect(cv2.findNonZero(part))
        longest = max(one, other) + 1
        scratch[label] = longest >= length_px and longest > 8 * area / longest
    return np.asarray(scratch[labels])
