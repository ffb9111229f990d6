import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.store.array_parts import (
    TRAINING_FOLDER,
    drop_training,
    read_array_part,
    read_part_records,
    training_folder,
    write_array_part,
)

ARRAYS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7)}


def test_a_part_comes_back_as_it_was_written(tmp_path):
    folder = training_folder(tmp_path, "first")
    assert read_part_records(folder) == {}
    write_array_part(folder, 3, ARRAYS, {"fold": 1, "loss": [0.1, 1e-30]})
    write_array_part(folder, 11, {}, {"fold": 2})
    assert read_part_records(folder) == {3: {"fold": 1, "loss": [0.1, 1e-30]}, 11: {"fold": 2}}
    arrays, record = read_array_part(folder, 3)
    assert record == {"fold": 1, "loss": [0.1, 1e-30]}
    assert set(arrays) == {"w", "n"}
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_a_later_part_takes_the_place_of_an_earlier_one(tmp_path):
    write_array_part(tmp_path, 0, ARRAYS, {"fold": 1})
    write_array_part(tmp_path, 0, {}, {"fold": 2})
    assert read_array_part(tmp_path, 0) == ({}, {"fold": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["part-00000.safetensors"]


def test_other_files_are_passed_over(tmp_path):
    write_array_part(tmp_path, 0, ARRAYS, {"fold": 1})
    (tmp_path / ".part-00001.safetensors.7-7.aside").write_bytes(b"half of it")
    assert set(read_part_records(tmp_path)) == {0}


@pytest.mark.parametrize("content", [b"", b"half of it", (8).to_bytes(8, "little") + b"{}      "])
def test_a_damaged_part_is_named(tmp_path, content):
    (tmp_path / "part-00002.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match=r"part-00002\.safetensors: .*Delete the file; its part"):
        read_part_records(tmp_path)


def test_the_parts_of_one_training_are_dropped_and_others_stay(tmp_path):
    for name in ("first", "second"):
        write_array_part(training_folder(tmp_path, name), 0, ARRAYS, {})
    drop_training(tmp_path, "first")
    assert [p.name for p in (tmp_path / TRAINING_FOLDER).iterdir()] == ["second"]
    drop_training(tmp_path, "second")
    assert list(tmp_path.iterdir()) == []
    drop_training(tmp_path, "third")
