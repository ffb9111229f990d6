"""Pictures of a scan: one Zarr array (tile, channel, y, x), a chunk per tile, tiles in shards.

The array lies in an OME-Zarr group, as ``0``; earlier versions had no group, and their arrays are
read as well.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from etchscope.files.atomic import delete, link_tree, sync_tree
from etchscope.foil import BadInput, DamagedFile, Scan
from etchscope.foil.types import RawStack
from etchscope.store.ome import AXES, describe_scan, display_windows, sample_places
from etchscope.store.places import (
    META_FILE,
    Place,
    named_errors,
    read_json_file,
    replacing,
    write_whole,
    writing,
    zarr_store,
)
from etchscope.store.shards import SHARD_TILES, shard_tiles, write_shard

__all__ = ["PictureArray", "digest_metadata", "pixel_digest"]

# Measured on noisy 8-bit pictures (sigma 2.5), 640×480×8, one of two busy cores; size is of the
# raw bytes, read is the whole Zarr path, decode the codec alone:
#   lz4  bitshuffle 5   size 0.67   read 2.9 ms   decode 1.4 ms   write 12 ms
#   lz4  shuffle    5   size 1.00   read 1.7 ms   decode 0.2 ms   write  8 ms  (stored, not packed)
#   zstd bitshuffle 5   size 0.61   read 3.8 ms   decode 1.9 ms   write 14 ms
#   zstd shuffle    1   size 0.60   read 3.5 ms   decode 1.7 ms   write 11 ms
#   zstd shuffle    5   size 0.57   read 5.1 ms   decode 3.7 ms   write 44 ms
_CODEC = {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle"}

_FLAT_CODEC = {"cname": "zstd", "clevel": 5, "shuffle": "shuffle"}
"""For tiles with flat ground, of which LZ4 makes four times as many bytes; it is read as fast."""

# A black tile, or one that was left out, is stored too, so that a missing file is always damage.
_STORE_EMPTY: Any = {"write_empty_chunks": True}


def pixel_digest(picture: "np.ndarray[Any, Any]") -> str:
    """Return the SHA-256 of decoded pixels, row by row, little-endian.

    Parameters
    ----------
    picture : (y, x) uint8 or uint16.
    """
    little = picture.astype(picture.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(np.ascontiguousarray(little).data).hexdigest()


def _read_meta(path: Place) -> dict[str, Any]:
    try:
        meta = read_json_file(path / META_FILE)
    except BadInput as error:
        raise _damaged(path, "metadata", error) from error
    if not isinstance(meta, dict):
        raise _damaged(path, "metadata", "no JSON object")
    return meta


def _array_folder(path: Place) -> Place:
    """Return where the array of a scan's pictures lies: in their group, or where the group would.

    Raises
    ------
    DamagedFile : there are no pictures, or their metadata cannot be read.
    """
    return path / "0" if _read_meta(path).get("node_type") == "group" else path


def digest_metadata(path: Place) -> str:
    """Return the SHA-256 of what the array says of itself.

    Raises
    ------
    DamagedFile : there are no pictures, or their metadata cannot be read.
    """
    file = _array_folder(path) / META_FILE
    if not file.is_file():
        raise _damaged(file, "metadata", "no file")
    return hashlib.sha256(file.read_bytes()).hexdigest()


class PictureArray:
    """One scan's pictures on disk or on an object store; reads are safe from any thread.

    Each method raises ``MachineFailed`` where an object store cannot be reached.

    Parameters
    ----------
    path : place of the pictures, ``{scan}.zarr``.

    Raises
    ------
    BadInput : the place is missing or its metadata cannot be read.
    """

    def __init__(self, path: Place) -> None:
        import zarr  # here, because lists of scans and labels do not need it

        self.path = path
        self.folder = _array_folder(path)
        try:
            with named_errors(path):
                opened = zarr.open_array(zarr_store(self.folder), mode="r+", zarr_format=3)
            self._array: Any = opened.with_config(_STORE_EMPTY)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, "metadata", error) from error

    @classmethod
    def create(cls, path: Place, scan: Scan) -> "PictureArray":
        """Make an array for all tiles of a scan; every chunk is still to be written.

        ``describe`` says to other programs what it holds, once it does.
        """
        import zarr

        shape = (len(scan.tiles), len(scan.channels), *scan.image_size)
        tile_bytes = int(np.prod(shape[1:])) * np.dtype(scan.dtype).itemsize
        batch = shard_tiles(len(scan.tiles), tile_bytes)
        _write_group(path, {})
        with named_errors(path):
            zarr.create_array(
                zarr_store(path / "0"),
                shape=shape,
                chunks=(1, *shape[1:]),
                shards=(batch, *shape[1:]),
                dtype=scan.dtype,
                compressors=_codecs(_CODEC, scan.dtype),
                fill_value=0,
                dimension_names=AXES,
            )
        return cls(path)

    @property
    def shape(self) -> tuple[int, ...]:
        """(tiles, channels, height, width)."""
        return tuple(self._array.shape)

    @property
    def dtype(self) -> str:
        """uint8 or uint16."""
        return str(self._array.dtype)

    @property
    def shard_tiles(self) -> int:
        """The number of tiles of a shard; the last one may have fewer."""
        return int(self._array.shards[0])

    @property
    def shards(self) -> list[range]:
        """The tile places of each shard."""
        tiles, batch = self.shape[0], self.shard_tiles
        return [range(i, min(i + batch, tiles)) for i in range(0, tiles, batch)]

    def shard_file(self, place: int) -> Place:
        """Return the file that holds one tile."""
        return self.folder / f"c/{place // self.shard_tiles}/0/0/0"

    def read(self, place: int) -> RawStack:
        """Return one tile, (channel, y, x).

        Raises
        ------
        BadInput : the shard is missing or damaged.
        """
        tile: RawStack = self._read(slice(place, place + 1))[0]
        return tile

    def _read(self, places: slice) -> RawStack:
        """Return neighbouring tiles of one shard, (tile, channel, y, x)."""
        shard = self.shard_file(places.start)
        if not shard.is_file():  # Zarr would answer with zeros
            raise _damaged(shard, "shard", "no file")
        try:
            with named_errors(shard):
                return np.asarray(self._array[places])
        except (OSError, ValueError, RuntimeError) as error:
            raise _damaged(shard, "shard", error) from error

    def read_many(self, places: Sequence[int]) -> Iterator[RawStack]:
        """Yield tiles, (channel, y, x); up to eight neighbours in one shard are read together.

        Raises
        ------
        BadInput : a shard is missing or damaged.
        """
        batch = self.shard_tiles
        at = 0
        while at < len(places):
            end = at + 1
            while (
                end < min(at + SHARD_TILES, len(places))
                and places[end] == places[end - 1] + 1
                and places[end] // batch == places[at] // batch
            ):
                end += 1
            yield from self._read(slice(places[at], places[end - 1] + 1))
            at = end

    def write(self, places: range, tiles: Iterable[RawStack]) -> None:
        """Write one whole shard, of which one tile is held at a time.

        Parameters
        ----------
        places : one of ``shards``.
        tiles : (channel, y, x) each.
        """
        with writing(self.shard_file(places.start)) as file:
            self.pack(file, tiles)

    def erase(self, places: Iterable[int]) -> None:
        """Overwrite tiles with zeros, one shard at a time, each replaced as a whole.

        Raises
        ------
        BadInput : a shard is damaged and cannot be rewritten.
        """
        gone = set(places)
        for shard in self.shards:
            if gone.intersection(shard):
                kept = (self.read(p) * np.array(p not in gone, self.dtype) for p in shard)
                self.replace(shard, kept)

    def replace(self, places: range, tiles: Iterable[RawStack], *, are_flat: bool = False) -> None:
        """Replace one whole shard, or leave it as it is where a tile raises an error.

        Parameters
        ----------
        places : one of ``shards``.
        tiles : (channel, y, x) each.
        are_flat : pack them as pictures with flat ground.
        """
        with replacing(self.shard_file(places.start), of=self.path) as file:
            self.pack(file, tiles, are_flat=are_flat)

    def pack(self, file: BinaryIO, tiles: Iterable[RawStack], *, are_flat: bool = False) -> None:
        """Write the bytes of one whole shard into a file, of which one tile is held at a time."""
        codecs = _codecs(_FLAT_CODEC, self.dtype) if are_flat else None
        shape, array = self.shape[1:], self._array
        write_shard(file, tiles, size=self.shard_tiles, shape=shape, array=array, codecs=codecs)

    @property
    def is_of_earlier_version(self) -> bool:
        """Whether the array lies in no group, so that it has no description."""
        return self.folder == self.path

    def is_described(
        self, scan: Scan, places: Mapping[int, int], *, is_compressed: bool = False
    ) -> bool:
        """Return whether the group has the metadata that ``describe`` writes.

        Parameters
        ----------
        is_compressed : the grey levels of the display are those of the pictures as they were
            added, so that any pass.
        """
        if self.is_of_earlier_version:
            return False
        found, expected = _read_meta(self.path).get("attributes"), self._description(scan, places)
        if is_compressed:
            found, expected = _without_windows(found), _without_windows(expected)
        return bool(found == expected)

    def describe(self, scan: Scan, places: Mapping[int, int]) -> None:
        """Write OME-Zarr metadata for other programs; an array that lies in no group gets one.

        No pixels are copied where the file system has hard links. A kill at any moment leaves an
        array that is read as before.

        Parameters
        ----------
        scan : as it is in the catalogue.
        places : tile number → index in the array.

        Raises
        ------
        BadInput : a shard is missing or damaged.
        MachineFailed : the disk is full.
        """
        description = self._description(scan, places)
        if isinstance(self.path, Path) and self.is_of_earlier_version:
            self.folder = self.path / "0"
            delete(self.folder)  # what a kill left
            link_tree(self.path / "c", self.folder / "c")
            link_tree(self.path / META_FILE, self.folder / META_FILE)
            sync_tree(self.folder)
        _write_group(self.path, description)
        if isinstance(self.path, Path):
            delete(self.path / "c")

    def _description(self, scan: Scan, places: Mapping[int, int]) -> dict[str, Any]:
        windows = display_windows([self.read(place) for place in sample_places(scan, places)])
        return describe_scan(scan, places, windows, self.shape[0])


def _codecs(blosc: Mapping[str, Any], dtype: str) -> tuple[Any, ...]:
    """Return how chunks are packed; the checksum finds a flipped bit on every read, for 0.1 ms."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    return BloscCodec(**blosc, typesize=np.dtype(dtype).itemsize), Crc32cCodec()


def _without_windows(attributes: Any) -> Any:
    """Return the attributes of a group without the grey levels that a viewer shows."""
    try:
        channels = attributes["ome"]["omero"]["channels"]
        levels = [{"start", "end"} <= c.pop("window").keys() for c in channels]
    except (KeyError, TypeError, AttributeError):
        return None
    return attributes if all(levels) else None


def _write_group(path: Place, attributes: Mapping[str, Any]) -> None:
    """Write the metadata of the group, which holds the array from this moment on."""
    meta = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    text = json.dumps(meta, indent=1, allow_nan=False) + "\n"
    write_whole(path / META_FILE, text.encode())


def _damaged(where: Place, what: str, error: object) -> BadInput:
    return DamagedFile(str(where), f"an intact {what}", f"{error}")
