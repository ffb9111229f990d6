"""Decompression of the strips and tiles of TIFF pages, never to more bytes than are expected."""

import io
import zlib
from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile

__all__ = ["CODECS", "decode_jpeg"]

_Bytes = NDArray[np.uint8]

_JPEG_SCANS = 4
"""Greatest number of scans of a strip or tile, one for each sample. Each scan takes as long as the
picture is large, however few bytes it has."""


@numba.njit(nogil=True, cache=True)
def _unpack_bits(data: _Bytes, out: _Bytes) -> int:
    """Fill ``out`` from runs (TIFF 6.0, section 9) and return the number of bytes written."""
    i: int = 0
    n: int = 0
    while i < len(data) and n < len(out):
        head = int(data[i])
        i += 1
        if head < 128:
            count = min(head + 1, len(data) - i, len(out) - n)
            out[n : n + count] = data[i : i + count]
            i += head + 1
        elif head > 128:
            if i >= len(data):
                break
            count = min(257 - head, len(out) - n)
            out[n : n + count] = data[i]
            i += 1
        else:
            count = 0
        n += count
    return n


@numba.njit(nogil=True, cache=True)
def _unpack_lzw(data: _Bytes, out: _Bytes) -> int:
    """Fill ``out`` (TIFF 6.0, section 13) and return the number of bytes written, −1 if damaged."""
    before = np.full(4096, -1, np.int64)
    last = np.zeros(4096, np.uint8)
    length = np.ones(4096, np.int64)
    last[:256] = np.arange(256)
    free, width, old, n, at = 258, 9, -1, 0, 0
    while n < len(out) and at + width <= 8 * len(data):
        window: int = 0
        for k in range(3):
            byte = (at >> 3) + k
            window = (window << 8) | (int(data[byte]) if byte < len(data) else 0)
        code = (window >> (24 - width - (at & 7))) & ((1 << width) - 1)
        at += width
        if code == 257:
            break
        if code == 256:
            free, width, old = 258, 9, -1
            continue
        if code > free or (code >= free and old < 0) or (old < 0 and code > 255):
            return -1
        known: int = code if code < free else old
        end = n + length[known]
        place, step = end - 1, known
        first = np.uint8(0)
        while step >= 0:
            first = last[step]
            if place < len(out):
                out[place] = first
            place -= 1
            step = before[step]
        if code == free:
            if end < len(out):
                out[end] = first
            end += 1
        n = end
        if old >= 0 and free < 4096:
            before[free], last[free], length[free] = old, first, length[old] + 1
            free += 1
            if free in (511, 1023, 2047):
                width += 1
        old = code
    return min(n, len(out))


def _unpack(kernel: Callable[[_Bytes, _Bytes], int], data: bytes, size: int) -> bytes:
    out = np.zeros(size, np.uint8)
    if kernel(np.frombuffer(data, np.uint8), out) < size:
        raise ValueError("a strip or tile has too few pixels")
    return out.tobytes()


def _take(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise ValueError("a strip or tile has too few pixels")
    return data[:size]


def _inflate(data: bytes, size: int) -> bytes:
    return _take(zlib.decompressobj().decompress(data, size), size)


CODECS: dict[int, Callable[[bytes, int], bytes]] = {
    1: _take,
    5: lambda data, size: _unpack(_unpack_lzw, data, size),
    8: _inflate,
    32773: lambda data, size: _unpack(_unpack_bits, data, size),
    32946: _inflate,
}
"""Value of the TIFF tag Compression → function of the compressed bytes and the size that returns
that many bytes; it raises ValueError or zlib.error if there are fewer or the data are damaged."""


def decode_jpeg(data: bytes, tables: bytes, shape: tuple[int, int, int], ycc: bool) -> _Bytes:
    """Return a strip or tile that is compressed as JPEG, (y, x, sample) uint8.

    Parameters
    ----------
    data, tables : the strip or tile, and the TIFF tag JPEGTables, which may be empty.
    shape : its expected shape; a higher one is cut.
    ycc : whether colour is stored as YCbCr and not as RGB; it is returned as RGB.

    Raises
    ------
    ValueError, OSError, SyntaxError : the data are damaged, or have another shape.
    """
    if not data.startswith(b"\xff\xd8") or data.count(b"\xff\xda") > _JPEG_SCANS:
        raise ValueError("a strip or tile that is no plain JPEG picture")
    # The marker Adobe says which colours are stored, so that Pillow need not guess.
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([ycc])
    head = b"\xff\xd8" + (adobe if shape[2] == 3 else b"")
    with JpegImageFile(io.BytesIO(head + tables[2:-2] + data[2:])) as image:
        width, height = image.size
        if width != shape[1] or not shape[0] <= height <= 2 * shape[0] + 64:
            raise ValueError("a strip or tile of another size")
        pixels = np.asarray(image)
    pixels = pixels.reshape(*pixels.shape[:2], -1)[: shape[0]]
    if shape[2] == 4:
        pixels = 255 - pixels  # Pillow takes four samples for inks that Adobe stores inverted
    if pixels.shape != shape:
        raise ValueError("a strip or tile with another number of samples")
    return pixels
