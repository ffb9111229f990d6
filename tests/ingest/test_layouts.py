from pathlib import Path

import pytest

from etchscope.foil import BadInput, Channel
from etchscope.ingest.layouts import index_pictures, index_plain, index_smartscope, picture_files

CHANNELS = [Channel(step=1, role="backlit"), Channel(step=2, role="halo")]


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_smartscope_names(tmp_path):
    for folder in ("R1_0001_a_b", "Run_12", "x_007_", "notes", "R1_x_1"):
        touch(
            tmp_path, f"{folder}/Step_1_1.tga", f"{folder}/step_2_1.PNG", f"{folder}/Step_1_2.tga"
        )
    index = index_smartscope(tmp_path, CHANNELS)
    assert sorted(index.files) == [1, 7, 12]
    assert [p.name for p in index.files[12]] == ["Step_1_1.tga", "step_2_1.PNG"]
    assert index.problems == ()


def test_pictures_names(tmp_path):
    touch(tmp_path, "1_1.png", "1_2.jpg", "2.tif", "003_01.bmp", "3_2.bmp", "notes.txt", "4_1.txt")
    index = index_pictures(tmp_path, CHANNELS)
    assert {k: [p.name for p in v] for k, v in index.files.items()} == {
        1: ["1_1.png", "1_2.jpg"],
        2: ["2.tif"],
        3: ["003_01.bmp", "3_2.bmp"],
    }


def test_a_tile_in_two_places_is_a_problem(tmp_path):
    touch(tmp_path, "1.tif", "1_1.png", "1_2.png", "2.tif", "02.tif", "3_1.png", "4.tif")
    index = index_pictures(tmp_path, CHANNELS)
    assert sorted(index.files) == [4]
    errors = {p.tile: str(p.error) for p in index.problems}
    assert "expected one place of tile 1, found 3: 1.tif and 1_1.png and 1_2.png" in errors[1]
    assert "expected one place of tile 2, found 2: 02.tif and 2.tif" in errors[2]
    assert "3_*: expected a picture of step 2, found steps 1" in errors[3]


def test_plain_pictures_are_ordered_by_name(tmp_path):
    touch(tmp_path, "z/a.png", "b.png", "a.jpg")
    paths = [tmp_path / "z/a.png", tmp_path / "b.png", tmp_path / "a.jpg"]
    index = index_plain(paths)
    assert [index.files[i][0].name for i in (1, 2, 3)] == ["a.jpg", "a.png", "b.png"]


def test_only_pictures_are_listed(tmp_path):
    touch(tmp_path, "a.PNG", "b.tiff", "c.txt", "d.png/e", ".png")
    assert [p.name for p in picture_files(tmp_path)] == ["a.PNG", "b.tiff"]
    with pytest.raises(BadInput, match="expected a readable folder, found Not a directory"):
        picture_files(tmp_path / "c.txt")
