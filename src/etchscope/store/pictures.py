"""Pictures of a scan: one Zarr array (tile, channel, y, x), a chunk per tile, tiles in shards.

The array lies in an OME-Zarr group, as ``0``; earlier versions had no group, and their arrays are
read as well.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from etchscope.files.atomic import delete, link_tree, sync_path, sync_tree, write_aside
from etchscope.files.strict_json import read_json
from etchscope.foil import BadInput, DamagedFile, Scan
from etchscope.foil.types import RawStack
from etchscope.store.ome import AXES, describe_scan, display_windows, sample_places
from etchscope.store.shards import SHARD_TILES, shard_tiles, write_shard

__all__ = ["META_FILE", "PictureArray", "array_folder", "pixel_digest"]

META_FILE = "zarr.json"
"""The file of a Zarr array or group that says what it is."""

# Measured on noisy 8-bit pictures (sigma 2.5), 640×480×8, one of two busy cores; size is of the
# raw bytes, read is the whole Zarr path, decode the codec alone:
#   lz4  bitshuffle 5   size 0.67   read 2.9 ms   decode 1.4 ms   write 12 ms
#   lz4  shuffle    5   size 1.00   read 1.7 ms   decode 0.2 ms   write  8 ms  (stored, not packed)
#   zstd bitshuffle 5   size 0.61   read 3.8 ms   decode 1.9 ms   write 14 ms
#   zstd shuffle    1   size 0.60   read 3.5 ms   decode 1.7 ms   write 11 ms
#   zstd shuffle    5   size 0.57   read 5.1 ms   decode 3.7 ms   write 44 ms
_CODEC = {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle"}

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


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = read_json(path / META_FILE)
    except BadInput as error:
        raise _damaged(path, "metadata", error) from error
    if not isinstance(meta, dict):
        raise _damaged(path, "metadata", "no JSON object")
    return meta


def array_folder(path: Path) -> Path:
    """Return where the array of a scan's pictures lies: in their group, or where the group would.

    Raises
    ------
    DamagedFile : there are no pictures, or their metadata cannot be read.
    """
    return path / "0" if _read_meta(path).get("node_type") == "group" else path


class PictureArray:
    """One scan's pictures on disk; reads are safe from any thread.

    Parameters
    ----------
    path : folder of the pictures, ``{scan}.zarr``.

    Raises
    ------
    BadInput : the folder is missing or its metadata cannot be read.
    """

    def __init__(self, path: Path) -> None:
        import zarr  # here, because lists of scans and labels do not need it

        self.path = path
        self.folder = array_folder(path)
        try:
            opened = zarr.open_array(str(self.folder), mode="r+", zarr_format=3)
            self._array: Any = opened.with_config(_STORE_EMPTY)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, "metadata", error) from error

    @classmethod
    def create(cls, path: Path, scan: Scan) -> "PictureArray":
        """Make an array for all tiles of a scan; every chunk is still to be written.

        ``describe`` says to other programs what it holds, once it does.
        """
        import zarr
        from zarr.codecs import BloscCodec, Crc32cCodec

        shape = (len(scan.tiles), len(scan.channels), *scan.image_size)
        tile_bytes = int(np.prod(shape[1:])) * np.dtype(scan.dtype).itemsize
        batch = shard_tiles(len(scan.tiles), tile_bytes)
        path.mkdir()
        _write_group(path, {})
        zarr.create_array(
            str(path / "0"),
            shape=shape,
            chunks=(1, *shape[1:]),
            shards=(batch, *shape[1:]),
            dtype=scan.dtype,
            # The checksum finds a flipped bit on every read, for 0.1 ms.
            compressors=(
                BloscCodec(**_CODEC, typesize=np.dtype(scan.dtype).itemsize),  # type: ignore[arg-type]
                Crc32cCodec(),
            ),
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

    def shard_file(self, place: int) -> Path:
        """Return the file that holds one tile."""
        return self.folder / "c" / str(place // self.shard_tiles) / "0/0/0"

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
        size, shape, file = self.shard_tiles, self.shape[1:], self.shard_file(places.start)
        write_shard(file, tiles, size=size, shape=shape, array=self._array)

    def erase(self, places: Iterable[int]) -> None:
        """Overwrite tiles with zeros, one shard at a time, each written aside and then replaced.

        Raises
        ------
        BadInput : a shard is damaged and cannot be rewritten.
        """
        aside = self.path.with_name(f".{self.path.name}.erase")
        gone = set(places)
        try:
            for shard in self.shards:
                if not gone.intersection(shard):
                    continue
                delete(aside)
                copy = PictureArray._like(self, aside)
                kept = (self.read(p) * np.array(p not in gone, self.dtype) for p in shard)
                copy.write(shard, kept)
                new, old = copy.shard_file(shard.start), self.shard_file(shard.start)
                sync_path(new)
                new.replace(old)
                sync_path(old.parent)
        finally:
            delete(aside)

    def _like(self, path: Path) -> "PictureArray":
        path.mkdir()
        (path / META_FILE).write_bytes((self.folder / META_FILE).read_bytes())
        return PictureArray(path)

    @property
    def is_of_earlier_version(self) -> bool:
        """Whether the array lies in no group, so that it has no description."""
        return self.folder == self.path

    def is_described(self, scan: Scan, places: Mapping[int, int]) -> bool:
        """Return whether the group has the metadata that ``describe`` writes."""
        if self.is_of_earlier_version:
            return False
        return bool(_read_meta(self.path).get("attributes") == self._description(scan, places))

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
        if self.is_of_earlier_version:
            self.folder = self.path / "0"
            delete(self.folder)  # what a kill left
            link_tree(self.path / "c", self.folder / "c")
            link_tree(self.path / META_FILE, self.folder / META_FILE)
            sync_tree(self.folder)
        _write_group(self.path, description)
        delete(self.path / "c")

    def _description(self, scan: Scan, places: Mapping[int, int]) -> dict[str, Any]:
        windows = display_windows([self.read(place) for place in sample_places(scan, places)])
        return describe_scan(scan, places, windows, self.shape[0])


def _write_group(path: Path, attributes: Mapping[str, Any]) -> None:
    """Write the metadata of the group, which holds the array from this moment on."""
    meta = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    with write_aside(path / META_FILE) as aside:
        aside.write_text(json.dumps(meta, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _damaged(where: Path, what: str, error: object) -> BadInput:
    return DamagedFile(where, f"an intact {what}", f"{error}")
