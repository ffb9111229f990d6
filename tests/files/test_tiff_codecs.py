import io
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from etchscope.files.tiff_codecs import CODECS, decode_jpeg

RNG = np.random.default_rng(4)
PICTURES = {
    "noise": RNG.integers(0, 256, (300, 211), dtype=np.uint8),
    "steps": np.repeat(RNG.integers(0, 256, (300, 30), dtype=np.uint8), 7, axis=1),
    "flat": np.full((300, 211), 7, np.uint8),
    "few": RNG.integers(0, 3, (300, 211), dtype=np.uint8),
}


def strips(picture: np.ndarray, way: str) -> list[tuple[bytes, int]]:
    """Return what libtiff makes of a picture: each strip, and how many bytes it stands for."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "TIFF", compression=way)
    data = buffer.getvalue()
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        width, rows = picture.shape[1], page.rowsperstrip
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    return [
        (data[at : at + size], width * min(rows, len(picture) - k * rows))
        for k, (at, size) in enumerate(places)
    ]


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("way", "number"), [("tiff_lzw", 5), ("packbits", 32773)])
def test_what_libtiff_packs_is_unpacked(name, way, number):
    found = b"".join(CODECS[number](*strip) for strip in strips(PICTURES[name], way))
    assert found == PICTURES[name].tobytes()


@pytest.mark.parametrize("number", CODECS)
def test_too_few_bytes_are_damage_and_more_are_never_made(number):
    way = {5: "tiff_lzw", 32773: "packbits"}.get(number, "tiff_adobe_deflate")
    data, size = strips(PICTURES["few"], way)[0] if number != 1 else (b"abcdef", 6)
    assert len(CODECS[number](data, 5)) == 5
    with pytest.raises((ValueError, zlib.error)):
        CODECS[number](data[: len(data) // 2], size)


def test_damage_in_lzw_ends_in_an_error_or_in_the_right_size():
    data, size = strips(PICTURES["steps"], "tiff_lzw")[0]
    damaged = 0
    for _ in range(200):
        broken = bytearray(data)
        broken[RNG.integers(len(data))] ^= 1 << int(RNG.integers(8))
        try:
            assert len(CODECS[5](bytes(broken), size)) == size
        except ValueError:
            damaged += 1
    assert 0 < damaged < 200


def test_a_jpeg_of_many_scans_is_refused():
    buffer = io.BytesIO()
    Image.fromarray(PICTURES["few"]).save(buffer, "JPEG", progressive=True)
    with pytest.raises(ValueError, match="no plain JPEG"):
        decode_jpeg(buffer.getvalue(), b"", (300, 211, 1), False)
