"""Constants that were fitted to scans, as deterministic ``.npz`` files that run no code."""

import hashlib
import io
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError
from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.orm import Session

from etchscope.files.atomic import delete, write_aside
from etchscope.files.inside import path_inside
from etchscope.files.strict_json import first_fault
from etchscope.foil import BadInput, DamagedFile
from etchscope.geometry import Mask
from etchscope.store.catalogue import Catalogue, FitRow
from etchscope.store.fit_records import FitRecord, MaskFit
from etchscope.store.rows import now, require_scan

__all__ = ["Fits", "arrays_from_npz", "arrays_to_npz", "put_fit", "put_mask"]

Record = TypeVar("Record", bound=FitRecord)

_MASK = "mask"
"""Recipe under which a scan's mask is kept among its fits."""


def arrays_to_npz(arrays: Mapping[str, "np.ndarray[Any, Any]"]) -> tuple[bytes, str]:
    """Return the bytes of an .npz file and their SHA-256; equal arrays give equal bytes.

    Parameters
    ----------
    arrays : name → array of any numeric dtype.

    Raises
    ------
    BadInput : an array holds Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            if arrays[name].dtype.hasobject:
                raise BadInput(f"fit: array {name}", "numbers", "Python objects")
            member = io.BytesIO()
            np.save(member, np.asarray(arrays[name], order="C"), allow_pickle=False)
            # A ZipInfo of its own carries a fixed date, so the bytes do not depend on the clock.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def arrays_from_npz(path: Path, sha256: str) -> dict[str, "np.ndarray[Any, Any]"]:
    """Return the arrays of a file that has this SHA-256.

    Raises
    ------
    BadInput : absent or damaged.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedFile(path, "the file of a fit", "no file") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DamagedFile(path, f"SHA-256 {sha256[:12]}…", f"{found[:12]}…")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def put_fit(
    session: Session,
    root: Path,
    scan: str,
    recipe: str,
    arrays: Mapping[str, "np.ndarray[Any, Any]"],
    record: FitRecord,
) -> tuple[str, str]:
    """Write the file of a fit and its row, which a transaction commits; return SHA-256 and name.

    Parameters
    ----------
    root : folder of the store.
    """
    content, digest = arrays_to_npz(arrays)
    file = f"{scan}-{digest[:16]}.npz"
    with write_aside(root / "fits" / file) as aside:
        aside.write_bytes(content)
    session.merge(
        FitRow(
            scan=scan,
            recipe=recipe,
            file=file,
            sha256=digest,
            record=record.model_dump(mode="json"),
            saved_at=now(),
        )
    )
    return digest, file


def put_mask(session: Session, root: Path, scan: str, mask: Mask) -> None:
    """Keep where a new scan is to be searched, in the transaction that adds it.

    Parameters
    ----------
    root : folder of the store.
    """
    arrays, record = mask.to_arrays(), MaskFit(mask=mask.digest)
    for recipe in (f"{_MASK}-{mask.digest}", _MASK):
        put_fit(session, root, scan, recipe, arrays, record)


class Fits:
    """The constants of a store that were fitted to its scans, and the scans' masks."""

    def __init__(self, root: Path, catalogue: Catalogue) -> None:
        self._root = root
        self._catalogue = catalogue

    def save(
        self,
        scan: str,
        recipe: str,
        arrays: Mapping[str, "np.ndarray[Any, Any]"],
        record: FitRecord,
    ) -> str:
        """Keep the constants fitted to a scan under a recipe; return their SHA-256.

        A new fit of the same scan and recipe takes the place of the old one.

        Raises
        ------
        BadInput : no such scan, or an array of objects.
        MachineFailed : the disk is full.
        """
        with self._catalogue.writing() as session:
            require_scan(session, scan)
            old = session.get(FitRow, {"scan": scan, "recipe": recipe})
            before = set() if old is None else {old.file}
            digest, file = put_fit(session, self._root, scan, recipe, arrays, record)
        self._delete_unused(before - {file})
        return digest

    def drop(self, scan: str, recipes: Collection[str]) -> None:
        """Forget the fits of a scan under these recipes; absent ones are no error.

        Raises
        ------
        MachineFailed : the disk is full.
        """
        if not recipes:
            return
        with self._catalogue.writing() as session:
            where = FitRow.scan == scan, FitRow.recipe.in_(list(recipes))
            before = set(session.scalars(select(FitRow.file).where(*where)))
            session.execute(delete_rows(FitRow).where(*where))
        self._delete_unused(before)

    def _delete_unused(self, files: set[str]) -> None:
        """Delete those of some files that no fit names; fits of equal arrays share a file."""
        if not files:
            return
        # A transaction of its own: the rows are gone for good, and nobody adds one meanwhile.
        with self._catalogue.writing() as session:
            used = select(FitRow.file).where(FitRow.file.in_(files))
            for file in files - set(session.scalars(used)):
                delete(path_inside(self._root / "fits", file))

    def records(self, scan: str, begin: str, kind: type[Record]) -> dict[str, Record]:
        """Return recipe → record of the fits of a scan whose recipes begin like this.

        Parameters
        ----------
        kind : of the records that were saved.

        Raises
        ------
        DamagedFile : a record is damaged.
        """
        with self._catalogue.reading() as session:
            chosen = select(FitRow.recipe, FitRow.record).where(
                FitRow.scan == scan, FitRow.recipe.startswith(begin, autoescape=True)
            )
            rows = [(row.recipe, row.record) for row in session.execute(chosen)]
        return {recipe: self._validated(scan, recipe, kind, given) for recipe, given in rows}

    def _validated(self, scan: str, recipe: str, kind: type[Record], given: Any) -> Record:
        try:
            return kind.model_validate(given)
        except ValidationError as error:
            name = f"{self._catalogue.name}: fit {recipe} of scan {scan}"
            where, found = first_fault(name, error)
            raise DamagedFile(where, "the record of a fit", found) from error

    def record(self, scan: str, recipe: str, kind: type[Record]) -> Record | None:
        """Return the record of a fit without its arrays, or None without one.

        Raises
        ------
        DamagedFile : the record is damaged.
        """
        with self._catalogue.reading() as session:
            row = session.get(FitRow, {"scan": scan, "recipe": recipe})
            given = None if row is None else row.record
        return None if given is None else self._validated(scan, recipe, kind, given)

    def load(
        self, scan: str, recipe: str, kind: type[Record]
    ) -> tuple[dict[str, "np.ndarray[Any, Any]"], Record] | None:
        """Return the arrays and the record of a fit, or None without one.

        Parameters
        ----------
        kind : of the record that was saved.

        Raises
        ------
        DamagedFile : the file or the record is damaged.
        """
        with self._catalogue.reading() as session:
            row = session.get(FitRow, {"scan": scan, "recipe": recipe})
            if row is None:
                return None
            file, digest, given = row.file, row.sha256, row.record
        record = self._validated(scan, recipe, kind, given)
        return arrays_from_npz(self._root / "fits" / file, digest), record

    def set_mask(self, scan: str, mask: Mask | None) -> None:
        """Keep where a scan is to be searched from now on; None searches all of it again.

        Earlier masks stay, so that the mask of a run can be looked up. Removing tiles of the scan
        removes its masks and all other fits, since the foil's frame may depend on those tiles.

        Raises
        ------
        BadInput : no such scan.
        MachineFailed : the disk is full.
        """
        if mask is None:
            self.save(scan, _MASK, {}, MaskFit(mask=None))
            return
        arrays, record = mask.to_arrays(), MaskFit(mask=mask.digest)
        self.save(scan, f"{_MASK}-{mask.digest}", arrays, record)
        # Last, because this one is used from now on. Equal arrays share their file.
        self.save(scan, _MASK, arrays, record)

    def mask(self, scan: str, digest: str | None = None) -> Mask | None:
        """Return where a scan is to be searched; None for all of it.

        Parameters
        ----------
        digest : of an earlier mask, as a run's record names it; by default the present one.

        Raises
        ------
        BadInput : no mask of that digest, or its file is damaged.
        """
        known = self.load(scan, _MASK if digest is None else f"{_MASK}-{digest}", MaskFit)
        if known is None and digest is not None:
            raise BadInput(f"scan {scan}", "a mask of the store", f"mask {digest}")
        if known is None or known[1].mask is None:
            return None
        return Mask.from_arrays(known[0])
