import json

import numpy as np
import pandas as pd
import pytest

from etchscope.foil import (
    DEFAULT_TAXONOMY,
    WITHDRAWN,
    BadInput,
    Channel,
    Foil,
    Scan,
    Taxonomy,
    Tile,
    as_labels,
)
from etchscope.store import Store, TilePictures, read_taxonomy

PIXEL_UM = 10.0
SIZE = (40, 60)
OWN = Taxonomy(classes={"hip": "", "top": "", "top.fission": "", "maybe": ""})


def turned(x, y, angle):
    c, s = np.cos(angle), np.sin(angle)
    return x * c - y * s, x * s + y * c


def scan_of(side, angle, offset, *, scale=PIXEL_UM):
    """A scan of 5 × 4 tiles of a foil whose datum holes 1 and 3 are 1 mm apart, turned, moved."""
    step_x, step_y = 0.55, 0.35
    tiles = tuple(
        Tile(number=1 + 4 * i + j, stage_x_mm=i * step_x, stage_y_mm=-j * step_y)
        for i in range(5)
        for j in range(4)
    )
    scan = Scan(
        name=f"F1-{side}",
        foil="F1",
        side=side,
        layout="pictures",
        pixel_size_um=scale,
        image_size=SIZE,
        channels=(Channel(step=1, role="backlit"),),
        tiles=tiles,
    )
    holes = [(0.0, 0.0), (0.1, 0.5), (1.0, 0.0)]
    datum = tuple(place(scan, *to_stage(side, x, y, angle, offset)) for x, y in holes)
    return scan.model_copy(update={"datum": datum})


def to_stage(side, x, y, angle, offset):
    x, y = turned(x, y, angle)
    return (x + offset[0]) * (-1 if side == "back" else 1), y + offset[1]


def place(scan, stage_x, stage_y):
    """The tile whose centre is nearest, and the pixels in it."""
    tile = min(
        scan.tiles,
        key=lambda t: max(abs(t.stage_x_mm - stage_x), abs(t.stage_y_mm - stage_y) * 1.5),
    )
    mm = PIXEL_UM / 1000
    x_px = (stage_x - tile.stage_x_mm) / mm + SIZE[1] / 2
    return tile.number, x_px, SIZE[0] / 2 - (stage_y - tile.stage_y_mm) / mm


ASKEW = {"front": (0.02, (0.7, -0.8)), "back": (-0.03, (-1.9, -0.7))}


@pytest.fixture
def foil(tmp_path):
    """A store with the front and the back of one foil, each askew in its own way."""
    store = Store.create(tmp_path / "store")
    pixels = np.zeros((1, *SIZE), np.uint8)
    for side, (angle, offset) in ASKEW.items():
        scan = scan_of(side, angle, offset)
        store.scans.add(scan, Foil(name="F1"), lambda n: TilePictures(pixels, (f"{n}.png",)))
    return store


def at(**columns):
    """One label a row on the front scan, unless the columns say otherwise."""
    n = max(len(v) for v in columns.values())
    rest = {"class": ["top"], "who": ["anna"], "source": ["person"], "when": ["2026-05-01"]}
    return pd.DataFrame(columns | {k: v * n for k, v in rest.items() if k not in columns})


def in_tile(**columns):
    place = {"scan": ["F1-front"], "tile": [6], "x_px": [30.0], "y_px": [20.0]}
    n = max([len(v) for v in columns.values()], default=1)
    return at(**({k: v * n for k, v in place.items()} | columns))


def test_labels_come_back_anchored(foil):
    table = in_tile(x_px=[30.0, 31.0], note=["a", "b"], **{"class": ["hip", "misc.dust"]})
    assert foil.labels.add(table) == 2
    labels = foil.labels.table()
    assert labels["class"].tolist() == ["hip", "misc.dust"]
    assert labels["foil"].tolist() == ["F1", "F1"]
    assert labels["side"].tolist() == ["front", "front"]
    assert labels["x_px"].tolist() == [30.0, 31.0]
    assert labels["id"].is_unique
    assert labels["x_mm"].notna().all()
    assert foil.check() == []


@pytest.mark.parametrize("seed", range(20))
def test_the_same_place_on_both_sides_is_the_same_place_on_the_foil(foil, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform((0.0, 0.0), (1.0, 0.5))
    corners = [(x, y), (x + 0.01, y), (x, y + 0.02)]
    rows = []
    for side, (angle, offset) in ASKEW.items():
        scan = foil.scans.get(f"F1-{side}")
        tile, x_px, y_px = place(scan, *to_stage(side, x, y, angle, offset))
        centre = next(t for t in scan.tiles if t.number == tile)
        stage = [to_stage(side, *c, angle, offset) for c in corners]
        region = [
            [
                (sx - centre.stage_x_mm) / 0.01 + SIZE[1] / 2,
                SIZE[0] / 2 - (sy - centre.stage_y_mm) / 0.01,
            ]
            for sx, sy in stage
        ]
        rows.append((scan.name, tile, x_px, y_px, json.dumps(region)))
    columns = ["scan", "tile", "x_px", "y_px", "region_px"]
    foil.labels.add(at(**pd.DataFrame(rows, columns=columns).to_dict("list")))
    labels = foil.labels.table()
    assert labels["side"].tolist() == ["front", "back"]
    np.testing.assert_allclose(labels[["x_mm", "y_mm"]], [[x, y]] * 2, atol=1e-9)
    for text in labels["region_mm"]:
        np.testing.assert_allclose(json.loads(text), corners, atol=2e-6)


def test_the_same_event_twice_changes_nothing(foil, take_snapshot):
    table = in_tile(x_px=[30.0, 40.0])
    assert foil.labels.add(table) == 2
    before = take_snapshot(foil.path)
    assert foil.labels.add(table) == 0
    assert foil.labels.add(foil.labels.table()) == 0
    by_mm = foil.labels.table()[["foil", "side", "x_mm", "y_mm", "class", "who", "source", "when"]]
    assert foil.labels.add(by_mm) == 0
    assert foil.labels.add(in_tile(id=["another"])) == 0
    assert take_snapshot(foil.path) == before
    assert foil.labels.add(pd.concat([in_tile(x_px=[50.0])] * 2)) == 1


def test_another_event_of_the_same_id_is_refused(foil, take_snapshot):
    foil.labels.add(in_tile(id=["mine"]))
    before = take_snapshot(foil.path)
    with pytest.raises(BadInput, match="another event of the same id 'mine'"):
        foil.labels.add(in_tile(id=["mine"], **{"class": ["hip"]}))
    assert take_snapshot(foil.path) == before


def test_what_stands_and_every_event(foil):
    days = ["2026-05-01", "2026-05-02", "2026-05-01", "2026-05-02", "2026-05-01"]
    foil.labels.add(
        in_tile(
            x_px=[30.0, 32.0, 10.0, 10.0, 30.0],
            when=days,
            who=["anna"] * 4 + ["ben"],
            **{"class": ["hip", "top.spallation", "misc", WITHDRAWN, "maybe"]},
        )
    )
    assert foil.labels.table()["class"].tolist() == ["top.spallation", "maybe"]
    assert len(foil.labels.table(latest=False)) == 5
    assert foil.labels.table(tolerance_mm=0.001)["class"].tolist() == [
        "hip",
        "top.spallation",
        "maybe",
    ]
    assert foil.labels.table(who="ben")["class"].tolist() == ["maybe"]
    assert foil.labels.table(classes=["top"])["class"].tolist() == ["top.spallation"]
    assert len(foil.labels.table(side="back")) == 0
    assert len(foil.labels.table(foil="F1")) == 2
    assert len(foil.labels.table(foil="F2")) == 0


def test_nothing_was_said(foil):
    pd.testing.assert_frame_equal(foil.labels.table(), as_labels({}))
    assert foil.labels.add(as_labels({})) == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (in_tile(x_px=[75.0]), r"row 1: expected a place in the 60 × 40 px of a tile of scan"),
        (in_tile(tile=[99]), "column tile, row 1: expected a tile of scan F1-front, found tile 99"),
        (in_tile(scan=["F9-front"]), r"scans \(F1-back, F1-front\), found 'F9-front'"),
        (in_tile(foil=["F9"]), "column foil, row 1: expected F1 as of scan F1-front, found 'F9'"),
        (in_tile(**{"class": ["top.odd"]}), r"taxonomy \(hip, .*, found 'top.odd'"),
        (in_tile(who=[None]), "column who, row 1: expected a value"),
        (in_tile(y_px=[None]), "x_px, y_px, row 1: expected both"),
        (in_tile(tile=[None]), "row 1: expected tile, x_px and y_px, found only some"),
        (in_tile(x_mm=[9.0], y_mm=[0.0]), "row 1: expected x_mm, y_mm of the place that scan"),
        (at(foil=["F9"], side=["front"], x_mm=[0], y_mm=[0]), r"foils \(F1\), found 'F9'"),
        (at(foil=["F1"], side=["front"]), "place, row 1: expected x_mm, y_mm or scan, tile"),
        (
            at(foil=["F1"] * 2, side=["front"] * 2, x_mm=[0, 500], y_mm=[0, 0]),
            "row 2: expected a place in a tile of scan F1-front, found x_mm 500",
        ),
        (at(scan=["F1-back"], x_mm=[0], y_mm=[-8]), "place in a tile of scan F1-back"),
        (in_tile(when=["never"]), "column when, row 1: expected a time"),
        (in_tile(region_px=["[[1,1],[2,2]]"]), "expected three corners or more, found 2"),
    ],
)
def test_bad_labels_are_one_error_and_change_nothing(foil, take_snapshot, table, message):
    before = take_snapshot(foil.path)
    with pytest.raises(BadInput, match=f"mine.csv.*{message}"):
        foil.labels.add(table, where="mine.csv")
    assert take_snapshot(foil.path) == before


def test_a_good_row_beside_a_bad_one_does_not_come_in(foil):
    with pytest.raises(BadInput, match="row 2"):
        foil.labels.add(in_tile(x_px=[30.0, 99.0]))
    assert len(foil.labels.table()) == 0


def test_without_a_scale_a_label_is_anchored_to_its_tile(empty, make_scan):
    made = make_scan(tiles=3)
    scan = made.scan.model_copy(update={"pixel_size_um": None})
    empty.scans.add(scan, made.foil, made.read)
    region = "[[1.0,1.0],[3.0,1.0],[2.0,4.0]]"
    table = in_tile(tile=[2], x_px=[3.0], y_px=[4.0], region_px=[region])
    assert empty.labels.add(table) == 1
    (label,) = empty.labels.table().to_dict("records")
    assert np.isnan(label["x_mm"])
    assert pd.isna(label["region_mm"])
    assert (label["foil"], label["tile"], label["region_px"]) == ("F1", 2, region)
    assert empty.labels.add(empty.labels.table()) == 0
    empty.scans.remove("tile = 2")
    assert empty.labels.add(empty.labels.table()) == 0
    empty.scans.remove("true")
    assert empty.labels.add(empty.labels.table()) == 0
    assert len(empty.labels.table()) == 1


def test_labels_stay_when_their_scans_go(foil):
    foil.labels.add(in_tile(x_px=[30.0, 40.0]))
    before = foil.labels.table()
    removal = foil.scans.dependants("scan = 'F1-front'")
    assert removal.labels_kept == (("F1", 2),)
    foil.scans.remove("scan = 'F1-front'")
    pd.testing.assert_frame_equal(foil.labels.table(), before)
    assert foil.labels.add(before) == 0  # as an export would bring them back
    with pytest.raises(BadInput, match=r"column scan, row 1: .* found 'F1-front'"):
        foil.labels.add(before.assign(who="ben", id=None))
    moved = before.drop(columns=["id", "scan", "tile", "x_px", "y_px", "region_px"])
    assert foil.labels.add(moved) == 0
    last = foil.scans.remove("true")
    assert (last.foils, last.labels_kept) == ((), (("F1", 2),))
    assert [f.name for f in foil.scans.foils()] == ["F1"]
    pd.testing.assert_frame_equal(foil.labels.table(), before)
    assert foil.check() == []


def test_a_store_without_labels_loses_its_foils_as_before(foil):
    assert foil.scans.remove("true").foils == ("F1",)


def test_the_taxonomy_is_the_stores(foil):
    assert foil.labels.taxonomy() == DEFAULT_TAXONOMY
    foil.labels.set_taxonomy(OWN)
    assert Store.open(foil.path).labels.taxonomy() == OWN
    assert foil.labels.add(in_tile(**{"class": ["top.fission"]})) == 1
    with pytest.raises(BadInput, match=r"\(hip, top, top.fission, maybe\), found 'misc'"):
        foil.labels.add(in_tile(**{"class": ["misc"]}))
    with pytest.raises(
        BadInput, match=r"the class 'top\.fission', of which the store has 1 labels"
    ):
        foil.labels.set_taxonomy(DEFAULT_TAXONOMY)
    assert foil.labels.taxonomy() == OWN
    assert foil.check() == []


def test_labels_and_their_taxonomy_come_in_together_or_not_at_all(foil):
    with pytest.raises(BadInput, match="tile 99"):
        foil.labels.add(in_tile(tile=[99], **{"class": ["top.fission"]}), taxonomy=OWN)
    assert foil.labels.taxonomy() == DEFAULT_TAXONOMY
    assert foil.labels.add(in_tile(**{"class": ["top.fission"]}), taxonomy=OWN) == 1
    assert foil.labels.taxonomy() == OWN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "taxonomy.json: expected a taxonomy, found Invalid JSON"),
        ('{"classes": {"top.a": ""}}', "taxonomy.json: classes: .*'top.a' is a subclass"),
        ('{"classes": {"hip": ""}, "more": 1}', "taxonomy.json: more: .*Extra inputs"),
    ],
)
def test_a_damaged_taxonomy_is_named(foil, text, message):
    (foil.path / "taxonomy.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        foil.labels.taxonomy()
    assert [(f.severity, f.what) for f in foil.check()] == [("damaged", "taxonomy.json")]
    with pytest.raises(BadInput, match=r"none\.json: expected a taxonomy file"):
        read_taxonomy(foil.path / "none.json")


def test_a_changed_row_is_damage(foil):
    foil.labels.add(in_tile(id=["mine"]))
    with foil._catalogue.writing() as session:
        session.connection().exec_driver_sql("UPDATE label SET class = 'hip'")
    assert [f.what for f in foil.check()] == ["catalogue: label mine"]


def test_the_files_of_pictures_are_known(foil):
    sources = foil.scans.sources("F1-front")
    assert sources[6] == ("6.png",)
    assert len(sources) == 20
