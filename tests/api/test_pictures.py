import pytest

from etchscope.api import opened_paths
from etchscope.foil import BadInput


def test_pictures_make_a_store_that_is_gone_afterwards(walked):
    with opened_paths(walked.folder, scan="mine") as store:
        path = store.path
        assert store.scans()["scan"].tolist() == ["mine"]
        assert path.is_dir()
    assert not path.exists()


def test_a_store_is_taken_as_it_is(walked):
    with opened_paths(walked.store.path) as store:
        assert store.path == walked.store.path
    with (
        pytest.raises(BadInput, match="expected no option about pictures, found a store"),
        opened_paths(walked.store.path, rows=3),
    ):
        pass


def test_a_mask_cannot_be_given_and_forgotten(walked, tmp_path):
    with (
        pytest.raises(BadInput, match="forget_mask: expected no mask beside it"),
        opened_paths(walked.folder, mask=tmp_path / "mask.json", forget_mask=True),
    ):
        pass
