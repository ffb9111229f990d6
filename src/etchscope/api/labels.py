"""Labels of a store: import, export, list, count and compare them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from etchscope.api.given import File, Files, as_paths
from etchscope.api.kept import OfStore
from etchscope.foil import BadInput, LabelSource, Side, Taxonomy, parent_class

if TYPE_CHECKING:
    from etchscope.ingest import ImportedLabels
    from etchscope.run.coincidence_labels import CoincidenceLabels

__all__ = ["LabelCounts", "LabelSteps"]


@dataclass(frozen=True)
class LabelCounts:
    """How many labels there are.

    ``classes``: columns class, labels (of a class those of its subclasses too), and decidable.
    ``labels``: that stand; ``events``: replaced and withdrawn ones too; ``who``: labels of each
    person.
    """

    classes: pd.DataFrame
    labels: int
    events: int
    who: Mapping[str, int]


class LabelSteps(OfStore):
    """What is done with labels."""

    def label(
        self,
        given: Files | pd.DataFrame = (),
        *,
        who: str | None = None,
        source: LabelSource = "person",
        when: str | None = None,
        scan: str | None = None,
        class_map: Mapping[int, str] | File | None = None,
        exit_pits: bool = False,
        taxonomy: Taxonomy | File | None = None,
    ) -> "ImportedLabels":
        """Add labels, all of them or none; what the store has already changes nothing.

        Parameters
        ----------
        given : a table with a column class, and foil, side, x_mm, y_mm, or scan, tile, x_px,
            y_px, in memory or as files (.csv, .parquet); or YOLO boxes (.txt), or folders of
            them. A pit table with a class will do.
        who, source, when : of labels that do not have these themselves; labels in memory without
            a time get the present one.
        scan : that labels in tile pixels, or YOLO's pictures, belong to.
        class_map : number of a YOLO class → class, or a JSON file of them.
        exit_pits : label also the exit pits of hip, from pit tables.
        taxonomy : the store's classes from now on, or a JSON file of them.

        Raises
        ------
        BadInput : neither labels nor a taxonomy; or names the file and row, what was expected and
            what was found.
        MachineFailed : the disk is full.
        """
        from etchscope.ingest import LabelDefaults, import_labels, read_class_map
        from etchscope.store import read_taxonomy

        tables = [given] if isinstance(given, pd.DataFrame) else as_paths(given)
        if not tables and taxonomy is None:
            raise BadInput("labels", "files or a table of labels, or a taxonomy", "neither")
        if isinstance(class_map, str | os.PathLike):
            class_map = read_class_map(Path(class_map))
        if isinstance(taxonomy, str | os.PathLike):
            taxonomy = read_taxonomy(Path(taxonomy))
        defaults = LabelDefaults(who, source, when, scan, class_map, exit_pits)
        return import_labels(self.kept, tables, defaults, taxonomy=taxonomy)

    def labels(
        self,
        *,
        foil: str | None = None,
        side: Side | None = None,
        who: str | None = None,
        classes: Sequence[str] | None = None,
        every: bool = False,
    ) -> pd.DataFrame:
        """Return labels as a table: for each person and place the latest.

        Parameters
        ----------
        foil, side, who : only of these.
        classes : only these classes with their subclasses.
        every : every event, also replaced and withdrawn ones.

        Raises
        ------
        UnknownClass : the store's taxonomy has no such class.
        """
        for name in classes or []:
            self.kept.labels.taxonomy().require("class", name)
        return self.kept.labels.table(
            foil=foil, side=side, who=who, classes=classes, latest=not every
        )

    def export_labels(
        self,
        path: File,
        *,
        foil: str | None = None,
        side: Side | None = None,
        who: str | None = None,
        classes: Sequence[str] | None = None,
        every: bool = False,
    ) -> int:
        """Write the table of ``labels`` into a file, and return how many labels it has.

        Parameters
        ----------
        path : .csv or .parquet.
        foil, side, who, classes, every : see ``labels``.

        Raises
        ------
        UnknownClass : the store's taxonomy has no such class.
        BadInput : another suffix, or no such folder.
        MachineFailed : the disk is full.
        """
        from etchscope.files import write_labels

        found = self.labels(foil=foil, side=side, who=who, classes=classes, every=every)
        write_labels(Path(path), found)
        return len(found)

    def count_labels(
        self, *, foil: str | None = None, side: Side | None = None, who: str | None = None
    ) -> LabelCounts:
        """Return how many labels each class has; parameters are those of ``labels``."""
        standing = self.labels(foil=foil, side=side, who=who)
        own = standing["class"].value_counts()
        whole = standing["class"].map(parent_class).value_counts()
        taxonomy = self.kept.labels.taxonomy()
        rows = [
            {
                "class": name,
                "labels": int((whole if name == parent_class(name) else own).get(name, 0)),
                "decidable": taxonomy.is_decidable(name),
            }
            for name in taxonomy.classes
        ]
        return LabelCounts(
            pd.DataFrame(rows),
            len(standing),
            len(self.labels(foil=foil, side=side, who=who, every=True)),
            {str(k): int(v) for k, v in standing["who"].value_counts().sort_index().items()},
        )

    def conflicts(
        self,
        *,
        foil: str | None = None,
        side: Side | None = None,
        tolerance_mm: float | None = None,
        every: bool = False,
    ) -> pd.DataFrame:
        """Return the places where labels name different decidable classes.

        Parameters
        ----------
        foil, side : only of these.
        tolerance_mm : labels closer than this are of one place; 3 px of the foil's scans unless
            given.
        every : also places where one person changed their mind.
        """
        from etchscope.evaluation import find_conflicts

        kept = self.kept.labels
        labels = kept.table(foil=foil, side=side, latest=not every, tolerance_mm=tolerance_mm)
        tolerance = kept.tolerances_mm() if tolerance_mm is None else tolerance_mm
        return find_conflicts(labels, tolerance, taxonomy=kept.taxonomy())

    def label_from_coincidence(
        self,
        alignment: File,
        target: str,
        *,
        surfaces: int = 2,
        foils: int = 1,
        most_p: float = 0.05,
        name: str = "hip",
        who: str = "coincidence",
    ) -> "CoincidenceLabels":
        """Label where the other foils of a stack agree that an ion went through a foil.

        Parameters
        ----------
        alignment : folder that ``align`` wrote.
        target : list or scan that is labelled, in the frame of the store's scan.
        surfaces, foils : least number of surfaces of other foils, and of other foils, that show
            the place.
        most_p : largest probability that the place is accidental.
        name, who : class of the labels, and the name under which they are kept.

        Raises
        ------
        UnknownAlignment : no alignment in the folder.
        BadInput : no such list, too few others, or a foil that the store does not know.
        MachineFailed : the disk is full.
        """
        from etchscope.run.coincidence_labels import label_from_coincidence

        return label_from_coincidence(
            self.kept,
            Path(alignment),
            target,
            surfaces=surfaces,
            foils=foils,
            most_p=most_p,
            name=name,
            who=who,
        )
