"""The planes of a TIFF file, compared with what its own description says of its axes."""

import json
import math
import re
from pathlib import Path
from typing import Any

from tifffile import TiffPage

from etchscope.files.foreign_tiff import count_decoded_bytes
from etchscope.foil import BadInput

__all__ = ["complete_planes"]

_LONGEST = 2**22
"""Bytes of a description that are looked at."""
_MOST_PLANES = 10**4
"""Greatest number of planes behind one directory."""
_DESCRIPTION = 270

Plane = tuple[TiffPage, int | None]
"""A page, and where its samples begin if they are not in its own strips or tiles."""


def complete_planes(path: Path, pages: list[TiffPage]) -> list[Plane]:
    """Return the planes of a TIFF file, as many as its own description lists.

    ImageJ and tifffile write a description, and OME-TIFF has one as XML. Where one directory stands
    for several planes, as in stacks of ImageJ, the others follow it in the file.

    Parameters
    ----------
    pages : at least one, without thumbnails.

    Raises
    ------
    BadInput : the planes lie along more than one axis, for example lights and focus; or
        there are other planes than the description lists.
    """
    first = pages[0]
    found = first.tags.valueof(_DESCRIPTION, default="")
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)
    text = text[:_LONGEST]
    axes = {name: size for name, size in _axes(text, first).items() if size > 1}
    if len(axes) > 1:
        found = " × ".join(f"{size} {name}" for name, size in axes.items())
        hint = "Save one picture for each light, in the plane that is in focus."
        raise BadInput(path, "pages along one axis, that of the lights", found, hint=hint)
    count = math.prod(axes.values())
    if not axes or count == len(pages) or (_is_shape(text) and count < len(pages)):
        return [(page, None) for page in pages]
    following = _following(first, count) if len(pages) == 1 and "<Pixels" not in text else []
    if not following:
        expected = f"{count} pages, as its own description says"
        raise BadInput(path, expected, f"{len(pages)}", hint="Save all planes in one file.")
    return following


def _axes(text: str, page: TiffPage) -> dict[str, int]:
    """Return the number of planes along each axis that a description names."""
    if text.startswith("ImageJ="):
        return _imagej_axes(text)
    if "<Pixels" in text and "OME" in text:
        return _ome_axes(text, page)
    if _is_shape(text):
        return _shape_axes(text, page)
    return {}


def _is_shape(text: str) -> bool:
    """Whether tifffile wrote the description, which it repeats whenever a picture is appended."""
    return text.startswith('{"shape"')


def _imagej_axes(text: str) -> dict[str, int]:
    said = dict(re.findall(r"^(images|channels|slices|frames)=(\d{1,9})\s*$", text, re.MULTILINE))
    sizes = {name: int(said.get(name, 1)) for name in ("channels", "slices", "frames")}
    if math.prod(sizes.values()) == 1:
        return {"images": int(said.get("images", 1))}
    return sizes


def _ome_axes(text: str, page: TiffPage) -> dict[str, int]:
    pixels = re.findall(r"<Pixels\b[^>]{0,4000}>", text)
    said = dict(re.findall(r'\bSize([CZT])\s*=\s*"(\d{1,9})"', pixels[0])) if pixels else {}
    names = {"C": "channels", "Z": "slices", "T": "frames"}
    sizes = {word: int(said.get(letter, 1)) for letter, word in names.items()}
    sizes["channels"] //= math.gcd(sizes["channels"], page.samplesperpixel)
    return {"images": len(pixels), **sizes}


def _shape_axes(text: str, page: TiffPage) -> dict[str, int]:
    try:
        shape: Any = json.loads(text.rstrip("\0")).get("shape")
    except (ValueError, AttributeError, RecursionError):
        return {}
    if not isinstance(shape, list) or not all(isinstance(n, int) for n in shape):
        return {}
    size = [page.imagelength, page.imagewidth]
    planes = next((shape[:-n] for n in (2, 3) if shape[-n:][:2] == size), [])
    if page.planarconfig == 2 and planes[-1:] == [page.samplesperpixel]:
        planes = planes[:-1]
    return {f"planes of axis {k}": n for k, n in enumerate(planes, 1)}


def _following(first: TiffPage, count: int) -> list[Plane]:
    """Return each plane that follows the first without a gap; none if they do not."""
    size, start = count_decoded_bytes(first), first.dataoffsets[0]
    is_plain = first.compression == 1 and not first.is_tiled and first.bitspersample >= 8
    if not is_plain or count > _MOST_PLANES:
        return []
    if start + count * size > first.parent.filehandle.size:
        return []
    return [(first, start + k * size) for k in range(count)]
