"""Add a scan to a store: all of it, or nothing."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from etchscope.files.atomic import translate_disk_errors
from etchscope.files.inside import path_inside
from etchscope.foil import (
    BadInput,
    Foil,
    MachineFailed,
    NameTaken,
    Scan,
)
from etchscope.foil.machine import make_thread_pool
from etchscope.foil.types import RawStack
from etchscope.store.catalogue import Catalogue
from etchscope.store.foil_rows import put_foil
from etchscope.store.pictures import PictureArray, digest_metadata, pixel_digest
from etchscope.store.places import Place, begin, discard, publish
from etchscope.store.rows import (
    LeftOut,
    Picture,
    get_scan,
    left_out_of,
    pictures_of,
    put_scan,
    scan_names,
    with_tiles,
)

__all__ = ["Added", "TilePictures", "TileReader", "add_scan", "compare_scan"]


@dataclass(frozen=True)
class TilePictures:
    """One tile as it was read.

    Parameters
    ----------
    pixels : (channel, y, x) uint8 or uint16, in the order of the scan's channels.
    sources : the file of each channel.
    """

    pixels: RawStack
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Added:
    """What an addition did.

    ``is_new`` is False where the store had the identical scan; ``is_restored`` is True where that
    was compressed and now has its pictures again.
    """

    scan: str
    tiles: int
    left_out: tuple[LeftOut, ...]
    is_new: bool
    is_restored: bool = False


@dataclass(frozen=True)
class TileReader:
    """How to read the tiles of a source.

    Parameters
    ----------
    read : tile number → its pictures; raises ``BadInput`` for a bad one. Called from threads.
    skip_bad : leave a bad tile out and list it, instead of failing.
    workers : number of threads; each holds the pictures of one tile.
    progress : called with the number of tiles just done, from any thread.
    """

    read: Callable[[int], TilePictures]
    skip_bad: bool = False
    workers: int = 1
    progress: Callable[[int], None] | None = None


@dataclass(frozen=True)
class _Contents:
    scan: Scan
    pictures: tuple[Picture, ...]
    left_out: tuple[LeftOut, ...]


def add_scan(
    catalogue: Catalogue,
    images: Place,
    scan: Scan,
    foil: Foil,
    reader: TileReader,
    left_out: Sequence[LeftOut],
    mark: Callable[[Session], None] | None = None,
) -> Added:
    """Write a scan's pictures and rows; the store must not have a scan of that name.

    Pixels go aside, to a folder that is flushed and renamed before the one commit; on an object
    store the commit alone makes them a part of the store.

    Parameters
    ----------
    mark : called in the transaction that commits the scan.

    Raises
    ------
    BadInput : a picture is bad (and bad ones are not to be skipped), or none is good.
    MachineFailed : the disk is full, or the object store fails.
    """
    final = path_inside(images, f"{scan.name}.zarr")
    numbers = sorted(t.number for t in scan.tiles)
    with translate_disk_errors(f"adding scan {scan.name}"), ExitStack() as undo:
        partial = begin(final)
        undo.callback(discard, partial)
        array = PictureArray.create(partial, scan)
        contents = _contents(scan, _read_all(scan, reader, array.shards, array), left_out)
        places = {number: place for place, number in enumerate(numbers)}
        array.describe(contents.scan, places)
        publish(partial, final)
        # Not before: it may be another's, without locks.
        undo.callback(_discard_unnamed, catalogue, scan.name, final)
        with catalogue.writing() as session:
            put_foil(session, foil)
            put_scan(
                session,
                contents.scan,
                places=places,
                pictures=contents.pictures,
                left_out=contents.left_out,
                array_sha256=digest_metadata(final),
            )
            if mark is not None:
                mark(session)
        undo.pop_all()
    return Added(scan.name, len(contents.scan.tiles), contents.left_out, is_new=True)


def _discard_unnamed(catalogue: Catalogue, scan: str, final: Place) -> None:
    """Discard the pictures of an addition that failed, unless its scan was committed.

    An error may come after the commit: an interrupt, or a connection that was lost before the
    answer. If the catalogue cannot be asked, the pictures stay for ``erase_unreachable``.
    """
    is_named = True
    # A transaction that writes waits until the one that failed has ended on a server, too.
    with suppress(BadInput, MachineFailed), catalogue.writing() as session:
        is_named = scan in scan_names(session)
    if not is_named:
        discard(final)


def compare_scan(
    catalogue: Catalogue, scan: Scan, foil: Foil, reader: TileReader, left_out: Sequence[LeftOut]
) -> Added:
    """Read a source whose name the store already has; only the identical scan passes.

    Raises
    ------
    BadInput : anything differs.
    """
    with catalogue.reading() as session:
        stored = get_scan(session, scan.name)
        pictures = tuple(pictures_of(session, scan.name))
        stored_left_out = tuple(left_out_of(session, scan.name))
    stored = _nothing_excluded(stored)
    known = {t.number for t in stored.tiles} | {x.tile for x in stored_left_out}
    alike = {t.number for t in scan.tiles} | {x.tile for x in left_out} == known
    alike &= scan.model_copy(update={"tiles": stored.tiles}) == stored
    if alike:
        shards = [range(i, i + 1) for i in range(len(scan.tiles))]
        contents = _contents(scan, _read_all(scan, reader, shards, None), left_out)
        alike = contents == _Contents(stored, pictures, stored_left_out)
    if not alike:
        raise NameTaken(
            f"scan {scan.name}",
            "a name the store does not have yet, or the identical scan",
            "another content under the same name",
        )
    with catalogue.writing() as session:
        put_foil(session, foil)
    return Added(scan.name, len(stored.tiles), stored_left_out, is_new=False)


def _nothing_excluded(scan: Scan) -> Scan:
    clear = {"excluded": False, "excluded_why": None}
    return scan.model_copy(update={"tiles": tuple(t.model_copy(update=clear) for t in scan.tiles)})


def _contents(
    scan: Scan, found: Sequence[Sequence[Picture] | LeftOut], left_out: Sequence[LeftOut]
) -> _Contents:
    bad = sorted([*left_out, *(x for x in found if isinstance(x, LeftOut))], key=lambda x: x.tile)
    pictures = [p for x in found if not isinstance(x, LeftOut) for p in x]
    if not pictures and bad:
        raise BadInput(bad[0].file, "at least one good tile in the scan", f"none: {bad[0].why}")
    kept = with_tiles(scan, {p.tile for p in pictures})
    return _Contents(kept, tuple(sorted(pictures, key=lambda p: (p.tile, p.step))), tuple(bad))


def _read_all(
    scan: Scan, reader: TileReader, shards: Sequence[range], array: PictureArray | None
) -> list[Sequence[Picture] | LeftOut]:
    """Read every tile, one shard per task; write the shards where an array is given."""
    numbers = sorted(t.number for t in scan.tiles)

    def do(shard: range) -> list[Sequence[Picture] | LeftOut]:
        found: list[Sequence[Picture] | LeftOut] = []
        tiles = _read_shard(scan, reader, [numbers[place] for place in shard], found)
        if array is None:
            deque(tiles, maxlen=0)
        else:
            array.write(shard, tiles)
        return found

    with _pool(reader.workers) as pool:
        tasks = [pool.submit(do, shard) for shard in shards]
        # In order, so that any number of workers raises the same one of several errors.
        return [x for task in tasks for x in task.result()]


def _read_shard(
    scan: Scan, reader: TileReader, numbers: Sequence[int], found: list[Sequence[Picture] | LeftOut]
) -> Iterator[RawStack]:
    """Yield the pictures of some tiles, zeros for a bad one; note in ``found`` what each is."""
    for number in numbers:
        pixels = np.zeros((len(scan.channels), *scan.image_size), scan.dtype)
        try:
            tile = _checked(scan, number, reader.read(number))
        except BadInput as error:
            if not reader.skip_bad:
                raise
            why = f"expected {error.expected}, found {error.found}"
            found.append(LeftOut(number, error.where, why))
        else:
            pixels = tile.pixels
            found.append(_pictures(scan, number, tile))
        yield pixels
        if reader.progress is not None:
            reader.progress(1)


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    pool = make_thread_pool(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _checked(scan: Scan, number: int, tile: TilePictures) -> TilePictures:
    expected = (len(scan.channels), *scan.image_size)
    if tile.pixels.shape != expected or tile.pixels.dtype != np.dtype(scan.dtype):
        raise BadInput(
            tile.sources[0] if tile.sources else f"tile {number}",
            f"{expected} pictures of {scan.dtype}",
            f"{tile.pixels.shape} of {tile.pixels.dtype}",
        )
    return tile


def _pictures(scan: Scan, number: int, tile: TilePictures) -> list[Picture]:
    return [
        Picture(number, channel.step, pixel_digest(picture), source)
        for channel, picture, source in zip(scan.channels, tile.pixels, tile.sources, strict=True)
    ]
