import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from etchscope.foil import BadInput, UnknownAlignment
from etchscope.geometry import FoilFrame, Similarity
from etchscope.store import Store
from etchscope.store.alignments import (
    AlignedScan,
    KeptAlignment,
    read_alignment,
    write_alignment,
)

MEMBER = {"name": "a", "foil": "F1", "side": "front", "against": None, "transform": {"scale": 2.0}}
FIGURES = {"members": [MEMBER], "tolerance_mm": 0.1, "spread_mm": 0.02, "efficiencies": []}
TABLE = pd.DataFrame({"x_mm": [1.0], "pit.b": pd.array([None], "Int64")})


def test_what_was_written_is_read(tmp_path):
    path = write_alignment(tmp_path / "out", FIGURES, {"a": TABLE, "places": TABLE})
    assert json.loads(path.read_text()) == {"format": 1, **FIGURES}
    written, tables = read_alignment(path.parent)
    assert (written.tolerance_mm, written.spread_mm) == (0.1, 0.02)
    (member,) = written.members
    assert (member.name, member.side, member.transform) == ("a", "front", Similarity(scale=2.0))
    assert list(tables) == ["a"]
    pd.testing.assert_frame_equal(tables["a"], TABLE)


def test_what_is_no_alignment_is_refused(tmp_path):
    with pytest.raises(UnknownAlignment, match=r"no alignment\.json there"):
        read_alignment(tmp_path)
    path = write_alignment(tmp_path, FIGURES, {"a": TABLE})
    for text, message in (("{", "JSON"), ("[]", "format 1"), ('{"format": 2}', "format 1")):
        path.write_text(text)
        with pytest.raises(BadInput, match=message):
            read_alignment(tmp_path)
    path.write_text(json.dumps({"format": 1, **FIGURES, "members": [MEMBER | {"name": "lost"}]}))
    with pytest.raises(BadInput, match=r"lost\.parquet"):
        read_alignment(tmp_path)
    with pytest.raises(BadInput, match="a folder, found a file"):
        write_alignment(path, FIGURES, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spread_mm": 1e300}, "spread_mm: expected an alignment of format 1, found Input should"),
        ({"tolerance_mm": 0.0}, "tolerance_mm: expected an alignment of format 1, found Input sh"),
        ({"members": [MEMBER | {"transform": {"shift_x": 1e300}}]}, "found shifts up to 1e.06 mm"),
        ({"members": [MEMBER | {"transform": {"scale": 0.0}}]}, "members.0.transform"),
        ({"members": [MEMBER | {"name": "../a"}]}, "members.0.name: .* the name of a file is wa"),
        ({"members": [MEMBER, MEMBER]}, "members: expected every name once, found a, a"),
        ({"members": []}, "members: expected an alignment of format 1"),
    ],
)
def test_what_no_stack_of_foils_has_is_refused_by_its_key(tmp_path, change, message):
    path = write_alignment(tmp_path / "out", FIGURES, {"a": TABLE})
    path.write_text(json.dumps({"format": 1, **FIGURES, **change}))
    with pytest.raises(BadInput, match=rf"alignment\.json: .*{message}"):
        read_alignment(tmp_path / "out")


def _kept(name, day, shift=0.1):
    way = Similarity(1 / 3, 1.001, shift, source="F1-back mm", target="F1-front mm")
    members = (
        AlignedScan(scan="F1-front", frame=FoilFrame(1 / 7, 0.2), transform=Similarity()),
        AlignedScan(scan="F1-back", frame=FoilFrame(0, 0, 0.3, mirrored=True), transform=way),
    )
    when = datetime(2026, 5, day, tzinfo=UTC)
    return KeptAlignment(name=name, when=when, members=members)


def test_a_store_keeps_alignments_the_newest_first(tmp_path):
    store = Store.create(tmp_path / "store")
    assert store.alignments.newest_first() == []
    for one in (_kept("b", 2), _kept("a", 1), _kept("c", 3)):
        store.alignments.keep(one)
    assert store.alignments.newest_first() == [_kept("c", 3), _kept("b", 2), _kept("a", 1)]
    store.alignments.keep(_kept("a", 4, shift=0.2))
    assert store.alignments.newest_first() == [
        _kept("a", 4, shift=0.2),
        _kept("c", 3),
        _kept("b", 2),
    ]
    assert store.check() == []


def test_a_kept_alignment_that_is_damaged_is_named(tmp_path):
    store = Store.create(tmp_path / "store")
    store.alignments.keep(_kept("a", 1))
    path = store.path / "alignments" / "a.json"
    for old, new, key in (("1.001", "-1.001", "scale"), ('"when"', '"day"', "when")):
        whole = path.read_text()
        path.write_text(whole.replace(old, new))
        with pytest.raises(BadInput, match=key):
            store.alignments.newest_first()
        (finding,) = store.check()
        assert (finding.severity, finding.what) == ("damaged", "alignment a")
        path.write_text(whole)
    (path.parent / ".a.json.1.aside").touch()
    assert [f.what for f in store.check()] == ["alignments/.a.json.1.aside"]
    assert store.alignments.newest_first() == [_kept("a", 1)]
