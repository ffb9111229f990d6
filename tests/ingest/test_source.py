import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from etchscope.foil import BadInput
from etchscope.ingest import Overrides, group_paths, open_source

STEPS = (1, 2, 9)


def truth(pixels, tile, dtype="uint8"):
    return np.stack([pixels(tile, step, dtype) for step in STEPS])


@pytest.mark.parametrize("side", ["front", "back"])
@pytest.mark.parametrize("layout", ["smartscope", "pictures"])
def test_a_described_scan(write_scan, pixels, layout, side):
    root = write_scan(layout=layout, side=side, operator="x")
    source = open_source(root)
    scan = source.scan
    assert (scan.name, scan.foil, scan.side, scan.layout) == (f"F1-{side}", "F1", side, layout)
    assert (scan.pixel_size_um, scan.image_size, scan.dtype) == (6.4516, (12, 16), "uint8")
    assert scan.azimuths_deg.tolist() == [67.5, 112.5]
    assert scan.channels[1].focus_um == 3
    assert scan.datum == ((1, 3, 4.5), (2, 5, 1), (3, 6, 2))
    assert scan.metadata == {"operator": "x"}
    assert [t.number for t in scan.tiles] == [1, 2, 3, 4]
    assert scan.tiles[2].stage_x_mm == pytest.approx(3 * 0.16 * 25.4, abs=1e-12)
    assert scan.tiles[2].stage_y_mm == pytest.approx(-2.54, abs=1e-12)
    assert source.left_out == ()
    for tile in (4, 1):
        found = source.read_tile(tile)
        np.testing.assert_array_equal(found.pixels, truth(pixels, tile))
    expected = "R1_0001_x/Step_9_1.tga" if layout == "smartscope" else "001_9.png"
    assert found.sources[2] == expected


def test_one_multi_page_file_a_tile_of_16_bits(write_scan, pixels):
    source = open_source(write_scan(name="tif", layout="pictures", dtype="uint16"))
    assert source.scan.dtype == "uint16"
    found = source.read_tile(2)
    np.testing.assert_array_equal(found.pixels, truth(pixels, 2, "uint16"))
    assert found.sources == ("2.tif",) * 3


def test_channels_follow_scan_json_not_the_names(write_scan, pixels):
    channels = [
        {"step": 9, "role": "backlit"},
        {"step": 1, "role": "directional", "azimuth_deg": 1.0},
    ]
    source = open_source(write_scan(channels=channels))
    np.testing.assert_array_equal(source.read_tile(1).pixels[0], pixels(1, 9))
    np.testing.assert_array_equal(source.read_tile(1).pixels[1], pixels(1, 1))


def test_what_the_user_says_comes_first(write_scan):
    given = Overrides(foil="Z", side="back", pixel_size_um=2.0, scan="mine")
    source = open_source(write_scan(), given)
    scan = source.scan
    assert (scan.name, scan.foil, scan.side, scan.pixel_size_um) == ("mine", "Z", "back", 2.0)
    assert source.foil.name == "Z"
    with pytest.raises(BadInput, match=r"pixel_size_um: expected greater than 0, found 0"):
        open_source(write_scan(name="zero"), Overrides(pixel_size_um=0.0))
    with pytest.raises(BadInput, match=r"scan\.json: name: .*'a/b'"):
        open_source(write_scan(name="other"), Overrides(scan="a/b"))


def test_scan_json_itself_names_the_scan(write_scan):
    assert open_source(write_scan() / "scan.json").scan.name == "F1-front"


def test_without_positions_the_scan_has_no_places(write_scan):
    source = open_source(write_scan(positions=None, position_unit=None))
    assert source.scan.tiles[0].stage_x_mm is None


def remove_step(root: Path) -> None:
    (root / "R1_0004_x/Step_2_1.tga").unlink()


def remove_tile(root: Path) -> None:
    shutil.rmtree(root / "R1_0004_x")


def double_tile(root: Path) -> None:
    shutil.copytree(root / "R1_0004_x", root / "R1_0004_y")


def double_step(root: Path) -> None:
    Image.new("L", (16, 12)).save(root / "R1_0004_x/Step_2_1.png")


def no_position(root: Path) -> None:
    places = json.loads((root / "positions.json").read_text())
    del places["4"]
    (root / "positions.json").write_text(json.dumps(places))


def other_size(root: Path) -> None:
    Image.new("L", (16, 11)).save(root / "R1_0004_x/Step_2_1.tga")


def other_depth(root: Path) -> None:
    (root / "R1_0004_x/Step_2_1.tga").unlink()
    tifffile.imwrite(root / "R1_0004_x/Step_2_1.tif", np.zeros((12, 16), "u2"))


def truncated(root: Path) -> None:
    path = root / "R1_0004_x/Step_2_1.tga"
    path.write_bytes(path.read_bytes()[:100])


def empty(root: Path) -> None:
    (root / "R1_0004_x/Step_2_1.tga").write_bytes(b"")


def folder(root: Path) -> None:
    (root / "R1_0004_x/Step_2_1.tga").unlink()
    (root / "R1_0004_x/Step_2_1.tga").mkdir()


BAD = [
    (remove_step, "R1_0004_x: expected a picture of step 2, found steps 1, 9"),
    (remove_tile, "tile 4: expected its pictures, found none"),
    (double_tile, "R1_0004_y: expected one place of tile 4, found 2: R1_0004_x and R1_0004_y"),
    (double_step, "expected one place of step 2, found 2: Step_2_1.png and Step_2_1.tga"),
    (no_position, "positions: tile 4: expected a position, found none"),
    (other_size, "Step_2_1.tga: expected 16 × 12 pixels of uint8, found 16 × 11 pixels of uint8"),
    (other_depth, "Step_2_1.tif: expected 16 × 12 pixels of uint8, found 16 × 12 pixels of uint16"),
    (truncated, "R1_0004_x/Step_2_1.tga: expected an intact picture, found damage: "),
    (empty, "R1_0004_x/Step_2_1.tga: expected a picture, found an empty file"),
    (folder, "R1_0004_x/Step_2_1.tga: expected a regular file, found a folder"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_a_bad_tile_is_an_error_that_names_its_file(write_scan, spoil, message):
    root = write_scan()
    spoil(root)

    def read_all() -> None:
        source = open_source(root)
        for tile in source.scan.tiles:
            source.read_tile(tile.number)

    with pytest.raises(BadInput, match=re.escape(message)):
        read_all()


@pytest.mark.parametrize(("spoil", "message"), BAD[:5])
def test_what_can_be_seen_unread_is_left_out_on_request(write_scan, spoil, message):
    root = write_scan()
    spoil(root)
    source = open_source(root, skip_bad=True)
    assert [t.number for t in source.scan.tiles] == [1, 2, 3]
    (left,) = source.left_out
    assert left.tile == 4
    assert message in f"{left.file}: {left.why}"


def test_a_bad_first_tile_does_not_decide_the_depth(write_scan):
    root = write_scan(datum=None)
    (root / "R1_0001_x/Step_1_1.tga").write_bytes(b"")
    with pytest.raises(BadInput, match="an empty file"):
        open_source(root)
    assert open_source(root, skip_bad=True).scan.dtype == "uint8"


def test_nothing_is_laid_out_for_a_size_that_no_picture_has(write_scan):
    root = write_scan(image_size=[10**4, 10**4])
    message = "expected 10000 × 10000 pixels of uint8, found 16 × 12 pixels of uint8. The key"
    with pytest.raises(BadInput, match=message):
        open_source(root)
    with pytest.raises(BadInput, match=message):
        open_source(root, skip_bad=True)


def test_pictures_of_the_stated_size_are_taken_and_others_left_out(write_scan):
    root = write_scan(datum=None, image_size=[12, 16])
    for path in (root / "R1_0001_x").glob("*.tga"):
        Image.new("L", (17, 12)).save(path)
    source = open_source(root, skip_bad=True)
    assert source.scan.image_size == (12, 16)
    with pytest.raises(BadInput, match=r"expected 16 × 12 .* found 17 × 12"):
        source.read_tile(1)


def test_a_slip_of_a_unit_names_the_key_of_scan_json(write_scan):
    with pytest.raises(BadInput, match=r"scan\.json: pixel_size_um: .*, found 6451\.6\. Is it"):
        open_source(write_scan(pixel_size_um=6451.6))


def test_a_gap_without_positions_is_a_missing_tile(write_scan):
    root = write_scan(positions=None, position_unit=None)
    shutil.rmtree(root / "R1_0002_x")
    with pytest.raises(BadInput, match="tile 2: expected its pictures, found none"):
        open_source(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"image_size": [12, 17]},
            "Step_1_1.tga: expected 17 × 12 pixels of uint8, found 16 × 12 pixels of uint8. "
            "The key image_size of scan.json is [height, width], here [12, 17].",
        ),
        ({"datum": [[99, 1, 1]]}, "datum hole lies in tile 99"),
        ({"tiles": {"77": {}}}, "scan.json: tiles: expected tiles of the scan, found tile 77"),
        ({"positions": "none.json"}, "none.json: expected a readable file"),
        ({"layout": "pictures"}, "expected pictures named {tile}_{step}.png or {tile}.tif"),
        (
            {"layout": "grid"},
            "scan.json: layout: expected smartscope or pictures or montage, found 'grid'. No "
            "installed package has an entry point 'grid' in the group etchscope.layouts.",
        ),
    ],
)
def test_scan_json_that_does_not_fit_its_pictures(tmp_path, write_scan, change, message):
    root = write_scan()
    value = json.loads((root / "scan.json").read_text()) | change
    (root / "scan.json").write_text(json.dumps(value))
    with pytest.raises(BadInput, match=re.escape(message)):
        open_source(root).read_tile(1)


def test_a_page_too_few_is_named(write_scan):
    root = write_scan(name="tif", layout="pictures")
    tifffile.imwrite(root / "3.tif", np.zeros((2, 12, 16), "u1"), photometric="minisblack")
    with pytest.raises(BadInput, match=r"3\.tif: expected 3 page\(s\), found 2"):
        open_source(root).read_tile(3)


def test_folders_that_hold_nothing(tmp_path, write_scan):
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInput, match=r"none: expected scan\.json or pictures in the folder"):
        open_source(tmp_path / "none")
    with pytest.raises(BadInput, match="absent: expected a scan directory or a picture"):
        open_source(tmp_path / "absent")
    root = write_scan(tiles=0)
    with pytest.raises(BadInput, match=r"folders named \{Run\}_\{tile\}_\{anything\}, found none"):
        open_source(root)
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    with pytest.raises(BadInput, match=r"expected scan\.json beside the pictures"):
        open_source(tmp_path / "a.png", Overrides(layout="smartscope"))
    with pytest.raises(BadInput, match=r"layout: expected smartscope or .* or plain, found 'grid'"):
        open_source(tmp_path / "a.png", Overrides(layout="grid"))


def test_plain_pictures_are_one_backlit_channel(tmp_path, pixels):
    root = tmp_path / "My plate (7)"
    root.mkdir()
    for i, name in enumerate(["b.png", "a.tga", "c.bmp"]):
        Image.fromarray(pixels(i, 1)).save(root / name)
    (root / "notes.txt").write_text("mine")
    source = open_source(root)
    scan = source.scan
    assert (scan.name, scan.foil, scan.layout) == ("My-plate-7-front", "My-plate-7", "plain")
    assert (scan.pixel_size_um, [c.role for c in scan.channels]) == (None, ["backlit"])
    assert [t.metadata["file"] for t in scan.tiles] == ["a.tga", "b.png", "c.bmp"]
    for tile, seed in ((1, 1), (2, 0), (3, 2)):
        np.testing.assert_array_equal(source.read_tile(tile).pixels, pixels(seed, 1)[None])
    some = open_source([root / "c.bmp", root / "b.png"])
    assert [t.metadata["file"] for t in some.scan.tiles] == ["b.png", "c.bmp"]
    assert open_source(root / "c.bmp").scan.name == "c-front"


def test_plain_pictures_of_other_sizes_are_scans_of_their_own(tmp_path):
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    Image.new("L", (6, 5)).save(tmp_path / "b.png")
    source = open_source(tmp_path)
    with pytest.raises(BadInput, match=r"b\.png: expected 5 × 5 .*as a scan of their own"):
        source.read_tile(2)


def montage_page() -> np.ndarray:
    page = np.zeros((2 * 9 + 3, 3 * 9 + 4), np.uint8)
    for i in range(6):
        y, x = 1 + 10 * (i // 3), 1 + 10 * (i % 3)
        page[y : y + 9, x : x + 9] = 100 + i
    return page


def test_a_montage_with_and_without_scan_json(tmp_path):
    Image.fromarray(montage_page()).save(tmp_path / "sheet.bmp")
    given = Overrides(layout="montage", rows=2, columns=3)
    plain = open_source(tmp_path / "sheet.bmp", given)
    assert (plain.scan.layout, plain.scan.image_size) == ("montage", (9, 9))
    value = {
        "foil": "F1",
        "side": "back",
        "layout": "montage",
        "rows": 2,
        "columns": 3,
        "channels": [{"step": 9, "role": "backlit"}],
        "pixel_size_um": 2.5,
        "tiles": {"6": {"x": 5}},
    }
    (tmp_path / "scan.json").write_text(json.dumps(value))
    described = open_source(tmp_path)
    assert described.scan.pixel_size_um == 2.5
    assert described.scan.tiles[5].metadata == {"x": 5}
    for source in (plain, described):
        assert [t.number for t in source.scan.tiles] == [1, 2, 3, 4, 5, 6]
        assert source.scan.tiles[0].stage_x_mm is None
        for tile in range(1, 7):
            assert np.unique(source.read_tile(tile).pixels).tolist() == [99 + tile]
        assert source.read_tile(1).sources == ("sheet.bmp",)
    with pytest.raises(BadInput, match=r"sheet\.bmp: columns: expected 4 between dark lines"):
        open_source(tmp_path / "sheet.bmp", Overrides(layout="montage", rows=2, columns=4))


def test_paths_are_grouped_to_scans(write_scan, tmp_path):
    root = write_scan()
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    groups = group_paths([files[0], root, root / "scan.json", files[1]])
    assert groups == [[root], [root / "scan.json"], files]


def test_pictures_without_scan_json_are_tiles_under_one_light_and_a_warning(tmp_path, caplog):
    for name in ("1_1.png", "1_2.png"):
        Image.new("L", (5, 5)).save(tmp_path / name)
    open_source(tmp_path / "1_1.png")
    open_source(tmp_path, Overrides(layout="plain"))
    assert caplog.text == ""
    assert len(open_source(tmp_path).scan.tiles) == 2
    expected = "no scan.json, so each of the 2 pictures is taken as a tile under one light"
    assert f"{tmp_path}: there is {expected}" in caplog.text


def test_a_size_that_no_picture_can_have_is_refused_before_one_is_read(write_scan):
    root = write_scan(image_size=[10**6, 10**6])
    with pytest.raises(BadInput, match=r"scan\.json: image_size: expected at most 134,217,728 pix"):
        open_source(root)


def test_a_pipe_in_place_of_a_picture_is_refused_at_once(write_scan):
    root = write_scan()
    path = root / "R1_0001_x/Step_1_1.tga"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadInput, match=r"Step_1_1\.tga: expected a regular file, found a pipe"):
        open_source(root)
