"""Patches: the normalised pictures around pits, cut when they are needed and never stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etchscope.foil import BadInput, Scan
from etchscope.foil.types import Bools, Floats, FloatStack, Ints
from etchscope.imaging import D4, Symmetry, find_symmetries
from etchscope.imaging.planes import GIVEN, PLANES, Planes, plane_representation

__all__ = [
    "SCALES",
    "LightChoice",
    "Lights",
    "Patches",
    "cut_patches",
    "cut_planes",
    "join_patches",
    "plane_scale",
]

LightChoice = Literal["any", "all", "lamps", "one"]
"""any: planes of any lights; all: all lights as they are; lamps: the lamps without backlit, halo
and the like; one: the first lamp alone."""
SCALES = (0.5, 5.0)
"""Least and greatest factor by which planes are reduced."""
_NOMINAL_PX = 6.0
"""Radius that a scan's usual pit has in the patches of planes."""
_SMALLEST_PX = 2.5
"""Smaller finds do not count for a scan's usual pit: they may be noise."""
PatchArray = NDArray[np.float32]
"""(n, channel, y, x) float32 normalised pictures, bulk at 0, y down."""


@dataclass(frozen=True)
class Lights:
    """The channels of patches: lamps by azimuth first, then other lights by role.

    Planes of any lights, see ``of_planes``, have no lamps. Their roles are ``PLANES``, then
    ``GIVEN``.

    Attributes
    ----------
    azimuths_deg : azimuths of the lamps, counter-clockwise from +x with y up.
    others : roles of the channels that follow.
    """

    azimuths_deg: tuple[float, ...]
    others: tuple[str, ...] = ()

    @classmethod
    def of_planes(cls) -> "Lights":
        """Return the channels of ``Planes.stacked``.

        >>> Lights.of_planes().count
        13
        """
        return cls((), (*PLANES, *(f"given {name}" for name in GIVEN)))

    @property
    def are_planes(self) -> bool:
        """Whether the channels are planes."""
        return self == Lights.of_planes()

    @property
    def pictures(self) -> int:
        """Number of channels that show something; the others are constant."""
        return len(PLANES) if self.are_planes else self.count

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """The exact symmetries that the channels have."""
        return D4 if self.are_planes else find_symmetries(np.asarray(self.azimuths_deg))

    def mixing(self, symmetry: Symmetry) -> Floats:
        """Return what a symmetry of the scene does to the channels at a point, (count, count).

        Raises
        ------
        BadInput : the lamps do not have that symmetry.
        """
        if self.are_planes:
            return plane_representation(symmetry)
        lamps = len(self.azimuths_deg)
        order = symmetry.channels(np.asarray(self.azimuths_deg)).tolist()
        mixing: Floats = np.eye(self.count)[[*order, *range(lamps, self.count)]]
        return mixing

    @property
    def count(self) -> int:
        """Number of channels."""
        return len(self.azimuths_deg) + len(self.others)

    def used(self, which: "LightChoice") -> tuple[Ints, "Lights"]:
        """Return the channels of some of the lights, (m,) int64, and these lights.

        Parameters
        ----------
        which : see ``LightChoice``.

        Raises
        ------
        BadInput : lamps are asked for and there are none, or planes and these are others.
        """
        if which == "any" and not self.are_planes:
            raise BadInput("patches", "planes of any lights", f"{self.count} lights as they are")
        if which in ("any", "all"):
            return np.arange(self.count), self
        if not self.azimuths_deg:
            found = "planes" if self.are_planes else f"only {', '.join(self.others)}"
            raise BadInput("patches", "directional channels", found)
        lamps = 1 if which == "one" else len(self.azimuths_deg)
        return np.arange(lamps), Lights(self.azimuths_deg[:lamps])

    @classmethod
    def of_scan(cls, scan: Scan) -> tuple["Lights", Ints]:
        """Return the lights of a scan, and the channel of each, (count,) int64.

        Parameters
        ----------
        scan : its lamps are ordered by azimuth, and other lights keep their order.
        """
        lamps = scan.indices("directional")
        # Where brightness falls with the slope, a lamp acts as one on the other side would.
        turn = 0.0 if scan.gradient_sign > 0 else 180.0
        azimuths = (np.asarray(scan.azimuths_deg, float) + turn) % 360
        order = np.argsort(azimuths)
        others = [i for i, c in enumerate(scan.channels) if c.role != "directional"]
        lights = cls(
            tuple(float(a) for a in azimuths[order]),
            tuple(scan.channels[i].role for i in others),
        )
        return lights, np.concatenate([lamps[order], np.array(others, np.int64)]).astype(np.int64)


@dataclass(frozen=True)
class Patches:
    """Patches of pits, with the origin of each.

    Attributes
    ----------
    pixels : (n, channel, size, size) float32 normalised pictures with the pit in the middle.
    lights : what the channels are.
    region : (n,) int64; patches of one region are never in both training and test.
    row : (n,) int64, any number by which the caller recognises the patch.

    Raises
    ------
    BadInput : the arrays do not fit each other or the lights, or patches are not square.
    """

    pixels: PatchArray
    lights: Lights
    region: Ints
    row: Ints

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[1] != self.lights.count:
            expected = f"(n, {self.lights.count}, size, size)"
            raise BadInput("patches", expected, str(self.pixels.shape))
        if self.pixels.shape[2] != self.pixels.shape[3]:
            raise BadInput("patches", "as high as wide", str(self.pixels.shape[2:]))
        for name in ("region", "row"):
            if len(getattr(self, name)) != len(self.pixels):
                raise BadInput(f"patches: {name}", f"{len(self.pixels)} values", "another number")

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, which: Ints | Bools) -> "Patches":
        """Return some of the patches.

        Parameters
        ----------
        which : (n,) bool, or (m,) int64 row numbers.
        """
        return replace(
            self, pixels=self.pixels[which], region=self.region[which], row=self.row[which]
        )

    def of_channels(self, channels: Ints, lights: Lights) -> "Patches":
        """Return the patches with some of their channels.

        Parameters
        ----------
        channels : (m,) int64.
        lights : what these channels are.
        """
        return replace(self, pixels=self.pixels[:, channels], lights=lights)


def join_patches(several: Sequence[Patches]) -> Patches:
    """Return patches of the same lights and size one after the other.

    Parameters
    ----------
    several : the sets of patches.

    Raises
    ------
    BadInput : none at all, or of different lights or sizes.
    """
    if not several:
        raise BadInput("patches", "at least one set", "none")
    for other in several[1:]:
        if (other.lights, other.pixels.shape[1:]) != (
            several[0].lights,
            several[0].pixels.shape[1:],
        ):
            found = f"{other.lights}, {other.pixels.shape[2]} px"
            expected = f"{several[0].lights}, {several[0].pixels.shape[2]} px, like the first"
            raise BadInput("patches", expected, found)
    pixels = np.concatenate([p.pixels for p in several])
    region, row = (np.concatenate([getattr(p, n) for p in several]) for n in ("region", "row"))
    return Patches(pixels, several[0].lights, region, row)


def cut_patches(stack: FloatStack, x_px: Floats, y_px: Floats, size: int = 28) -> PatchArray:
    """Return the patches of one tile, (n, channel, size, size).

    The nearest whole pixels are taken, so that noise stays as it is; beyond the tile's edge the
    pictures are mirrored.

    Parameters
    ----------
    stack : (channel, y, x) normalised pictures.
    x_px, y_px : (n,) centres.
    size : pixels per side.

    Raises
    ------
    BadInput : a patch larger than the tile, or a centre half a patch or more outside it.
    """
    height, width = stack.shape[1:]
    if not 4 <= size <= min(height, width):
        raise BadInput("patch size", f"4 to {min(height, width)} pixels", str(size))
    x, y = np.asarray(x_px, float), np.asarray(y_px, float)
    # The centre of an opening that the edge cuts may be fitted beyond it.
    beyond = size / 2
    outside = ~(
        (x > -beyond) & (x < width - 1 + beyond) & (y > -beyond) & (y < height - 1 + beyond)
    )
    if outside.any():
        n = int(np.flatnonzero(outside)[0])
        found = f"({x[n]:g}, {y[n]:g})"
        raise BadInput("patch centre", f"in or near the tile of {width} × {height} px", found)
    # The middle of an even patch lies between two pixels.
    first_x = np.rint(x - (size - 1) / 2).astype(np.int64)
    first_y = np.rint(y - (size - 1) / 2).astype(np.int64)
    padded = np.pad(stack, ((0, 0), (size, size), (size, size)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return np.ascontiguousarray(
        windows[:, first_y + size, first_x + size].transpose(1, 0, 2, 3), dtype=np.float32
    )


def plane_scale(radius_px: Floats) -> float:
    """Return the factor by which the planes of a scan are reduced: its usual radius over 6 px.

    The usual radius is the median of the radii of at least 2.5 px; without any the factor is 1.

    Parameters
    ----------
    radius_px : (n,) radii of the finds of the scan.

    Examples
    --------
    >>> plane_scale(np.array([1.0, 11.0, 12.0, 13.0]))
    2.0
    """
    large = radius_px[radius_px >= _SMALLEST_PX]
    if not len(large):
        return 1.0
    scale = float(np.median(large)) / _NOMINAL_PX
    return float(np.clip(round(scale, 2), *SCALES))


def cut_planes(
    planes: Planes, image_size: tuple[int, int], x_px: Floats, y_px: Floats, size: int = 28
) -> PatchArray:
    """Return the patches of one tile's planes, (n, 13, size, size); see ``cut_patches``.

    Planes smaller than a patch are mirrored beyond their edge.

    Parameters
    ----------
    image_size : (height, width) of the tile's pictures.
    x_px, y_px : (n,) centres in these.
    """
    stack = planes.stacked
    rows, columns = stack.shape[1:]
    # Half a pixel of a reduced picture is not half a pixel.
    x = (np.asarray(x_px, float) + 0.5) * (columns / image_size[1]) - 0.5
    y = (np.asarray(y_px, float) + 0.5) * (rows / image_size[0]) - 0.5
    more = ((0, 0), (0, max(size - rows, 0)), (0, max(size - columns, 0)))
    return cut_patches(np.pad(stack, more, mode="symmetric"), x, y, size)
