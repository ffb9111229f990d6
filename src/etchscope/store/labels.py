"""Labels of a store, and the taxonomy of their classes."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from etchscope.files.atomic import write_aside
from etchscope.files.strict_json import first_fault
from etchscope.foil import (
    DEFAULT_TAXONOMY,
    TOLERANCE_PX,
    WITHDRAWN,
    BadInput,
    Side,
    Taxonomy,
    fill_ids,
    parent_class,
    select_standing,
)
from etchscope.store.anchoring import anchored, require_classes, require_foils
from etchscope.store.catalogue import Catalogue, FoilRow, ScanRow
from etchscope.store.database import INTACT
from etchscope.store.label_rows import as_rows, class_counts, get_labels, put_rows

__all__ = ["TAXONOMY_FILE", "Labels", "read_taxonomy"]

TAXONOMY_FILE = "taxonomy.json"
_REFERENCE_PIXEL_MM = 0.0064516
"""Pixel size for the tolerance on a foil that has no scan of known scale any more."""


def read_taxonomy(path: Path) -> Taxonomy:
    """Return the taxonomy of a JSON file.

    ``{"classes": {name: meaning}, "undecidable": [name], "no_pit": [name]}``, see ``Taxonomy``.

    Raises
    ------
    BadInput : absent, not JSON, or no taxonomy; names the key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        return Taxonomy.model_validate_json(text)
    except OSError as error:
        raise BadInput(path, "a taxonomy file", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise BadInput(path, "JSON in UTF-8", f"byte {error.start} is not UTF-8") from error
    except ValidationError as error:
        where, found = first_fault(path, error)
        raise BadInput(where, "a taxonomy", found) from error


class Labels:
    """The labels of a store, and the taxonomy of their classes."""

    def __init__(self, root: Path, catalogue: Catalogue) -> None:
        self._root = root
        self._catalogue = catalogue

    def taxonomy(self) -> Taxonomy:
        """Return the classes that labels of this store may have; the default unless set.

        Raises
        ------
        BadInput : the store's file is damaged.
        """
        path = self._root / TAXONOMY_FILE
        return read_taxonomy(path) if path.exists() else DEFAULT_TAXONOMY

    def set_taxonomy(self, taxonomy: Taxonomy) -> None:
        """Set the classes that labels of this store may have.

        Raises
        ------
        BadInput : labels of the store use a class that is not among them.
        MachineFailed : the disk is full.
        """
        with self._catalogue.writing() as session:  # no label comes in meanwhile
            self._write_taxonomy(session, taxonomy)

    def _write_taxonomy(self, session: Session, taxonomy: Taxonomy) -> None:
        for name, count in sorted(class_counts(session).items()):
            if name != WITHDRAWN and not taxonomy.is_known(name):
                expected = f"the class {name!r}, of which the store has {count} labels"
                raise BadInput("taxonomy", expected, "it is missing")
        if taxonomy == self.taxonomy():
            return
        with write_aside(self._root / TAXONOMY_FILE) as aside:
            aside.write_text(taxonomy.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def anchored(
        self, table: pd.DataFrame, *, taxonomy: Taxonomy | None = None, where: str = "labels"
    ) -> pd.DataFrame:
        """Return labels as they would be added, with their place on the foil; changes nothing.

        Parameters
        ----------
        table : see ``foil.as_labels``; a place as x_mm, y_mm with foil and side, or as scan,
            tile, x_px, y_px.
        taxonomy : the classes that are known; the store's unless given.
        where : what an error names: the file, for example.

        Raises
        ------
        BadInput : names the row: a value that is missing or cannot be, a foil, scan, tile or
            class that the store does not know, a place outside every tile.
        """
        with self._catalogue.reading() as session:
            return anchored(session, table, taxonomy or self.taxonomy(), where)

    def add(
        self, table: pd.DataFrame, *, taxonomy: Taxonomy | None = None, where: str = "labels"
    ) -> int:
        """Add events, all of them or none, and return how many were new.

        An event that the store has already (the same id; or the same foil, side, place, class,
        who and when) changes nothing. A label is taken back by an event of the class
        ``withdrawn`` at its place. Parameters and errors are those of ``anchored``.

        Parameters
        ----------
        taxonomy : becomes the store's together with the labels.

        Raises
        ------
        BadInput : also where another event has the same id.
        MachineFailed : the disk is full.
        """
        labels = fill_ids(self.anchored(table, taxonomy=taxonomy, where=where))
        rows = as_rows(labels)  # before the turn of this writer, so that others need not wait
        with self._catalogue.writing() as session:
            require_foils(session, labels, where)  # one may be gone meanwhile
            require_classes(labels, taxonomy or self.taxonomy(), where)
            added = put_rows(session, rows, where)
            if taxonomy is not None:
                self._write_taxonomy(session, taxonomy)
            return added

    def table(
        self,
        *,
        foil: str | None = None,
        side: Side | None = None,
        who: str | None = None,
        classes: Sequence[str] | None = None,
        latest: bool = True,
        tolerance_mm: float | None = None,
    ) -> pd.DataFrame:
        """Return labels, see ``foil.as_labels``, in their order of arrival.

        Parameters
        ----------
        foil, side, who : only of these.
        classes : only these classes with their subclasses.
        latest : for each person and place only what stands; otherwise every event.
        tolerance_mm : places closer than this are one; by default 3 px of the foil's scans.

        Raises
        ------
        BadInput : the catalogue is damaged.
        """
        with self._catalogue.reading() as session:
            found = get_labels(session, foil=foil, side=side, who=who)
        if latest:
            found = self._latest(found, tolerance_mm)
        if classes is not None:
            wanted = set(classes)
            is_wanted = [c in wanted or parent_class(c) in wanted for c in found["class"]]
            found = found[is_wanted].reset_index(drop=True)
        return found

    def _latest(self, labels: pd.DataFrame, tolerance_mm: float | None) -> pd.DataFrame:
        tolerances = self.tolerances_mm()
        unknown = set(labels["foil"].astype("str")) - set(tolerances)
        if unknown:
            found = f"labels of foil {min(unknown)!r:.100}, which it does not list"
            raise BadInput(self._catalogue.name, INTACT, found)
        if tolerance_mm is not None:
            tolerances = dict.fromkeys(tolerances, tolerance_mm)
        return select_standing(labels, tolerance_mm=tolerances)

    def tolerances_mm(self) -> dict[str, float]:
        """Return foil → 3 px of its coarsest scan, in mm; closer labels are of one place."""
        largest = func.max(ScanRow.pixel_size_um)
        with self._catalogue.reading() as session:
            rows = session.execute(select(ScanRow.foil, largest).group_by(ScanRow.foil)).all()
            foils = session.scalars(select(FoilRow.name)).all()
        sizes_mm = {row[0]: row[1] / 1000 for row in rows if row[1] is not None}
        return {foil: TOLERANCE_PX * sizes_mm.get(foil, _REFERENCE_PIXEL_MM) for foil in foils}
