import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from etchscope.files import write_labels, write_table
from etchscope.foil import (
    BadInput,
    NoLabeller,
    NoPicture,
    Taxonomy,
    as_pits,
)
from etchscope.ingest import LabelDefaults, Overrides, add_scan, import_labels, read_class_map
from etchscope.ingest.labels import read_label_table, read_yolo_boxes
from etchscope.store import Store

APATITE = Path(__file__).parents[3] / "shared/data/apatite"
ANNA = LabelDefaults(who="anna")
IN_TILE = "scan,tile,x_px,y_px,class\nF1-front,1,3,4,hip\nF1-front,2,7.25,0,misc.dust\n"


@pytest.fixture
def store(tmp_path, write_scan):
    made = Store.create(tmp_path / "store")
    add_scan(made, write_scan(name="F1"))
    return made


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(IN_TILE)
    return path


def said(done):
    return done.added, done.known, done.exit_pits_left_out


def test_a_table_in_tile_pixels(store, table):
    os.utime(table, (0, 1_777_777_777.25))
    assert said(import_labels(store, [table], ANNA)) == (2, 0, 0)
    labels = store.labels.table()
    assert labels["class"].tolist() == ["hip", "misc.dust"]
    assert set(labels["who"]) == {"anna"}
    assert set(labels["source"]) == {"person"}
    assert labels["when"][0].isoformat() == "2026-05-03T03:09:37.250000+00:00"
    assert labels["x_mm"].notna().all()
    assert said(import_labels(store, [table], ANNA)) == (0, 2, 0)


def test_labels_of_a_copied_file_are_known_by_their_content(store, table, tmp_path):
    assert said(import_labels(store, [table], ANNA)) == (2, 0, 0)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(table.read_bytes())
    os.utime(copy, (0, 1_888_888_888))
    assert said(import_labels(store, [copy], ANNA)) == (0, 2, 0)
    copy.write_text(IN_TILE + "F1-front,2,9,9,hip\n")
    os.utime(copy, (0, 1_999_999_999))
    assert said(import_labels(store, [copy], ANNA)) == (1, 2, 0)
    assert said(import_labels(store, [copy], LabelDefaults(who="ben"))) == (3, 0, 0)
    pits = tmp_path / "labels.parquet"
    write_labels(pits, store.labels.table().drop(columns="when"))
    assert said(import_labels(store, [pits])) == (0, 6, 0)


def test_the_scan_may_be_said_beside_the_table(store, table):
    table.write_text("tile,x_px,y_px,class\n1,3,4,hip\n")
    defaults = LabelDefaults(who="net", source="model", when="2026-05-01", scan="F1-front")
    import_labels(store, [table], defaults)
    (label,) = store.labels.table().to_dict("records")
    assert (label["scan"], label["source"]) == ("F1-front", "model")
    assert label["when"].isoformat() == "2026-05-01T00:00:00+00:00"


def test_a_table_on_the_foil_and_what_it_says_itself(store, table):
    table.write_text(
        "foil,side,x_mm,y_mm,class,who,source,when,note,remark\n"
        'F1,front,0,0,top,007,coincidence,2026-05-01T10:00:00+02:00,"well, seen",passed over\n'
    )
    import_labels(store, [table], ANNA)
    (label,) = store.labels.table().to_dict("records")
    assert (label["who"], label["source"]) == ("007", "coincidence")
    assert (label["when"].hour, label["note"]) == (8, "well, seen")
    assert pd.isna(label["scan"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_exported_and_imported_changes_nothing(store, table, tmp_path, suffix):
    table.write_text(
        "scan,tile,x_px,y_px,class,note,region_px\n"
        'F1-front,1,3.1,4.7,hip,"a ""b"", ü","[[0,0],[1.1,0],[0.3,2.7]]"\nF1-front,2,1,1,top,,\n'
        "F1-front,2,1,1,withdrawn,,\n"
    )
    import_labels(store, [table], ANNA)
    before = store.labels.table(latest=False)
    assert len(before) == 3
    path = tmp_path / f"out.{suffix}"
    write_labels(path, before)
    assert said(import_labels(store, [path])) == (0, 3, 0)
    pd.testing.assert_frame_equal(store.labels.table(latest=False), before)
    other = Store.create(tmp_path / "other")
    add_scan(other, tmp_path / "F1")
    assert said(import_labels(other, [path])) == (3, 0, 0)
    pd.testing.assert_frame_equal(other.labels.table(latest=False), before)


@pytest.fixture
def pits(tmp_path):
    path = tmp_path / "F1-front-truth.parquet"
    rows = {
        "scan": ["F1-front"] * 4,
        "tile": [1, 1, 2, 2],
        "x_px": [3.0, 4, 5, 6],
        "y_px": [3.0, 4, 5, 6],
        "surface": ["top", "bottom", "bottom", "top"],
        "partner": [1, 0, None, None],
        "class": ["hip", "hip", "bottom", "top.spallation"],
    }
    write_table(path, as_pits(rows))
    return path


def test_a_pit_table_gives_a_label_an_opening_but_no_exit_of_a_pair(store, pits):
    assert said(import_labels(store, [pits], ANNA)) == (3, 0, 1)
    assert store.labels.table()["class"].tolist() == ["hip", "bottom", "top.spallation"]
    assert store.labels.table()["x_px"].tolist() == [3, 5, 6]


def test_the_exits_come_if_asked_for(store, pits):
    assert said(import_labels(store, [pits], LabelDefaults("anna", exit_pits=True))) == (4, 0, 0)


def test_a_pit_table_without_a_decision_is_refused(store, tmp_path):
    path = tmp_path / "pits.parquet"
    write_table(path, as_pits({"scan": ["F1-front"], "tile": [1], "x_px": [1], "y_px": [1]}))
    with pytest.raises(BadInput, match=r"pits\.parquet: column class, row 1: expected a class"):
        import_labels(store, [path], ANNA)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x_mm,y_mm,class\n0,0,top\n", "expected columns class and foil, side, x_mm, y_mm or"),
        ("scan,tile,x_px,y_px\nF1-front,1,1,1\n", "expected columns class and"),
        ("", "expected a CSV table with a header"),
        (IN_TILE + "F1-front,1\n", "expected a CSV table"),
        (IN_TILE + "F1-front,1,900,1,top\n", "row 3: expected a place in the 16 × 12 px"),
        (IN_TILE + "F1-front,1,1,1,odd\n", "column class: expected a class of the taxonomy"),
        (IN_TILE + "F1-front,1,1,1,\n", "column class, row 3: expected a class, found none"),
        (IN_TILE + "F7,1,1,1,top\n", r"column scan, row 3: .* \(F1-front\), found 'F7'"),
        (IN_TILE + "F1-front,1,a,1,top\n", "column x_px: expected values of dtype float64"),
        (IN_TILE.replace("class", "class,when").replace("\nF1", ",x\nF1"), "expected a CSV"),
    ],
)
def test_bad_tables_are_one_error_and_change_nothing(store, table, text, message):
    before = (store.path / "catalogue.sqlite").read_bytes()
    table.write_text(text)
    with pytest.raises(BadInput, match=rf"labels\.csv: {message}"):
        import_labels(store, [table], ANNA)
    assert (store.path / "catalogue.sqlite").read_bytes() == before


def test_a_time_that_is_none_is_named(store, table):
    table.write_text("scan,tile,x_px,y_px,class,when\nF1-front,1,3,4,hip,yesterday\n")
    with pytest.raises(BadInput, match=r"labels.csv: column when, row 1.* found 'yesterday'"):
        import_labels(store, [table], ANNA)
    table.write_text(IN_TILE)
    with pytest.raises(BadInput, match=r"when.*expected a time .* found 'soon'"):
        import_labels(store, [table], LabelDefaults("anna", when="soon"))


def test_who_must_be_known(store, table):
    with pytest.raises(
        NoLabeller, match=r"labels\.csv: column who: expected the name of the labeller"
    ):
        import_labels(store, [table])


def test_damaged_and_absent_files_are_named(store, table, tmp_path):
    damaged = tmp_path / "labels.parquet"
    damaged.write_bytes(b"PAR1 no table")
    with pytest.raises(BadInput, match=r"labels\.parquet: expected an intact Parquet file"):
        import_labels(store, [table, damaged], ANNA)
    with pytest.raises(BadInput, match=r"none\.csv: expected a table of labels"):
        import_labels(store, [table, tmp_path / "none.csv"], ANNA)
    with pytest.raises(BadInput, match=r"expected a \.csv, .* or \.json table"):
        read_label_table(tmp_path / "labels.xls")
    assert len(store.labels.table()) == 0  # of several files all or none


def test_boxes_count_from_the_pictures_edge(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("3 0.5 0.25 1 0.5\n\n0 0 1 0.1 0.1\n")
    boxes = read_yolo_boxes(path, {3: "top", 0: "misc"}, (12, 16))
    assert boxes["x_px"].tolist() == [7.5, -0.5]  # the middle of 16 pixels lies between two
    assert boxes["y_px"].tolist() == [2.5, 11.5]
    assert boxes["class"].tolist() == ["top", "misc"]
    corners = [[-0.5, -0.5], [15.5, -0.5], [15.5, 5.5], [-0.5, 5.5]]
    assert json.loads(boxes["region_px"][0]) == corners


def test_a_box_that_was_drawn_on_a_turned_picture_lies_on_its_pit(tmp_path):
    y, x = np.mgrid[:200, :300]
    shown = np.where(np.hypot(x - 60, y - 50) < 7, 90, 180).astype(np.uint8)
    for orientation, stored in ((6, np.rot90(shown)), (3, np.rot90(shown, 2))):
        folder = tmp_path / str(orientation)
        folder.mkdir()
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(stored).save(folder / "b.jpg", quality=95, exif=exif)
        (folder / "b.txt").write_text(f"0 {60.5 / 300:.4f} {50.5 / 200:.4f} 0.05 0.07\n")
        store = Store.create(folder / "store")
        add_scan(store, [folder / "b.jpg"], overrides=Overrides(foil="b"))
        import_labels(store, [folder / "b.txt"], LabelDefaults("anna", class_map={0: "top"}))
        (label,) = store.labels.table().to_dict("records")
        dark = store.scans.read_tile("b-front", 1)[0] < 130
        assert abs(label["x_px"] - x[dark].mean()) < 1
        assert abs(label["y_px"] - y[dark].mean()) < 1


def test_boxes_of_detectors_polygons_marks_and_rounding_are_read(tmp_path):
    path = tmp_path / "p.txt"
    path.write_bytes(
        b"\xef\xbb\xbf3 0.5 0.5 0.25 0.5 0.87\r\n"
        b"3 1.0000002 0.5 0.25 1.0000002\r\n"
        b"3 0.25 0.25 0.75 0.25 0.25 0.75\r\n"
    )
    boxes = read_yolo_boxes(path, {3: "top"}, (12, 16))
    assert boxes["x_px"].tolist() == [7.5, 15.5, 7.5]
    assert boxes["y_px"].tolist() == [5.5, 5.5, 5.5]
    assert json.loads(boxes["region_px"][2]) == [[3.5, 2.5], [11.5, 2.5], [3.5, 8.5]]


@pytest.mark.parametrize(
    "line",
    [
        "15 0.5 0.5 0.1",
        "a 0 0 1 1",
        "15 0.5 1.5 0.1 0.1",
        "15 0 0 0 1",
        "15 0.5 0.5 0.1 0.1 1.5",
        "15 0.5 0.5 0.1 nan",
        "15 0.1 0.1 0.2 0.2 0.3 0.1 0.9",
    ],
)
def test_a_line_that_is_no_box_is_named(tmp_path, line):
    path = tmp_path / "p.txt"
    path.write_text(f"15 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(BadInput, match=r"p\.txt: line 2: expected class, centre x"):
        read_yolo_boxes(path, {15: "top"}, (12, 16))


def test_boxes_in_a_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "p.txt")
    with pytest.raises(BadInput, match=r"p\.txt: expected a regular file, found a pipe"):
        read_yolo_boxes(tmp_path / "p.txt", {15: "top"}, (12, 16))


def test_a_box_of_another_class_is_named(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("4 0.5 0.5 0.1 0.1\n")
    with pytest.raises(BadInput, match=r"p\.txt: line 1: expected a class of the map \(15\)"):
        read_yolo_boxes(path, {15: "top"}, (12, 16))


def test_a_class_map_is_read(tmp_path):
    path = tmp_path / "map.json"
    path.write_text('{"15": "top", "0": "misc.dust"}')
    assert read_class_map(path) == {15: "top", 0: "misc.dust"}
    for text in ("[1]", '{"a": "top"}', '{"1": 2}', "{"):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"map\.json"):
            read_class_map(path)


def test_boxes_need_their_picture_and_a_map(store, tmp_path):
    path = tmp_path / "Step_1_1.txt"  # all tiles have a picture of this name
    path.write_text("15 0.5 0.5 0.1 0.1\n")
    boxes = LabelDefaults("anna", class_map={15: "top"})
    with pytest.raises(BadInput, match="expected a map of the boxes' classes"):
        import_labels(store, [path], ANNA)
    with pytest.raises(BadInput, match=r"expected one picture .*tile 1 of scan F1-front, tile 2"):
        import_labels(store, [path], boxes)
    other = path.rename(tmp_path / "other.txt")
    with pytest.raises(NoPicture, match=r"found none"):
        import_labels(store, [other], boxes)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="none in the folder"):
        import_labels(store, [tmp_path / "empty"], boxes)


@pytest.mark.real_data
@pytest.mark.skipif(not APATITE.is_dir(), reason=f"no {APATITE}")
def test_real_boxes_of_fission_tracks(tmp_path):
    store = Store.create(tmp_path / "store")
    pictures = sorted(APATITE.glob("BC-04*.jpg"))
    add_scan(store, pictures, overrides=Overrides(foil="BC-04"))
    boxes = [p.with_suffix(".txt") for p in pictures]
    taxonomy = Taxonomy(classes={"top": "", "top.fission": "a fission track", "maybe": ""})
    defaults = LabelDefaults("nachtergaele", class_map={15: "top.fission"})
    done = import_labels(store, boxes, defaults, taxonomy=taxonomy)
    lines = sum(len(p.read_text().split("\n")) - 1 for p in boxes)
    assert done.added + done.known == lines > 100
    labels = store.labels.table(classes=["top"])
    assert labels["x_mm"].isna().all()  # pictures of unknown scale
    assert labels["region_mm"].isna().all()
    assert labels["region_px"].notna().all()
    assert set(labels["tile"]) == set(range(1, len(pictures) + 1))
    # a track is darker than what is around it, so the boxes lie where they should
    darker = []
    for row in labels.itertuples():
        x, y = round(row.x_px), round(row.y_px)
        picture = store.scans.read_tile("BC-04-front", row.tile)[0]
        inside = picture[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        darker.append(inside.mean() < np.median(picture))
    assert np.mean(darker) > 0.9
    assert import_labels(store, boxes, defaults).added == 0
