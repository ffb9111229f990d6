"""A store: one folder with a catalogue, pictures, runs, fits, labels, models and alignments."""

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from etchscope.files.atomic import (
    delete,
    find_left_asides,
    make_folder,
    name_aside,
    sync_path,
    sync_tree,
    translate_disk_errors,
)
from etchscope.files.inside import path_inside
from etchscope.files.locks import Lock, hold_lock, lock_folder
from etchscope.foil import BadInput, MachineFailed
from etchscope.store.alignments import Alignments
from etchscope.store.catalogue import CATALOGUE_FILE, Catalogue
from etchscope.store.check import Finding, check_store
from etchscope.store.compression import Compressions
from etchscope.store.fits import Fits
from etchscope.store.injections import Injections
from etchscope.store.labels import Labels
from etchscope.store.migration import Migration, migrate_store
from etchscope.store.models import Models
from etchscope.store.postgresql import PostgresSchema
from etchscope.store.runs import Runs
from etchscope.store.scans import Scans
from etchscope.store.settings import (
    SETTINGS_FILE,
    StoreSettings,
    draw_settings,
    is_store,
    locate_images,
    locate_store,
    open_database,
    reserve_images,
)
from etchscope.store.sqlite import SqliteFile

__all__ = ["Store"]

_FOLDERS = ("images", "runs", "fits")


class Store:
    """A store that is open; make one with ``Store.create`` or ``Store.open``.

    What it holds is reached by kind: ``scans``, ``injections``, ``compressions``, ``runs``,
    ``fits``, ``labels``, ``models`` and ``alignments``.

    Reads are safe from any thread; pickling sends the path, so a worker opens its own.

    Layout: ``catalogue.sqlite`` (all rows, and the schema version), ``images/{scan}.zarr``;
    ``store.json`` where either is elsewhere, with the address or the URL;
    ``runs/{run}/``, ``fits/``, ``models/{model}/``, ``alignments/{alignment}.json``,
    ``taxonomy.json`` where it is not the default, ``catalogue-{version}.sqlite`` as it was before
    a migration. Names that begin with a dot are unfinished work.
    """

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self.path = path
        self._catalogue = catalogue
        self._images = locate_images(path)
        self.scans = Scans(path, catalogue, self._images)
        self.compressions = Compressions(path, catalogue, self._images)
        self.runs = Runs(path, catalogue)
        self.fits = Fits(path, catalogue)
        self.injections = Injections(catalogue, self.fits)
        self.labels = Labels(path, catalogue)
        self.models = Models(path)
        self.alignments = Alignments(path)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        catalogue: str | None = None,
        pictures: str | None = None,
    ) -> "Store":
        """Make an empty store; the folder must be absent or empty.

        Parameters
        ----------
        catalogue : ``postgresql://user@host/database`` or, for a schema that is not
            ``etchscope``, ``…?schema=NAME``; a file in the folder unless given.
        pictures : ``s3://bucket/prefix`` (or ``gs``, ``az``), or ``file:///folder``, an empty place
            for the pictures; a folder in the folder unless given.

        Raises
        ------
        BadInput : the folder is a store already, holds something else, or cannot be made; or so
            does the place for the pictures.
        MachineFailed : the disk is full, or a database or an object store cannot be reached.
        """
        root = Path(path).absolute()
        make_folder(root.parent)
        with lock_folder(root.parent), translate_disk_errors(f"making {root}"):
            if is_store(root):
                raise BadInput(root, "a folder to make", "a store already")
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                raise BadInput(root, "a new or empty folder", "something else there")
            settings = draw_settings(root, catalogue, pictures)
            earlier, aside, is_taken = find_left_asides(root), name_aside(root), False
            try:
                _make_folders(aside, settings)
                for path in earlier:  # not before: the new folder has their owner now
                    delete(path)
                if pictures is not None:
                    reserve_images(pictures, root, str(settings.owner))
                    is_taken = True
                if catalogue is None:
                    Catalogue.create(SqliteFile(aside / CATALOGUE_FILE))
                else:
                    Catalogue.create(PostgresSchema(catalogue, root, settings.owner))
                    is_taken = True
                sync_tree(aside)
                _rename_store(aside, root)
                sync_path(root.parent)
            except BaseException as error:
                is_refused = isinstance(error, BadInput | MachineFailed) and not is_taken
                if is_refused or settings.owner is None:  # else the next try needs the owner
                    delete(aside)
                raise
        return cls.open(root)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Store":
        """Open a store; changes nothing.

        Parameters
        ----------
        path : its folder, or the address of its database.

        Raises
        ------
        NotAStore : there is no store.
        MachineFailed : its database cannot be reached.
        OldStore : a store of an earlier version, which ``migrate`` brings up to date.
        BadInput : a store of a later version, or a damaged one.
        """
        root = locate_store(path)
        catalogue = Catalogue(open_database(root))
        catalogue.require_version()
        return cls(root, catalogue)

    @staticmethod
    def migrate(path: str | os.PathLike[str]) -> Migration:
        """Bring a store of an earlier version up to date; keep its catalogue as it was beside it.

        A kill at any moment leaves a store that is read, or that is migrated by the next try.
        Nobody else should read pictures meanwhile.

        Raises
        ------
        NotAStore : there is no store.
        BadInput : a store of a later version, or a damaged one.
        MachineFailed : the disk is full, or another process writes for too long.
        """
        root = locate_store(path)
        return migrate_store(Catalogue(open_database(root)), root)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Store.open, (str(self.path),))

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def hold(self, name: str, what: str, *, wait: bool = True) -> AbstractContextManager[Lock]:
        """Keep other processes from the same work in a block; see ``files.locks.hold_lock``.

        Parameters
        ----------
        name : of the work, which is that of a file.
        what : the work in words, for those who wait.
        wait : see ``hold_lock``.

        Raises
        ------
        Busy : another process does the same work, and ``wait`` is false.
        """
        path = path_inside(self.path, f"{name}.lock")
        return hold_lock(path.with_name(f".{path.name}"), what, wait=wait)

    def check(self, progress: Callable[[int], None] | None = None) -> list[Finding]:
        """Return what is damaged or left over; empty for a sound store. Changes nothing.

        Parameters
        ----------
        progress : called with the number of tiles just checked.
        """
        return check_store(self._catalogue, self.path, self._images, progress)


def _make_folders(aside: Path, settings: StoreSettings) -> None:
    for name in _FOLDERS:
        (aside / name).mkdir(parents=True)
    (aside / "images" / ".lock").touch()
    if settings.owner is not None:
        text = settings.model_dump_json(indent=1, exclude_none=True)
        (aside / SETTINGS_FILE).write_text(text + "\n", encoding="utf-8")
    sync_tree(aside)
    sync_path(aside.parent)


def _rename_store(aside: Path, root: Path) -> None:
    try:
        aside.rename(root)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        # On a file system without locks another process has made one meanwhile.
        raise BadInput(root, "a folder to make", "a store already") from error
