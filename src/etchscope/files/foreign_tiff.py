"""Pages of TIFF files that somebody else wrote: tifffile parses them, imagecodecs decodes them.

Here are only the limits that both lack: they believe what a file says of its counts and sizes.
"""

import io
import logging
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile
from tifffile import TIFF, TiffFile, TiffPage

from etchscope.files.samples import Samples
from etchscope.foil import BadInput

__all__ = ["MAX_PAGES", "TIFF_MAGIC", "count_decoded_bytes", "decode_page", "open_pages"]

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PAGES = 1000
"""Greatest number of directories of a file."""
_MAX_TAGS = 500
"""Greatest number of tags of a directory; usual ones have about fifteen."""
_MAX_ALL_TAGS = 100 * MAX_PAGES
"""Greatest number of tags of all directories."""
_MAX_LOADED = 2**25
"""Greatest number of bytes of the tags of all directories that tifffile reads at once."""
_MAX_SEGMENTS = 2**17
"""Greatest number of strips or tiles of a page."""
_HEADER_BYTES = 8
_JPEG = 7
_JPEG_SCANS = 4
"""Greatest number of scans of a strip or tile, one for each sample. Each scan takes as long as the
picture is large, however few bytes it has."""
_DIFFERENCED = (5, 8, 32946)
"""Compressions with which the tag Predictor has a meaning: LZW and deflate."""
_READ = (1, *_DIFFERENCED, _JPEG, 32773)
_KINDS = {2: "int", 3: "float", 5: "complex integers of ", 6: "complex"}
_SAVE_GREY = "Save it as grey of 8 or 16 bits, in ImageJ by Image > Type > 8-bit or 16-bit."
_COMPRESSIONS = {2: "CCITT", 3: "CCITT fax 3", 4: "CCITT fax 4", 6: "old JPEG", 34925: "LZMA"}
_COMPRESSIONS |= dict.fromkeys((33003, 33005, 34712), "JPEG 2000") | {50000: "Zstandard"}
_COLOURS = {4: "a transparency mask", 8: "CIELab", 9: "ICCLab", 10: "ITULab"}
_COLOURS |= {32803: "a Bayer mosaic", 6: "YCbCr without JPEG", 32844: "LogL", 32845: "LogLuv"}
_VENDORS = {33628: "MetaMorph STK", 33629: "MetaMorph STK", 34412: "Zeiss LSM"}
_VENDORS |= {65426: "Hamamatsu NDPI"}
"""Tags of formats that keep axes, or strips, in a way of their own."""
_NEEDED = TIFF.TAG_LOAD | TIFF.TAG_ATTRIBUTES.keys()
"""Tags that must be intact; tifffile would take damaged ones for absent."""

# Both log what they find wrong; without a handler Python prints that to stderr.
for _name in ("tifffile", "imagecodecs"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


@contextmanager
def open_pages(where: str, data: bytes) -> Iterator[list[TiffPage]]:
    """Return the pages that a TIFF file lists, which can be decoded until it is closed.

    Raises
    ------
    BadInput : the file is of a format that keeps its axes in a way of its own.
    ValueError : the directories go round in a circle, there are too many directories or tags, or a
        page has no plain size.
    struct.error, TypeError, ArithmeticError, AssertionError : a directory is damaged, or reaches
        beyond the end of the file.
    """
    offsets = _list_directories(where, data)
    if not offsets:
        yield []
        return
    with (
        io.BytesIO(data) as stream,
        TiffFile(stream, is_lsm=False, is_ndpi=False, is_scanimage=False) as file,
    ):
        pages = []
        for index, at in enumerate(offsets):
            file.filehandle.seek(at)
            pages.append(TiffPage(file, index))
        yield pages


def _list_directories(where: str, data: bytes) -> list[int]:
    """Return where the directories of a file begin; see ``open_pages`` for the errors.

    tifffile would follow a circle, take the rest of a truncated file for the whole, and read what
    many directories share again for each.
    """
    order = "<" if data[:1] == b"I" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    head, entry, offset = ("Q", "HHQQ", "Q") if is_big else ("H", "HHII", "I")
    inline, step = (8, 20) if is_big else (4, 12)
    (at,) = struct.unpack_from(order + offset, data, 8 if is_big else 4)
    seen: dict[int, None] = {}
    tags = loaded = 0
    while at:
        if at in seen:
            raise ValueError("its directories go round in a circle")
        if len(seen) == MAX_PAGES:
            raise ValueError(f"it has more than {MAX_PAGES} pages")
        seen[at] = None
        (count,) = struct.unpack_from(order + head, data, at)
        if count > _MAX_TAGS:
            raise ValueError(f"a page has {count} tags")
        tags += count
        if tags > _MAX_ALL_TAGS:
            raise ValueError(f"its pages have more than {_MAX_ALL_TAGS} tags")
        at += struct.calcsize(order + head)
        for tag, kind, number, value in struct.iter_unpack(
            order + entry, data[at : at + count * step]
        ):
            if kind not in TIFF.DATA_FORMATS and tag in _NEEDED:
                raise ValueError(f"tag {tag} has no known type")
            size = struct.calcsize(TIFF.DATA_FORMATS.get(kind, "B")) * number
            first = _HEADER_BYTES if tag in _NEEDED else 0
            if size > inline and not first <= value <= len(data) - size:
                raise ValueError("the file is truncated")
            if tag in _VENDORS:
                hint = "Export it as plain TIFF."
                raise BadInput(where, "a TIFF of plain pages", _VENDORS[tag], hint=hint)
            loaded += size if tag in TIFF.TAG_LOAD else 0
            if loaded > _MAX_LOADED:
                raise ValueError(f"its tags have more than {_MAX_LOADED // 2**20} MB")
        (at,) = struct.unpack_from(order + offset, data, at + count * step)
    return list(seen)


def count_decoded_bytes(page: TiffPage) -> int:
    """Return the number of bytes of all strips or tiles of a page after decompression.

    Raises
    ------
    ValueError : the page has no pixels, or a size that is no whole number.
    """
    sizes = [*page.shaped, *page.chunks, page.bitspersample]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError("a page, strips or tiles without pixels, or samples of different bits")
    if page.planarconfig not in (1, 2):
        raise ValueError("samples in an unknown order")
    return math.prod(page.chunks) * math.prod(page.chunked) * max(page.bitspersample // 8, 1)


def decode_page(where: str, page: TiffPage, start: int | None = None) -> Samples:
    """Return the samples of a page, and what they mean.

    Parameters
    ----------
    page : one whose ``count_decoded_bytes`` is not too large.
    start : where its samples begin if they are stored as they are; None takes its strips or tiles.

    Raises
    ------
    BadInput : the page has a number of bits, a compression or colours that are not read.
    ValueError, RuntimeError, OSError, SyntaxError : the page is damaged.
    """
    photometric = page.tags.valueof(262, default=1)
    _require_known(where, page, photometric)
    lightest = 2**page.bitspersample - 1
    if page.bitspersample > 1:
        lightest = min(_first(page, 281, lightest), lightest) or lightest
    values = _values(page, start)
    if page.bitspersample == 1:
        values, lightest = values.view(np.uint8) * np.uint8(255), 255
    return Samples(
        values,
        {2: "rgb", 3: "palette", 5: "cmyk", 6: "rgb"}.get(photometric, "grey"),  # type: ignore[arg-type]
        zero_is_white=photometric == 0,
        lightest=lightest,
        orientation=_first(page, 274, 1),
        **({"palette": _palette(page)} if photometric == 3 else {}),
    )


def _first(page: TiffPage, tag: int, default: int) -> int:
    """Return the first number of a tag."""
    found = page.tags.valueof(tag, default=default)
    return int(found[0] if isinstance(found, tuple) else found)


def _require_known(where: str, page: TiffPage, photometric: int) -> None:
    kind, bits, compression = page.sampleformat, page.bitspersample, page.compression
    if kind not in (1, 4) or bits not in (1, 8, 16):
        found = f"{_KINDS.get(kind, 'uint')}{bits}"
        raise BadInput(where, "8 or 16 bits per pixel", found, hint=_SAVE_GREY)
    if compression not in _READ:
        expected = "a TIFF without compression, or with LZW, deflate, PackBits or JPEG"
        raise BadInput(where, expected, _COMPRESSIONS.get(compression, f"number {compression}"))
    base = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}.get(photometric)
    if base is None or (photometric == 6 and compression != _JPEG):
        found = _COLOURS.get(photometric, f"colours of kind {photometric}")
        raise BadInput(where, "a grey or colour TIFF", found, hint=_SAVE_GREY)
    samples = page.samplesperpixel
    is_eight = bits == 8 or (photometric != 3 and compression != _JPEG)
    if (bits == 1 and samples > 1) or not is_eight:
        found = f"{samples} samples of {bits} bits, photometric {int(photometric)}"
        raise BadInput(where, "a grey or colour TIFF of 8 or 16 bits", found, hint=_SAVE_GREY)
    extra = samples - base
    is_alpha = extra == 1 and (base > 1 or _first(page, 338, 0) in (1, 2))
    if extra and not is_alpha:
        expected = "pages of one grey or RGB picture"
        hint = "Save each light as a page of its own."
        raise BadInput(where, expected, f"{samples} samples per pixel", hint=hint)
    if page.fillorder != 1 or page.imagedepth != 1 or page.predictor not in (1, 2):
        found = "another order of bits, depth or predictor"
        raise BadInput(where, "a plain TIFF", found, hint=_SAVE_GREY)


def _palette(page: TiffPage) -> NDArray[np.uint8]:
    entries = np.asarray(page.colormap, np.int64).reshape(3, 256).T
    return (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)


def _values(page: TiffPage, start: int | None) -> NDArray[Any]:
    """Return the samples of a page, (y, x, sample)."""
    if page.compression not in _DIFFERENCED:
        page.predictor = 1  # as in libtiff; tifffile would undo what no writer did
    values: NDArray[Any]
    if start is None:
        _require_segments(page)
        values = _decode_segments(page)
    else:
        dtype = page.parent.byteorder + np.dtype(page.dtype).char
        file = page.parent.filehandle
        values = file.read_array(dtype, math.prod(page.shaped), start).reshape(page.shaped)
    return values[0, 0] if values.shape[0] == 1 else np.moveaxis(values[:, 0, ..., 0], 0, -1)


def _decode_segments(page: TiffPage) -> NDArray[Any]:
    """Return the samples of a page, (plane, 1, y, x, sample)."""
    try:
        return page.asarray(squeeze=False, maxworkers=1)
    except RuntimeError:
        if page.is_tiled or page.imagelength % page.rowsperstrip == 0:
            raise
    # Some writers fill up the last strip; imagecodecs refuses more bytes than it is to return.
    page.parent.filehandle.seek(page.offset)
    whole = TiffPage(page.parent, page.index)
    whole.predictor = page.predictor
    whole.imagelength += -page.imagelength % page.rowsperstrip
    whole.shaped = (*page.shaped[:2], whole.imagelength, *page.shaped[3:])
    return whole.asarray(squeeze=False, maxworkers=1)[:, :, : page.imagelength]


def _require_segments(page: TiffPage) -> None:
    """Refuse strips or tiles that are not in the file, or share their bytes, or take long."""
    count, size = math.prod(page.chunked), page.parent.filehandle.size
    if count > _MAX_SEGMENTS:
        raise ValueError(f"a page has more than {_MAX_SEGMENTS} strips or tiles")
    offsets, sizes = page.dataoffsets[:count], page.databytecounts[:count]
    if len(offsets) != count or len(sizes) != count:
        raise ValueError("the file is truncated: it has too few strips or tiles")
    ends = [a + b for a, b in zip(offsets, sizes, strict=True)]
    if max(ends) > size or min(sizes) <= 0 or min(offsets) <= 0:
        raise ValueError("the file is truncated")
    if sum(sizes) > size:
        raise ValueError("strips or tiles share their bytes")
    if page.compression == 1 and page.bitspersample > 1 and sum(sizes) < page.nbytes:
        raise ValueError("strips or tiles with too few pixels")
    if page.compression == _JPEG:
        for at, stored in zip(offsets, sizes, strict=True):
            page.parent.filehandle.seek(at)
            _require_jpeg(page.parent.filehandle.read(stored), page)


def _require_jpeg(data: bytes, page: TiffPage) -> None:
    """Refuse a strip or tile of many scans, another size than the page says, or without an end.

    imagecodecs allocates what the header of a JPEG stream says, and fills up what is missing.
    """
    if not data.startswith(b"\xff\xd8") or data.count(b"\xff\xda") > _JPEG_SCANS:
        raise ValueError("a strip or tile that is no plain JPEG picture")
    if not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise ValueError("a strip or tile that is truncated")
    high, across = page.chunks[:2]
    with JpegImageFile(io.BytesIO(data)) as image:
        width, height = image.size
    if width != across or height > 2 * high + 64:
        raise ValueError("a strip or tile of another size")
