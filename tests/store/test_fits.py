import io
import time

import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.store.fits import arrays_from_npz, arrays_to_npz


def test_the_bytes_depend_on_names_and_values_only(monkeypatch):
    arrays = {"b": np.arange(3), "a": np.asfortranarray(np.ones((2, 3)))}
    first = arrays_to_npz(arrays)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    again = {"a": np.ones((2, 3)), "b": np.arange(3)}
    assert arrays_to_npz(again) == first
    assert arrays_to_npz({"a": np.ones((2, 3)), "c": np.arange(3)}) != first
    with np.load(io.BytesIO(first[0]), allow_pickle=False) as archive:  # NumPy's own format
        assert sorted(archive.files) == ["a", "b"]


def test_a_file_is_read_only_under_its_digest(tmp_path):
    content, digest = arrays_to_npz({"a": np.arange(4.0)})
    path = tmp_path / "fit.npz"
    path.write_bytes(content)
    np.testing.assert_array_equal(arrays_from_npz(path, digest)["a"], [0, 1, 2, 3])
    with pytest.raises(BadInput, match=r"fit\.npz: expected SHA-256 000"):
        arrays_from_npz(path, "0" * 64)
    with pytest.raises(BadInput, match=r"none\.npz: expected the file of a fit, found no file"):
        arrays_from_npz(tmp_path / "none.npz", digest)
