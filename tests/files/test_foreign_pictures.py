import io
import logging
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from etchscope.files import foreign_pictures
from etchscope.files.foreign_pictures import MAX_PIXELS, read_picture
from etchscope.foil import BadInput

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (48, 64), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (48, 64), dtype=np.uint16)
RUNS = np.repeat(RNG.integers(0, 256, (48, 4), dtype=np.uint8), 16, axis=1)
COLOUR = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **{"photometric": "minisblack", **options})
    return buffer.getvalue()


FILES = {
    "raw.tga": (encoded(GREY, "TGA"), GREY),
    "rle.tga": (encoded(RUNS, "TGA", compression="tga_rle"), RUNS),
    "grey.png": (encoded(GREY, "PNG"), GREY),
    "deep.png": (encoded(DEEP, "PNG"), DEEP),
    "grey.bmp": (encoded(GREY, "BMP"), GREY),
    "grey.pgm": (encoded(GREY, "PPM"), GREY),
    "grey.tif": (tiff(GREY), GREY),
    "deep.tif": (tiff(DEEP), DEEP),
    "big.tif": (tiff(GREY, bigtiff=True), GREY),
    "motorola.tif": (tiff(DEEP, byteorder=">"), DEEP),
    "strips.tif": (tiff(GREY, rowsperstrip=4), GREY),
    "lzw.tif": (encoded(GREY, "TIFF", compression="tiff_lzw"), GREY),
    "zip.tif": (tiff(GREY, compression="zlib"), GREY),
    "white.tif": (tiff(GREY, photometric="miniswhite"), 255 - GREY),
    "grey.jp2": (cv2.imencode(".jp2", GREY)[1].tobytes(), None),
}


@pytest.mark.parametrize("name", FILES)
def test_grey_is_kept_as_it_is(tmp_path, name):
    data, expected = FILES[name]
    (tmp_path / name).write_bytes(data)
    (page,) = read_picture(tmp_path / name)
    assert page.shape == (48, 64)
    assert page.dtype.isnative
    if expected is not None:
        assert page.dtype == expected.dtype
        np.testing.assert_array_equal(page, expected)


@pytest.mark.parametrize("kind", ["png", "tga", "bmp", "tif", "alpha.png", "planar.tif", "palette"])
def test_colour_becomes_rounded_luma(tmp_path, kind):
    expected = ((COLOUR.astype("i8") @ [299, 587, 114] + 500) // 1000).astype("u1")
    path = tmp_path / f"a.{kind}"
    if kind == "planar.tif":
        planes = np.moveaxis(COLOUR, -1, 0)
        path.write_bytes(tiff(planes, photometric="rgb", planarconfig="separate"))
    elif kind == "tif":
        path.write_bytes(tiff(COLOUR, photometric="rgb"))
    elif kind == "alpha.png":
        path.write_bytes(encoded(np.dstack([COLOUR, GREY]), "PNG"))
    elif kind == "palette":
        path = tmp_path / "a.bmp"
        Image.fromarray(GREY).convert("P").save(path)
        expected = GREY
    else:
        path.write_bytes(encoded(COLOUR, kind.upper()))
    (page,) = read_picture(path)
    np.testing.assert_array_equal(page, expected)


def test_sixteen_bit_colour_is_not_cut_to_eight(tmp_path):
    deep = RNG.integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
    (page,) = read_picture(tmp_path / "a.png")
    np.testing.assert_allclose(page, deep @ np.array([0.299, 0.587, 0.114]), atol=0.51)


def deep_png(pixels: np.ndarray) -> bytes:
    """Return a PNG file of 16 bits: grey with alpha, RGB, or RGB with alpha."""
    height, width, samples = pixels.shape
    kind = {2: 4, 3: 2, 4: 6}[samples]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)[:-4]),
        (b"IDAT", zlib.compress(rows)[-4:]),  # the check of the data, which Pillow does not read
        (b"IEND", b""),
    )
    framed = (
        struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_sixteen_bits_with_alpha_are_not_cut_to_eight(tmp_path, samples):
    deep = RNG.integers(0, 65536, (9, 7, samples), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(deep_png(deep))
    (page,) = read_picture(tmp_path / "a.png")
    luma = deep[..., 0] if samples == 2 else deep[..., :3] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(page, luma, atol=0.51)


@pytest.mark.parametrize("samples", [2, 3, 4])
@pytest.mark.parametrize("from_end", [14, 18, 60], ids=["CRC of chunk", "check of data", "data"])
def test_of_damage_only_our_error_speaks(tmp_path, monkeypatch, capfd, samples, from_end):
    """The decoder, which is written in C, says nothing on the file descriptor of stderr."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest
    deep = RNG.integers(0, 65536, (9, 7, samples), dtype=np.uint16)
    data = bytearray(deep_png(deep))
    data[-from_end] ^= 0x55
    (tmp_path / "a.png").write_bytes(bytes(data))
    with pytest.raises(BadInput, match=r"a\.png: expected an intact picture, found damage"):
        read_picture(tmp_path / "a.png")
    assert capfd.readouterr() == ("", "")


def test_a_multi_page_tiff_has_its_pages(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(np.stack([DEEP, DEEP // 2, DEEP // 3])))
    pages = read_picture(tmp_path / "a.tif")
    assert len(pages) == 3
    np.testing.assert_array_equal(pages[2], DEEP // 3)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("name", [n for n in FILES if n != "grey.jp2"])
def test_a_truncated_file_is_one_error_that_names_it(tmp_path, name, part):
    data = FILES[name][0]
    path = tmp_path / name
    path.write_bytes(data[: int(part * len(data))])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(BadInput, match=f"{name}: expected") as info:
            read_picture(path)
    assert seen == []
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("cut", [1, 30, 500, 3000, 5000])
def test_a_truncated_stack_of_pages_is_found(tmp_path, cut):
    data = tiff(np.stack([GREY, RUNS]), rowsperstrip=4)
    (tmp_path / "a.tif").write_bytes(data[:-cut])
    with pytest.raises(BadInput, match=r"a\.tif: expected"):
        read_picture(tmp_path / "a.tif")


def test_flipped_bits_never_escape_as_another_error(tmp_path):
    rng = np.random.default_rng(0)
    refused = 0
    for name, (data, _) in FILES.items():
        path = tmp_path / name
        for _ in range(40):
            broken = bytearray(data)
            broken[rng.integers(min(len(data), 200))] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(broken))
            try:
                read_picture(path)
            except BadInput as error:
                refused += name in str(error)
    assert refused > 100


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("empty.png", b"", "an empty file"),
        ("empty.tga", b"", "an empty file"),
        ("text.png", b"this is no picture at all\n" * 20, "found something else"),
        ("text.tga", b"this is no picture at all\n" * 20, "damage: "),
        ("text.tif", b"this is no picture at all\n" * 20, "found something else"),
        ("none.tif", b"II*\0\0\0\0\0", "expected some pages, found 0"),
        ("float.tif", tiff(GREY.astype("f4")), "8 or 16 bits per pixel, found float32"),
        ("signed.tif", tiff(GREY.astype("i2")), "8 or 16 bits per pixel, found int16"),
    ],
)
def test_what_is_no_picture(tmp_path, name, data, match):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=f"{name}: .*{match}"):
        read_picture(tmp_path / name)


def test_folders_and_missing_files(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(BadInput, match=r"a\.png: expected a regular file, found a folder"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(BadInput, match=r"b\.png: expected a readable file, found No such"):
        read_picture(tmp_path / "b.png")


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(FILES["grey.png"][0])

    def refuse(_: Path) -> bytes:  # root may read everything, so the refusal is made up
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BadInput, match=r"a\.png: expected a readable .*Permission denied"):
        read_picture(path)


def _png_bomb(side: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * (side * (side // 8 + 1)), 9)
    magic = b"\x89PNG\r\n\x1a\n"
    return magic + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["png", "tga", "tif"])
def test_decompression_bombs_are_refused_unread(tmp_path, kind):
    path = tmp_path / f"bomb.{kind}"
    if kind == "png":
        path.write_bytes(_png_bomb(12_000))
    elif kind == "tga":
        path.write_bytes(struct.pack("<BBBHHBHHHHBB", 0, 0, 3, 0, 0, 0, 0, 0, 60000, 60000, 8, 0))
    else:
        path.write_bytes(tiff(np.zeros((12_000, 12_000), "u1"), compression="zlib"))
    with pytest.raises(BadInput, match=rf"bomb\.{kind}: expected at most 134,217,728 pixels"):
        read_picture(path)


def test_a_picture_at_the_limit_is_read(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(FILES["grey.png"][0])
    monkeypatch.setattr(foreign_pictures, "MAX_PIXELS", 48 * 64)
    assert len(read_picture(tmp_path / "a.png")) == 1
    monkeypatch.setattr(foreign_pictures, "MAX_PIXELS", 48 * 64 - 1)
    with pytest.raises(BadInput, match="at most 3,071 pixels"):
        read_picture(tmp_path / "a.png")
    assert MAX_PIXELS == 2**27


def test_reading_is_safe_from_threads(tmp_path):
    for name, (data, _) in FILES.items():
        (tmp_path / name).write_bytes(data)
    paths = sorted(tmp_path.iterdir()) * 8
    with ThreadPoolExecutor(4) as pool:
        for path, pages in zip(paths, pool.map(read_picture, paths), strict=True):
            expected = FILES[os.fspath(path.name)][1]
            if expected is not None:
                np.testing.assert_array_equal(pages[0], expected)


def test_pipes_are_refused_and_links_are_followed(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(BadInput, match=r"a\.png: expected a regular file, found a pipe"):
        read_picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(FILES["grey.png"][0])
    (tmp_path / "c.png").symlink_to(tmp_path / "b.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "c.png")[0], GREY)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n", "Radiance HDR"),
        (b"SIMPLE  =                    T", "FITS"),
        (b"Pf\n100000 100000\n-1.0\n", "something else"),
    ],
)
def test_a_format_that_is_not_read_is_refused_by_name(tmp_path, data, found):
    (tmp_path / "a.hdr").write_bytes(data)
    with pytest.raises(BadInput, match=rf"a picture \(TIFF, PNG, .* found {found}\. Save it"):
        read_picture(tmp_path / "a.hdr")


def test_little_that_unpacks_to_much_is_refused_unread(tmp_path):
    height = width = 11_584
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, width, height, 24, 0)
    (tmp_path / "a.tga").write_bytes(head + b"\xff\0\0\0" * 10**5)
    with pytest.raises(BadInput, match=r"at most 256 MB of samples .*, found 384 MB"):
        read_picture(tmp_path / "a.tga")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_several_frames_are_refused(tmp_path, kind):
    frames = [Image.fromarray(np.full((48, 64), level, np.uint8)) for level in (9, 90, 200)]
    data = io.BytesIO()
    frames[0].save(data, kind, save_all=True, append_images=frames[1:], duration=50)
    path = tmp_path / "a.gif"
    path.write_bytes(data.getvalue())
    with pytest.raises(BadInput, match="expected one picture, found several frames"):
        read_picture(path)


def test_a_jpeg_of_many_scans_is_refused(tmp_path):
    data = bytearray(encoded(np.zeros((8, 8), np.uint8), "JPEG", progressive=True))
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 11_000, 11_000)
    scan = data[data.index(b"\xff\xda") : -2]
    (tmp_path / "a.jpg").write_bytes(data[:-2] + scan * 20 + data[-2:])
    with pytest.raises(BadInput, match=r"fewer scans, found \d+ scans of 11000 × 11000"):
        read_picture(tmp_path / "a.jpg")


def test_a_large_pnm_file_of_text_is_refused_unread(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P2\n5000 5000\n255\n" + b"7 " * 100)
    with pytest.raises(BadInput, match="at most 4,194,304 pixels in a PNM file of text"):
        read_picture(tmp_path / "a.pgm")
    (tmp_path / "b.pgm").write_bytes(b"P2\n3 2\n255\n1 2 3 4 5 6\n")
    assert read_picture(tmp_path / "b.pgm")[0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_jpeg_2000_of_sixteen_bits_keeps_its_values(tmp_path):
    Image.fromarray(DEEP).save(tmp_path / "a.jp2", irreversible=False)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.jp2")[0], DEEP)
