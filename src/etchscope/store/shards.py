"""Shards of a scan's pictures: how many tiles a file holds, and how it is written tile by tile.

Zarr itself packs a shard in memory, twice: its pixels, and its chunks before they are joined
(zarr-python has no partial writes of shards). A shard of hundreds of tiles would take gigabytes in
each thread that writes.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO

import numpy as np

from etchscope.foil.types import RawStack

__all__ = ["MOST_SHARDS", "SHARD_TILES", "shard_tiles", "write_shard"]

SHARD_TILES = 8
"""Tiles of a shard, and of a read: 20 MB of 640×480×8 tiles, which one worker holds at a time."""
MOST_SHARDS = 16_384
"""Shards of a scan above which they become larger, so that folders and backups stay quick."""
_SHARD_BYTES = 64 * 2**20
_LARGE_SHARD_BYTES = 2**30
"""Largest shard of a large scan, in pixels: to erase one of its tiles is to write all of it."""
_NONE = 2**64 - 1
"""Place and size of a chunk that a shard does not have, as Zarr writes them."""


def shard_tiles(count: int, tile_bytes: int) -> int:
    """Return how many tiles a shard holds.

    Parameters
    ----------
    count : number of tiles of the scan.
    tile_bytes : of the pixels of one tile.

    Examples
    --------
    >>> [shard_tiles(count, 2_457_600) for count in (1, 131_072, 131_073, 4_000_000)]
    [8, 8, 16, 256]
    """
    usual = max(1, min(SHARD_TILES, _SHARD_BYTES // tile_bytes))
    wanted = SHARD_TILES
    while count > wanted * MOST_SHARDS:
        wanted *= 2
    if wanted == SHARD_TILES:
        return usual
    return max(usual, min(wanted, _LARGE_SHARD_BYTES // tile_bytes))


def write_shard(
    file: BinaryIO,
    tiles: Iterable[RawStack],
    *,
    size: int,
    shape: Sequence[int],
    array: Any,
    codecs: Sequence[Any] | None = None,
) -> None:
    """Write one shard into an empty file, as Zarr would, but hold one tile at a time.

    Parameters
    ----------
    tiles : the pictures of the shard, (channel, y, x) each; fewer than ``size`` in the last shard.
    size : tiles that a shard holds.
    shape : of a tile.
    array : Zarr array that the file becomes a part of.
    codecs : those of the array unless given. Other settings of Blosc are read alike, since they
        stand in each chunk.
    """
    from zarr.codecs import Crc32cCodec

    pack = _packer(tuple(shape), array.dtype, codecs or array.compressors)
    index = np.full((size, 2), _NONE, np.uint64)
    for place, tile in enumerate(tiles):
        chunk = pack(tile)
        index[place] = file.tell(), len(chunk)
        file.write(chunk)
    file.write(_packer(index.shape, index.dtype, (Crc32cCodec(),))(index))


def _packer(shape: tuple[int, ...], dtype: Any, codecs: Any) -> "Callable[[Any], bytes]":
    """Return a function that packs an array as Zarr packs a chunk."""
    import zarr

    kept: dict[str, Any] = {}
    chunk: Any = zarr.create_array(
        kept,
        shape=shape,
        chunks=shape,
        dtype=dtype,
        compressors=codecs,
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    key = "/".join(["c", *("0" for _ in shape)])

    def pack(values: Any) -> bytes:
        chunk[...] = values
        packed: bytes = kept[key].to_bytes()
        return packed

    return pack
