import numpy as np
import pandas as pd
import pytest

from etchscope.align import align_stack
from etchscope.foil import BadInput, Foil
from etchscope.geometry import foil_frame
from etchscope.run.alignments import keep_alignment, load_alignment, save_alignment
from etchscope.store import TilePictures


def test_a_stack_comes_back_from_its_folder(tmp_path, stack):
    path = save_alignment(tmp_path / "out", stack)
    assert path.name == "alignment.json"
    back = load_alignment(path.parent)
    pd.testing.assert_frame_equal(back.places(), stack.places())
    pd.testing.assert_frame_equal(back.labels_for("d"), stack.labels_for("d"))
    assert back.efficiencies() == stack.efficiencies()
    assert back.member("d").transform == stack.member("d").transform


def test_a_damaged_alignment_is_refused(tmp_path, stack, places, list_of):
    path = save_alignment(tmp_path / "out", stack)
    path.write_text(path.read_text().replace('"spread_mm"', '"spread"'))
    with pytest.raises(
        BadInput,
        match=r"alignment\.json: spread_mm: expected an alignment of format 1, found Field re",
    ):
        load_alignment(path.parent)
    with pytest.raises(BadInput, match="another name than places"):
        save_alignment(
            tmp_path / "x", align_stack([list_of("places", places), list_of("b", places)])
        )


def test_a_store_keeps_how_its_own_scans_lie(stack, store_of_d):
    scan = store_of_d.scans.get("d-front")
    for name in ("b", "d"):
        picture = TilePictures(np.full((1, 40, 20), 100, np.uint8), ("one",))
        again = scan.model_copy(update={"name": name})
        store_of_d.scans.add(again, Foil(name="d"), lambda number, p=picture: p)
    keep_alignment(store_of_d, "few", stack, ["d"])
    assert store_of_d.alignments.newest_first() == []
    keep_alignment(store_of_d, "both", stack, ["b", "d"])
    (kept,) = store_of_d.alignments.newest_first()
    assert (kept.name, [m.scan for m in kept.members]) == ("both", ["b", "d"])
    for member in kept.members:
        assert member.transform == stack.member(member.scan).transform
        assert member.frame == foil_frame(scan)
