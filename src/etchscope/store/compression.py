"""Compress the white space of a scan; adding the scan again restores it.

One commit writes the digests of what the tiles will be, before any picture changes; see
``compressing``. So the same command finishes what a kill has interrupted.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.orm import Session

from etchscope.files.atomic import translate_disk_errors
from etchscope.foil import BadInput
from etchscope.store.catalogue import Catalogue, CompressedTileRow, CompressionRow
from etchscope.store.compressing import (
    RESTORE_HINT,
    KeptPictures,
    WhiteSpace,
    compress_shards,
    open_pictures,
    survey,
)
from etchscope.store.places import Place, size_of
from etchscope.store.removal import erase_unreachable, lock_images
from etchscope.store.run_files import drop_partial, partial_runs_of

__all__ = ["LEAST_SAVED", "Compressed", "Compression", "Compressions"]

LEAST_SAVED = 0.25
"""Share of the bytes that has to be saved, or else a scan is left as it is."""


@dataclass(frozen=True)
class Compression:
    """How the white space of a scan is compressed.

    Parameters
    ----------
    run : the run near whose openings pixels are kept.
    margin_px : distance from the openings up to which they are.
    digest : SHA-256 of the digests of all compressed tiles.
    bytes_before, bytes_after : of the shards of the scan.
    kept_px : number of pixels of one light that stay as they were, in all tiles.
    """

    scan: str
    run: str
    margin_px: float
    digest: str
    bytes_before: int
    bytes_after: int
    kept_px: int


@dataclass(frozen=True)
class Compressed:
    """What was done to a scan.

    Parameters
    ----------
    compression : with the bytes before and after.
    tiles : number of tiles that are compressed; the others have no white space.
    is_done : False where too little would be saved, so that nothing was changed.
    kept_share : share of the pixels that stay as they were.
    """

    compression: Compression
    tiles: int
    is_done: bool
    kept_share: float


def _compression_of(session: Session, scan: str) -> Compression | None:
    row = session.get(CompressionRow, scan)
    if row is None:
        return None
    named = {name: getattr(row, name) for name in Compression.__dataclass_fields__}
    return Compression(**named)


class Compressions:
    """The compressed scans of a store."""

    def __init__(self, root: Path, catalogue: Catalogue, images: Place) -> None:
        self._root = root
        self._catalogue = catalogue
        self._images = images

    def of(self, scan: str) -> Compression | None:
        """Return how a scan is compressed, or None for one that is as it was added."""
        with self._catalogue.reading() as session:
            return _compression_of(session, scan)

    def refuse(self, scan: str, what: str) -> None:
        """Refuse a compressed scan where the pictures have to be as they were added.

        Parameters
        ----------
        what : the step, for the error.

        Raises
        ------
        BadInput : the scan is compressed.
        """
        if self.of(scan) is not None:
            found = f"scan {scan}, whose white space is compressed"
            raise BadInput(what, "pictures as they were added", found, hint=RESTORE_HINT)

    def compress(self, scan: str, how: WhiteSpace) -> Compressed:
        """Compress a scan, or finish what a kill has interrupted.

        A scan of which less than a quarter of the bytes would be saved is left as it is.

        Raises
        ------
        BadInput : no such scan, damaged pictures, or a scan that is compressed by another run or
            with another margin.
        MachineFailed : the disk is full, or the object store fails.
        """
        what = f"compressing scan {scan}"
        with lock_images(self._root, what) as lock, translate_disk_errors(what):
            if lock.is_held:
                erase_unreachable(self._catalogue, self._root, self._images)
            pictures = open_pictures(self._catalogue, self._images, scan)
            known = self.of(scan)
            if known is None:
                known = self._begin(pictures, how)
                pictures = open_pictures(self._catalogue, self._images, scan)
            elif (known.run, known.margin_px) != (how.run, how.margin_px):
                expected = f"run {known.run} and a margin of {known.margin_px:g} px, as before"
                found = f"run {how.run} and {how.margin_px:g} px"
                raise BadInput(f"scan {scan}", expected, found, hint=RESTORE_HINT)
            is_done = bool(pictures.compressed)
            if is_done:
                compress_shards(pictures, how)
                for run in partial_runs_of(self._root / "runs", {scan}):
                    drop_partial(self._root / "runs", run)
        height, width = pictures.scan.image_size
        share = known.kept_px / (height * width * len(pictures.scan.tiles))
        return Compressed(known, len(pictures.compressed), is_done, share)

    def _begin(self, pictures: KeptPictures, how: WhiteSpace) -> Compression:
        """Return what compressing saves; keep the digests where that is enough."""
        tiles, kept_px, after = survey(pictures, how)
        before = sum(size_of(pictures.array.shard_file(s.start)) for s in pictures.array.shards)
        name = pictures.scan.name
        digest = hashlib.sha256(repr(sorted(tiles.items())).encode()).hexdigest()
        found = Compression(name, how.run, how.margin_px, digest, before, after, kept_px)
        if tiles and before - after >= LEAST_SAVED * before:
            rows = [{"scan": name, "tile": n, "sha256": sha} for n, sha in tiles.items()]
            with self._catalogue.writing() as session:
                session.add(CompressionRow(**vars(found)))
                session.flush()
                session.connection().execute(insert(CompressedTileRow), rows)
        return found
