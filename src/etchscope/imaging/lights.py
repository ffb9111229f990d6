"""Checks of pictures and of the lights of a scan, and pictures as plain arrays."""

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
    "clipping_level",
    "explain_unsearchable",
    "find_light_faults",
    "full_scale",
    "reduce_picture",
    "to_native",
]

_Image = NDArray[Any]

CELL_PX = 4
"""Side in pixels of the cells of a reduced picture, which suffices for large areas."""
FEW = 4 / 255
"""Share of the camera's range below which there is no light, a few of 256 grey levels."""
_RANGES = (1023, 4095, 16383, 65535)
"""Grey levels at which cameras of more than 8 bits clip."""
_CLIPPING = frozenset(2**k - 1 for k in range(8, 16)) | {2**16 - 2**k for k in range(1, 9)}
"""Grey levels at which cameras of 8 to 15 bits clip, in the lower or the upper bits of 16."""
_CLIPPED = 10
"""Number of pixels at such a level from which it counts as the limit of the camera."""
_LEAST_SIDE_PX = 32
"""Least width and height of a picture with enough ground beside its pits for a search."""
_BLACK = 1.5 / 255
"""Share of the range below which every pixel of a black picture lies."""
_WEAK = 0.25
"""Light of a lamp, relative to that of the other lamps, below which it is weak."""
_SATURATED: dict[Role, float] = {"directional": 0.95, "backlit": 0.999, "halo": 0.95}
"""Share of clipped pixels from which a light is useless. It is large for backlit pictures, because
pits are visible on clipped ground."""

_Fault = Literal["dead", "constant", "saturated", "identical", "weak"]


def clipping_level(stacks: Sequence[RawStack]) -> int:
    """Return the grey level at which the camera clips; 0 for floats, where it is unknown.

    A camera of 8 to 15 bits whose pictures have 16 clips below 65535: at 4095 with 12 bits, or at
    65520 if they are the upper ones. That is known once some pixels lie exactly at such a limit and
    none above it. Until then, and for 16 bits, it is the greatest value of the type.

    Parameters
    ----------
    stacks : grey levels of at least one tile, arrays of any shape and of one dtype.

    Examples
    --------
    >>> tile = np.minimum(np.arange(5000, dtype=np.uint16), 4095).reshape(1, 50, 100)
    >>> clipping_level([tile]), clipping_level([16 * tile]), clipping_level([tile[:, :40]])
    (4095, 65520, 65535)
    """
    dtype = stacks[0].dtype
    if dtype.kind != "u":
        return 0
    if dtype.itemsize > 1:
        most = max(int(stack.max()) for stack in stacks)
        if most in _CLIPPING and sum(np.count_nonzero(s == most) for s in stacks) >= _CLIPPED:
            return most
    return int(np.iinfo(dtype).max)


def full_scale(raw: RawStack) -> float:
    """Return the grey level at which the camera clips; for floats, the largest value.

    For 16-bit pictures it is the limit at which pixels lie, see ``clipping_level``, and without
    any, the smallest usual range that contains all values.

    Parameters
    ----------
    raw : grey levels, an array of any shape.
    """
    if raw.dtype == np.uint8:
        return 255.0
    most = float(raw.max())
    if raw.dtype.kind == "u":
        level = clipping_level([raw])
        if most == level:
            return most
        return float(next((r for r in _RANGES if most <= r), np.iinfo(raw.dtype).max))
    return most or 1.0


def reduce_picture(picture: _Image) -> FloatImage:
    """Return the means of a (y, x) picture over cells of 4 × 4 px, (row, column) float32.

    The last cells may be smaller.
    """
    height, width = picture.shape
    size = (-(-width // CELL_PX), -(-height // CELL_PX))
    is_native = picture.dtype in (np.uint8, np.uint16, np.float32)
    there = picture if is_native else picture.astype(np.float32)
    return np.asarray(cv2.resize(there, size, interpolation=cv2.INTER_AREA), np.float32)


def explain_unsearchable(raw: RawStack) -> str | None:
    """Return in words why the pictures of a tile cannot be searched, None if they can.

    Parameters
    ----------
    raw : (channel, y, x) grey levels of 0 or more.

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
        listed = " and ".join(f"{v:g}" for v in sorted(levels)[:3])
        what = "of one grey level"
        if levels == {0}:
            what = "black"
        elif raw.dtype.kind == "u" and min(levels) >= full:
            what = "white"
        each = "every pixel has" if len(levels) == 1 else "the pictures have"
        return f"it is {what}: {each} the grey level {listed}"
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

    Unsigned integers of 8 and 16 bits keep their type. Truth values become 0 and 1 of 8 bits, all
    others float32. A masked pixel gets the median of its picture, so that it causes no edge.

    Parameters
    ----------
    stack : (…, y, x) numbers of any byte order, also as a masked array.

    Returns
    -------
    The pictures in the same shape, and (y, x) bool, which is false where any picture is masked.

    Raises
    ------
    BadInput : the array does not hold numbers, or has fewer than two axes.

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
    """A fault of one light of a scan.

    Attributes
    ----------
    channel : index of the channel.
    kind : "dead" if the light gives no light, "constant" if its pictures have one grey level,
        "saturated" if they are clipped almost everywhere, "identical" if they are those of another
        channel, "weak" if the lamp gives far less light than the others.
    is_left_out : whether the search leaves the channel out; a weak lamp is used.
    words : a sentence that describes the fault.
    """

    channel: int
    kind: _Fault
    is_left_out: bool
    words: str


def find_light_faults(stacks: Sequence[RawStack], channels: Sequence[Channel]) -> list[LightFault]:
    """Return the faults of the lights of a scan, from a sample of its tiles.

    There is at most one fault for each channel, in the order of the channels. All tiles must show a
    fault. Tiles on which no channel shows anything, such as those beside the foil, do not count
    unless all tiles are like that.

    Parameters
    ----------
    stacks : (channel, y, x) grey levels of each tile.
    channels : the channels of the scan.

    Raises
    ------
    BadInput : there is no tile, or a tile has not as many pictures as there are channels.

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
    """Tiles that show something, and the faults of the pictures of each channel on them."""

    tiles: tuple[RawStack, ...]
    channels: tuple[Channel, ...]
    kinds: tuple[frozenset[_Fault | None], ...]

    def fault(self, k: int) -> LightFault | None:
        """Return the fault of one channel, None if it has none."""
        number = len(self.tiles)
        where = f"on all {number} tiles looked at" if number > 1 else "on the one tile looked at"
        left_out = f"{where}; it is left out of the search"
        name, level = self._name_of(k), self._levels[k]
        if None not in self.kinds[k]:
            # A lamp without light may be constant on some tiles only.
            order: tuple[_Fault, ...] = ("saturated", "dead", "constant")
            kind = next(kind for kind in order if kind in self.kinds[k])
            what = {
                "constant": f"is constant at {level:g}",
                "dead": f"is black, grey level {level:g} and noise,",
                "saturated": "is saturated almost everywhere",
            }[kind]
            return LightFault(k, kind, True, f"{name} {what} {left_out}")
        twin = next((j for j in range(k) if self._are_same(j, k)), None)
        if twin is not None:
            same = f"{name} has the same pictures as {self._name_of(twin)}"
            return LightFault(k, "identical", True, f"{same} {left_out}")
        is_lamp = [c.role == "directional" for c in self.channels]
        others = [self._levels[j] for j, lamp in enumerate(is_lamp) if lamp and j != k]
        usual = float(np.median(others)) if others and is_lamp[k] else 0.0
        if level < _WEAK * usual:
            weak = f"{name} gives {level:g} grey levels where the other lamps give {usual:g}"
            return LightFault(k, "weak", False, f"{weak} {where}; it is used, but adds noise")
        return None

    @cached_property
    def _levels(self) -> list[float]:
        """The median grey level of each channel."""
        of_tiles = [[np.median(picture) for picture in tile] for tile in self.tiles]
        return [float(level) for level in np.median(of_tiles, axis=0)]

    def _are_same(self, j: int, k: int) -> bool:
        return all(np.array_equal(tile[j], tile[k]) for tile in self.tiles)

    def _name_of(self, k: int) -> str:
        channel = self.channels[k]
        is_lamp = channel.role == "directional"
        light = f"lamp at {channel.azimuth_deg:g}°" if is_lamp else channel.role
        return f"channel {channel.step} ({light})"


def _own_fault(picture: _Image, role: Role, full: float) -> _Fault | None:
    """Return the fault of a light that one of its pictures shows, None if it shows none."""
    low, high = _extent(picture)
    if low == high:
        return "constant"
    if picture.dtype.kind == "u" and float(np.mean(picture >= full)) >= _SATURATED[role]:
        return "saturated"
    # A halo picture of foil without pits is also dark.
    is_black = role != "halo" and float(reduce_picture(picture).max()) <= FEW * full
    return "dead" if is_black else None
