"""The part of the pictures of a tile that shows foil and can be searched.

It excludes dark margins, drilled holes, holders, field stops, ground without light, and graphics
that a program has drawn into the pictures. These differ from pits by their size: an area is
excluded only if a disc wider than the largest pit fits into it, or if it has the straight edges of
a drawing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from etchscope.foil import BadInput, Role
from etchscope.foil.types import Bools, FloatImage, Floats, RawStack
from etchscope.imaging.graphics import Box, find_graphics
from etchscope.imaging.lights import CELL_PX, FEW, full_scale, reduce_picture

__all__ = ["LARGEST_PX", "find_foil_ground", "usable_area_px"]

LARGEST_PX = 30.0
"""Dark discs up to this radius may be pits, with any settings."""
_SMALLEST_PX = 64
"""Least width and height of a picture that has room for an area larger than any pit."""
_CLIPPED = 0.98
"""Share of the camera's range from which a cell of the reduced picture is clipped."""
_BESIDE_CLIPPED = 0.9
"""Share of the camera's range below which the ground beside a hole lies. Beside clipped foil the
light falls off slowly, and the ground is brighter."""
_ROOM = 1.1
"""Radius of the disc that must fit into an area without foil, in radii of the largest pit."""
_REACH_PX = 12
"""Distance by which an area grows from its dark core into the half-light beside it."""


class _Dark(NamedTuple):
    """Limits for areas without light.

    ``core`` is the light, relative to that of lit foil, below which there is none. ``loose`` is the
    limit beside such an area. ``room`` is the radius of the disc that must fit into the area, in
    units of the usual one.
    """

    core: float
    loose: float
    room: float


_DARK: dict[Role, _Dark] = {
    # At least one lamp lights a wall of every pit, so only areas without foil are dark for all.
    "directional": _Dark(0.25, 0.5, 1.0),
    # The light in a pit is 2 to 15 % of that of the ground, and crowds of pits are large areas.
    "backlit": _Dark(0.12, 0.3, 1.0),
}
_OPAQUE = _Dark(0.03, 0.3, 2.0)
"""Limits for backlit pictures where lamps show that there is a surface. Then only a holder is
excluded, which transmits less light than pits."""


def find_foil_ground(
    raw: RawStack,
    roles: Sequence[Role],
    *,
    largest_radius_px: float = LARGEST_PX,
    margin_px: float = 12.0,
    levels: Floats | None = None,
) -> Bools:
    """Return where the pictures of a tile show foil that can be searched, (y, x) bool.

    It is false where no light comes from (an area larger than any pit and darker than any pit),
    where a minor part of the picture is clipped and has a sharp edge, and on scale bars with their
    text; all these areas grow by a margin. Pits and crowds of pits, dust, scratches, vignetting, a
    weak lamp, and the dark ground of a halo picture have no influence. If the pictures have less
    than 64 px on a side, all is true, since there is no room for such areas.

    Parameters
    ----------
    raw : (channel, y, x) grey levels, uint8, uint16 or float of 0 or more.
    roles : role of each channel.
    largest_radius_px : largest radius of pits; a wider disc must fit into an area without foil.
    margin_px : width of the margin around an area without foil, so that its rim causes no finds.
    levels : (channel,) usual grey level of lit foil on the scan, such as the gain of its
        normalisation. Without it, that of the tile is used, which is less reliable on a tile with
        little foil.

    Raises
    ------
    BadInput : there is not one role for each picture.

    Examples
    --------
    >>> picture = np.full((1, 200, 200), 150, np.uint8)
    >>> picture[:, :, :80] = 2
    >>> find_foil_ground(picture, ["backlit"])[100, [40, 150]].tolist()
    [False, True]
    """
    if raw.ndim != 3 or not len(raw) or len(roles) != len(raw):
        raise BadInput("roles", "one per picture", f"{len(roles)} for pictures {raw.shape}")
    height, width = raw.shape[1:]
    if min(height, width) < _SMALLEST_PX:
        return np.ones((height, width), bool)
    full = full_scale(raw)
    small = [reduce_picture(picture) for picture in raw]
    room = _ROOM * largest_radius_px / CELL_PX
    no_light = _without_light(small, roles, levels, full, room)
    out = _grown(no_light, margin_px / CELL_PX)
    # A cell is a block of pixels, so that nothing is interpolated.
    whole = cv2.resize(out.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    for box in find_graphics(raw, full):
        whole[_box_grown(box, margin_px)] = True
    return np.asarray(~whole)


def usable_area_px(ground: Bools) -> int:
    """Return the area of a tile that can be searched, in px².

    Parameters
    ----------
    ground : (y, x) bool, see ``find_foil_ground``.

    Examples
    --------
    >>> usable_area_px(np.array([[True, False], [True, True]]))
    3
    """
    return int(np.count_nonzero(ground))


def _without_light(
    small: list[FloatImage], roles: Sequence[Role], levels: Floats | None, full: float, room: float
) -> Bools:
    """Return the cells where the pictures of a role that needs light are dark, or all clipped.

    Halo pictures are not used, because their ground is dark.
    """
    out = np.zeros(small[0].shape, bool)
    checked, has_light = 0, False
    for role, dark in _DARK.items():
        of_role = [k for k, r in enumerate(roles) if r == role]
        if not of_role:
            continue
        checked += 1
        light = np.maximum.reduce([small[k] for k in of_role])
        usual = None if levels is None else float(max(levels[k] for k in of_role))
        reference = _lit_level(light, room) if usual is None else usual
        if reference < 2 * FEW * full:
            # Bright objects on dark ground mean dark-field light, whatever the role.
            has_light |= usual is not None or float(light.max()) > 4 * FEW * full
            continue
        has_light = True
        if role == "backlit" and "directional" in roles:
            dark = _OPAQUE
        out |= _dark_areas(light, dark, reference, full, room)
        least = np.minimum.reduce([small[k] for k in of_role]) if len(of_role) > 1 else light
        out |= _clipped_areas(least, light, reference, full, room)
    return np.ones_like(out) if checked and not has_light else out


def _lit_level(light: FloatImage, room: float) -> float:
    """Return the light of the brightest ground of the tile, over areas wider than a bright pit."""
    side = max(round(1.6 * room), 1)
    # The border is mirrored, so that a strip of foil at the edge counts. In a crowd of pits there
    # is no such square, and the quantile counts.
    worst = cv2.erode(light, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REFLECT)
    return max(float(worst.max()), float(np.quantile(light, 0.9)))


def _dark_areas(
    light: FloatImage, dark: _Dark, reference: float, full: float, room: float
) -> Bools:
    """Return the dark areas into which a disc of radius ``room`` cells fits, and their rims.

    The outside of the picture counts as dark, so that margins and corners are found. The area of a
    pit that the edge cuts is too small.
    """
    least = FEW * full / 2
    core = light <= max(dark.core * reference, least)
    if not core.any():
        return core
    wide = _wide_parts(core, dark.room * room, is_outside_dark=True)
    if not wide.any():
        return wide
    near = _grown(wide, _REACH_PX / CELL_PX)
    return np.asarray(wide | (near & (light <= max(dark.loose * reference, least))))


def _clipped_areas(
    least: FloatImage, light: FloatImage, reference: float, full: float, room: float
) -> Bools:
    """Return areas at the camera's limit that are no foil: few, large, and with a sharp edge.

    If most of the ground is clipped, it can still be searched for dark pits.
    """
    clipped = least >= _CLIPPED * full
    lit = light > 0.3 * min(reference, full)
    if not clipped.any() or 2 * np.count_nonzero(clipped) > np.count_nonzero(lit):
        return np.zeros_like(clipped)
    wide = _wide_parts(clipped, room, is_outside_dark=False)
    out = np.zeros_like(wide)
    count, labels = cv2.connectedComponents(wide.astype(np.uint8))
    for label in range(1, count):
        part = labels == label
        ring = _grown(part, 4.0) & ~_grown(part, 1.5) & lit
        if ring.any() and float(np.median(least[ring])) < _BESIDE_CLIPPED * full:
            out |= part
    return out


def _wide_parts(mask: Bools, room: float, *, is_outside_dark: bool) -> Bools:
    """Return a mask after an opening with a disc of radius ``room`` cells, without small parts.

    The least area is that of the largest pit, which the disc exceeds.
    """
    edge = int(np.ceil(room)) + 1
    outside = 1 if is_outside_dark else 0
    padded = cv2.copyMakeBorder(
        mask.astype(np.uint8), edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=outside
    )
    # Distances are between centres of cells, so half a cell of them lies outside the mask.
    centres = cv2.distanceTransform(padded, cv2.DIST_L2, 5) - 0.5 >= room
    if not centres.any():
        return np.zeros_like(mask)
    opened = _grown(centres, room)[edge:-edge, edge:-edge] & mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened.astype(np.uint8))
    if count < 2:
        return np.zeros_like(mask)
    large = stats[:, cv2.CC_STAT_AREA] >= np.pi * (room / _ROOM) ** 2
    large[0] = False
    return np.asarray(large[labels])


def _grown(mask: Bools, reach: float) -> Bools:
    """Return a mask with all cells that are within ``reach`` of it."""
    if not mask.any():
        return mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(distance <= reach)


def _box_grown(box: Box, margin_px: float) -> tuple[slice, slice]:
    reach = int(np.ceil(margin_px))
    top, bottom, left, right = box
    rows = slice(max(top - reach, 0), bottom + reach)
    return rows, slice(max(left - reach, 0), right + reach)
