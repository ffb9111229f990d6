import numpy as np
import pandas as pd
import pytest

import etchscope as es
from etchscope.api import align
from etchscope.foil import BadInput, NotSearched

PLACES = np.random.default_rng(5).uniform(0, [6.0, 4.0], (120, 2))


@pytest.fixture
def lists(tmp_path):
    for name, shift in (("a", 0), ("b", 0.03)):
        table = pd.DataFrame(PLACES + shift, columns=["x_mm", "y_mm"])
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return [tmp_path / "a.csv", tmp_path / "b.csv"]


def test_lists_come_into_one_frame(lists, tmp_path):
    stack = align(lists, max_rotation_deg=1)
    assert stack.tolerance_mm == pytest.approx(12 * 0.0064516)
    assert [one.source.name for one in stack.members] == ["a", "b"]
    assert not (tmp_path / "out").exists()
    calls = []
    align(
        lists,
        tmp_path / "out",
        tolerance_um=50,
        max_rotation_deg=1,
        progress=lambda *c: calls.append(c),
    )
    assert {"alignment.json", "alignment.html"} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert calls == [("Aligning", 1, 2)] * 2


def test_what_cannot_be_aligned_is_named(lists, walked, tmp_path):
    with pytest.raises(BadInput, match=r"align: expected a file of pits, found 'none\.csv'"):
        align(["none.csv"])
    with pytest.raises(BadInput, match="name of the alignment: expected a name, or a folder"):
        walked.store.align(lists)
    with pytest.raises(BadInput, match="name of the alignment: expected letters"):
        walked.store.align(lists, name="a/b")
    store = es.open(tmp_path / "store", create=True)
    store.add(walked.folder)
    with pytest.raises(NotSearched, match="expected a finished run, found none"):
        store.align([walked.name], name="one")
