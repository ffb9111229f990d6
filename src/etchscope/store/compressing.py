"""The tiles of a compressed scan: which are as they were added, and how shards are replaced.

A tile is as it was added or compressed, whenever a process is killed, since its two digests are in
the catalogue before a shard is replaced, and shards are replaced as a whole.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.orm import Session

from etchscope.files.atomic import translate_disk_errors
from etchscope.files.inside import path_inside
from etchscope.foil import BadInput, DamagedFile, Scan
from etchscope.foil.machine import make_thread_pool
from etchscope.foil.types import RawStack
from etchscope.store.adding import TileReader
from etchscope.store.catalogue import Catalogue, CompressedTileRow, CompressionRow
from etchscope.store.pictures import PictureArray, pixel_digest
from etchscope.store.places import Place, size_of
from etchscope.store.rows import get_scan, pictures_of, places_of

__all__ = [
    "RESTORE_HINT",
    "KeptPictures",
    "WhiteSpace",
    "compress_shards",
    "compressed_tiles",
    "open_pictures",
    "restore_scan",
    "survey",
    "tile_digest",
]

RESTORE_HINT = "Add the scan again with `etchscope add`, which restores its pictures."
Result = TypeVar("Result")


@dataclass(frozen=True)
class WhiteSpace:
    """How to compress a scan.

    Parameters
    ----------
    run, margin_px : see ``compression.Compression``.
    replace : number of a tile and its (channel, y, x) pixels → the compressed ones and how many
        pixels of one light are kept. Called from threads; the same pixels give the same result.
    workers : number of threads; each holds the pictures of a few tiles.
    progress : called with the number of tiles just done, from any thread; each tile is done twice.
    """

    run: str
    margin_px: float
    replace: Callable[[int, RawStack], tuple[RawStack, int]]
    workers: int = 1
    progress: Callable[[int], None] | None = None


def tile_digest(pixels: RawStack) -> str:
    """Return the SHA-256 of the digests of a tile's pictures, (channel, y, x)."""
    return hashlib.sha256(" ".join(map(pixel_digest, pixels)).encode()).hexdigest()


def compressed_tiles(session: Session, scan: str) -> dict[int, str]:
    """Return tile number → digest of its compressed form, of the tiles that have one."""
    here = CompressedTileRow.scan == scan
    rows = session.execute(select(CompressedTileRow.tile, CompressedTileRow.sha256).where(here))
    return {row.tile: row.sha256 for row in rows}


@dataclass(frozen=True)
class KeptPictures:
    """The pictures of a scan, and what the catalogue says of them.

    Parameters
    ----------
    numbers : place in the array → tile number.
    originals : tile number → SHA-256 of its pictures as they were added, in the order of lights.
    compressed : see ``compressed_tiles``.
    """

    scan: Scan
    array: PictureArray
    numbers: dict[int, int]
    originals: dict[int, tuple[str, ...]]
    compressed: dict[int, str]

    def is_original(self, number: int, pixels: RawStack) -> bool:
        """Return whether the pixels of a tile are as they were added."""
        return tuple(map(pixel_digest, pixels)) == self.originals[number]

    def require_original(self, number: int, pixels: RawStack) -> None:
        """Refuse pixels of a tile that are not as they were added."""
        if not self.is_original(number, pixels):
            where = f"scan {self.scan.name}, tile {number}"
            raise DamagedFile(where, "pictures as they were added", "other pixels")


def open_pictures(catalogue: Catalogue, images: Place, name: str) -> KeptPictures:
    """Return the pictures of a scan with their digests.

    Raises
    ------
    BadInput : no such scan, or its pictures are damaged.
    """
    with catalogue.reading() as session:
        scan = get_scan(session, name)
        by_step: dict[int, dict[int, str]] = {}
        for picture in pictures_of(session, name):
            by_step.setdefault(picture.tile, {})[picture.step] = picture.sha256
        numbers = {place: number for number, place in places_of(session, name).items()}
        compressed = compressed_tiles(session, name)
    steps = [channel.step for channel in scan.channels]
    originals = {n: tuple(of.get(step, "") for step in steps) for n, of in by_step.items()}
    array = PictureArray(path_inside(images, f"{name}.zarr"))
    return KeptPictures(scan, array, numbers, originals, compressed)


def _of_shards(
    shards: Sequence[range], do: Callable[[range], Result], workers: int
) -> list[Result]:
    """Return what a function returns of each shard; the first error in their order is raised."""
    pool = make_thread_pool(workers)
    try:
        return [task.result() for task in [pool.submit(do, shard) for shard in shards]]
    finally:
        pool.shutdown(cancel_futures=True)


class _Counter(io.BytesIO):
    """A file that counts the bytes written to it and keeps none."""

    def __init__(self) -> None:
        self._count = 0

    def write(self, content: Any) -> int:
        self._count += len(content)
        return len(content)

    def tell(self) -> int:
        return self._count


def survey(pictures: KeptPictures, how: WhiteSpace) -> tuple[dict[int, str], int, int]:
    """Return digests of the tiles that would change, how many pixels stay, and the bytes then.

    Raises
    ------
    DamagedFile : a tile is not as it was added.
    """

    def do(shard: range) -> tuple[dict[int, str], int, int]:
        digests, kept = {}, 0

        def tiles() -> Iterator[RawStack]:
            nonlocal kept
            for place in shard:
                pixels, number = pictures.array.read(place), pictures.numbers.get(place)
                if number is not None:
                    pictures.require_original(number, pixels)
                    raw = pixels
                    pixels, kept_px = how.replace(number, raw)
                    kept += kept_px
                    if not np.array_equal(pixels, raw):
                        digests[number] = tile_digest(pixels)
                    _advance(how)
                yield pixels

        file = _Counter()
        pictures.array.pack(file, tiles(), are_flat=True)
        size = file.tell() if digests else size_of(pictures.array.shard_file(shard.start))
        return digests, kept, size

    found = _of_shards(pictures.array.shards, do, how.workers)
    digests = {number: sha for one, _, _ in found for number, sha in one.items()}
    return digests, sum(kept for _, kept, _ in found), sum(size for _, _, size in found)


def compress_shards(pictures: KeptPictures, how: WhiteSpace) -> None:
    """Compress the tiles that are still as they were added.

    Raises
    ------
    BadInput : a tile is damaged, or compresses to something else than it did before.
    MachineFailed : the disk is full, or the object store fails.
    """
    array, digests = pictures.array, pictures.compressed

    def compressed(place: int) -> RawStack:
        pixels, number = array.read(place), pictures.numbers.get(place)
        if number is None or number not in digests or tile_digest(pixels) == digests[number]:
            return pixels
        pictures.require_original(number, pixels)
        pixels, _ = how.replace(number, pixels)
        if tile_digest(pixels) != digests[number]:
            where = f"scan {pictures.scan.name}, tile {number}"
            found = "another one, which an earlier version of this machine's programs made"
            raise BadInput(where, "the compressed form of before", found, hint=RESTORE_HINT)
        return pixels

    def do(shard: range) -> None:
        numbers = {place: pictures.numbers.get(place, -1) for place in shard}
        if any(
            n in digests and tile_digest(array.read(p)) != digests[n] for p, n in numbers.items()
        ):
            array.replace(shard, map(compressed, shard), are_flat=True)
        _advance(how, len(shard))

    _of_shards(array.shards, do, how.workers)


def _advance(how: WhiteSpace, tiles: int = 1) -> None:
    if how.progress is not None:
        how.progress(tiles)


def restore_scan(catalogue: Catalogue, images: Place, name: str, reader: TileReader) -> bool:
    """Restore a scan from its source, which ``compare_scan`` has found identical.

    Returns
    -------
    Whether the scan was compressed.

    Raises
    ------
    BadInput : the source has changed meanwhile; shards that were not restored are as before.
    MachineFailed : the disk is full, or the object store fails.
    """
    with catalogue.reading() as session:
        if session.get(CompressionRow, name) is None:
            return False
    pictures = open_pictures(catalogue, images, name)
    array = pictures.array

    def original(place: int) -> RawStack:
        number = pictures.numbers.get(place)
        if number is None:  # left out, when it was added
            return np.zeros(array.shape[1:], array.dtype)
        pixels = reader.read(number).pixels
        pictures.require_original(number, pixels)
        return pixels

    def is_restored(shard: range) -> bool:
        numbers = [(place, pictures.numbers.get(place)) for place in shard]
        try:
            return all(n is None or pictures.is_original(n, array.read(p)) for p, n in numbers)
        except DamagedFile:
            return False

    def do(shard: range) -> None:
        if not is_restored(shard):
            array.replace(shard, map(original, shard))

    with translate_disk_errors(f"restoring scan {name}"):
        _of_shards(array.shards, do, reader.workers)
        with catalogue.writing() as session:
            for row_class in (CompressedTileRow, CompressionRow):
                session.execute(delete_rows(row_class).where(row_class.scan == name))
    return True
