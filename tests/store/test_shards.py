import tracemalloc

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from etchscope.store import shards
from etchscope.store.pictures import PictureArray
from etchscope.store.shards import MOST_SHARDS, shard_tiles

TILE_BYTES = 640 * 480 * 8


def test_shards_grow_with_the_scan():
    assert [shard_tiles(n, TILE_BYTES) for n in (1, 100, 8 * MOST_SHARDS)] == [8, 8, 8]
    for count in (8 * MOST_SHARDS + 1, 10**6, 4 * 10**6):
        size = shard_tiles(count, TILE_BYTES)
        assert size in (16, 64, 256)
        assert count / size <= MOST_SHARDS < 2 * count / size


def test_shards_of_large_tiles_are_small_in_small_scans_and_bounded_in_large_ones():
    assert [shard_tiles(100, mb * 2**20) for mb in (7, 10, 30, 64, 200)] == [8, 6, 2, 1, 1]
    assert [shard_tiles(10**7, mb * 2**20) for mb in (1, 2, 10, 30, 2000)] == [
        1024,
        512,
        102,
        34,
        1,
    ]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_shard_has_the_bytes_that_zarr_writes(tmp_path, make_scan, dtype):
    made = make_scan(tiles=11, dtype=dtype)
    made.pixels[4] = 0  # a chunk of zeros is written too
    array = PictureArray.create(tmp_path / "a.zarr", made.scan)
    other = zarr.create_array(
        str(tmp_path / "other"),
        shape=array.shape,
        chunks=(1, *array.shape[1:]),
        shards=(8, *array.shape[1:]),
        dtype=dtype,
        compressors=(
            BloscCodec(
                cname="lz4", clevel=5, shuffle="bitshuffle", typesize=np.dtype(dtype).itemsize
            ),
            Crc32cCodec(),
        ),
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    for places in array.shards:
        tiles = made.pixels[places.start : places.stop]
        array.write(places, iter(tiles))
        other[places.start : places.stop] = tiles
    for place in (0, 8):
        file = array.shard_file(place)
        copy = tmp_path / "other" / file.relative_to(array.folder)
        assert file.read_bytes() == copy.read_bytes()


def test_a_large_shard_is_written_and_read_tile_by_tile(tmp_path, make_scan, monkeypatch):
    monkeypatch.setattr(shards, "MOST_SHARDS", 1)
    scan = make_scan(tiles=100).scan.model_copy(update={"image_size": (128, 256)})
    pixels = np.random.default_rng(0).integers(0, 255, (100, 3, 128, 256), "u1")
    array = PictureArray.create(tmp_path / "a.zarr", scan)
    assert (array.shards, array.shard_tiles) == ([range(100)], 128)
    array.write(range(2), pixels[:2])  # what is loaded at first is not counted
    tile_bytes = pixels[0].nbytes
    tracemalloc.start()
    array.write(range(100), (pixels[i] for i in range(100)))
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    begun = tracemalloc.get_traced_memory()[0]
    for tile, expected in zip(array.read_many(range(100)), pixels, strict=True):
        np.testing.assert_array_equal(tile, expected)
    read = tracemalloc.get_traced_memory()[1] - begun
    tracemalloc.stop()
    assert written < 10 * tile_bytes
    assert read < 60 * tile_bytes
