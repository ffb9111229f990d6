import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from etchscope.files.foreign_pictures import read_picture
from etchscope.files.foreign_tiff import MAX_PAGES, open_pages
from etchscope.foil import BadInput

SLOW = Path(__file__).parents[3] / "shared/data/faults/readers/slow.tif"
GREY = np.random.default_rng(5).integers(0, 256, (48, 64), dtype=np.uint8)


def raw_tiff(tags: dict[int, int], data: bytes, pages: int = 1, back: bool = False) -> bytes:
    """Return a TIFF of some pages with the same tags, all of one LONG; 273 is where data begin."""
    size = 2 + 12 * (len(tags) + 1) + 4
    end = 8 + pages * size
    entries = sorted({**tags, 273: end}.items())
    out = struct.pack("<2sHI", b"II", 42, 8)
    for page in range(pages):
        out += struct.pack("<H", len(entries))
        out += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        following = 8 + (page + 1) * size
        out += struct.pack("<I", following if page < pages - 1 else 8 if back else 0)
    return out + data


def tags_of(width: int, height: int, data: bytes, compression: int = 1) -> dict[int, int]:
    return {256: width, 257: height, 258: 8, 259: compression, 262: 1, 279: len(data)}


def refused(tmp_path, data, match):
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(BadInput, match=match) as caught:
        read_picture(path)
    assert time.process_time() - start < 2
    assert "\n" not in str(caught.value)


def test_the_made_file_is_read(tmp_path):
    data = raw_tiff(tags_of(64, 48, GREY.tobytes()), GREY.tobytes())
    (tmp_path / "a.tif").write_bytes(data)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif")[0], GREY)


def test_directories_in_a_circle_are_refused_at_once(tmp_path):
    data = raw_tiff(tags_of(64, 48, GREY.tobytes()), GREY.tobytes(), back=True)
    refused(tmp_path, data, "directories go round in a circle")


def test_too_many_pages_or_tags_are_refused_at_once(tmp_path):
    data = raw_tiff(tags_of(1, 1, b"a"), b"a", pages=MAX_PAGES + 1)
    refused(tmp_path, data, f"more than {MAX_PAGES} pages")
    with open_pages("a", raw_tiff(tags_of(1, 1, b"a"), b"a", pages=MAX_PAGES)) as pages:
        assert len(pages) == MAX_PAGES
    many = raw_tiff(dict.fromkeys(range(1000, 1600), 1), b"")
    refused(tmp_path, many, "a page has 601 tags")


def test_pages_that_unpack_to_gigabytes_are_refused_unread(tmp_path):
    strip = zlib.compress(b"\0" * 2**22, 9)
    data = raw_tiff(tags_of(2**11, 2**11, strip, 8), strip, pages=100)
    refused(tmp_path, data, "at most 256 MB of samples in a file of 0.0 MB, found 400 MB")


def test_strips_that_share_their_bytes_are_refused(tmp_path):
    strip = zlib.compress(b"\0" * 64 * 48, 9) + bytes(1000)
    sizes = struct.pack("<48I", *[len(strip)] * 48)
    tags = tags_of(64, 48, strip, 8) | {278: 1}
    data = bytearray(raw_tiff(tags, strip))
    offsets = struct.pack("<48I", *[len(data) - len(strip)] * 48)
    for tag, values in ((273, offsets), (279, sizes)):
        at = data.index(struct.pack("<HHI", tag, 4, 1))
        data[at : at + 12] = struct.pack("<HHII", tag, 4, 48, len(data))
        data += values
    refused(tmp_path, bytes(data), "share their bytes")


@pytest.mark.skipif(not SLOW.exists(), reason="the shared faults are absent")
def test_a_small_file_that_took_twenty_seconds_is_refused_at_once(tmp_path):
    refused(tmp_path, SLOW.read_bytes(), "expected")


def test_a_tile_much_larger_than_its_page_counts_whole(tmp_path):
    tags = tags_of(10, 10, b"abcd", 8) | {322: 2**16, 323: 2**16}
    refused(tmp_path, raw_tiff(tags, b"abcd"), "at most 256 MB of samples")


def test_thumbnails_are_left_out(tmp_path):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(GREY, photometric="minisblack", metadata=None)
        file.write(GREY[::4, ::4], photometric="minisblack", metadata=None, subfiletype=1)
        file.write(GREY // 2, photometric="minisblack", metadata=None)
    (tmp_path / "a.tif").write_bytes(buffer.getvalue())
    first, second = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(first, GREY)
    np.testing.assert_array_equal(second, GREY // 2)
    tifffile.imwrite(tmp_path / "b.tif", GREY, subfiletype=1, photometric="minisblack")
    with pytest.raises(BadInput, match="expected some pages, found 0"):
        read_picture(tmp_path / "b.tif")


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("shape", [{"tile": (32, 48)}, {"rowsperstrip": 7}])
def test_each_way_to_store_the_samples(tmp_path, byteorder, compression, predictor, shape):
    deep = np.random.default_rng(0).integers(0, 65536, (61, 77), dtype=np.uint16)
    options = {"compression": compression, "byteorder": byteorder, "photometric": "minisblack"}
    options["predictor"] = predictor and compression is not None
    tifffile.imwrite(tmp_path / "a.tif", deep, **options, **shape)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif")[0], deep)


def test_lights_stored_as_samples_are_refused(tmp_path):
    for planar in ("contig", "separate"):
        lights = np.stack([GREY] * 3, axis=-1 if planar == "contig" else 0)
        options = {"photometric": "minisblack", "planarconfig": planar}
        tifffile.imwrite(tmp_path / "a.tif", lights, **options)
        with pytest.raises(BadInput, match=r"found 3 samples per pixel.*each light as a page"):
            read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({259: 34925}, "LZMA"),
        ({259: 60000}, "number 60000"),
        ({262: 8}, "CIELab"),
        ({258: 12}, "uint12"),
        ({266: 2}, "another order of bits"),
    ],
)
def test_what_is_not_read_is_refused_by_name(tmp_path, change, found):
    tags = tags_of(64, 48, GREY.tobytes()) | change
    refused(tmp_path, raw_tiff(tags, GREY.tobytes()), f"found {found}")
