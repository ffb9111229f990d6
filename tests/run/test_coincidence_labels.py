import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.geometry import Similarity
from etchscope.run.alignments import save_alignment
from etchscope.run.coincidence_labels import label_from_coincidence


def test_labels_stand_where_the_other_foils_agree(tmp_path, stack, store_of_d, places):
    save_alignment(tmp_path / "out", stack)
    done = label_from_coincidence(store_of_d, tmp_path / "out", "d", most_p=0.5)
    labels = store_of_d.labels.table(foil="d")
    assert done.places == pytest.approx(120, abs=2)
    assert done.added == len(labels) == done.places - done.outside
    assert 0 < done.outside < done.places
    assert set(labels["source"]) == {"coincidence"}
    assert set(labels["class"]) == {"hip"}
    assert labels["note"].str.fullmatch(r"p_accidental [\d.e-]+; shown by a, b").all()
    way = Similarity(0.02, shift_x=0.1, shift_y=-0.05)
    near = np.abs(labels[["x_mm"]].to_numpy() - way.apply(places)[:, 0]).min(axis=1)
    assert near.max() < 0.05
    again = label_from_coincidence(store_of_d, tmp_path / "out", "d", most_p=0.5)
    assert (again.added, again.known) == (0, len(labels))


def test_who_cannot_be_labelled(tmp_path, stack, store_of_d):
    save_alignment(tmp_path / "out", stack)
    with pytest.raises(BadInput, match="one of a, b, d, found 'e'"):
        label_from_coincidence(store_of_d, tmp_path / "out", "e")
    with pytest.raises(BadInput, match=r"one of the store's foils \(d\)"):
        label_from_coincidence(store_of_d, tmp_path / "out", "a")
    assert len(store_of_d.labels.table(latest=False)) == 0
