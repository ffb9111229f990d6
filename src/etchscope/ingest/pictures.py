"""Grey arrays from picture files; every fault of a file raises one error that names it."""

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TgaImagePlugin import TgaImageFile

from etchscope.foil import BadInput

__all__ = ["MAX_PIXELS", "PICTURE_SUFFIX", "Page", "read_picture"]

Page = NDArray[Any]
"""(y, x) uint8 or uint16 grey levels."""

MAX_PIXELS = 2**27
"""Greatest number of pixels of a page (11,585 px square); a larger one is refused."""
PICTURE_SUFFIX = re.compile(
    r"\.(bmp|dib|gif|ico|icb|jp2|jpe?g|p[bgnp]m|png|tga|tiff?|vda|vst|webp)", re.IGNORECASE
)
"""Suffix of the files of a folder that count as pictures."""
# Pillow's classes and not Image.open, which guesses among formats, runs other programs for some of
# them, and warns of large pictures through a global variable that threads share.
_BY_MAGIC: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\x89PNG", PngImageFile),
    (b"BM", BmpImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    *((f"P{i}".encode(), PpmImageFile) for i in range(1, 7)),
)
_TGA = (".tga", ".icb", ".vda", ".vst")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TIFF_TYPE_BYTES |= {13: 4, 16: 8, 17: 8, 18: 8}
_LUMA = np.array([299, 587, 114], np.uint32)
"""Weights of R, G, B in thousandths (ITU-R BT.601); integers give the same on every machine."""
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    OverflowError,
    struct.error,
    zlib.error,
    cv2.error,
)
"""Errors that the decoders raise on damaged bytes, as their sources and our tests show."""


def read_picture(path: Path) -> list[Page]:
    """Return the pages of a picture file, one unless it is a multi-page TIFF.

    Grey of 8 and 16 bits stays as it is, colour becomes luma (rounded), alpha is dropped.

    Raises
    ------
    BadInput : the file is absent, unreadable, empty, truncated or otherwise damaged, is no picture,
        has neither 8 nor 16 bits, or more than ``MAX_PIXELS`` pixels.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(path, "a readable picture", error.strerror or str(error)) from error
    if not data:
        raise BadInput(path, "a picture", "an empty file")
    try:
        pages = _decode(path, data)
    except BadInput:
        raise
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(path, "an intact picture", f"damage: {reason}") from error
    for page in pages:
        if page.dtype not in (np.uint8, np.uint16):
            raise BadInput(path, "8 or 16 bits per pixel", str(page.dtype))
    return pages


def _decode(path: Path, data: bytes) -> list[Page]:
    if data.startswith(_TIFF):
        return _tiff_pages(path, data)
    for magic, reader in _BY_MAGIC:
        if data.startswith(magic):
            return [_pillow(path, data, reader)]
    if path.suffix.lower() in _TGA:  # TGA has no magic number
        return [_pillow(path, data, TgaImageFile)]
    return [_opencv(path, data)]


def _require_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadInput(path, f"at most {MAX_PIXELS:,} pixels", f"{width} × {height}")


def _pillow(path: Path, data: bytes, reader: type[ImageFile.ImageFile]) -> Page:
    with reader(io.BytesIO(data)) as image:
        _require_size(path, *image.size)
        image.load()
        if reader is PngImageFile and data[24] == 16 and data[25] & 2:
            return _opencv(path, data)  # Pillow would cut 16-bit colour to 8 bits
        if image.mode == "I":  # 16-bit PGM
            return np.asarray(image).astype(np.uint16)
        if image.mode in ("L", "I;16", "I;16B", "I;16L"):
            page = np.asarray(image)
            return page.astype(page.dtype.newbyteorder("="))
        if image.mode in ("1", "LA"):
            return np.asarray(image.convert("L"))
        if image.mode == "F":
            raise BadInput(path, "8 or 16 bits per pixel", "floating point")
        return _luma(np.asarray(image.convert("RGB")))


def _luma(rgb: Page) -> Page:
    thousandths = rgb[..., :3].astype(np.uint32) @ _LUMA
    grey: Page = ((thousandths + 500) // 1000).astype(rgb.dtype)
    return grey


def _opencv(path: Path, data: bytes) -> Page:
    picture: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise BadInput(path, "a picture (TGA, PNG, TIFF, BMP, JPEG, …)", "something else")
    _require_size(path, picture.shape[1], picture.shape[0])
    if picture.ndim == 2:
        return np.asarray(picture)
    return _luma(picture[..., 2::-1])


def _tiff_pages(path: Path, data: bytes) -> list[Page]:
    count = _count_tiff_pages(path, data)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
        if len(pages) != count or count == 0:
            raise BadInput(path, f"{count or 'some'} pages", f"{len(pages)}")
        for page in pages:
            _require_size(path, page.imagewidth, page.imagelength)
            ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=True)]
            if not ends or max(ends) > len(data) or min(page.databytecounts) == 0:
                raise BadInput(path, "an intact picture", "damage: the file is truncated")
        return [_tiff_grey(path, page, data) for page in pages]


def _tiff_grey(path: Path, page: tifffile.TiffPage, data: bytes) -> Page:
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        raise BadInput(path, "a grey or RGB TIFF", "a palette")
    try:
        pixels: Page = np.asarray(page.asarray())
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        return _tiff_by_opencv(path, data, page.index)  # LZW and JPEG need that library
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] in (3, 4) and pixels.dtype in (np.uint8, np.uint16):
        return _luma(pixels)
    if pixels.ndim == 3 and pixels.shape[-1] <= 2:
        pixels = pixels[..., 0]
    if pixels.ndim != 2:
        raise BadInput(path, "pages of one grey or RGB picture", f"axes {page.axes}")
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype.kind == "u":
        return np.iinfo(pixels.dtype).max - pixels
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _tiff_by_opencv(path: Path, data: bytes, index: int) -> Page:
    done, pages = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if not done or len(pages) <= index:
        raise BadInput(path, "an intact picture", "damage: a page that cannot be decoded")
    page = np.asarray(pages[index])
    return page if page.ndim == 2 else _luma(page[..., 2::-1])


def _count_tiff_pages(path: Path, data: bytes) -> int:
    """Return the number of pages that the file lists; none may reach beyond its end.

    tifffile would take the rest of a truncated file for the whole.
    """
    order = "<" if data[:1] == b"I" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    head, entry, offset = ("Q", "HHQQ", "Q") if is_big else ("H", "HHII", "I")
    inline = 8 if is_big else 4
    (at,) = struct.unpack_from(order + offset, data, 8 if is_big else 4)
    seen: set[int] = set()
    while at and at not in seen:
        seen.add(at)
        (entries,) = struct.unpack_from(order + head, data, at)
        at += struct.calcsize(order + head)
        for _ in range(entries):
            _, kind, number, value = struct.unpack_from(order + entry, data, at)
            size = _TIFF_TYPE_BYTES.get(kind, 1) * number
            if size > inline and value + size > len(data):
                raise BadInput(path, "an intact picture", "damage: the file is truncated")
            at += struct.calcsize(order + entry)
        (at,) = struct.unpack_from(order + offset, data, at)
    return len(seen)


# Pillow registers its codecs on first use, which threads must not do at the same time.
Image.preinit()
