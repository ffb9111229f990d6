import pytest

from etchscope.api import train_finder
from etchscope.foil import BadInput


def test_a_finder_to_begin_with_is_a_folder(tmp_path):
    with pytest.raises(BadInput, match="finder to begin with: expected the folder of a finder's"):
        train_finder(tmp_path / "a", tmp_path / "b", start=tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
