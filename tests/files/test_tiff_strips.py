import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from etchscope.files.foreign_pictures import read_picture
from etchscope.foil import BadInput

RNG = np.random.default_rng(4)
PICTURES = {
    "noise": RNG.integers(0, 256, (300, 211), dtype=np.uint8),
    "steps": np.repeat(RNG.integers(0, 256, (300, 30), dtype=np.uint8), 7, axis=1),
    "flat": np.full((300, 211), 7, np.uint8),
    "few": RNG.integers(0, 3, (300, 211), dtype=np.uint8),
}
DEFLATE, JPEG = 8, 7


def packed(picture: np.ndarray, way: str) -> bytes:
    """Return the TIFF file that libtiff makes of a picture."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "TIFF", compression=way)
    return buffer.getvalue()


def places(data: bytes) -> list[tuple[int, int]]:
    """Return where the strips of the first page begin, and how long they are."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        return list(zip(page.dataoffsets, page.databytecounts, strict=True))


def striped(picture: np.ndarray, strips: list[bytes], compression: int, rows: int) -> bytes:
    """Return a TIFF file of a picture whose strips are given, each of so many rows."""
    height, width = picture.shape
    tags = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 277: 1, 278: rows}
    end = 8 + 2 + 12 * (len(tags) + 2) + 4
    starts = [end + 8 * len(strips) + sum(map(len, strips[:k])) for k in range(len(strips))]
    entries = [(tag, 4, 1, value) for tag, value in tags.items()]
    if len(strips) == 1:
        entries += [(273, 4, 1, starts[0]), (279, 4, 1, len(strips[0]))]
    else:
        entries += [(273, 4, len(strips), end), (279, 4, len(strips), end + 4 * len(strips))]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    head += b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries)) + bytes(4)
    lengths = struct.pack(f"<{len(strips)}I", *map(len, strips))
    return head + struct.pack(f"<{len(strips)}I", *starts) + lengths + b"".join(strips)


def read(tmp_path: Path, data: bytes) -> np.ndarray:
    (tmp_path / "a.tif").write_bytes(data)
    (page,) = read_picture(tmp_path / "a.tif")
    return page


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("way", ["tiff_lzw", "packbits"])
def test_what_libtiff_packs_is_unpacked(tmp_path, name, way):
    found = read(tmp_path, packed(PICTURES[name], way))
    np.testing.assert_array_equal(found, PICTURES[name])


@pytest.mark.parametrize("way", ["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"])
def test_too_few_bytes_are_damage(tmp_path, capfd, way):
    data = bytearray(packed(PICTURES["few"], way))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag = file.pages[0].tags[279]
        at, kind = tag.valueoffset, {3: "H", 4: "I"}[tag.dtype]
    struct.pack_into(f"<{kind}", data, at, places(data)[0][1] // 2)
    with pytest.raises(BadInput, match="found damage: "):
        read(tmp_path, bytes(data))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "pack", [zlib.compress, imagecodecs.packbits_encode], ids=["deflate", "packbits"]
)
def test_a_last_strip_that_is_filled_up_is_cut(tmp_path, pack):
    picture = PICTURES["steps"]
    full = np.vstack([picture, picture[:84]])
    strips = [pack(full[top : top + 128].tobytes()) for top in (0, 128, 256)]
    number = DEFLATE if pack is zlib.compress else 32773
    np.testing.assert_array_equal(read(tmp_path, striped(picture, strips, number, 128)), picture)
    strips[1] = pack(full[128:257].tobytes())
    with pytest.raises(BadInput, match="found damage: "):
        read(tmp_path, striped(picture, strips, number, 128))


def test_damage_in_lzw_ends_in_an_error_or_in_the_right_size(tmp_path):
    data = packed(PICTURES["steps"], "tiff_lzw")
    at, size = places(data)[0]
    damaged = 0
    for _ in range(200):
        broken = bytearray(data)
        broken[at + RNG.integers(size)] ^= 1 << int(RNG.integers(8))
        try:
            assert read(tmp_path, bytes(broken)).shape == (300, 210)
        except BadInput:
            damaged += 1
    assert 0 < damaged < 200


def jpeg(picture: np.ndarray, **options: bool) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_a_jpeg_of_many_scans_is_refused(tmp_path):
    picture = PICTURES["few"]
    with pytest.raises(BadInput, match="no plain JPEG"):
        read(tmp_path, striped(picture, [jpeg(picture, progressive=True)], JPEG, 300))
    assert read(tmp_path, striped(picture, [jpeg(picture)], JPEG, 300)).shape == (300, 211)


@pytest.mark.parametrize("side", ["width", "height"])
def test_a_jpeg_larger_than_its_strip_is_refused_unread(tmp_path, side):
    strip = bytearray(jpeg(PICTURES["few"]))
    at = strip.index(b"\xff\xc0") + (7 if side == "width" else 5)
    struct.pack_into(">H", strip, at, 60_000)
    with pytest.raises(BadInput, match="a strip or tile of another size"):
        read(tmp_path, striped(PICTURES["few"], [bytes(strip)], JPEG, 300))


@pytest.mark.parametrize("tag", [258, 259, 262])
def test_a_damaged_tag_is_not_taken_for_an_absent_one(tmp_path, tag):
    data = bytearray(striped(PICTURES["few"], [PICTURES["few"].tobytes()], 1, 300))
    at = data.index(struct.pack("<HHI", tag, 4, 1)) + 2
    for kind in (99, 12):  # no type, and one that takes the value for an offset
        struct.pack_into("<H", data, at, kind)
        with pytest.raises(BadInput, match="found damage: "):
            read(tmp_path, bytes(data))


def test_large_tags_that_pages_share_are_refused_unread(tmp_path):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for _ in range(40):
            file.write(PICTURES["flat"][:2], photometric="minisblack", description="a" * 2**20)
    with pytest.raises(BadInput, match="its tags have more than 32 MB"):
        read(tmp_path, buffer.getvalue())


def test_samples_in_an_unknown_order_are_refused(tmp_path):
    planes = np.stack([PICTURES["few"]] * 3)
    options = {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 100}
    tifffile.imwrite(tmp_path / "b.tif", planes, **options)
    data = (tmp_path / "b.tif").read_bytes()
    order = struct.pack("<HHII", 284, 3, 1, 2)
    assert data.count(order) == 1
    with pytest.raises(BadInput, match="samples in an unknown order"):
        read(tmp_path, data.replace(order, struct.pack("<HHII", 284, 3, 1, 17)))


def test_many_tags_on_many_pages_are_refused_at_once(tmp_path):
    entries = struct.pack("<HHII", 1000, 4, 1, 1) * 490
    size = 2 + len(entries) + 4
    pages = [
        struct.pack("<H", 490) + entries + struct.pack("<I", 8 + (k + 1) * size) for k in range(300)
    ]
    with pytest.raises(BadInput, match="its pages have more than 100000 tags"):
        read(tmp_path, b"II*\0\x08\0\0\0" + b"".join(pages))
