"""Pictures and lights that cannot be used, and why, in words; pictures as plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from etchscope.foil import BadInput, Channel, Role
from etchscope.foil.types import Bools, FloatImage, RawStack

__all__ = [
    "CELL_PX",
    "FEW",
    "LightFault",
    "explain_unsearchable",
    "find_light_faults",
    "full_scale",
    "reduce_picture",
    "to_native",
]

_Image = NDArray[Any]

CELL_PX = 4
"""Pixels a side that are averaged: large areas need no finer look."""
FEW = 4 / 255
"""Share of the camera's range under which there is no light: a few of 256 grey levels."""
_RANGES = (1023, 4095, 16383, 65535)
"""What cameras of more than 8 bits clip at."""
_LEAST_SIDE_PX = 32
"""A smaller picture has no ground beside its pits to judge them by."""
_BLACK = 1.5 / 255
"""Share of the range under which every pixel of a black picture lies."""
_WEAK = 0.25
"""A lamp that gives less, relative to the others, is weak."""
_SATURATED: dict[Role, float] = {"directional": 0.95, "backlit": 0.999, "halo": 0.95}
"""Share of clipped pixels from which nothing is seen; on clipped backlit ground pits still are."""

_Fault = Literal["dead", "constant", "saturated", "identical", "weak"]


def full_scale(raw: RawStack) -> float:
    """Return the grey level at which the camera clips; of floats, the largest there is."""
    if raw.dtype == np.uint8:
        return 255.0
    most = float(raw.max())
    if raw.dtype.kind == "u":
        return float(next((r for r in _RANGES if most <= r), np.iinfo(raw.dtype).max))
    return most or 1.0


def reduce_picture(picture: _Image) -> FloatImage:
    """Return the mean over cells of 4 × 4 px, (y, x) float32; the last cells may be smaller."""
    height, width = picture.shape
    size = (-(-width // CELL_PX), -(-height // CELL_PX))
    is_native = picture.dtype in (np.uint8, np.uint16, np.float32)
    there = picture if is_native else picture.astype(np.float32)
    return np.asarray(cv2.resize(there, size, interpolation=cv2.INTER_AREA), np.float32)


def explain_unsearchable(raw: RawStack) -> str | None:
    """Return in words why no pit can be found on the pictures of a tile, None where one can.

    Parameters
    ----------
    raw : (channel, y, x) grey levels from 0.

    Examples
    --------
    >>> explain_unsearchable(np.full((1, 100, 100), 255, np.uint8))
    'it is white: every pixel has the grey level 255'
    """
    height, width = raw.shape[-2:]
    if min(height, width) < _LEAST_SIDE_PX:
        least = f"{_LEAST_SIDE_PX} × {_LEAST_SIDE_PX}"
        return f"it is {width} × {height} pixels, and {least} are the least"
    full = full_scale(raw)
    extents = [_extent(p) for p in raw]
    levels = {int(v) if v.is_integer() else v for extent in extents for v in extent}
    if all(low == high for low, high in extents):
        told = " and ".join(f"{v:g}" for v in sorted(levels)[:3])
        what = "of one grey level"
        if levels == {0}:
            what = "black"
        elif raw.dtype.kind == "u" and min(levels) >= full:
            what = "white"
        each = "every pixel has" if len(levels) == 1 else "the pictures have"
        return f"it is {what}: {each} the grey level {told}"
    if raw.dtype.kind == "u" and max(levels) <= _BLACK * full:
        return f"it is black: no grey level exceeds {max(levels):g} of {full:g}"
    if raw.dtype.kind == "u" and all(high >= full for _, high in extents):
        clipped = min(float(np.mean(p >= full)) for p in raw)
        if clipped > _SATURATED["backlit"]:
            words = f"{100 * clipped:.2f} % of the pixels are at the limit, {full:g}"
            return f"it is saturated: {words}"
    return None


def _extent(picture: _Image) -> tuple[float, float]:
    return float(picture.min()), float(picture.max())


def to_native(stack: "ArrayLike | np.ma.MaskedArray[Any, Any]") -> tuple[RawStack, Bools]:
    """Return pictures as plain arrays in the machine's byte order, and where none is masked.

    Unsigned 8 and 16 bits stay as they are; truth values become 0 and 1, all else float32. Masked
    pixels get the median of their picture, so that they make no edges.

    Parameters
    ----------
    stack : (…, y, x) numbers, maybe a masked array, of any byte order.

    Returns
    -------
    The pictures, of the same shape, and (y, x) ground: False where any picture is masked.

    Raises
    ------
    BadInput : no numbers, or fewer than two axes.

    Examples
    --------
    >>> pictures = np.ma.masked_equal(np.array([[1, 2], [3, 0]], ">u2"), 0)
    >>> raw, ground = to_native(pictures)
    >>> raw.tolist(), ground.tolist(), raw.dtype.isnative
    ([[1, 2], [3, 2]], [[True, True], [True, False]], True)
    """
    given: np.ma.MaskedArray[Any, Any] = np.ma.asanyarray(stack)
    masked, data = np.ma.getmaskarray(given), np.array(np.ma.getdata(given))
    if data.ndim < 2 or data.dtype.kind not in "biuf":
        raise BadInput("stack", "grey levels of at least two axes, (…, y, x)", f"{data.dtype}")
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
    elif data.dtype.kind == "u" and data.dtype.itemsize <= 2:
        data = data.astype(data.dtype.newbyteorder("="))
    else:
        data = data.astype(np.float32)
    height, width = data.shape[-2:]
    hidden = masked.reshape(-1, height, width)
    for picture, gone in zip(data.reshape(-1, height, width), hidden, strict=True):
        if gone.any():
            there = picture[~gone]
            picture[gone] = np.median(there).astype(data.dtype) if there.size else 0
    return data, np.asarray(~hidden.any(axis=0))


@dataclass(frozen=True)
class LightFault:
    """What is wrong with one light of a scan.

    Attributes
    ----------
    channel : index of the channel.
    kind : "dead" gives no light, "constant" shows nothing, "saturated" is clipped all over,
        "identical" is the picture of another channel, "weak" gives far less than the other lamps.
    is_left_out : whether the search is better without it; a weak lamp is still of use.
    words : the whole of it for a user, one clause after another.
    """

    channel: int
    kind: _Fault
    is_left_out: bool
    words: str


def find_light_faults(stacks: Sequence[RawStack], channels: Sequence[Channel]) -> list[LightFault]:
    """Return what is wrong with the lights of a scan, judged on a sample of its tiles.

    At most one fault a channel, in the order of the channels. A fault is one that all tiles show;
    tiles where no channel shows anything, such as those beside the foil, do not count unless all
    are so.

    Parameters
    ----------
    stacks : (channel, y, x) raw pictures of each tile.
    channels : of the scan.

    Raises
    ------
    BadInput : no tile, or other pictures than the channels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> tile = rng.integers(90, 110, (2, 64, 64)).astype(np.uint8)
    >>> tile[1] = 0
    >>> lights = [Channel(step=1, role="backlit"), Channel(step=2, role="halo")]
    >>> find_light_faults([tile], lights)[0].words
    'channel 2 (halo) is constant at 0 on the one tile looked at; it is left out of the search'
    """
    if not stacks or any(len(stack) != len(channels) for stack in stacks):
        found = ", ".join(sorted({str(np.shape(stack)) for stack in stacks})) or "none"
        raise BadInput("tiles", f"tiles of {len(channels)} pictures", found)
    full = max(full_scale(stack) for stack in stacks)
    kinds = [
        [_own_fault(picture, c.role, full) for picture, c in zip(stack, channels, strict=True)]
        for stack in stacks
    ]
    use = [t for t, of_tile in enumerate(kinds) if None in of_tile] or list(range(len(stacks)))
    sample = _Sample(
        tuple(stacks[t] for t in use),
        tuple(channels),
        tuple(frozenset(kinds[t][k] for t in use) for k in range(len(channels))),
    )
    faults = [sample.fault(k) for k in range(len(channels))]
    return [fault for fault in faults if fault is not None]


@dataclass(frozen=True)
class _Sample:
    """Tiles that show something, and what is wrong with each channel's own pictures on them."""

    tiles: tuple[RawStack, ...]
    channels: tuple[Channel, ...]
    kinds: tuple[frozenset[_Fault | None], ...]

    def fault(self, k: int) -> LightFault | None:
        """Return what is wrong with one channel."""
        number = len(self.tiles)
        where = f"on all {number} tiles looked at" if number > 1 else "on the one tile looked at"
        left_out = f"{where}; it is left out of the search"
        told, level = self._told(k), self._levels[k]
        if None not in self.kinds[k]:
            # A lamp without light may be constant on some tiles only.
            order: tuple[_Fault, ...] = ("saturated", "dead", "constant")
            kind = next(kind for kind in order if kind in self.kinds[k])
            what = {
                "constant": f"is constant at {level:g}",
                "dead": f"is black, grey level {level:g} and noise,",
                "saturated": "is saturated almost everywhere",
            }[kind]
            return LightFault(k, kind, True, f"{told} {what} {left_out}")
        twin = next((j for j in range(k) if self._are_same(j, k)), None)
        if twin is not None:
            same = f"{told} has the same pictures as {self._told(twin)}"
            return LightFault(k, "identical", True, f"{same} {left_out}")
        is_lamp = [c.role == "directional" for c in self.channels]
        others = [self._levels[j] for j, lamp in enumerate(is_lamp) if lamp and j != k]
        usual = float(np.median(others)) if others and is_lamp[k] else 0.0
        if level < _WEAK * usual:
            weak = f"{told} gives {level:g} grey levels where the other lamps give {usual:g}"
            return LightFault(k, "weak", False, f"{weak} {where}; it is used, but adds noise")
        return None

    @cached_property
    def _levels(self) -> list[float]:
        """Return the usual grey level of each channel."""
        of_tiles = [[np.median(picture) for picture in tile] for tile in self.tiles]
        return [float(level) for level in np.median(of_tiles, axis=0)]

    def _are_same(self, j: int, k: int) -> bool:
        return all(np.array_equal(tile[j], tile[k]) for tile in self.tiles)

    def _told(self, k: int) -> str:
        channel = self.channels[k]
        is_lamp = channel.role == "directional"
        light = f"lamp at {channel.azimuth_deg:g}°" if is_lamp else channel.role
        return f"channel {channel.step} ({light})"


def _own_fault(picture: _Image, role: Role, full: float) -> _Fault | None:
    """Return what one picture shows to be wrong with its light."""
    low, high = _extent(picture)
    if low == high:
        return "constant"
    if picture.dtype.kind == "u" and float(np.mean(picture >= full)) >= _SATURATED[role]:
        return "saturated"
    # A halo picture of foil without a pit is dark, too.
    is_black = role != "halo" and float(reduce_picture(picture).max()) <= FEW * full
    return "dead" if is_black else None
