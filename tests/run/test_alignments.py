import json

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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("spread_mm", 1e200), "alignment.json: spread_mm: .* less than or equal to 1000000"),
        (("tolerance_mm", 0), "alignment.json: tolerance_mm: .* greater than or equal to"),
        (("members", []), "alignment.json: members: .* at least 1 item"),
        (("name", "../a"), "alignment.json: members.0.name: .* the name of a file is wanted"),
        (("shift_x", 1e300), "alignment.json: members.0.transform: .* shifts up to 1e.06 mm"),
        (("x_mm", "foo/bar"), "a.parquet: column x_mm: expected float64, found could not convert"),
        (("row", 1e300), "a.parquet: column row: expected int64, found a number of more than 64"),
        (("row", [1, 2]), "a.parquet: column row: expected one value in each cell, found lists"),
    ],
)
def test_alignments_of_the_wrong_shape_are_one_line(tmp_path, stack, change, message):
    path = save_alignment(tmp_path / "out", stack)
    figures = json.loads(path.read_text())
    (name, value), first = change, figures["members"][0]["name"]
    if name in ("x_mm", "row"):
        table = pd.read_parquet(path.parent / f"{first}.parquet").astype({name: object})
        table[name] = pd.Series([value] * len(table), dtype=object)
        table.to_parquet(path.parent / f"{first}.parquet")
    else:
        of = figures["members"][0]
        places = {"name": of, "shift_x": of["transform"]}
        places.get(name, figures)[name] = value
        path.write_text(json.dumps(figures))
    with pytest.raises(BadInput, match=message):
        load_alignment(path.parent)
