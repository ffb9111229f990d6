"""No ion in two folds: frames of a foil scanned twice, of its sides, of a stack's foils."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    Scan,
    Tile,
    as_pits,
    parse_region,
)
from etchscope.geometry import (
    Similarity,
    foil_frame,
    foil_to_tile,
    tile_to_foil,
)
from etchscope.run.frames import joint_frames
from etchscope.run.labelled import labelled_pits
from etchscope.run.patches import labelled_patches
from etchscope.store import FindRecord, Store, TilePictures
from etchscope.store.alignments import AlignedScan, KeptAlignment

SIZE, UM = (48, 64), 10.0
STILL = Similarity()
WAY = Similarity(0.03, 1.001, 0.31, -0.22)
OTHER = Similarity(-0.02, 0.999, -0.27, 0.17)
_RNG = np.random.default_rng(3)
IONS = np.stack(np.meshgrid(0.2 * np.arange(12), 0.2 * np.arange(5)), -1).reshape(-1, 2)
IONS = IONS + _RNG.uniform(-0.04, 0.04, IONS.shape) - [0.3, 0.2]


@dataclass(frozen=True)
class Shown:
    """A scan, and the way from its own frame into that of ``IONS``."""

    scan: Scan
    way: Similarity = STILL

    def pits(self, shift_um=0.0):
        """The ions in its tiles, their row in ``IONS`` as ``pit``."""
        own = self.way.inverse().apply(IONS) + shift_um / 1000
        at = foil_to_tile(own[:, 0], own[:, 1], self.scan)
        at = at.assign(pit=np.arange(len(IONS))).dropna().astype({"tile": "int64"})
        x_mm, y_mm = tile_to_foil(*(at[c].to_numpy() for c in ("tile", "x_px", "y_px")), self.scan)
        named = {"foil": self.scan.foil, "side": self.scan.side, "scan": self.scan.name}
        return at.assign(x_mm=x_mm, y_mm=y_mm, **named)

    def ions(self, source):
        """Which ion is at each row of ``Labelled.source``."""
        columns = (source[c].to_numpy(float) for c in ("x_px", "y_px"))
        own = np.column_stack(tile_to_foil(source["tile"].to_numpy(np.int64), *columns, self.scan))
        distance, ion = cKDTree(IONS).query(self.way.apply(own))
        assert (distance < 0.03).all()
        return ion


def shown(name, way=STILL, foil="F1", side="front", **more):
    """Four by two tiles whose own frame has its origin at the first tile's centre."""
    sign = -1 if side == "back" else 1
    tiles = tuple(
        Tile(number=1 + k, stage_x_mm=sign * 0.62 * (k % 4), stage_y_mm=0.46 * (k // 4))
        for k in range(8)
    )
    given = {"layout": "pictures", "pixel_size_um": UM, "image_size": SIZE, "tiles": tiles}
    channels = (Channel(step=1, role="backlit"),)
    return Shown(Scan(name=name, foil=foil, side=side, channels=channels, **(given | more)), way)


@pytest.fixture
def made(tmp_path):
    """A store of scans, each searched, with labels of every ion that it shows."""

    def make(*several, stacks=None, who=None):
        store = Store.create(tmp_path / "made")
        for k, one in enumerate(several):
            scan, rng = one.scan, np.random.default_rng(k)
            pictures = rng.integers(90, 110, (9, 1, *SIZE)).astype(np.uint8)
            foil = Foil(name=scan.foil, stack=(stacks or {}).get(scan.foil))
            store.scans.add(scan, foil, lambda n, p=pictures: TilePictures(p[n], (f"p{n}.png",)))
            pits = one.pits().assign(surface="top", density_per_mm2=10.0)
            run = f"find-{scan.name}"
            record = FindRecord(stage="find", version="0.1.0", scan=scan.name, tiles=(1,))
            store.runs.commit(run, as_pits(pits.assign(run=run)), record)
            label(store, one, who="anna" if who is None else who[k])
        return store

    return make


def label(store, one, who="anna", when="2026-05-01", classes=("hip", "top"), shift_um=5.0):
    pits = one.pits(shift_um)
    said = np.array(classes)[pits["pit"] % len(classes)]
    labels = pits[["scan", "tile", "x_px", "y_px"]].assign(
        **{"class": said, "who": who, "source": "person", "when": when}
    )
    store.labels.add(labels)


def keep(store, *several, name="aligned", when=1):
    members = tuple(
        AlignedScan(scan=one.scan.name, frame=foil_frame(one.scan), transform=one.way)
        for one in several
    )
    day = datetime(2026, 6, when, tzinfo=UTC)
    store.alignments.keep(KeptAlignment(name=name, when=day, members=members))


def rows_of(store, *several, **given):
    """Return one row a label and scan: ``ion, scan, region, weight, id``."""
    pits, left_out = labelled_pits(store, **given)
    labelled = labelled_patches(store, pits, size=8)
    table = labelled.source.reset_index(drop=True)
    table = table.assign(region=labelled.patches.region, weight=labelled.weight)
    for one in several:
        here = table["scan"] == one.scan.name
        table.loc[here, "ion"] = one.ions(table[here])
    assert left_out.conflicts == 0
    return table


def regions(table):
    """Of each ion the number of regions that its labels are in."""
    return distinct(table, "region")


def distinct(table, column):
    return table.groupby("ion")[column].nunique()


def test_a_foil_scanned_twice_with_labels_on_both(made):
    one, again = shown("first"), shown("again", WAY)
    store = made(one, again)
    keep(store, one, again)
    table = rows_of(store, one, again)
    both = distinct(table, "scan") == 2
    assert both.sum() > 30
    assert (regions(table) == 1).all()
    assert table["region"].nunique() >= 8
    # One label of each place, on its pit in either scan, and counted once.
    assert distinct(table, "id").max() == 1
    assert table.groupby("ion").size()[both].eq(2).all()
    np.testing.assert_allclose(table.groupby("ion")["weight"].sum(), 1)


def test_a_foil_scanned_twice_with_datum_holes_needs_no_alignment(made):
    datum = ((1, 10.0, 40.0), (4, 50.0, 40.0), (4, 20.0, 30.0))
    one = shown("first", datum=datum)
    moved = tuple(
        t.model_copy(update={"stage_x_mm": t.stage_x_mm + 3, "number": 9 - t.number})
        for t in one.scan.tiles
    )
    holes = tuple((9 - tile, x, y) for tile, x, y in datum)
    again = shown("again", datum=holes, tiles=moved)
    store = made(one, again)
    frames = joint_frames(store)
    assert frames.ways["first"].to_dict() | {"source": "again"} == frames.ways["again"].to_dict()
    table = rows_of(store, one, again)
    assert len(table) > 40
    assert (regions(table) == 1).all()
    assert (table["weight"] == 0.5).all()
    assert distinct(table, "id").max() == 1


def test_the_front_and_the_back_of_an_aligned_foil(made):
    front, back = shown("front"), shown("back", WAY, side="back")
    store = made(front, back)
    assert (regions(rows_of(store, front, back)) == 2).sum() > 10
    keep(store, front, back)
    table = rows_of(store, front, back)
    both = distinct(table, "scan") == 2
    assert both.sum() > 30
    assert (regions(table) == 1).all()
    # What is said of the two sides are two labels.
    assert (table["weight"] == 1).all()


@pytest.mark.parametrize("stacks", [{}, {"c1": "S", "d": "S"}])
def test_the_foils_of_an_aligned_stack(made, stacks):
    first, second = shown("c1-front", foil="c1"), shown("d-front", WAY, foil="d")
    store = made(first, second, stacks=stacks)
    assert (regions(rows_of(store, first, second)) == 2).sum() > 10
    keep(store, first, second)
    table = rows_of(store, first, second)
    assert (distinct(table, "scan") == 2).sum() > 30
    assert (regions(table) == 1).all()


def test_three_foils_that_two_alignments_link(made):
    a, b, c = shown("a", foil="a"), shown("b", WAY, foil="b"), shown("c", OTHER, foil="c")
    store = made(a, b, c)
    keep(store, a, b, name="first")
    keep(store, c, b, name="second", when=2)
    assert (regions(rows_of(store, a, b, c)) == 1).all()
    assert len({way.target for way in joint_frames(store).ways.values()}) == 1


def test_a_side_without_an_alignment_is_where_its_foil_is(made):
    datum = ((1, 10.0, 40.0), (4, 50.0, 40.0), (4, 20.0, 30.0))
    a, b, c = (shown(n, foil=n, datum=datum) for n in "abc")
    bare = shown("d", foil="d")
    store = made(a, b, c, bare, stacks=dict.fromkeys("abcd", "S"))
    ways = joint_frames(store).ways
    assert {(w.target, w.angle_rad, w.shift_x) for w in ways.values()} == {("S", 0.0, 0.0)}
    keep(store, Shown(bare.scan, WAY), b)
    ways = joint_frames(store).ways
    assert len({w.target for w in ways.values()}) == 1
    for name, way in (("a", STILL), ("c", STILL), ("d", WAY)):
        there = ways[name].then(ways["b"].inverse())
        np.testing.assert_allclose(there.apply(IONS), way.apply(IONS), atol=1e-12)


def test_the_newest_alignment_counts_or_the_one_that_is_named(made):
    front, back = shown("front"), shown("back", WAY, side="back")
    store = made(front, back)
    keep(store, front, Shown(back.scan, OTHER), name="wrong", when=1)
    keep(store, front, back, name="right", when=2)
    assert (regions(rows_of(store, front, back)) == 1).all()
    assert (regions(rows_of(store, front, back, alignment="wrong")) == 2).any()
    keep(store, front, Shown(back.scan, OTHER), name="wrong", when=3)
    assert (regions(rows_of(store, front, back)) == 2).any()
    assert (regions(rows_of(store, front, back, alignment="right")) == 1).all()
    text = r"alignment: expected one of the store's \(wrong, right\), found 'lost'"
    with pytest.raises(BadInput, match=text):
        labelled_pits(store, alignment="lost")


def test_an_alignment_of_a_scan_that_has_another_frame_now_does_not_count(made):
    front, back = shown("front"), shown("back", WAY, side="back")
    store = made(front, back)
    keep(store, front, back)
    store.scans.remove("scan = 'back' AND tile = 1")  # the origin was the middle of that tile
    assert {w.shift_x for w in joint_frames(store).ways.values()} == {0.0}
    text = "alignment aligned: expected two scans as they were, found 1. Align them again"
    with pytest.raises(BadInput, match=text):
        joint_frames(store, alignment="aligned")


def test_labels_go_from_frame_to_frame(made):
    one, again = shown("first"), shown("again", WAY)
    store = made(one, again)
    keep(store, one, again)
    frames = joint_frames(store)
    box = [[0.1, 0.1], [0.2, 0.1], [0.2, 0.3]]
    given = pd.DataFrame(
        {
            "foil": "F1",
            "side": "front",
            "scan": ["first", "again", None, "again"],
            "x_mm": [0.1, 0.2, 0.3, np.nan],
            "y_mm": [0.4, 0.5, 0.6, np.nan],
            "region_mm": [str(box), None, None, None],
        }
    )
    before = given.copy()
    there = frames.on(given, "again")
    pd.testing.assert_frame_equal(given, before)
    xy = there[["x_mm", "y_mm"]].to_numpy()
    # A label that names no scan lies in the frame of the side's first one, which is "again".
    np.testing.assert_allclose(xy[0], WAY.inverse().apply([0.1, 0.4])[0])
    np.testing.assert_array_equal(xy[1:3], [[0.2, 0.5], [0.3, 0.6]])
    assert np.isnan(xy[3]).all()
    np.testing.assert_allclose(
        parse_region(there["region_mm"][0]), WAY.inverse().apply(box), atol=1e-6
    )
    joined = frames.joined(given)[["x_mm", "y_mm"]].to_numpy()
    way = frames.ways["again"].then(frames.ways["first"].inverse())
    np.testing.assert_allclose(way.apply([0.2, 0.5]), WAY.apply([0.2, 0.5]))
    np.testing.assert_allclose(joined[0], frames.ways["first"].apply([0.1, 0.4])[0])


def test_a_later_label_on_the_other_scan_replaces_one(made):
    one, again = shown("first"), shown("again", WAY)
    store = made(one, again)
    keep(store, one, again)
    label(store, again, when="2026-05-02", classes=("misc",))
    corrected = set(again.pits(5.0)["pit"])
    for one in labelled_pits(store)[0]:
        told = dict(zip(one.table["pit"], one.table["said"], strict=True))
        assert len(corrected & set(told)) > 30
        assert {told[pit] for pit in corrected & set(told)} == {"misc"}


def test_conflicts_are_counted_where_labels_are_asked_for(made):
    front, back = shown("front"), shown("back", WAY, side="back")
    store = made(front, back)
    label(store, front, who="ben", classes=("misc",))
    conflicts = len(front.pits())
    assert labelled_pits(store)[1].conflicts == conflicts
    assert labelled_pits(store, scans=["back"])[1].conflicts == 0
    left = np.array([[-1, -1], [0.3, -1], [0.3, 2], [-1, 2]])
    some = labelled_pits(store, region=left)[1].conflicts
    assert some == (front.pits(5.0)["x_mm"] < 0.3).sum() > 5
    (table,) = (one.table for one in labelled_pits(store)[0])
    assert len(table) == len(back.pits())
