"""Scans of a store: their pictures, foils and stacks, and what is excluded of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import bindparam, select, update

from etchscope.files.atomic import translate_disk_errors
from etchscope.files.inside import path_inside
from etchscope.foil import (
    BadInput,
    Foil,
    Scan,
    Stack,
    count_usable_cores,
)
from etchscope.foil.types import Ints, RawStack
from etchscope.store.adding import Added, TilePictures, TileReader, add_scan, compare_scan
from etchscope.store.catalogue import (
    Catalogue,
    FitRow,
    FoilRow,
    StackRow,
    TileRow,
)
from etchscope.store.compressing import restore_scan
from etchscope.store.injections import Injection, put_injection
from etchscope.store.pictures import PictureArray
from etchscope.store.places import Place
from etchscope.store.query import rows_where, scan_table, tile_table
from etchscope.store.removal import (
    Removal,
    delete_unnamed,
    erase_unreachable,
    lock_images,
    plan_removal,
    remove_rows,
)
from etchscope.store.rows import (
    LeftOut,
    foil_of,
    get_scan,
    left_out_of,
    pictures_of,
    places_of,
    require_scan,
    scan_names,
    stack_of,
)
from etchscope.store.run_files import drop_partial, partial_runs_of

__all__ = ["Scans"]


class Scans:
    """The scans of a store with their tiles and pictures, and the foils and stacks they show."""

    def __init__(self, root: Path, catalogue: Catalogue, images: Place) -> None:
        self._root = root
        self._images = images
        self._catalogue = catalogue
        self._arrays: dict[str, tuple[object, PictureArray, dict[int, int]]] = {}

    def add(
        self,
        scan: Scan,
        foil: Foil,
        read_tile: Callable[[int], TilePictures],
        *,
        left_out: Sequence[LeftOut] = (),
        skip_bad: bool = False,
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
        injection: Injection | None = None,
    ) -> Added:
        """Add a scan, all of it or nothing; the identical scan again changes nothing.

        A scan whose white space is compressed gets its pictures again from the identical source.

        Parameters
        ----------
        scan : the scan with all tiles that are to be read.
        read_tile : tile number → its pictures; raises ``BadInput`` for a bad tile. Called from
            several threads.
        left_out : tiles that were found bad before.
        skip_bad : leave a bad tile out and list it, instead of failing.
        workers : number of threads; as many as there are cores unless given.
        progress : called with the number of tiles just done, from any thread.
        injection : marks the scan as one into whose pictures signal was put; None for a real one.

        Raises
        ------
        BadInput : a bad tile, no good tile, or another scan of that name.
        MachineFailed : the disk is full, or the object store fails.
        """
        count = workers or count_usable_cores()
        reader = TileReader(read_tile, skip_bad, count, progress)
        with lock_images(self._root, f"adding scan {scan.name}") as lock:
            if lock.is_held:  # else these may be of another addition that is under way
                erase_unreachable(self._catalogue, self._root, self._images)
            if scan.name in self.names():
                added = compare_scan(self._catalogue, scan, foil, reader, left_out)
                is_restored = restore_scan(self._catalogue, self._images, scan.name, reader)
                return replace(added, is_restored=is_restored)
            mark = None
            if injection is not None:
                mark = partial(put_injection, self._root, scan.name, injection)
            images = self._images
            return add_scan(self._catalogue, images, scan, foil, reader, left_out, mark)

    def stacks(self) -> list[Stack]:
        """Return the stacks, by name."""
        with self._catalogue.reading() as session:
            return [stack_of(r) for r in session.scalars(select(StackRow).order_by(StackRow.name))]

    def foils(self) -> list[Foil]:
        """Return the foils, by name."""
        with self._catalogue.reading() as session:
            return [foil_of(r) for r in session.scalars(select(FoilRow).order_by(FoilRow.name))]

    def names(self) -> list[str]:
        """Return the names of the scans, sorted."""
        with self._catalogue.reading() as session:
            return scan_names(session)

    def get(self, name: str) -> Scan:
        """Return a scan with its tiles and what is excluded.

        Raises
        ------
        BadInput : no such scan.
        """
        with self._catalogue.reading() as session:
            return get_scan(session, name)

    def digest(self, scan: str) -> str:
        """Return the identity of a scan's pixels, optics and positions, whatever is excluded.

        Raises
        ------
        BadInput : no such scan.
        """
        with self._catalogue.reading() as session:
            return require_scan(session, scan).digest

    def left_out(self, scan: str) -> list[LeftOut]:
        """Return the tiles that were left out when the scan was added.

        Raises
        ------
        BadInput : no such scan.
        """
        with self._catalogue.reading() as session:
            require_scan(session, scan)
            return left_out_of(session, scan)

    def sources(self, scan: str) -> dict[int, tuple[str, ...]]:
        """Return tile → the files that its pictures came from, in the order of the steps.

        Raises
        ------
        BadInput : no such scan.
        """
        out: dict[int, tuple[str, ...]] = {}
        with self._catalogue.reading() as session:
            require_scan(session, scan)
            for picture in pictures_of(session, scan):
                out[picture.tile] = (*out.get(picture.tile, ()), picture.source)
        return out

    def read_tile(self, scan: str, tile: int) -> RawStack:
        """Return one tile's pictures, (channel, y, x), in the order of the scan's channels.

        Raises
        ------
        BadInput : no such scan or tile, or the pictures are damaged.
        """
        array, places = self._array(scan)
        if tile not in places:
            raise BadInput(f"scan {scan}", "one of its tiles", f"tile {tile}")
        return array.read(places[tile])

    def read_tiles(self, scan: str, tiles: Sequence[int]) -> Iterator[RawStack]:
        """Yield the pictures of tiles, (channel, y, x) uint8 or uint16 each, in their order.

        Neighbours in a shard are read together.

        Raises
        ------
        BadInput : no such scan or tile, or the pictures are damaged.
        """
        array, places = self._array(scan)
        for tile in tiles:
            if tile not in places:
                raise BadInput(f"scan {scan}", "one of its tiles", f"tile {tile}")
        yield from array.read_many([places[tile] for tile in tiles])

    def shards(self, scan: str, tiles: Sequence[int]) -> Ints:
        """Return the number of the file in which the pictures of each tile lie, (tiles,).

        Raises
        ------
        BadInput : no such scan or tile, or the pictures are damaged.
        """
        array, places = self._array(scan)
        try:
            return np.array([places[tile] for tile in tiles], np.int64) // array.shard_tiles
        except KeyError as error:
            raise BadInput(f"scan {scan}", "one of its tiles", f"tile {error}") from error

    def _array(self, scan: str) -> tuple[PictureArray, dict[int, int]]:
        # A change of the catalogue, by any process, may have removed tiles: look again.
        stamp = self._catalogue.database.stamp(scan)
        known = self._arrays.get(scan)
        if known is None or known[0] != stamp:
            with self._catalogue.reading() as session:
                require_scan(session, scan)
                places = places_of(session, scan)
            known = (
                stamp,
                PictureArray(path_inside(self._images, f"{scan}.zarr")),
                places,
            )
            self._arrays[scan] = known
        return known[1], known[2]

    def table(self) -> pd.DataFrame:
        """Return one row per scan, see ``query.SCAN_COLUMNS``."""
        with self._catalogue.reading() as session:
            return scan_table(session)

    def tiles(self, where: str | None = None, **of: Any) -> pd.DataFrame:
        """Return one row per tile, with every metadata key as a column (``query.tile_table``).

        Parameters
        ----------
        where : SQL condition on these columns, as ``"foil = 'F1' and exposure_ms > 3"``.
        of : foil, scan or tile, see ``query.tile_table``; other tiles are not read.

        Raises
        ------
        BadInput : the condition is wrong.
        """
        with self._catalogue.reading() as session:
            return rows_where(tile_table(session, **of), where)

    def exclude(self, where: str | None, why: str, **of: Any) -> pd.DataFrame:
        """Exclude tiles from what comes after, and return them; nothing is copied or deleted.

        Parameters
        ----------
        where, of : see ``tiles``.

        Raises
        ------
        BadInput : the condition is wrong.
        """
        return self._mark(where, of, {"excluded": True, "excluded_why": why})

    def include(self, where: str | None, **of: Any) -> pd.DataFrame:
        """Undo ``exclude``, and return the tiles concerned.

        Raises
        ------
        BadInput : the condition is wrong.
        """
        return self._mark(where, of, {"excluded": False, "excluded_why": None})

    def _mark(self, where: str | None, of: dict[str, Any], values: dict[str, Any]) -> pd.DataFrame:
        with self._catalogue.writing() as session:
            found = rows_where(tile_table(session, **of), where)
            # One by one: a statement that names them all may have too many variables.
            tiles = [{"of": str(s), "n": int(n)} for s, n in found[["scan", "tile"]].to_numpy()]
            here = (TileRow.scan == bindparam("of")) & (TileRow.number == bindparam("n"))
            if tiles:
                session.connection().execute(update(TileRow).where(here).values(values), tiles)
        return found.assign(**values) if len(found) else found

    def dependants(self, where: str | None, **of: Any) -> Removal:
        """Return what ``remove`` would take along; changes nothing.

        Parameters
        ----------
        where, of : see ``tiles``.

        Raises
        ------
        BadInput : the condition is wrong, or a datum hole would lose its tile.
        """
        with self._catalogue.reading() as session:
            return plan_removal(session, rows_where(tile_table(session, **of), where))

    def finish_removals(self) -> None:
        """Erase what removals that were killed have taken out of the catalogue."""
        with lock_images(self._root, "finishing a removal") as lock:
            if lock.is_held:
                erase_unreachable(self._catalogue, self._root, self._images)

    def remove(self, where: str | None, **of: Any) -> Removal:
        """Remove tiles, or whole scans where all tiles match, with all that came from them.

        The catalogue forgets them first, their bytes are erased after.

        Parameters
        ----------
        where, of : see ``tiles``.

        Raises
        ------
        BadInput : the condition is wrong, or a datum hole would lose its tile.
        MachineFailed : the disk is full, or the object store fails.
        """
        with lock_images(self._root, "removing") as lock, translate_disk_errors("removing"):
            with self._catalogue.writing() as session:
                removal = plan_removal(session, rows_where(tile_table(session, **of), where))
                touched = {*removal.scans, *(scan for scan, _ in removal.tiles)}
                fits = session.scalars(select(FitRow.file).where(FitRow.scan.in_(touched))).all()
                gone = [path_inside(self._root / "runs", run) for run in removal.runs]
                gone += [path_inside(self._root / "fits", file) for file in fits]
                remove_rows(session, removal)
            delete_unnamed(self._catalogue, gone)
            for run in partial_runs_of(self._root / "runs", touched):
                drop_partial(self._root / "runs", run)
            if lock.is_held:
                erase_unreachable(self._catalogue, self._root, self._images)
        return removal
