"""The symmetries of the optics: turns and mirrors of pictures and lights together.

Turns by 90° and mirrors are exact (C4, D4). Turns by the step between lamps are interpolated (C8).

A turn of the scene turns the pictures and permutes the directional channels. Without the
permutation, a top pit would look like a bottom pit. Augmentation, equivariant networks and tests
all use this module.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.types import Floats, FloatStack, Ints, RawStack

__all__ = ["D4", "Symmetry", "find_symmetries", "turn_by_steps"]


@dataclass(frozen=True)
class Symmetry:
    """A mirror left–right if ``mirrored``, followed by ``quarter_turns`` turns by 90° ccw."""

    quarter_turns: int = 0
    mirrored: bool = False

    def after(self, first: "Symmetry") -> "Symmetry":
        """Return the symmetry that consists of ``first``, followed by this one."""
        turns = -first.quarter_turns if self.mirrored else first.quarter_turns
        return Symmetry((self.quarter_turns + turns) % 4, self.mirrored != first.mirrored)

    @property
    def inverse(self) -> "Symmetry":
        """The inverse of this symmetry.

        Examples
        --------
        >>> [g.inverse.after(g) == Symmetry() for g in D4]
        [True, True, True, True, True, True, True, True]
        """
        return self if self.mirrored else Symmetry(-self.quarter_turns % 4)

    def channels(self, azimuths_deg: Floats) -> Ints:
        """Return for each channel of the transformed scene the channel that shows it, (n,) int64.

        Parameters
        ----------
        azimuths_deg : (n,) azimuths of the directional channels, degrees ccw, y up.

        Raises
        ------
        BadInput : this is no symmetry, because it does not map the azimuths onto themselves.

        Examples
        --------
        >>> eight = 67.5 + 45 * np.arange(8)
        >>> Symmetry(mirrored=True).channels(eight).tolist()
        [1, 0, 7, 6, 5, 4, 3, 2]
        """
        azimuths = np.asarray(azimuths_deg, float)
        source = azimuths - 90 * self.quarter_turns
        if self.mirrored:
            source = 180 - source
        if not len(azimuths):
            return np.empty(0, np.int64)
        apart = np.abs((source[:, None] - azimuths[None, :] + 180) % 360 - 180)
        order = apart.argmin(axis=1)
        if apart.min(axis=1).max() > 1e-3 or len(set(order.tolist())) < len(order):
            raise BadInput(
                "symmetry",
                f"azimuths that {self} maps onto themselves",
                f"{azimuths.tolist()}",
            )
        return np.asarray(order, np.int64)

    def pictures(self, stack: RawStack, azimuths_deg: Floats, directional: Ints) -> RawStack:
        """Return the (channel, y, x) pictures of the transformed scene.

        Parameters
        ----------
        stack : (channel, y, x) pictures of any type.
        azimuths_deg : (n,) azimuths of the directional channels, degrees ccw, y up.
        directional : (n,) int64 indices of the directional channels; the others keep their place.

        Raises
        ------
        BadInput : this is no symmetry of these azimuths.
        """
        out = stack.copy()
        out[directional] = stack[directional[self.channels(azimuths_deg)]]
        if self.mirrored:
            out = out[:, :, ::-1]
        return np.ascontiguousarray(np.rot90(out, self.quarter_turns, (1, 2)))

    def points(
        self, x_px: Floats, y_px: Floats, image_size: tuple[int, int]
    ) -> tuple[Floats, Floats]:
        """Return the x and y of points in the transformed picture, each (n,) float64.

        Parameters
        ----------
        x_px, y_px : (n,) points in the picture, y down.
        image_size : (height, width) of the picture in pixels.
        """
        height, width = image_size
        x, y = np.asarray(x_px, float), np.asarray(y_px, float)
        if self.mirrored:
            x = width - 1 - x
        for _ in range(self.quarter_turns % 4):
            x, y = y, width - 1 - x
            width, height = height, width
        return x, y

    def angles(self, angle_deg: Floats) -> Floats:
        """Return the transformed directions of long axes, (n,) degrees in [0, 180).

        Parameters
        ----------
        angle_deg : (n,) directions, degrees ccw from +x, y up.
        """
        angle = np.asarray(angle_deg, float)
        if self.mirrored:
            angle = 180 - angle
        return np.asarray((angle + 90 * self.quarter_turns) % 180)


D4: tuple[Symmetry, ...] = tuple(Symmetry(k, m) for m in (False, True) for k in range(4))
"""The eight exact symmetries; the first four, unmirrored, are C4."""


def find_symmetries(azimuths_deg: Floats) -> tuple[Symmetry, ...]:
    """Return the symmetries in D4 that map the lamps onto themselves.

    The identity is always one of them; without lamps all eight are.

    Parameters
    ----------
    azimuths_deg : (n,) azimuths of the directional channels, degrees ccw, y up.

    Examples
    --------
    >>> len(find_symmetries(67.5 + 45 * np.arange(8)))
    8
    >>> len(find_symmetries(22.5 + 90 * np.arange(4)))
    4
    """
    out = []
    for symmetry in D4:
        try:
            symmetry.channels(azimuths_deg)
        except BadInput:
            continue
        out.append(symmetry)
    return tuple(out)


def turn_by_steps(
    stack: FloatStack, azimuths_deg: Floats, directional: Ints, steps: int
) -> FloatStack:
    """Return the pictures of the scene after turns from lamp to lamp, (channel, y, x) float32.

    With eight lamps a step is a turn by 45° (C8). Pictures are interpolated linearly, except for
    turns by 90°, and are mirrored beyond their edge.

    Parameters
    ----------
    stack : (channel, y, x) float32 pictures, as high as wide.
    azimuths_deg : (n,) azimuths of the directional channels, degrees ccw, y up, evenly spaced.
    directional : (n,) int64 indices of the directional channels; the others keep their place.
    steps : number of steps, counter-clockwise.

    Raises
    ------
    BadInput : the pictures are not square, or the azimuths are not evenly spaced.
    """
    azimuths = np.asarray(azimuths_deg, float)
    height, width = stack.shape[1:]
    if height != width:
        raise BadInput("pictures to turn", "as high as wide", f"{height} × {width}")
    step = 360 / max(len(azimuths), 1)
    gaps = np.diff(np.sort(azimuths % 360))
    if len(azimuths) < 2 or np.abs(gaps - step).max() > 1e-3:
        raise BadInput("azimuths", "two or more, evenly spaced", str(azimuths.tolist()))
    source = azimuths - steps * step
    apart = np.abs((source[:, None] - azimuths[None, :] + 180) % 360 - 180)
    out = stack.copy()
    out[directional] = stack[directional[apart.argmin(axis=1)]]
    angle = steps * step % 360
    if angle % 90 == 0:
        return np.ascontiguousarray(np.rot90(out, round(angle / 90), (1, 2)))
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, angle, 1.0)
    moved = [cv2.warpAffine(p, matrix, (width, height), borderMode=cv2.BORDER_REFLECT) for p in out]
    return np.stack(moved).astype(np.float32)
