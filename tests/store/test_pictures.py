import hashlib

import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.store import shards
from etchscope.store.pictures import PictureArray, pixel_digest
from etchscope.store.shards import SHARD_TILES


def test_a_tile_is_a_chunk_and_a_batch_a_file(tmp_path, make_scan):
    made = make_scan(tiles=11)
    array = PictureArray.create(tmp_path / "a.zarr", made.scan)
    assert array.shape == (11, 3, 12, 16)
    assert array.shards == [range(8), range(8, 11)]
    for shard in array.shards:
        array.write(shard, made.pixels[shard.start : shard.stop])
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert files == [
        "a.zarr/0/c/0/0/0/0",
        "a.zarr/0/c/1/0/0/0",
        "a.zarr/0/zarr.json",
        "a.zarr/zarr.json",
    ]
    again = PictureArray(tmp_path / "a.zarr")
    for place in range(11):
        np.testing.assert_array_equal(again.read(place), made.pixels[place])


def test_large_tiles_make_smaller_batches(tmp_path, make_scan, monkeypatch):
    made = make_scan(tiles=5)
    monkeypatch.setattr(shards, "_SHARD_BYTES", 2 * 3 * 12 * 16 + 5)
    array = PictureArray.create(tmp_path / "a.zarr", made.scan)
    assert array.shards == [range(2), range(2, 4), range(4, 5)]
    assert SHARD_TILES == 8


def test_black_tiles_are_stored_and_a_missing_file_is_no_black_tile(tmp_path, make_scan):
    array = PictureArray.create(tmp_path / "a.zarr", make_scan(tiles=2).scan)
    array.write(range(2), np.zeros((2, 3, 12, 16), "u1"))
    assert not array.read(1).any()
    array.shard_file(1).unlink()
    with pytest.raises(BadInput, match="expected an intact shard, found no file"):
        array.read(1)


def test_erasing_keeps_the_neighbours(tmp_path, make_scan):
    made = make_scan(tiles=11)
    array = PictureArray.create(tmp_path / "a.zarr", made.scan)
    for shard in array.shards:
        array.write(shard, made.pixels[shard.start : shard.stop])
    before = array.shard_file(9).read_bytes()
    array.erase([0, 3])
    assert array.shard_file(9).read_bytes() == before
    for place in range(11):
        expected = made.pixels[place] * (place not in (0, 3))
        np.testing.assert_array_equal(array.read(place), expected)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_no_array_is_one_error(tmp_path):
    with pytest.raises(BadInput, match="expected an intact metadata"):
        PictureArray(tmp_path / "none.zarr")


def test_the_digest_is_of_little_endian_rows():
    pixels = np.arange(6, dtype=">u2").reshape(2, 3)
    expected = hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest()
    assert pixel_digest(pixels) == expected == pixel_digest(np.asfortranarray(pixels))
    assert pixel_digest(np.zeros((2, 2), "u1")) != pixel_digest(np.zeros((2, 2), "u2"))
