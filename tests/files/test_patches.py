import numpy as np
import pytest

from etchscope.files.patches import PATCH_ARRAYS, read_patches, write_patches
from etchscope.foil import BadInput

LENGTHS = {"patch": 4, "find": 3, "channel": 2, "y": 5, "x": 5, "lamp": 1, "scan": 2}


@pytest.fixture
def arrays():
    """Two scans' patches, every value another one."""
    rng = np.random.default_rng(0)
    out = {}
    for array in PATCH_ARRAYS:
        shape = tuple(LENGTHS.get(axis, 0) for axis in array.axes)
        values = rng.integers(1, 1000, shape)
        out[array.name] = values.astype(str if array.dtype == "str" else array.dtype)
    return out | {"size": np.array(5)}


def test_patches_come_back_as_they_were_written(tmp_path, arrays):
    path = tmp_path / "patches.npz"
    write_patches(path, arrays)
    assert [p.name for p in tmp_path.iterdir()] == ["patches.npz"]
    back = read_patches(path)
    assert list(back) == [array.name for array in PATCH_ARRAYS]
    for name, values in arrays.items():
        np.testing.assert_array_equal(back[name], values)
        assert back[name].dtype == values.dtype


def test_numpy_reads_them_without_running_code(tmp_path, arrays):
    write_patches(tmp_path / "patches.npz", arrays)
    with np.load(tmp_path / "patches.npz", allow_pickle=False) as file:
        assert set(file.files) == set(arrays)
        assert file["patches"].shape == (4, 2, 5, 5)


def test_equal_arrays_give_equal_bytes(tmp_path, arrays):
    write_patches(tmp_path / "a.npz", arrays)
    write_patches(tmp_path / "b.npz", dict(reversed(arrays.items())))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_further_arrays_are_left_out_and_unknown_values_stay(tmp_path, arrays):
    arrays["density_per_mm2"][1] = np.nan
    np.savez(tmp_path / "more.npz", mine=np.arange(3), **arrays)
    back = read_patches(tmp_path / "more.npz")
    assert "mine" not in back
    assert np.isnan(back["density_per_mm2"]).tolist() == [False, True, False, False]


def _with(name, change):
    return lambda arrays: arrays | {name: change(arrays[name])}


def _nan(values):
    values = values.copy()
    values.flat[1] = np.nan
    return values


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a: {k: v for k, v in a.items() if k != "id"}, r"npz: expected an array id, found"),
        (_with("patches", np.float64), "npz: patches: expected dtype float32, found dtype float64"),
        (_with("label", lambda v: v.astype(int)), "label: expected dtype str, found dtype int64"),
        (_with("tile", lambda v: v.astype(np.int32)), "tile: expected dtype int64, found dtype"),
        (_with("patches", lambda v: v[0]), r"expected shape \(patch, channel, y, x\), found shape"),
        (_with("label", lambda v: v[:3]), r"label: expected shape \(4\), found shape \(3,\)"),
        (_with("context", lambda v: v[:, :1]), r"expected shape \(find, 2, 5, 5\), found shape \("),
        (_with("context", lambda v: v[:0]), r"expected shape \(find, 2, 5, 5\), found shape \(0,"),
        (_with("patches", _nan), "npz: patches: expected finite values, found nan"),
        (_with("weight", _nan), "npz: weight: expected finite values, found nan"),
        (_with("pixel_size_um", lambda v: v / 0), "pixel_size_um: expected finite values, found i"),
        (_with("size", lambda v: v + 1), "patches: expected 6 × 6 px, as size says, found 5 × 5"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_arrays_that_cannot_be_are_refused(tmp_path, arrays, change, text):
    np.savez(tmp_path / "patches.npz", **change(arrays))
    with pytest.raises(BadInput, match=text):
        read_patches(tmp_path / "patches.npz")
    with pytest.raises(BadInput, match=text):
        write_patches(tmp_path / "other.npz", change(arrays))
    assert not (tmp_path / "other.npz").exists()


def test_objects_are_refused_and_nothing_of_them_is_run(tmp_path, arrays):
    label = np.array([None] * 4, object)
    np.savez(tmp_path / "patches.npz", **(arrays | {"label": label}))
    text = "expected an intact .npz file of NumPy arrays, found Object arrays cannot be loaded"
    with pytest.raises(BadInput, match=text):
        read_patches(tmp_path / "patches.npz")


def test_files_that_are_no_patches_are_refused(tmp_path, arrays):
    path = tmp_path / "patches.npz"
    text = "patches.npz: expected an intact .npz file of NumPy arrays, found"
    with pytest.raises(BadInput, match=f"{text} No such file"):
        read_patches(path)
    path.write_bytes(b"class,x_px\n")
    with pytest.raises(BadInput, match=text):
        read_patches(path)
    with path.open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(BadInput, match=f"{text} a single array"):
        read_patches(path)
    write_patches(path, arrays)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=text):
        read_patches(path)
    flipped = bytearray(whole)
    flipped[whole.index(b"NUMPY") + 400] ^= 255
    path.write_bytes(flipped)
    with pytest.raises(BadInput, match=text):
        read_patches(path)


def test_a_file_is_written_only_where_it_can_be(tmp_path, arrays):
    with pytest.raises(BadInput, match=r"expected a name that ends in \.npz, found '.csv'"):
        write_patches(tmp_path / "patches.csv", arrays)
    with pytest.raises(BadInput, match="expected an existing folder, found no folder"):
        write_patches(tmp_path / "none" / "patches.npz", arrays)
