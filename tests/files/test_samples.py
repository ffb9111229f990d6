import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from etchscope.files.foreign_pictures import read_picture
from etchscope.files.samples import Samples, as_grey
from etchscope.foil import BadInput

RNG = np.random.default_rng(11)
GREY = RNG.integers(0, 256, (48, 70), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (48, 70, 3), dtype=np.uint8)
LUMA = ((COLOUR.astype("i8") @ [299, 587, 114] + 500) // 1000).astype("u1")
HALVES = np.where(GREY > 127, 255, 0).astype(np.uint8)
TIFF_WAYS = [None, "packbits", "tiff_lzw", "tiff_adobe_deflate"]


def read_one(path: Path) -> np.ndarray:
    (page,) = read_picture(path)
    return page


@pytest.mark.parametrize("way", TIFF_WAYS)
def test_min_is_white_is_read_as_the_plain_picture(tmp_path, way):
    path = tmp_path / "a.tif"
    Image.fromarray(GREY).save(path, compression=way, tiffinfo={262: 0})  # Pillow stores 255 − grey
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].photometric.name == "MINISWHITE"
    np.testing.assert_array_equal(read_one(path), GREY)


@pytest.mark.parametrize("way", TIFF_WAYS)
def test_min_is_white_of_sixteen_bits(tmp_path, way):
    deep = RNG.integers(0, 65536, (48, 70), dtype=np.uint16)
    path = tmp_path / "a.tif"
    Image.fromarray(65535 - deep).save(path, compression=way, tiffinfo={262: 0})
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].photometric.name == "MINISWHITE"
    np.testing.assert_array_equal(read_one(path), deep)


@pytest.mark.parametrize("white", [65535, 4095])
def test_min_is_white_counts_from_the_largest_value(tmp_path, white):
    deep = RNG.integers(0, white, (48, 70)).astype(np.uint16)
    tags = [(281, "H", 1, white, True)]
    tifffile.imwrite(tmp_path / "a.tif", white - deep, photometric="miniswhite", extratags=tags)
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), deep)


@pytest.mark.parametrize("way", [*TIFF_WAYS, "group4"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_one_bit_is_black_and_white(tmp_path, way, photometric):
    path = tmp_path / "a.tif"
    Image.fromarray(HALVES).convert("1").save(path, compression=way, tiffinfo={262: photometric})
    if way == "group4":
        with pytest.raises(BadInput, match="found CCITT fax 4"):
            read_picture(path)
    else:
        np.testing.assert_array_equal(read_one(path), HALVES)


@pytest.mark.parametrize("kind", ["tif", "png", "bmp", "gif"])
@pytest.mark.parametrize("colours", ["grey", "colour"])
def test_a_palette_is_the_same_in_each_format(tmp_path, kind, colours):
    picture = Image.fromarray(GREY).convert("P")
    expected = GREY
    if colours == "colour":
        picture = Image.fromarray(COLOUR).quantize(90)
        rgb = np.asarray(picture.convert("RGB")).astype("i8")
        expected = (rgb @ [299, 587, 114] + 500) // 1000
    picture.save(tmp_path / f"a.{kind}")
    np.testing.assert_array_equal(read_one(tmp_path / f"a.{kind}"), expected)


@pytest.mark.parametrize("way", TIFF_WAYS)
def test_inks_are_read_as_the_colours_that_they_make(tmp_path, way):
    inks = Image.fromarray(COLOUR).convert("CMYK")
    inks.save(tmp_path / "a.tif", compression=way)
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), LUMA)


def test_inks_of_a_jpeg_and_of_a_tiff_are_read_alike(tmp_path):
    smooth = np.add.outer(np.arange(48), np.arange(70)).astype(np.uint8)
    inks = Image.fromarray(np.dstack([smooth, smooth // 2, smooth // 3])).convert("CMYK")
    inks.save(tmp_path / "a.jpg", quality=98)
    inks.save(tmp_path / "b.tif")
    inks.save(tmp_path / "c.tif", compression="jpeg", quality=98)
    expected = read_one(tmp_path / "b.tif").astype(int)
    for name in ("a.jpg", "c.tif"):
        assert np.abs(read_one(tmp_path / name) - expected).max() <= 3, name


@pytest.mark.parametrize("way", TIFF_WAYS)
def test_alpha_is_dropped(tmp_path, way):
    Image.fromarray(np.dstack([COLOUR, GREY])).save(tmp_path / "a.tif", compression=way)
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), LUMA)


def test_grey_of_sixteen_bits_with_alpha_keeps_its_depth(tmp_path):
    deep = RNG.integers(0, 65536, (9, 7), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(grey_alpha_png(deep))
    np.testing.assert_array_equal(read_one(tmp_path / "a.png"), deep)


def grey_alpha_png(deep: np.ndarray) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    rows = np.stack([deep, np.full_like(deep, 65535)], axis=-1).astype(">u2")
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", deep.shape[1], deep.shape[0], 16, 4, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(k, b) for k, b in ((b"IHDR", head), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    )


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_read_as_it_is_shown(tmp_path, kind, orientation):
    path = tmp_path / f"a.{kind}"
    picture = Image.fromarray(np.add.outer(3 * np.arange(48), np.arange(70)).astype(np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    picture.save(tmp_path / "b.png", exif=exif)
    with Image.open(tmp_path / "b.png") as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    options = {"tiffinfo": exif} if kind == "tif" else {"exif": exif}
    picture.save(path, quality=95, lossless=True, **options)
    page = read_one(path)
    assert page.shape == shown.shape == ((48, 70) if orientation < 5 else (70, 48))
    assert page.flags.c_contiguous
    assert np.abs(page.astype(int) - shown).max() <= 1


def test_an_orientation_that_does_not_exist_is_none(tmp_path):
    tags = [(274, "H", 1, 77, True)]
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="minisblack", extratags=tags)
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), GREY)
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(read_one(tmp_path / "a.png"), GREY)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "int32", "float16", "float32"])
def test_other_numbers_are_refused_with_a_way_to_convert(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype), photometric="minisblack")
    with pytest.raises(BadInput, match=rf"found {dtype}\. Save it as grey of 8 or 16 bits"):
        read_picture(tmp_path / "a.tif")


def test_luma_in_bands_is_that_of_the_whole():
    tall = np.repeat(COLOUR, 400, axis=0)
    values = np.repeat(tall, 2, axis=1)  # more pixels than one band
    expected = (values.astype("u4") @ np.array([299, 587, 114], "u4") + 500) // 1000
    np.testing.assert_array_equal(as_grey(Samples(values, "rgb")), expected)
