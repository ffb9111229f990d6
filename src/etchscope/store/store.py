"""A store: one folder with a catalogue, pictures, runs and fits. The only door to disk."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import select, update

from etchscope.foil import BadInput, Foil, MachineFailed, Scan, Stack
from etchscope.foil.types import RawStack
from etchscope.store.adding import Added, TilePictures, TileReader, add_scan, compare_scan
from etchscope.store.alignments import Alignments
from etchscope.store.catalogue import Catalogue, FitRow, FoilRow, ScanRow, StackRow, TileRow
from etchscope.store.check import Finding, check_store
from etchscope.store.files import delete, machine_failures, sync_path, sync_tree
from etchscope.store.labelling import Labelling
from etchscope.store.models import Models
from etchscope.store.pictures import PictureArray
from etchscope.store.products import Products
from etchscope.store.query import rows_where, tile_table
from etchscope.store.removal import Removal, erase_unreachable, plan_removal, remove_rows
from etchscope.store.rows import (
    LeftOut,
    foil_of,
    get_scan,
    left_out_of,
    pictures_of,
    require_scan,
    stack_of,
)
from etchscope.store.runs import drop_partial, partial_runs_of

__all__ = ["Store"]

_CATALOGUE = "catalogue.sqlite"
_FOLDERS = ("images", "runs", "fits")


class Store(Products, Labelling, Models, Alignments):
    """A store that is open; make one with ``Store.create`` or ``Store.open``.

    Reads are safe from any thread; pickling sends the path, so a worker opens its own.

    Layout: ``catalogue.sqlite`` (all rows, and the schema version), ``images/{scan}.zarr``,
    ``runs/{run}/``, ``fits/``, ``models/{model}/``, ``alignments/{alignment}.json``,
    ``taxonomy.json`` where it is not the default.
    Names that begin with a dot are unfinished work.
    """

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self.path = path
        self._catalogue = catalogue
        self._arrays: dict[str, tuple[int, PictureArray, dict[int, int]]] = {}

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> "Store":
        """Make an empty store; the folder must be absent or empty.

        Raises
        ------
        BadInput : the folder is a store already, holds something else, or cannot be made.
        MachineFailed : the disk is full.
        """
        root = Path(path).absolute()
        if (root / _CATALOGUE).exists():
            raise BadInput(root, "a folder to make", "a store already")
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise BadInput(root, "a new or empty folder", "something else there")
        aside = root.with_name(f".{root.name}.partial")
        with machine_failures(f"making {root}"):
            try:
                delete(aside)
                for name in _FOLDERS:
                    (aside / name).mkdir(parents=True)
                (aside / "images" / ".lock").touch()
                Catalogue.create(aside / _CATALOGUE)
                sync_tree(aside)
                aside.rename(root)
                sync_path(root.parent)
            finally:
                delete(aside)
        return cls.open(root)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Store":
        """Open a store; changes nothing.

        Raises
        ------
        BadInput : not a store, or one of another schema version.
        """
        root = Path(path).absolute()
        if not (root / _CATALOGUE).is_file():
            hint = "Make one with `etchscope init`."
            raise BadInput(root, "a store", f"no {_CATALOGUE} there", hint=hint)
        catalogue = Catalogue(root / _CATALOGUE)
        catalogue.require_version()
        return cls(root, catalogue)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Store.open, (str(self.path),))

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    # Scans and pictures ------------------------------------------------------------------------

    def add_scan(
        self,
        scan: Scan,
        foil: Foil,
        read_tile: Callable[[int], TilePictures],
        *,
        left_out: Sequence[LeftOut] = (),
        skip_bad: bool = False,
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Added:
        """Add a scan, all of it or nothing; the identical scan again changes nothing.

        Parameters
        ----------
        scan : the scan with all tiles that are to be read.
        read_tile : tile number → its pictures; raises ``BadInput`` for a bad tile. Called from
            several threads.
        left_out : tiles that were found bad before.
        skip_bad : leave a bad tile out and list it, instead of failing.
        workers : threads; as many as there are cores unless given.
        progress : called with the number of tiles just done, from any thread.

        Raises
        ------
        BadInput : a bad tile, no good tile, or another scan of that name.
        MachineFailed : the disk is full, or another addition or removal is under way.
        """
        count = workers or len(os.sched_getaffinity(0))
        reader = TileReader(read_tile, skip_bad, count, progress)
        with self._locked():
            erase_unreachable(self._catalogue, self.path)
            if scan.name in self.scans():
                return compare_scan(self._catalogue, scan, foil, reader, left_out)
            return add_scan(self._catalogue, self.path / "images", scan, foil, reader, left_out)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.path / "images" / ".lock").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a killed holder lets go
            except BlockingIOError as error:
                text = f"{self.path}: another addition or removal is under way; repeat later."
                raise MachineFailed(text) from error
            yield

    def stacks(self) -> list[Stack]:
        """Return the stacks, by name."""
        with self._catalogue.reading() as session:
            return [stack_of(r) for r in session.scalars(select(StackRow).order_by(StackRow.name))]

    def foils(self) -> list[Foil]:
        """Return the foils, by name."""
        with self._catalogue.reading() as session:
            return [foil_of(r) for r in session.scalars(select(FoilRow).order_by(FoilRow.name))]

    def scans(self) -> list[str]:
        """Return the names of the scans, sorted."""
        with self._catalogue.reading() as session:
            return list(session.scalars(select(ScanRow.name).order_by(ScanRow.name)))

    def scan(self, name: str) -> Scan:
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

    def picture_sources(self, scan: str) -> dict[int, tuple[str, ...]]:
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
        """Yield the pictures of tiles in turn: ``read_tile``, a shard at a time where they lie so.

        Raises
        ------
        BadInput : no such scan or tile, or the pictures are damaged.
        """
        array, places = self._array(scan)
        for tile in tiles:
            if tile not in places:
                raise BadInput(f"scan {scan}", "one of its tiles", f"tile {tile}")
        yield from array.read_many([places[tile] for tile in tiles])

    def _array(self, scan: str) -> tuple[PictureArray, dict[int, int]]:
        # A change of the catalogue, by any process, may have removed tiles: look again.
        stamp = (self.path / _CATALOGUE).stat().st_mtime_ns
        known = self._arrays.get(scan)
        if known is None or known[0] != stamp:
            with self._catalogue.reading() as session:
                require_scan(session, scan)
                rows = session.execute(
                    select(TileRow.number, TileRow.place).where(TileRow.scan == scan)
                )
                places = {row.number: row.place for row in rows}
            known = (stamp, PictureArray(self.path / "images" / f"{scan}.zarr"), places)
            self._arrays[scan] = known
        return known[1], known[2]

    # Queries -----------------------------------------------------------------------------------

    def tiles(self, where: str | None = None) -> pd.DataFrame:
        """Return one row a tile, with every metadata key as a column (``query.tile_table``).

        Parameters
        ----------
        where : SQL condition on these columns, as ``"foil = 'F1' and exposure_ms > 3"``.

        Raises
        ------
        BadInput : the condition is wrong.
        """
        with self._catalogue.reading() as session:
            return rows_where(tile_table(session), where)

    def exclude(self, where: str, why: str) -> pd.DataFrame:
        """Exclude tiles from what comes after, and return them; nothing is copied or deleted.

        Raises
        ------
        BadInput : the condition is wrong.
        """
        return self._mark(where, {"excluded": True, "excluded_why": why})

    def include(self, where: str) -> pd.DataFrame:
        """Undo ``exclude``, and return the tiles concerned.

        Raises
        ------
        BadInput : the condition is wrong.
        """
        return self._mark(where, {"excluded": False, "excluded_why": None})

    def _mark(self, where: str, values: dict[str, Any]) -> pd.DataFrame:
        with self._catalogue.writing() as session:
            found = rows_where(tile_table(session), where)
            for scan, tiles in found.groupby("scan"):
                numbers = [int(n) for n in tiles["tile"]]
                here = (TileRow.scan == str(scan)) & TileRow.number.in_(numbers)
                session.execute(update(TileRow).where(here).values(values))
        return found.assign(**values) if len(found) else found

    def dependants(self, where: str) -> Removal:
        """Return what ``remove`` would take along; changes nothing.

        Raises
        ------
        BadInput : the condition is wrong, or a datum hole would lose its tile.
        """
        with self._catalogue.reading() as session:
            table = tile_table(session)
            return plan_removal(session, table, rows_where(table, where))

    def remove(self, where: str) -> Removal:
        """Remove tiles, or whole scans where all tiles match, with all that came from them.

        The catalogue forgets them first, their bytes are erased after.

        Raises
        ------
        BadInput : the condition is wrong, or a datum hole would lose its tile.
        MachineFailed : the disk is full, or another addition or removal is under way.
        """
        with self._locked(), machine_failures("removing"):
            with self._catalogue.writing() as session:
                table = tile_table(session)
                removal = plan_removal(session, table, rows_where(table, where))
                touched = {*removal.scans, *(scan for scan, _ in removal.tiles)}
                fits = session.scalars(select(FitRow.file).where(FitRow.scan.in_(touched))).all()
                remove_rows(session, removal)
            for run in removal.runs:
                delete(self.path / "runs" / run)
            for run in partial_runs_of(self.path / "runs", touched):
                drop_partial(self.path / "runs", run)
            for file in fits:
                delete(self.path / "fits" / file)
            erase_unreachable(self._catalogue, self.path)
        return removal

    def check(self, progress: Callable[[int], None] | None = None) -> list[Finding]:
        """Return what is damaged or left over; empty for a sound store. Changes nothing.

        Parameters
        ----------
        progress : called with the number of tiles just checked.
        """
        return check_store(self._catalogue, self.path, progress)
