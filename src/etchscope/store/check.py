"""Compare a store with its catalogue, and name what is damaged or left over."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from etchscope.files.digests import sha256_of
from etchscope.files.inside import path_inside
from etchscope.files.locks import is_held
from etchscope.foil import BadInput, DamagedFile, Scan
from etchscope.store.alignments import ALIGNMENTS_FOLDER, read_kept_alignment
from etchscope.store.catalogue import (
    Catalogue,
    ErasureRow,
    FitRow,
    FoilRow,
    RunRow,
    ScanRow,
    StackRow,
)
from etchscope.store.compressing import compressed_tiles, tile_digest
from etchscope.store.label_rows import damaged_labels
from etchscope.store.labels import TAXONOMY_FILE, read_taxonomy
from etchscope.store.models import MODELS_FOLDER, read_model
from etchscope.store.pictures import PictureArray, digest_metadata, pixel_digest
from etchscope.store.places import META_FILE, Place, list_files
from etchscope.store.records import read_run_record
from etchscope.store.removal import unreachable_pictures, unreachable_results
from etchscope.store.rows import (
    Picture,
    foil_of,
    get_scan,
    intact_rows,
    pictures_of,
    places_of,
    scan_digest,
    stack_of,
)
from etchscope.store.run_files import RECORD_FILE

__all__ = ["Finding", "check_store"]

Severity = Literal["damaged", "leftover"]
Progress = Callable[[int], None] | None


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Parameters
    ----------
    severity : ``damaged`` (data are lost) or ``leftover`` (unfinished work; nothing is lost).
    what : the scan, tile and step, the run, the fit, the model or the alignment.
    detail : what was expected and what was found.
    """

    severity: Severity
    what: str
    detail: str


def check_store(
    catalogue: Catalogue, root: Path, images: Place, progress: Progress
) -> list[Finding]:
    """Return every finding of a store, reading all of it; changes nothing."""
    try:
        with catalogue.reading() as session:
            return [
                *_findings("rows", _catalogue_findings(catalogue, session)),
                *_findings("foils", _foil_findings(session)),
                *_findings("scans", _scan_findings(session, images, progress)),
                *_findings("runs", _run_findings(session, root)),
                *_findings("fits", _fit_findings(session, root)),
                *_findings("labels", _label_findings(session, root)),
                *_findings(MODELS_FOLDER, _model_findings(root)),
                *_findings(ALIGNMENTS_FOLDER, _alignment_findings(root)),
                *_findings("leftovers", _leftovers(session, root, images)),
            ]
    except BadInput as error:
        return [Finding("damaged", "catalogue", str(error))]


def _findings(what: str, findings: Iterator[Finding]) -> list[Finding]:
    """Return the findings of one kind; an altered cell, which may hold anything, is one of them."""
    found: list[Finding] = []
    try:
        with intact_rows(what):
            found.extend(findings)
    except BadInput as error:
        found.append(Finding("damaged", f"catalogue: {what}", str(error)))
    return found


def _catalogue_findings(catalogue: Catalogue, session: Session) -> Iterator[Finding]:
    for table, found in catalogue.database.find_damage(session):
        yield Finding("damaged", f"catalogue: table {table}" if table else "catalogue", found)


def _foil_findings(session: Session) -> Iterator[Finding]:
    for stack in session.scalars(select(StackRow).order_by(StackRow.name)):
        try:
            stack_of(stack)
        except BadInput as error:
            yield Finding("damaged", f"stack {stack.name}", str(error))
    for foil in session.scalars(select(FoilRow).order_by(FoilRow.name)):
        try:
            foil_of(foil)
        except BadInput as error:
            yield Finding("damaged", f"foil {foil.name}", str(error))


def _scan_findings(session: Session, images: Place, progress: Progress) -> Iterator[Finding]:
    for row in session.scalars(select(ScanRow).order_by(ScanRow.name)):
        what, path = f"scan {row.name}", path_inside(images, f"{row.name}.zarr")
        scan, pictures = get_scan(session, row.name), pictures_of(session, row.name)
        is_intact = scan_digest(scan, pictures) == row.digest
        if not is_intact:
            yield Finding("damaged", f"catalogue: {what}", "its rows do not match their digest")
        yield from _array_findings(session, scan, pictures, path, row.array_sha256, progress)
        to_erase = select(ErasureRow).where(ErasureRow.scan == row.name)
        if is_intact and session.scalars(to_erase).first() is None:
            yield from _description_findings(session, scan, path)


def _array_findings(
    session: Session,
    scan: Scan,
    pictures: list[Picture],
    path: Place,
    array_sha256: str,
    progress: Progress,
) -> Iterator[Finding]:
    what = f"scan {scan.name}"
    if not (path / META_FILE).is_file():
        yield Finding("damaged", what, f"no pictures at {path}")
        return
    try:
        is_intact = digest_metadata(path) == array_sha256
    except BadInput as error:
        yield Finding("damaged", what, str(error))
        return
    if not is_intact:
        yield Finding("damaged", what, f"the metadata of {path} are not as they were written")
        return
    array = PictureArray(path)
    places = places_of(session, scan.name)
    compressed = compressed_tiles(session, scan.name)
    yield from _picture_findings(scan, pictures, compressed, array, places, progress)
    yield from _extra_files(what, array)


def _description_findings(session: Session, scan: Scan, path: Place) -> Iterator[Finding]:
    try:
        array = PictureArray(path)
        is_compressed = bool(compressed_tiles(session, scan.name))
        places = places_of(session, scan.name)
        is_right = array.is_described(scan, places, is_compressed=is_compressed)
    except BadInput:  # damage that is a finding already
        return
    if not (is_right or array.is_of_earlier_version):
        detail = f"{path / META_FILE} is not as it was written; `etchscope migrate` mends it"
        yield Finding("damaged", f"scan {scan.name}", detail)


def _picture_findings(
    scan: Scan,
    pictures: list[Picture],
    compressed: dict[int, str],
    array: PictureArray,
    places: dict[int, int],
    progress: Progress,
) -> Iterator[Finding]:
    """Yield the tiles that are neither as they were added nor as they are when compressed."""
    unfinished = 0
    expected: dict[int, dict[int, str]] = {}
    for picture in pictures:
        expected.setdefault(picture.tile, {})[picture.step] = picture.sha256
    for tile in scan.tiles:
        what = f"scan {scan.name}, tile {tile.number}"
        try:
            pixels = array.read(places[tile.number])
        except BadInput as error:
            yield Finding("damaged", what, f"{error.where}: {error.found}")
        else:
            by_step = expected.get(tile.number, {})
            wrong = [
                channel.step
                for channel, picture_px in zip(scan.channels, pixels, strict=True)
                if pixel_digest(picture_px) != by_step.get(channel.step)
            ]
            if tile.number in compressed and not wrong:
                unfinished += 1
            elif wrong and tile_digest(pixels) != compressed.get(tile.number):
                for step in wrong:
                    detail = "pixels are not as they were added"
                    yield Finding("damaged", f"{what}, step {step}", detail)
        if progress is not None:
            progress(1)
    if unfinished:
        detail = f"of {len(compressed)} tiles to compress {unfinished} are as they were added; "
        detail += "`etchscope compress` finishes it, and `etchscope add` undoes it"
        yield Finding("leftover", f"scan {scan.name}", detail)


def _extra_files(what: str, array: PictureArray) -> Iterator[Finding]:
    meta = {array.path / META_FILE, array.folder / META_FILE}
    known = meta | {array.shard_file(s.start) for s in array.shards}
    for path in list_files(array.path):
        if path not in known:
            yield Finding("leftover", what, f"{path} does not belong there")


def _run_findings(session: Session, root: Path) -> Iterator[Finding]:
    for run in session.scalars(select(RunRow).order_by(RunRow.name)):
        folder = path_inside(root / "runs", run.name)
        for name, sha256 in sorted(run.files.items()):
            yield from _file_findings(f"run {run.name}", path_inside(folder, name), sha256)
        try:
            read_run_record(folder / RECORD_FILE)
        except DamagedFile as error:
            yield Finding("damaged", f"run {run.name}", str(error))
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name not in run.files:
                yield Finding("leftover", f"run {run.name}", f"{path} does not belong there")


def _fit_findings(session: Session, root: Path) -> Iterator[Finding]:
    for fit in session.scalars(select(FitRow).order_by(FitRow.scan, FitRow.recipe)):
        what = f"fit of scan {fit.scan}, recipe {fit.recipe}"
        yield from _file_findings(what, path_inside(root / "fits", fit.file), fit.sha256)


def _label_findings(session: Session, root: Path) -> Iterator[Finding]:
    for name in damaged_labels(session):
        yield Finding("damaged", f"catalogue: label {name}", "its row is not as it was added")
    path = root / TAXONOMY_FILE
    if path.exists():
        try:
            read_taxonomy(path)
        except BadInput as error:
            yield Finding("damaged", TAXONOMY_FILE, str(error))


def _file_findings(what: str, path: Path, sha256: str) -> Iterator[Finding]:
    if not path.is_file():
        yield Finding("damaged", what, f"{path} is missing")
    elif sha256_of(path) != sha256:
        yield Finding("damaged", what, f"{path} is not as it was written")


def _model_findings(root: Path) -> Iterator[Finding]:
    folder = root / MODELS_FOLDER
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith("."):
            yield Finding("leftover", f"{MODELS_FOLDER}/{path.name}", "unfinished work")
            continue
        try:
            read_model(path)
        except BadInput as error:
            yield Finding("damaged", f"model {path.name}", str(error))


def _alignment_findings(root: Path) -> Iterator[Finding]:
    for path in sorted((root / ALIGNMENTS_FOLDER).glob("*")):
        if path.name.startswith("."):
            yield Finding("leftover", f"{ALIGNMENTS_FOLDER}/{path.name}", "unfinished work")
            continue
        try:
            read_kept_alignment(path)
        except BadInput as error:
            yield Finding("damaged", f"alignment {path.stem}", str(error))


def _leftovers(session: Session, root: Path, images: Place) -> Iterator[Finding]:
    for path in sorted([*root.glob(".*.aside"), *root.glob(".*.lock")]):
        if not is_held(path):
            yield Finding("leftover", path.name, "unfinished work")
    for picture in unreachable_pictures(session, images):
        yield Finding("leftover", f"images/{picture.name}", "unfinished work")
    for path in unreachable_results(session, root):
        yield Finding("leftover", f"{path.parent.name}/{path.name}", "unfinished work")
    for scan in session.scalars(select(ErasureRow.scan).distinct().order_by(ErasureRow.scan)):
        yield Finding("leftover", f"scan {scan}", "removed tiles that are not erased yet")
