"""Pages of TIFF files that somebody else wrote: directories, tags, and samples."""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etchscope.files.samples import Samples
from etchscope.files.tiff_codecs import CODECS, decode_jpeg
from etchscope.foil import BadInput

__all__ = ["MAX_PAGES", "TIFF_MAGIC", "Directory", "decode_page", "read_directories"]

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PAGES = 1000
"""Greatest number of directories of a file."""
_MAX_TAGS = 500
"""Greatest number of tags of a directory; usual ones have about fifteen."""
_MAX_SEGMENTS = 2**17
"""Greatest number of strips or tiles of a page."""
_MAX_SAMPLES = 16
"""Greatest number of samples of a pixel whose bits are compared."""
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""TIFF types of unsigned integers, as letters of ``struct``."""
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TYPE_BYTES |= {13: 4, 16: 8, 17: 8, 18: 8}
_JPEG = 7
_DIFFERENCED = (5, 8, 32946)
"""Compressions with which the tag Predictor has a meaning."""
_KINDS = {2: "int", 3: "float", 5: "complex integers of ", 6: "complex"}
_SAVE_GREY = "Save it as grey of 8 or 16 bits, in ImageJ by Image > Type > 8-bit or 16-bit."
_COMPRESSIONS = {2: "CCITT", 3: "CCITT fax 3", 4: "CCITT fax 4", 6: "old JPEG"}
_COMPRESSIONS |= {
    50000: "Zstandard",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34925: "LZMA",
}
_COLOURS = {
    4: "a transparency mask",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "a Bayer mosaic",
}
_COLOURS |= {32803: "a Bayer mosaic", 6: "YCbCr without JPEG", 32844: "LogL", 32845: "LogLuv"}


@dataclass(frozen=True)
class Directory:
    """A directory of a TIFF file, which describes one page.

    Parameters
    ----------
    data : the whole file.
    order : byte order, as a letter of ``struct``.
    entries : tag → TIFF type, number of values, and where they begin.
    start : where the strips begin that follow each other without a gap; None takes the tags.
    """

    data: bytes
    order: str
    entries: dict[int, tuple[int, int, int]]
    start: int | None = None

    def values(self, tag: int, most: int) -> tuple[int, ...]:
        """Return the unsigned integers of a tag, at most so many; none if it is absent.

        Raises
        ------
        ValueError : they are of another type.
        """
        if tag not in self.entries:
            return ()
        kind, count, at = self.entries[tag]
        if kind not in _TYPES or count == 0:
            raise ValueError(f"tag {tag} holds no unsigned integers")
        return struct.unpack_from(f"{self.order}{min(count, most)}{_TYPES[kind]}", self.data, at)

    def value(self, tag: int, default: int | None = None) -> int:
        """Return the first unsigned integer of a tag, or the default; ValueError without both."""
        found = self.values(tag, 1)
        if not found and default is None:
            raise ValueError(f"tag {tag} is absent")
        return found[0] if found else default or 0

    def raw(self, tag: int) -> bytes:
        """Return the bytes of a tag, none if it is absent."""
        if tag not in self.entries:
            return b""
        kind, count, at = self.entries[tag]
        return self.data[at : at + count * _TYPE_BYTES.get(kind, 1)]

    @property
    def is_reduced(self) -> bool:
        """Whether the page is a thumbnail or a mask of another page (tags 254 and 255)."""
        return bool(self.value(254, 0) & 5) or self.value(255, 1) == 2

    @cached_property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.value(256), self.value(257)

    @cached_property
    def samples(self) -> int:
        """Samples per pixel."""
        return self.value(277, 1)

    @cached_property
    def bits(self) -> int:
        """Bits per sample; ValueError if the samples differ."""
        found = set(self.values(258, _MAX_SAMPLES)) or {1}
        if len(found) > 1:
            raise ValueError("the samples of a pixel have different numbers of bits")
        return found.pop()

    @cached_property
    def is_tiled(self) -> bool:
        """Whether the page is stored as tiles and not as strips."""
        return 322 in self.entries

    @cached_property
    def segment(self) -> tuple[int, int]:
        """(width, height) of a tile or strip in pixels; strips are never higher than the page."""
        if self.is_tiled:
            return self.value(322), self.value(323)
        width, height = self.size
        return width, min(self.value(278, height), height)

    @property
    def is_planar(self) -> bool:
        """Whether each sample has strips or tiles of its own."""
        return self.value(284, 1) == 2 and self.samples > 1

    @property
    def decoded_bytes(self) -> int:
        """Bytes of all strips or tiles after decompression."""
        (width, height), (across, down) = self.size, self.segment
        if not across or not down:
            raise ValueError("strips or tiles without pixels")
        whole = math.ceil(width / across) * across * math.ceil(height / down) * down
        return whole * self.samples * max(self.bits // 8, 1)


def read_directories(data: bytes) -> list[Directory]:
    """Return the directories that a TIFF file lists.

    Raises
    ------
    ValueError : they go round in a circle, or there are too many directories or tags.
    struct.error : a directory reaches beyond the end of the file.
    """
    order = "<" if data[:1] == b"I" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    head, entry, offset = ("Q", "HHQ", "Q") if is_big else ("H", "HHI", "I")
    inline = 8 if is_big else 4
    (at,) = struct.unpack_from(order + offset, data, 8 if is_big else 4)
    found: list[Directory] = []
    seen: set[int] = set()
    while at:
        if at in seen:
            raise ValueError("its directories go round in a circle")
        if len(seen) == MAX_PAGES:
            raise ValueError(f"it has more than {MAX_PAGES} pages")
        seen.add(at)
        (count,) = struct.unpack_from(order + head, data, at)
        if count > _MAX_TAGS:
            raise ValueError(f"a page has {count} tags")
        at += struct.calcsize(order + head)
        entries = {}
        for _ in range(count):
            tag, kind, number = struct.unpack_from(order + entry, data, at)
            at += struct.calcsize(order + entry)
            size, where = _TYPE_BYTES.get(kind, 1) * number, at
            if size > inline:
                (where,) = struct.unpack_from(order + offset, data, at)
            if where + min(size, inline) > len(data) or where + size > len(data):
                raise ValueError("the file is truncated")
            entries[tag] = kind, number, where
            at += inline
        found.append(Directory(data, order, entries))
        (at,) = struct.unpack_from(order + offset, data, at)
    return found


def decode_page(where: str, page: Directory) -> Samples:
    """Return the samples of a page, and what they mean.

    Raises
    ------
    BadInput : the page has a number of bits, a compression or colours that are not read.
    ValueError, zlib.error, OSError, SyntaxError : the page is damaged.
    """
    compression, photometric = page.value(259, 1), page.value(262, 1)
    _require_known(where, page, compression, photometric)
    lightest = 2**page.bits - 1
    if page.bits > 1 and 281 in page.entries:
        lightest = min(page.value(281), lightest) or lightest
    values = _values(page, compression, photometric)
    if page.bits == 1:
        values, lightest = values * np.uint8(255), 255
    return Samples(
        values,
        {2: "rgb", 3: "palette", 5: "cmyk", 6: "rgb"}.get(photometric, "grey"),  # type: ignore[arg-type]
        zero_is_white=photometric == 0,
        lightest=lightest,
        orientation=page.value(274, 1),
        **({"palette": _palette(page)} if photometric == 3 else {}),
    )


def _require_known(where: str, page: Directory, compression: int, photometric: int) -> None:
    kind = page.value(339, 1)
    if kind not in (1, 4) or page.bits not in (1, 8, 16):
        found = f"{_KINDS.get(kind, 'uint')}{page.bits}"
        raise BadInput(where, "8 or 16 bits per pixel", found, hint=_SAVE_GREY)
    if compression not in CODECS and compression != _JPEG:
        expected = "a TIFF without compression, or with LZW, deflate, PackBits or JPEG"
        raise BadInput(where, expected, _COMPRESSIONS.get(compression, f"number {compression}"))
    base = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}.get(photometric)
    if base is None or (photometric == 6 and compression != _JPEG):
        found = _COLOURS.get(photometric, f"colours of kind {photometric}")
        raise BadInput(where, "a grey or colour TIFF", found, hint=_SAVE_GREY)
    is_eight = page.bits == 8 or (photometric != 3 and compression != _JPEG)
    if (page.bits == 1 and page.samples > 1) or not is_eight:
        found = f"{page.samples} samples of {page.bits} bits, photometric {photometric}"
        raise BadInput(where, "a grey or colour TIFF of 8 or 16 bits", found, hint=_SAVE_GREY)
    extra = page.samples - base
    is_alpha = extra == 1 and (base > 1 or page.value(338, 0) in (1, 2))
    if extra and not is_alpha:
        expected = "pages of one grey or RGB picture"
        hint = "Save each light as a page of its own."
        raise BadInput(where, expected, f"{page.samples} samples per pixel", hint=hint)
    if page.value(266, 1) != 1 or page.value(32997, 1) != 1 or page.value(317, 1) not in (1, 2):
        found = "another order of bits, depth or predictor"
        raise BadInput(where, "a plain TIFF", found, hint=_SAVE_GREY)


def _palette(page: Directory) -> NDArray[np.uint8]:
    entries = np.array(page.values(320, 3 * 256), np.int64).reshape(3, 256).T
    return (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)


def _values(page: Directory, compression: int, photometric: int) -> NDArray[Any]:
    (width, height), (across, down) = page.size, page.segment
    planes, samples = (page.samples, 1) if page.is_planar else (1, page.samples)
    columns, rows = math.ceil(width / across), math.ceil(height / down)
    dtype = np.dtype(np.uint16 if page.bits == 16 else np.uint8)
    out = np.empty((planes, height, width, samples), dtype)
    if planes * columns * rows > _MAX_SEGMENTS:
        raise ValueError(f"a page has more than {_MAX_SEGMENTS} strips or tiles")
    if page.start is None:
        segments = _segments(page, planes * columns * rows)
    else:
        strip = width * samples * dtype.itemsize * down
        whole = width * samples * dtype.itemsize * height
        starts = [page.start + p * whole + r * strip for p in range(planes) for r in range(rows)]
        segments = (page.data[at : at + strip] for at in starts)
    for plane in range(planes):
        for y in range(0, height, down):
            high = down if page.is_tiled else min(down, height - y)
            for x in range(0, width, across):
                shape = high, across, samples
                block = _block(page, next(segments), shape, compression, photometric)
                to = out[plane, y : y + high, x : x + across]
                to[...] = block[: to.shape[0], : to.shape[1]]
    return np.moveaxis(out[..., 0], 0, -1) if page.is_planar else out[0]


def _segments(page: Directory, count: int) -> Iterator[bytes]:
    """Return the compressed bytes of each strip or tile, whose places are checked first."""
    offset_tag, size_tag = (324, 325) if page.is_tiled else (273, 279)
    offsets, sizes = page.values(offset_tag, count), page.values(size_tag, count)
    if count == 1 and not sizes and page.value(259, 1) == 1:
        sizes = (page.decoded_bytes,)  # old writers leave this tag out
    if len(offsets) != count or len(sizes) != count:
        raise ValueError("the file is truncated: it has too few strips or tiles")
    ends = [a + b for a, b in zip(offsets, sizes, strict=True)]
    if max(ends) > len(page.data) or min(sizes) == 0:
        raise ValueError("the file is truncated")
    if sum(sizes) > len(page.data):
        raise ValueError("strips or tiles share their bytes")
    return (page.data[a:b] for a, b in zip(offsets, ends, strict=True))


def _block(
    page: Directory,
    data: bytes,
    shape: tuple[int, int, int],
    compression: int,
    photometric: int,
) -> NDArray[Any]:
    """Return one strip or tile, (y, x, sample)."""
    high, across, samples = shape
    if compression == _JPEG:
        return decode_jpeg(data, page.raw(347), shape, photometric == 6)
    row = math.ceil(across * samples * page.bits / 8)
    raw = CODECS[compression](data, high * row)
    if page.bits == 1:
        bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(high, row), axis=1)
        return bits[:, :across, None]
    dtype = np.dtype(f"{page.order}u{page.bits // 8}")
    block = np.frombuffer(raw, dtype).reshape(shape)
    if page.value(317, 1) == 2 and compression in _DIFFERENCED:
        native = block.astype(dtype.newbyteorder("="))
        return np.cumsum(native, axis=1, dtype=native.dtype)
    return block
