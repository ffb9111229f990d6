"""Patches: the normalised pictures around pits, cut when they are needed and never stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etchscope.foil import BadInput, Scan
from etchscope.foil.types import Bools, Floats, FloatStack, Ints

__all__ = ["LightChoice", "Lights", "Patches", "cut_patches", "joined"]

LightChoice = Literal["all", "lamps", "one"]
"""All lights; the lamps without backlit, halo and the like; the first lamp alone."""
PatchArray = NDArray[np.float32]
"""(n, channel, y, x) float32 normalised pictures, bulk at 0, y down."""


@dataclass(frozen=True)
class Lights:
    """What the channels of patches are: the lamps' azimuths first, then other lights by role.

    ``azimuths_deg`` counter-clockwise from +x, y up; ``others`` the roles that follow.
    """

    azimuths_deg: tuple[float, ...]
    others: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of channels."""
        return len(self.azimuths_deg) + len(self.others)

    def used(self, which: "LightChoice") -> tuple[Ints, "Lights"]:
        """Return the channels of some of the lights, and these lights.

        Raises
        ------
        BadInput : lamps are asked for and there are none.
        """
        if which == "all":
            return np.arange(self.count), self
        if not self.azimuths_deg:
            raise BadInput("patches", "directional channels", f"only {', '.join(self.others)}")
        lamps = 1 if which == "one" else len(self.azimuths_deg)
        return np.arange(lamps), Lights(self.azimuths_deg[:lamps])

    @classmethod
    def of_scan(cls, scan: Scan) -> tuple["Lights", Ints]:
        """Return a scan's lights, and the channel of each: lamps by azimuth, then the rest."""
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
    """Patches of pits, with where each of them comes from.

    ``pixels``: (n, channel, size, size) float32, the pit at the middle. ``region``: (n,) int,
    patches of one region never lie in both training and test. ``row``: (n,) the caller's number.
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
        """Return some of the patches."""
        return replace(
            self, pixels=self.pixels[which], region=self.region[which], row=self.row[which]
        )

    def of_channels(self, channels: Ints, lights: Lights) -> "Patches":
        """Return the patches with some of their channels."""
        return replace(self, pixels=self.pixels[:, channels], lights=lights)


def joined(several: Sequence[Patches]) -> Patches:
    """Return patches of the same lights and size one after the other.

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
    size : pixels a side.

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
