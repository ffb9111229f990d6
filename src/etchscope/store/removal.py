"""Remove tiles and scans with all that came from them, and erase what no row names."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from etchscope.files.atomic import delete
from etchscope.files.inside import path_inside
from etchscope.files.locks import Lock, hold_lock
from etchscope.foil import BadInput
from etchscope.store.catalogue import (
    Catalogue,
    CompressionRow,
    ErasureRow,
    FitRow,
    FoilRow,
    PictureRow,
    RunRow,
    ScanRow,
    StackRow,
    TileRow,
)
from etchscope.store.injections import sources_of_injected
from etchscope.store.label_rows import label_counts
from etchscope.store.pictures import PictureArray
from etchscope.store.places import Place, delete_place
from etchscope.store.rows import get_scan, pictures_of, places_of, scan_digest, with_tiles
from etchscope.store.run_files import JUDGED_FILE, RECORD_FILE
from etchscope.store.settings import OWNER_FILE, require_own_images

__all__ = [
    "Removal",
    "delete_unnamed",
    "erase_unreachable",
    "lock_images",
    "plan_removal",
    "remove_rows",
    "unreachable_pictures",
    "unreachable_results",
]

log = logging.getLogger(__name__)

_OURS = re.compile(r".+\.zarr|\..+\.zarr\.(.+\.aside|partial|erase)")
"""Names of pictures; ``.partial`` and ``.erase`` are those of earlier versions."""
_FIT = re.compile(r"[A-Za-z0-9].*-[0-9a-f]{16}\.npz")
_FILES_OF_A_RUN = {"pits.parquet", JUDGED_FILE, RECORD_FILE}


@contextmanager
def lock_images(root: Path, what: str) -> Iterator[Lock]:
    """Keep other processes from adding and removing pictures in a block, and wait for those at it.

    Parameters
    ----------
    what : what is to be done, in words, for the others who wait.

    Raises
    ------
    BadInput : the pictures are elsewhere, and there lie those of another store.
    """
    with hold_lock(root / "images" / ".lock", f"{root}: {what}", keep=True) as lock:
        require_own_images(root)
        yield lock


@dataclass(frozen=True)
class Removal:
    """What a removal takes along.

    Parameters
    ----------
    scans : scans that go entirely.
    tiles : (scan, tile numbers) of scans that lose only some tiles.
    runs, fits : runs, and fits as ``scan: recipe``, of all these scans.
    foils, stacks : those that are left without a scan and without a label.
    labels_kept : (foil, number of events) of the foils that lose tiles; labels belong to the
        foil and stay.
    """

    scans: tuple[str, ...]
    tiles: tuple[tuple[str, tuple[int, ...]], ...]
    runs: tuple[str, ...]
    fits: tuple[str, ...]
    foils: tuple[str, ...]
    stacks: tuple[str, ...]
    labels_kept: tuple[tuple[str, int], ...] = ()


def plan_removal(session: Session, gone: pd.DataFrame) -> Removal:
    """Return what goes with the tiles ``gone``, rows of the tile table; other tiles are not read.

    An injected scan goes as a whole, with any tile of it or of the scan that it was made from.

    Raises
    ------
    BadInput : a datum hole lies in a tile that would go while its scan stays, or that scan is
        compressed.
    """
    injected = _injected_with(session, set(gone["scan"]))
    whole, parts = sorted(injected), []
    for name, tiles in gone[~gone["scan"].isin(injected)].groupby("scan"):
        scan = str(name)
        if len(tiles) == _count_tiles(session, scan):
            whole.append(scan)
            continue
        if session.get(CompressionRow, scan) is not None:
            found = "one whose white space is compressed, which could not be restored afterwards"
            hint = "Add the scan again first, which restores it, or remove all of it."
            raise BadInput(f"scan {scan}", "a scan as it was added", found, hint=hint)
        numbers = {int(n) for n in tiles["tile"]}
        record = get_scan(session, scan)
        with_tiles(record, {t.number for t in record.tiles} - numbers)
        parts.append((scan, tuple(sorted(numbers))))
    whole.sort()
    touched = [*whole, *(scan for scan, _ in parts)]
    runs = session.scalars(select(RunRow.name).where(RunRow.scan.in_(touched)).order_by("name"))
    fits = session.scalars(
        select(FitRow).where(FitRow.scan.in_(touched)).order_by(FitRow.scan, FitRow.recipe)
    )
    scans = session.execute(
        select(ScanRow.name, ScanRow.foil, FoilRow.stack).join(
            FoilRow, ScanRow.foil == FoilRow.name
        )
    ).all()
    kept = label_counts(session, sorted({row.foil for row in scans if row.name in touched}))
    leaving = [row for row in scans if row.name in whole and row.foil not in kept]
    staying = [row for row in scans if row.name not in whole or row.foil in kept]
    return Removal(
        scans=tuple(whole),
        tiles=tuple(parts),
        runs=tuple(runs),
        fits=tuple(f"{fit.scan}: {fit.recipe}" for fit in fits),
        foils=_names((row.foil for row in leaving), (row.foil for row in staying)),
        stacks=_names((row.stack for row in leaving), (row.stack for row in staying)),
        labels_kept=tuple(kept.items()),
    )


def _injected_with(session: Session, touched: set[str]) -> set[str]:
    """Return the injected scans that are among some scans, or whose source is."""
    sources = sources_of_injected(session)
    return {scan for scan, source in sources.items() if touched & {scan, source}}


def _count_tiles(session: Session, scan: str) -> int:
    return session.scalars(select(func.count()).where(TileRow.scan == scan)).one()


def _names(leaving: Iterable[str | None], staying: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in leaving if name is not None} - set(staying)))


def remove_rows(session: Session, removal: Removal) -> None:
    """Take a removal out of the catalogue; what it leaves behind is then unreachable."""
    session.execute(delete_rows(RunRow).where(RunRow.name.in_(removal.runs)))
    for scan, numbers in removal.tiles:
        _remove_tiles(session, scan, numbers)
    session.execute(delete_rows(ScanRow).where(ScanRow.name.in_(removal.scans)))
    session.execute(delete_rows(FoilRow).where(FoilRow.name.in_(removal.foils)))
    session.execute(delete_rows(StackRow).where(StackRow.name.in_(removal.stacks)))


def _remove_tiles(session: Session, scan: str, numbers: Sequence[int]) -> None:
    session.execute(delete_rows(FitRow).where(FitRow.scan == scan))
    places = places_of(session, scan)
    session.execute(insert(ErasureRow), [{"scan": scan, "place": places[n]} for n in numbers])
    # One by one: a statement that names them all may have too many variables.
    tiles = [{"of": scan, "n": n} for n in numbers]
    for row_class, number in ((PictureRow, PictureRow.tile), (TileRow, TileRow.number)):
        here = (row_class.scan == bindparam("of")) & (number == bindparam("n"))
        session.connection().execute(delete_rows(row_class).where(here), tiles)
    session.get_one(ScanRow, scan).digest = scan_digest(
        get_scan(session, scan), pictures_of(session, scan)
    )


def unreachable_pictures(session: Session, images: Place) -> list[Place]:
    """Return what no row of the catalogue names where the pictures of a store lie.

    A kill leaves it: pictures of an addition or removal that did not end.
    """
    names = {f"{name}.zarr" for name in session.scalars(select(ScanRow.name))}
    return sorted(p for p in images.iterdir() if p.name not in names | {".lock", OWNER_FILE})


def unreachable_results(session: Session, root: Path) -> list[Path]:
    """Return the files and folders of runs and fits that no row of the catalogue names.

    A kill leaves them: runs that were never committed (also ``.{run}.partial``, from which such a
    run goes on).
    """
    known = _known_results(session)
    return sorted(
        path
        for folder, names in known.items()
        for path in (root / folder).iterdir()
        if path.name not in names
    )


def _known_results(session: Session) -> dict[str, set[str]]:
    """Return folder → the names there of the results that a row names."""
    return {
        "runs": set(session.scalars(select(RunRow.name))),
        "fits": set(session.scalars(select(FitRow.file))),
    }


def delete_unnamed(catalogue: Catalogue, paths: Iterable[Path]) -> None:
    """Delete those of some runs and fits that no row of the catalogue names.

    Equal results have equal names: another process may have committed one again since its row was
    removed. None does so within this transaction.

    Parameters
    ----------
    paths : directly in the folders ``runs`` and ``fits`` of the store.
    """
    with catalogue.writing() as session:
        known = _known_results(session)
        for path in paths:
            if path.name not in known[path.parent.name]:
                delete(path)


def _delete_committed(catalogue: Catalogue, root: Path) -> None:
    """Delete whole runs and fits that no row names: those of a killed removal or commit."""

    def find(session: Session) -> list[Path]:
        return [p for p in unreachable_results(session, root) if _is_committed(p)]

    with catalogue.reading() as session:
        if not find(session):
            return
    # Runs and fits get their names in a transaction that writes, and none other goes on now.
    with catalogue.writing() as session:
        for path in find(session):
            with suppress(FileNotFoundError):  # who has removed its row deletes it now
                delete(path)


def _is_committed(path: Path) -> bool:
    """Return whether this is a whole run or fit, or what a killed removal has left of one."""
    if path.parent.name == "fits":
        return _FIT.fullmatch(path.name) is not None
    if path.parent.name != "runs" or path.name.startswith(".") or not path.is_dir():
        return False
    return {p.name for p in path.iterdir()} <= _FILES_OF_A_RUN


def erase_unreachable(catalogue: Catalogue, root: Path, images: Place) -> None:
    """Delete what no row names, and erase removed tiles; call under the lock of the pictures.

    Parts of unfinished runs stay, and so do files whose names are not the store's.
    """
    _delete_committed(catalogue, root)
    with catalogue.reading() as session:
        leftovers = [p for p in unreachable_pictures(session, images) if _OURS.fullmatch(p.name)]
        pending = session.execute(
            select(ErasureRow.scan, ErasureRow.place).order_by(ErasureRow.scan, ErasureRow.place)
        ).all()
    for path in leftovers:
        delete_place(path)
    for scan in sorted({row.scan for row in pending}):
        places = [row.place for row in pending if row.scan == scan]
        try:
            array = PictureArray(path_inside(images, f"{scan}.zarr"))
            array.erase(places)
            if not array.is_of_earlier_version:
                with catalogue.reading() as session:
                    array.describe(get_scan(session, scan), places_of(session, scan))
        except BadInput as error:
            log.warning("removed tiles of scan %s are not erased yet: %s", scan, error)
            continue
        with catalogue.writing() as session:
            session.execute(delete_rows(ErasureRow).where(ErasureRow.scan == scan))
