import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etchscope.files import write_table
from etchscope.files.root_files import write_root
from etchscope.foil import BadInput
from etchscope.ingest import read_pit_list

PB = Path(__file__).parents[3] / "shared" / "data" / "moedal_pb"
POINTS = pd.DataFrame({"x_mm": [1.0, 2.5], "y_mm": [3.0, -4.0], "foil": "007", "side": "back"})


@pytest.mark.parametrize("suffix", ["csv", "parquet", "root", "json", "columns"])
def test_a_table_of_any_format_is_a_list(tmp_path, suffix):
    path = tmp_path / f"plate.{'json' if suffix == 'columns' else suffix}"
    if suffix == "json":
        POINTS.to_json(path, orient="records")
    elif suffix == "columns":
        path.write_text(json.dumps(POINTS.to_dict("list")))
    elif suffix == "root":
        write_root(path, POINTS)
    elif suffix == "parquet":
        POINTS.to_parquet(path)
    else:
        POINTS.to_csv(path, index=False)
    given = read_pit_list(path)
    assert (given.name, given.foil, given.side) == ("plate", "007", "back")
    np.testing.assert_allclose(given.pits[["x_mm", "y_mm"]], POINTS[["x_mm", "y_mm"]])
    assert not given.has_tiles


@pytest.mark.parametrize(("unit", "mm"), [("um", 0.001), ("inch", 25.4)])
def test_lengths_of_other_units_become_millimetres(tmp_path, unit, mm):
    path = tmp_path / "f.csv"
    path.write_text(f"x_{unit},y_{unit}\n2,4\n")
    given = read_pit_list(path)
    assert given.pits[["x_mm", "y_mm"]].to_numpy().ravel().tolist() == pytest.approx(
        [2 * mm, 4 * mm]
    )
    assert (given.foil, given.side) == ("f", "front")


def test_of_a_pit_table_the_openings_that_face_the_camera(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("x_mm,y_mm,surface\n1,1,top\n2,2,bottom\n3,3,unknown\n4,4,\n")
    assert read_pit_list(path).pits["x_mm"].tolist() == [1, 3, 4]
    assert read_pit_list(path, surface="bottom").pits["x_mm"].tolist() == [2, 3, 4]
    assert len(read_pit_list(path, surface="any").pits) == 4


def _described(tmp_path, **change):
    description = {
        "foil": "F1",
        "side": "front",
        "pits": [[1, 320, 240], [2, 0, 0]],
        "pixel_size_um": 10.0,
        "image_size": [480, 640],
        "position_unit": "inch",
        "positions": "stage.json",
    }
    (tmp_path / "stage.json").write_text(json.dumps({"1": [1.0, 2.0], "2": [1.1, 2.0]}))
    path = tmp_path / "list.json"
    path.write_text(json.dumps(description | change))
    return path


@pytest.mark.parametrize("side", ["front", "back"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_pixels_in_tiles_get_their_place_from_the_stage(tmp_path, side, mirrored):
    path = _described(tmp_path, side=side, mirrored_pixels=mirrored)
    given = read_pit_list(path)
    sign = -1 if side == "back" else 1
    x_px = 640 if mirrored else 0  # 640 − x
    expected = [[0, 0], [sign * (2.54 + (x_px - 320) * 0.01), 2.4]]
    np.testing.assert_allclose(given.pits[["x_mm", "y_mm"]], expected, atol=1e-9)
    assert given.pits["x_px"].tolist() == [320, x_px]
    assert given.has_tiles


def test_pits_and_positions_may_share_a_file_with_others(tmp_path):
    (tmp_path / "pits.json").write_text(json.dumps({"a": [], "b": [[1, 5, 6]]}))
    path = _described(tmp_path, pits="pits.json", key="b", positions="stages.json")
    (tmp_path / "stages.json").write_text(json.dumps({"b": {"1": [0, 0]}}))
    assert read_pit_list(path).pits[["x_px", "y_px"]].to_numpy().tolist() == [[5, 6]]
    (tmp_path / "stages.json").write_text(json.dumps({"c": {}}))
    with pytest.raises(BadInput, match=r"stages\.json: expected a key 'b', found c"):
        read_pit_list(path)


def test_pits_of_a_table_keep_its_columns(tmp_path):
    (tmp_path / "pits.csv").write_text("tile,x_px,y_px,surface\n1,5,6,top\n1,7,8,bottom\n")
    given = read_pit_list(_described(tmp_path, pits="pits.csv"))
    assert given.pits["surface"].tolist() == ["top"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pits": [[9, 1, 1]]}, "tiles of the scan, found tile 9"),
        ({"pits": [[1, 700, 1]]}, "pit 1: expected a place in 640 × 480 px, found x_px 700"),
        ({"pits": [[1.5, 1, 1]]}, "whole tile numbers and finite x_px, y_px"),
        ({"pits": [[1, 1]]}, "pits"),
        ({"position_unit": "cm"}, "position_unit: expected 'inch', 'mm' or 'um', found 'cm'"),
        ({"side": "left"}, "side: expected 'front' or 'back', found 'left'"),
        ({"colour": 1}, "colour"),
        ({"pits": "absent.csv"}, "absent.csv"),
        ({"positions": "absent.json"}, "absent.json: expected a readable file"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path, change, message):
    with pytest.raises(BadInput, match=message):
        read_pit_list(_described(tmp_path, **change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x_px,y_px\n1,1\n", "columns x_mm, y_mm, or x_um, or x_inch, found x_px, y_px"),
        ("x_mm,y_mm\n1,\n", "row 1: expected finite x_mm, y_mm, found none"),
        ("x_mm,y_mm\n1,left\n", "column y_mm: expected numbers"),
        ("x_mm,y_mm,foil\n1,1,a\n1,1,b\n", "column foil: expected one value in a list, found a, b"),
        ("x_mm,y_mm,side\n1,1,left\n", "column side: expected front or back, found 'left'"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, message):
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_pit_list(path)


def test_what_was_said_must_agree_with_the_table(tmp_path):
    path = tmp_path / "f.csv"
    POINTS.to_csv(path, index=False)
    with pytest.raises(BadInput, match="column foil: expected F2, found 007"):
        read_pit_list(path, foil="F2")


def test_damaged_files_are_named(tmp_path):
    for name in ("f.root", "f.json", "f.parquet"):
        path = tmp_path / name
        path.write_text("[1, 2")
        with pytest.raises(BadInput, match=name):
            read_pit_list(path)
    with pytest.raises(BadInput, match=r"\.root or \.json table, found '\.txt'"):
        read_pit_list(tmp_path / "f.txt")


def test_a_found_table_written_as_root_is_a_list(tmp_path):
    write_table(tmp_path / "f.root", POINTS)
    assert read_pit_list(tmp_path / "f.root").side == "back"


@pytest.mark.real_data
@pytest.mark.skipif(not PB.is_dir(), reason=f"{PB} is absent")
def test_the_real_lists_have_the_published_places(tmp_path):
    holes = json.loads((PB / "datum_holes.json").read_text())
    published = json.loads((PB / "pits_foil_xy_px.json").read_text())
    for scan in ("c1", "c2", "cr"):
        path = tmp_path / f"{scan}.json"
        description = {
            "foil": "F",
            "side": "back" if scan == "cr" else "front",
            "pits": str(PB / "pits_tile_xy.json"),
            "key": scan,
            "positions": str(PB / "stage_positions_inch.json"),
            "position_unit": "inch",
            "pixel_size_um": 6.4516,
            "image_size": [480, 640],
            "mirrored_pixels": scan == "cr",
            "datum": holes[scan],
        }
        path.write_text(json.dumps(description))
        xy = read_pit_list(path).pits[["x_mm", "y_mm"]].to_numpy() / 0.0064516 * [1, -1]
        assert np.abs(xy - np.array(published[scan])).max() < 1.01  # published whole, cut off
