import numpy as np
import pandas as pd
import pytest

from etchscope.align import align_stack
from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    PitList,
    Scan,
    Tile,
)
from etchscope.geometry import Similarity, foil_frame
from etchscope.run.stages.align import (
    keep_alignment,
    label_from_coincidence,
    load_alignment,
    save_alignment,
)
from etchscope.store import Store, TilePictures

PLACES = np.random.default_rng(5).uniform(0, [3.0, 2.0], (120, 2))


def _list(name, xy, side="front"):
    return PitList(name, name, side, pd.DataFrame({"x_mm": xy[:, 0], "y_mm": xy[:, 1]}))


@pytest.fixture
def stack():
    way = Similarity(0.02, shift_x=0.1, shift_y=-0.05)
    lists = [_list("a", PLACES), _list("b", PLACES + 0.03), _list("d", way.apply(PLACES[:90]))]
    return align_stack(lists, max_angle_rad=0.04)


@pytest.fixture
def store(tmp_path):
    """Of foil d, tiles that show x from −0.5 to 1.5 mm."""
    made = Store.create(tmp_path / "store")
    scan = Scan(
        name="d-front",
        foil="d",
        layout="plain",
        pixel_size_um=100.0,
        image_size=(40, 20),
        channels=(Channel(step=9, role="backlit"),),
        tiles=(Tile(number=1, stage_x_mm=0.5, stage_y_mm=1.0),),
        datum=((1, 5.0, 30.0), (1, 5.0, 5.0), (1, 15.0, 30.0)),
    )
    picture = TilePictures(np.full((1, 40, 20), 100, np.uint8), ("one",))
    made.scans.add(scan, Foil(name="d"), lambda number: picture)
    return made


def test_a_stack_comes_back_from_its_folder(tmp_path, stack):
    path = save_alignment(tmp_path / "out", stack)
    assert path.name == "alignment.json"
    back = load_alignment(path.parent)
    pd.testing.assert_frame_equal(back.places(), stack.places())
    pd.testing.assert_frame_equal(back.labels_for("d"), stack.labels_for("d"))
    assert back.efficiencies() == stack.efficiencies()
    assert back.member("d").transform == stack.member("d").transform


def test_a_damaged_alignment_is_refused(tmp_path, stack):
    path = save_alignment(tmp_path / "out", stack)
    path.write_text(path.read_text().replace('"spread_mm"', '"spread"'))
    with pytest.raises(
        BadInput,
        match=r"alignment\.json: spread_mm: expected an alignment of format 1, found Field re",
    ):
        load_alignment(path.parent)
    with pytest.raises(BadInput, match="another name than places"):
        save_alignment(tmp_path / "x", align_stack([_list("places", PLACES), _list("b", PLACES)]))


def test_labels_stand_where_the_other_foils_agree(tmp_path, stack, store):
    save_alignment(tmp_path / "out", stack)
    done = label_from_coincidence(store, tmp_path / "out", "d", most_p=0.5)
    labels = store.labels.table(foil="d")
    assert done.places == pytest.approx(120, abs=2)
    assert done.added == len(labels) == done.places - done.outside
    assert 0 < done.outside < done.places
    assert set(labels["source"]) == {"coincidence"}
    assert set(labels["class"]) == {"hip"}
    assert labels["note"].str.fullmatch(r"p_accidental [\d.e-]+; shown by a, b").all()
    way = Similarity(0.02, shift_x=0.1, shift_y=-0.05)
    near = np.abs(labels[["x_mm"]].to_numpy() - way.apply(PLACES)[:, 0]).min(axis=1)
    assert near.max() < 0.05
    again = label_from_coincidence(store, tmp_path / "out", "d", most_p=0.5)
    assert (again.added, again.known) == (0, len(labels))


def test_who_cannot_be_labelled(tmp_path, stack, store):
    save_alignment(tmp_path / "out", stack)
    with pytest.raises(BadInput, match="one of a, b, d, found 'e'"):
        label_from_coincidence(store, tmp_path / "out", "e")
    with pytest.raises(BadInput, match=r"one of the store's foils \(d\)"):
        label_from_coincidence(store, tmp_path / "out", "a")
    assert len(store.labels.table(latest=False)) == 0


def test_a_store_keeps_how_its_own_scans_lie(stack, store):
    scan = store.scans.get("d-front")
    for name in ("b", "d"):
        picture = TilePictures(np.full((1, 40, 20), 100, np.uint8), ("one",))
        again = scan.model_copy(update={"name": name})
        store.scans.add(again, Foil(name="d"), lambda number, p=picture: p)
    keep_alignment(store, "few", stack, ["d"])
    assert store.alignments.newest_first() == []
    keep_alignment(store, "both", stack, ["b", "d"])
    (kept,) = store.alignments.newest_first()
    assert (kept.name, [m.scan for m in kept.members]) == ("both", ["b", "d"])
    for member in kept.members:
        assert member.transform == stack.member(member.scan).transform
        assert member.frame == foil_frame(scan)
