import json

import numpy as np
import pandas as pd
import pytest

from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    NotLabelled,
    NotSearched,
    Scan,
    Taxonomy,
    Tile,
    as_pits,
)
from etchscope.geometry import tile_to_foil
from etchscope.run.labelled import labelled_pits
from etchscope.store import FindRecord, Store, TilePictures

NAME = "F1-front"
SIZE = (48, 64)
FINDS = [(1, 20.0, 20.0), (1, 30.0, 20.0), (1, 20.0, 40.0), (2, 10.0, 10.0), (2, 50.0, 30.0)]


def scan_of(overlap_px=0.0, **changes):
    """Two tiles side by side, 10 µm a pixel."""
    step_mm = (SIZE[1] - overlap_px) * 0.01
    given = {
        "name": NAME,
        "foil": "F1",
        "layout": "pictures",
        "pixel_size_um": 10.0,
        "image_size": SIZE,
        "channels": (Channel(step=1, role="backlit"),),
        "tiles": tuple(Tile(number=n, stage_x_mm=step_mm * n, stage_y_mm=0.0) for n in (1, 2)),
    }
    return Scan(**(given | changes))


def pits_of(scan, finds):
    numbers = [t.number for t in scan.tiles]
    finds = [find for find in finds if find[0] in numbers]
    tile, x, y = (np.array(v) for v in zip(*finds, strict=True))
    x_mm, y_mm = tile_to_foil(tile, x, y, scan)
    n = len(finds)
    return as_pits(
        {
            "foil": [scan.foil] * n,
            "side": [scan.side] * n,
            "scan": [scan.name] * n,
            "tile": tile,
            "pit": np.arange(n),
            "x_px": x,
            "y_px": y,
            "x_mm": x_mm,
            "y_mm": y_mm,
            "surface": ["top"] * n,
            "density_per_mm2": 10.0 + np.arange(n),
        }
    )


def search_of(scan, **changes):
    return FindRecord(stage="find", version="0.1.0", scan=scan, tiles=(1, 2), **changes)


@pytest.fixture
def make(tmp_path):
    """A store with scans, the finds of each as a run, and labels."""

    def made(labels, finds=FINDS, scans=None, taxonomy=None):
        store = Store.create(tmp_path / "made")
        pixels = np.full((1, *SIZE), 100, np.uint8)
        for scan in scans or (scan_of(),):
            store.scans.add(
                scan, Foil(name=scan.foil), lambda n: TilePictures(pixels, (f"p{n}.png",))
            )
            if finds is not None:
                pits = pits_of(scan, finds).assign(run=f"find-{scan.name}")
                store.runs.commit(f"find-{scan.name}", pits, search_of(scan.name))
        add(store, labels, taxonomy=taxonomy)
        return store

    return made


def add(store, rows, taxonomy=None, **given):
    """Labels (class, tile, x_px, y_px, and a region's corners)."""
    table = pd.DataFrame(
        {
            "scan": given.pop("scan", NAME),
            "tile": [r[1] for r in rows],
            "x_px": [float(r[2]) for r in rows],
            "y_px": [float(r[3]) for r in rows],
            "class": [r[0] for r in rows],
            "region_px": [json.dumps(r[4]) if len(r) > 4 else None for r in rows],
        }
    )
    said = {"who": "anna", "source": "person", "when": "2026-05-01"} | given
    store.labels.add(table.assign(**said), taxonomy=taxonomy)


def box(x0, y0, x1, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def the(store, **given):
    (one,), left_out = labelled_pits(store, **given)
    return one.table, left_out.outside


# Points -------------------------------------------------------------------------------------


def test_a_label_belongs_to_the_find_within_6_px(make):
    store = make([("hip", 1, 25.9, 40), ("top", 2, 56.1, 30)])
    table, outside = the(store)
    assert outside == 0
    assert table["said"].tolist() == ["hip", "top"]
    assert table["pit"].tolist() == [2, pd.NA]
    assert table["x_px"].tolist() == pytest.approx([20, 56.1])
    assert table["y_px"].tolist() == pytest.approx([40, 30])
    assert table["tile"].tolist() == [1, 2]
    assert table["density_per_mm2"].tolist() == pytest.approx([12, np.nan], nan_ok=True)
    assert table["id"].tolist() == store.labels.table()["id"].tolist()


def test_labels_and_finds_are_matched_one_to_one(make):
    # Both labels are nearest to the find at 20; the other one is near enough for the second.
    table, _ = the(make([("hip", 1, 20.5, 20), ("top", 1, 24.9, 20)]))
    assert table["pit"].tolist() == [0, 1]
    assert table["said"].tolist() == ["hip", "top"]


def test_two_labels_of_one_find_leave_one_to_itself(make):
    table, _ = the(make([("hip", 2, 10, 11), ("top", 2, 10, 13.5)]))
    assert table["pit"].tolist() == [3, pd.NA]
    assert table["y_px"].tolist() == pytest.approx([10, 13.5])


def test_a_find_of_the_neighbouring_tile_is_the_label_s_too(make):
    # The overlap of 16 px begins at x = 48 of tile 1; 57 there is 9 of tile 2.
    scan = scan_of(overlap_px=16)
    store = make([("hip", 1, 55, 20)], finds=[(2, 9.0, 20.0)], scans=[scan])
    table, _ = the(store)
    assert table["pit"].tolist() == [0]
    assert (table["tile"].tolist(), table["x_px"].tolist()) == ([2], [9.0])


def test_a_later_search_of_a_region_takes_no_find_away(make):
    store = make([("hip", 1, 20, 20), ("top", 2, 10, 10)])
    some = pits_of(scan_of(), FINDS[:1]).assign(run="here")
    store.runs.commit("here", some, search_of(NAME, region_mm=((0, 0), (1, 0), (0, 1))))
    assert the(store)[0]["pit"].tolist() == [0, 3]


def test_only_a_region_was_searched(make):
    store = make([("hip", 1, 20, 20), ("top", 2, 10, 10)], finds=None)
    some = pits_of(scan_of(), FINDS[:1]).assign(run="here")
    store.runs.commit("here", some, search_of(NAME, region_mm=((0, 0), (1, 0), (0, 1))))
    assert the(store)[0]["pit"].isna().tolist() == [False, True]


def test_a_label_of_an_opening_that_the_edge_of_the_foil_cuts(make):
    finds = [*FINDS, (1, -6.0, 20.0)]
    store = make([("hip", 1, -6, 20), ("top", 2, 10, 10)], finds=finds)
    table, outside = the(store)
    assert sorted(zip(table["said"], table["tile"], table["x_px"], table["pit"], strict=True)) == [
        ("hip", 1, -6.0, 5),
        ("top", 2, 10.0, 3),
    ]
    assert outside == 0


def test_a_label_on_two_tiles_is_where_the_edge_is_farther(make):
    scan = scan_of(overlap_px=16)
    table, _ = the(make([("hip", 1, 60, 20)], finds=[(1, 5.0, 5.0)], scans=[scan]))
    assert table["tile"].tolist() == [2]
    assert table["x_px"].tolist() == pytest.approx([12])


def test_subclasses_count_as_their_class(make):
    table, _ = the(make([("top.spallation", 1, 20, 20), ("misc.dust", 1, 50, 10)]))
    assert table["said"].tolist() == ["top", "misc"]


def test_without_a_scale_labels_stay_in_their_tile(make):
    tiles = tuple(Tile(number=n) for n in (1, 2))
    scan = scan_of(pixel_size_um=None, tiles=tiles)
    table, outside = the(make([("hip", 2, 11, 10), ("top", 1, 11, 10)], scans=[scan]))
    assert table["pit"].tolist() == [3, pd.NA]
    assert table["tile"].tolist() == [2, 1]
    assert outside == 0


# Regions ------------------------------------------------------------------------------------


def test_a_region_labels_all_finds_in_it_that_no_point_labels(make):
    store = make([("hip", 1, 20, 21), ("bottom.spallation", 1, 25, 25, box(5, 5, 40, 46))])
    table, outside = the(store)
    assert outside == 0
    assert dict(zip(table["pit"], table["said"], strict=True)) == {
        0: "hip",
        1: "bottom",
        2: "bottom",
    }
    labels = store.labels.table()
    region = labels.loc[labels["class"] == "bottom.spallation", "id"].item()
    assert table["id"].tolist().count(region) == 2


def test_the_first_of_two_regions_has_what_lies_in_both(make):
    store = make([("top", 1, 15, 20, box(5, 5, 25, 46)), ("bottom", 1, 25, 25, box(5, 5, 40, 46))])
    table, _ = the(store)
    assert dict(zip(table["pit"], table["said"], strict=True)) == {0: "top", 2: "top", 1: "bottom"}


def test_a_region_in_a_tile_without_a_scale(make):
    scan = scan_of(pixel_size_um=None, tiles=tuple(Tile(number=n) for n in (1, 2)))
    store = make([("top", 2, 30, 20, box(0, 0, 63, 47))], scans=[scan])
    table, _ = the(store)
    assert table["pit"].tolist() == [3, 4]


def test_a_region_without_a_find_gives_nothing(make):
    store = make([("top", 1, 55, 8, box(50, 4, 60, 12)), ("hip", 1, 20, 20)])
    table, outside = the(store)
    assert (table["said"].tolist(), outside) == (["hip"], 0)


# Maybe --------------------------------------------------------------------------------------


def test_maybe_is_never_a_target(make):
    store = make(
        [("maybe", 1, 20, 20), ("hip", 1, 30, 20), ("bottom", 1, 25, 25, box(5, 5, 40, 46))]
    )
    table, _ = the(store)
    # Nor does the region say what the person could not.
    assert dict(zip(table["pit"], table["said"], strict=True)) == {1: "hip", 2: "bottom"}


def test_a_region_of_maybe_keeps_its_finds_from_later_ones(make):
    store = make([("maybe", 1, 15, 20, box(5, 5, 25, 46)), ("top", 1, 25, 25, box(5, 5, 40, 46))])
    table, _ = the(store)
    assert table["pit"].tolist() == [1]


def test_undecidable_is_what_the_taxonomy_says(make):
    own = Taxonomy(classes={"hip": "", "odd": "", "odd.very": ""}, undecidable=("odd",))
    store = make([("odd.very", 1, 20, 20), ("hip", 1, 30, 20)], taxonomy=own)
    assert the(store)[0]["said"].tolist() == ["hip"]


def test_only_maybe_is_as_good_as_no_label(make):
    store = make([("maybe", 1, 20, 20)])
    with pytest.raises(BadInput, match="expected labels of decidable classes, found none"):
        labelled_pits(store)


# Tiles --------------------------------------------------------------------------------------


def test_labels_on_excluded_tiles_are_counted_and_left_out(make):
    store = make([("hip", 1, 20, 20), ("top", 2, 10, 10), ("top", 2, 50, 30), ("maybe", 2, 30, 30)])
    assert the(store)[1] == 0
    store.scans.exclude("tile = 2", "a fibre")
    table, outside = the(store)
    assert table["pit"].tolist() == [0]
    assert outside == 2


def test_a_region_labels_no_find_on_an_excluded_tile(make):
    corners = box(5, 5, 90, 46)  # far into tile 2
    store = make([("bottom", 1, 25, 25, corners)])
    assert the(store)[0]["pit"].tolist() == [0, 1, 2, 3]
    store.scans.exclude("tile = 2", "a fibre")
    assert the(store)[0]["pit"].tolist() == [0, 1, 2]


def test_all_labels_on_excluded_tiles_is_one_clear_error(make):
    store = make([("hip", 2, 20, 20)])
    store.scans.exclude("tile = 2", "a fibre")
    text = "labels: expected some on included tiles of F1-front, found none"
    with pytest.raises(BadInput, match=text):
        labelled_pits(store)


def test_only_labels_that_the_scans_asked_for_could_show_are_counted(make):
    back = scan_of(name="F1-back", side="back")
    store = make([("hip", 1, 20, 20), ("top", 2, 10, 10)], scans=[scan_of(), back])
    add(store, [("hip", 1, 20, 20), ("top", 2, 10, 10)], scan="F1-back")
    store.scans.exclude("tile = 2", "a fibre")
    assert the(store, scans=[NAME])[1] == 1
    assert labelled_pits(store)[1].outside == 2
    store.scans.remove("scan = 'F1-back'")  # its labels stay, on a side that no scan shows
    assert labelled_pits(store)[1].outside == 3


def test_labels_of_a_foil_scanned_twice_count_in_both(make):
    again = scan_of(name="F1-again", tiles=(scan_of().tiles[0],))
    store = make([("hip", 1, 20, 20), ("top", 2, 10, 10)], scans=[scan_of(), again])
    pits, left_out = labelled_pits(store)
    outside = left_out.outside
    # In the frame of the scan with one tile, that tile's centre is the origin, too.
    assert {one.scan.name: one.table["said"].tolist() for one in pits} == {
        NAME: ["hip", "top"],
        "F1-again": ["hip"],
    }
    assert outside == 0


def test_labels_inside_a_region_of_training_only(make):
    store = make([("hip", 1, 20, 20), ("top", 2, 10, 10), ("top", 2, 50, 30)])
    tile_2 = np.array([[0.32, -1], [2, -1], [2, 1], [0.32, 1]])
    table, outside = the(store, region=tile_2)
    assert (table["pit"].tolist(), outside) == ([3, 4], 0)
    store.scans.exclude("tile = 1", "a fibre")
    assert the(store, region=tile_2)[1] == 0
    with pytest.raises(BadInput, match="labels: expected some on included tiles of F1-front"):
        labelled_pits(store, region=tile_2 + 100)


def test_a_label_s_region_gives_no_find_outside_the_region_of_training(make):
    store = make([("bottom", 1, 45, 25, box(5, 5, 120, 46))])
    assert the(store)[0]["pit"].tolist() == [0, 1, 2, 3, 4]
    right_of_25_px = np.array([[-0.07, -1], [2, -1], [2, 1], [-0.07, 1]])
    assert the(store, region=right_of_25_px)[0]["pit"].tolist() == [1, 3, 4]


# Refused ------------------------------------------------------------------------------------


def test_a_scan_with_labels_that_was_never_searched(make):
    text = r"scan F1-front: expected a search before training, found none"
    with pytest.raises(NotSearched, match=text):
        labelled_pits(make([("hip", 1, 20, 20)], finds=None))


def test_a_scan_without_labels_need_not_be_searched(make):
    store = make([("hip", 1, 20, 20)])
    pixels = np.full((1, *SIZE), 100, np.uint8)
    other = scan_of(name="F2-front", foil="F2")
    store.scans.add(other, Foil(name="F2"), lambda n: TilePictures(pixels, (f"p{n}.png",)))
    assert the(store)[0]["pit"].tolist() == [0]
    with pytest.raises(BadInput, match="some on included tiles of F2-front, found none"):
        labelled_pits(store, scans=["F2-front"])


def test_labels_of_no_scan(make):
    store = make([("hip", 1, 20, 20)])
    store.scans.remove("scan = 'F1-front'")
    assert len(store.labels.table()) == 1
    with pytest.raises(BadInput, match="labels: expected some on included tiles of scans, found"):
        labelled_pits(store)
    with pytest.raises(BadInput, match="'F1-front'"):
        labelled_pits(store, scans=[NAME])


def test_no_label_at_all(make):
    with pytest.raises(NotLabelled, match=r"found none"):
        labelled_pits(make([]))


# Patches ------------------------------------------------------------------------------------
