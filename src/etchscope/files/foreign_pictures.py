"""Pictures that somebody else wrote: the only place that decodes them, and within bounds."""

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TgaImagePlugin import TgaImageFile
from PIL.WebPImagePlugin import WebPImageFile

from etchscope.files.foreign import read_bytes
from etchscope.files.foreign_tiff import (
    TIFF_MAGIC,
    count_decoded_bytes,
    decode_page,
    open_pages,
)
from etchscope.files.samples import Page, Samples, as_grey
from etchscope.files.tiff_axes import complete_planes
from etchscope.foil import BadInput

__all__ = ["MAX_BYTES", "MAX_PIXELS", "PICTURE_SUFFIX", "Page", "read_picture"]

MAX_PIXELS = 2**27
"""Greatest number of pixels of a page (11,585 px square); a larger one is refused."""
MAX_BYTES = 2**29
"""Greatest size of a file, and of the samples of all its pages together."""
_PACKED_BYTES = 2**28
_PACKED_RATIO = 64
"""More bytes of samples than the first number must not stand in a file that is as many times
smaller as the second one says. No picture of a camera can be compressed so far."""
_SLOW_PIXELS = 2**22
"""Greatest number of pixels of a PNM picture that Pillow reads number by number."""
_JPEG_WORK = 2**30
"""Greatest number of pixels times scans of a JPEG picture. Each scan of a progressive one takes as
long as the picture is large, however few bytes it has; usual ones have about ten."""
PICTURE_SUFFIX = re.compile(
    r"\.(bmp|dib|gif|icb|jp2|jpe?g|p[bgnp]m|png|tga|tiff?|vda|vst|webp)", re.IGNORECASE
)
"""Suffix of the files of a folder that count as pictures."""
# Pillow's classes and not Image.open, which guesses among formats, runs other programs for some of
# them, and warns of large pictures through a global variable that threads share.
_BY_MAGIC: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"BM", BmpImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"GIF8", GifImageFile),
    (b"\xff\x4f\xff\x51", Jpeg2KImageFile),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Jpeg2KImageFile),
    *((f"P{i}".encode(), PpmImageFile) for i in range(1, 7)),
)
_TGA = (".tga", ".icb", ".vda", ".vst")
_FORMATS = "a picture (TIFF, PNG, BMP, JPEG, JPEG 2000, GIF, WebP, PNM or TGA)"
_OTHERS = (
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"v/1\x01", "OpenEXR"),
    (b"SIMPLE  =", "FITS"),
    (b"\x89HDF", "HDF5"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"PK\3\4", "a ZIP archive"),
)
_HINT = "Save it as TIFF or PNG."
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""Errors that the decoders raise on damaged bytes, as their sources and our tests show."""


def read_picture(path: Path) -> list[Page]:
    """Return the pages of a picture file as they are shown, one unless it is a multi-page TIFF.

    Grey of 8 and 16 bits stays as it is, with 0 as black; 1 bit becomes 0 and 255; colour, a
    palette and inks become luma (rounded); alpha is dropped; thumbnails and masks of a TIFF are
    left out; and a page that its file says is to be shown turned is turned.

    Raises
    ------
    BadInput : the file is no regular file, is absent, unreadable, empty, truncated or otherwise
        damaged, or in a format that is not read; has neither 1, 8 nor 16 bits; has more than
        ``MAX_PIXELS`` pixels or ``MAX_BYTES`` bytes; or its pages lie along several axes.
    """
    data = read_bytes(path, MAX_BYTES)
    if not data:
        raise BadInput(path, "a picture", "an empty file")
    try:
        return _decode(path, data)
    except BadInput:
        raise
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise BadInput(path, "an intact picture", f"damage: {reason}") from error


def _decode(path: Path, data: bytes) -> list[Page]:
    if data.startswith(TIFF_MAGIC):
        return _tiff_pages(path, data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return [_pillow(path, data, WebPImageFile)]
    for magic, reader in _BY_MAGIC:
        if data.startswith(magic):
            return [_pillow(path, data, reader)]
    if path.suffix.lower() in _TGA:  # TGA has no magic number
        return [_pillow(path, data, TgaImageFile)]
    found = next((name for magic, name in _OTHERS if data.startswith(magic)), "something else")
    raise BadInput(path, _FORMATS, found, hint=_HINT)


def _require_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadInput(path, f"at most {MAX_PIXELS:,} pixels", f"{width} × {height}")


def _require_bytes(path: Path, decoded: int, stored: int) -> None:
    most = _PACKED_BYTES if decoded > _PACKED_RATIO * stored else MAX_BYTES
    if decoded > most:
        expected = f"at most {most // 2**20} MB of samples in a file of {stored / 2**20:.1f} MB"
        raise BadInput(path, expected, f"{decoded / 2**20:.0f} MB")


def _tiff_pages(path: Path, data: bytes) -> list[Page]:
    with open_pages(str(path), data) as listed:
        pages = [page for page in listed if not (page.is_reduced or page.is_mask)]
        if not pages:
            raise BadInput(path, "some pages", "0")
        planes = complete_planes(path, pages)
        for page in pages:
            _require_size(path, page.imagewidth, page.imagelength)
        _require_bytes(path, sum(count_decoded_bytes(page) for page, _ in planes), len(data))
        return [as_grey(decode_page(str(path), page, start)) for page, start in planes]


def _pillow(path: Path, data: bytes, reader: type[ImageFile.ImageFile]) -> Page:
    with reader(io.BytesIO(data)) as image:
        width, height = image.size
        _require_size(path, width, height)
        is_deep = reader is PngImageFile and data[24] == 16
        size = len(image.getbands()) * (2 if is_deep or image.mode.startswith("I") else 1)
        _require_bytes(path, width * height * size, len(data))
        _require_plain(path, data, image)
        image.load()
        orientation = _orientation(image)
        if is_deep and data[25]:
            # Pillow would cut 16 bits of colour, or of grey with alpha, to 8 bits.
            values = _deep_colours(path, data)
            return as_grey(Samples(values, "rgb", lightest=65535, orientation=orientation))
        return as_grey(_samples(path, data, image, orientation))


def _require_plain(path: Path, data: bytes, image: ImageFile.ImageFile) -> None:
    """Refuse several pictures in one file, and what takes Pillow long."""
    if getattr(image, "is_animated", False):
        raise BadInput(path, "one picture", "several frames", hint="Save each as its own file.")
    width, height = image.size
    scans = data.count(b"\xff\xda") if isinstance(image, JpegImageFile) else 1
    if scans * width * height > _JPEG_WORK:
        found = f"{scans} scans of {width} × {height} pixels"
        raise BadInput(path, "a JPEG picture of fewer scans", found, hint=_HINT)
    is_slow = isinstance(image, PpmImageFile) and image.tile[0].codec_name != "raw"
    if is_slow and width * height > _SLOW_PIXELS:
        expected = f"at most {_SLOW_PIXELS:,} pixels in a PNM file of text or scaled grey levels"
        raise BadInput(path, expected, f"{width} × {height}", hint=_HINT)


def _samples(path: Path, data: bytes, image: ImageFile.ImageFile, orientation: int) -> Samples:
    mode = image.mode
    if mode == "F":
        raise BadInput(path, "8 or 16 bits per pixel", "floating point", hint=_HINT)
    if mode == "P":
        palette = np.zeros((256, 3), np.uint8)
        entries = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        palette[: len(entries)] = entries
        indices = np.asarray(image)[..., None]
        return Samples(indices, "palette", palette, orientation=orientation)
    if mode == "I" or mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.uint16)[..., None]
        if isinstance(image, Jpeg2KImageFile):
            levels >>= 16 - _jpeg2000_bits(data)
        return Samples(levels, lightest=65535, orientation=orientation)
    if isinstance(image, Jpeg2KImageFile) and _jpeg2000_bits(data) > 8:
        raise BadInput(path, "JPEG 2000 of 16 bits in grey", f"mode {mode}", hint=_HINT)
    if mode == "1":
        image = image.convert("L")  # type: ignore[assignment]
    if mode in ("1", "L", "LA"):
        return Samples(_bands(image), orientation=orientation)
    if mode == "CMYK":
        return Samples(_bands(image), "cmyk", orientation=orientation)
    if mode not in ("RGB", "RGBA"):
        image = image.convert("RGB")  # type: ignore[assignment]
    return Samples(_bands(image), "rgb", orientation=orientation)


def _bands(image: Image.Image) -> Any:
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _jpeg2000_bits(data: bytes) -> int:
    """Return the bits of a grey level (ISO/IEC 15444-1, marker SIZ); ValueError if signed."""
    at = data.index(b"\xff\x4f\xff\x51")
    if data[at + 42] > 15:
        raise ValueError("a JPEG 2000 picture of signed or of more than 16 bits")
    return data[at + 42] + 1


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return how EXIF says that a picture is to be shown, 1 if it does not or is damaged."""
    exif = image.info.get("exif", b"")
    try:
        with open_pages("EXIF", exif.removeprefix(b"Exif\0\0")) as pages:
            return int(pages[0].tags.valueof(274, default=1))
    except (BadInput, *_DAMAGE):
        return 1


def _deep_colours(path: Path, data: bytes) -> Any:
    """Return R, G, B of a PNG picture of 16 bits, (y, x, 3) uint16.

    imagecodecs and not OpenCV, in which libpng writes of damage to stderr itself.
    """
    picture: Any = imagecodecs.png_decode(data)
    if picture.ndim != 3 or picture.dtype != np.uint16:
        raise BadInput(path, "an intact picture", "damage: its colours cannot be decoded")
    is_grey = picture.shape[2] == 2  # with alpha
    return np.repeat(picture[..., :1], 3, axis=2) if is_grey else picture[..., :3]


# Pillow registers its codecs on first use, which threads must not do at the same time.
Image.preinit()
