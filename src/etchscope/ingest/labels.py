"""Labels from files: tables of labels, pit tables with a class, YOLO text boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from etchscope.files import read_columns
from etchscope.files.foreign import read_bytes
from etchscope.files.strict_json import read_json
from etchscope.foil import (
    LABEL_COLUMNS,
    BadInput,
    LabelSource,
    NoClassMap,
    NoLabeller,
    NoPicture,
    Taxonomy,
    TwoPictures,
    as_labels,
    digest_events,
    format_region,
    parent_class,
)
from etchscope.foil.cells import require_plain_cells
from etchscope.foil.types import Bools, Floats
from etchscope.ingest.scan_json import as_bad_input
from etchscope.store import Store

__all__ = [
    "ImportedLabels",
    "LabelDefaults",
    "import_labels",
    "label_columns",
    "read_class_map",
    "read_label_table",
    "read_yolo_boxes",
]

_TEXT = tuple(c.name for c in LABEL_COLUMNS if c.dtype == "str" or c.name == "when")
_CLASS_NAMES = "classes.txt"  # labelling programs write it beside the boxes
_SURFACE = "surface"  # a column of pit tables only
_ROUNDING = 1e-5  # of fractions, by which 1.0000002 is still the edge of the picture


@dataclass(frozen=True)
class LabelDefaults:
    """Values for labels whose file does not state them.

    Parameters
    ----------
    who, source, when : of every label whose row states none; ``when`` is a time as text, by default
        the time at which the file was last changed.
    scan : of labels in pixels of a tile; only its pictures are searched for those of YOLO boxes.
    class_map : number of a YOLO class → class.
    exit_pits : whether exit pits of class ``hip`` in pit tables become labels, too.
    """

    who: str | None = None
    source: LabelSource = "person"
    when: str | None = None
    scan: str | None = None
    class_map: Mapping[int, str] | None = None
    exit_pits: bool = False


@dataclass(frozen=True)
class ImportedLabels:
    """Numbers of label events that are new and that the store had, and of exit pits left out."""

    added: int
    known: int
    exit_pits_left_out: int


def import_labels(
    store: Store,
    given: Sequence[Path | pd.DataFrame],
    defaults: LabelDefaults | None = None,
    *,
    taxonomy: Taxonomy | None = None,
) -> ImportedLabels:
    """Add the labels of files and tables to a store, all of them or none.

    Parameters
    ----------
    given : tables as ``.csv`` or ``.parquet``; YOLO boxes as ``.txt``, or folders of them; tables
        in memory, whose labels are made now unless they say when.
    defaults : values for labels whose file does not state them.
    taxonomy : replaces that of the store together with the labels; by default the store keeps its
        own.

    Raises
    ------
    BadInput : a file or a row that is no label; the message names both.
    MachineFailed : the disk is full.
    """
    says = defaults or LabelDefaults()
    sources = _sources(given)
    pictures = _pictures(store, says.scan) if any(map(_is_box, sources)) else {}
    parts, left_out = [], 0
    for source in sources:
        where, changed = "labels", datetime.now(UTC)
        if isinstance(source, Path):
            where, changed = str(source), datetime.fromtimestamp(source.stat().st_mtime, UTC)
        if isinstance(source, pd.DataFrame):
            table, exits = label_columns(source, where, exit_pits=says.exit_pits)
        elif _is_box(source):
            table, exits = _boxes_of_picture(store, source, says, pictures), 0
        else:
            table, exits = read_label_table(source, exit_pits=says.exit_pits)
        left_out += exits
        labels = as_labels(table, where=where)
        placed = store.labels.anchored(
            _filled(where, labels, says, changed), taxonomy=taxonomy, where=where
        )
        if isinstance(source, Path):
            placed = _dated_as_before(store, placed, labels["when"].isna().to_numpy())
        parts.append(placed)
    whole = pd.concat(parts, ignore_index=True) if parts else as_labels({})
    where = str(sources[0]) if len(sources) == 1 and isinstance(sources[0], Path) else "labels"
    added = store.labels.add(whole, taxonomy=taxonomy, where=where)
    return ImportedLabels(added, len(whole) - added, left_out)


def _is_box(source: Path | pd.DataFrame) -> bool:
    return isinstance(source, Path) and source.suffix.lower() == ".txt"


def _sources(given: Sequence[Path | pd.DataFrame]) -> list[Path | pd.DataFrame]:
    """Return the tables and files, a folder as the boxes in it."""
    out: list[Path | pd.DataFrame] = []
    for path in given:
        if isinstance(path, pd.DataFrame):
            out.append(path)
        elif not path.exists():
            raise BadInput(path, "a table of labels, or boxes as text", "no such file")
        elif path.is_dir():
            boxes = sorted(p for p in path.glob("*.txt") if p.name != _CLASS_NAMES)
            if not boxes:
                raise BadInput(path, "files of boxes (.txt)", "none in the folder")
            out += boxes
        else:
            out.append(path)
    return out


def _filled(
    where: str, labels: pd.DataFrame, given: LabelDefaults, changed: datetime
) -> pd.DataFrame:
    has_px = labels["x_px"].notna() & labels["scan"].isna()
    stamp = as_labels({"when": [given.when or changed.isoformat()]}, where="when")["when"].iloc[0]
    out = labels.assign(
        who=labels["who"].fillna(given.who) if given.who is not None else labels["who"],
        source=labels["source"].fillna(given.source),
        when=labels["when"].fillna(stamp),
        scan=labels["scan"].mask(has_px, given.scan) if given.scan is not None else labels["scan"],
    )
    if out["who"].isna().any():
        raise NoLabeller(f"{where}: column who", "the name of the labeller", "none")
    return out


def _dated_as_before(store: Store, labels: pd.DataFrame, is_undated: Bools) -> pd.DataFrame:
    """Return the labels of a file, with their earlier times where a copy of it was imported before.

    The time of a label whose row states none is that of the file, and a copy has another one.
    """
    if not is_undated.any():
        return labels
    undated = labels[is_undated]
    foils = undated["foil"].unique()
    known = pd.concat([store.labels.table(foil=str(f), latest=False) for f in foils])
    known = known.sort_values("when", ascending=False)  # so that the earliest stays
    times = dict(zip(_contents(known), known["when"], strict=True))
    when = [times.get(c, t) for c, t in zip(_contents(undated), undated["when"], strict=True)]
    return labels.assign(when=labels["when"].mask(is_undated, pd.Series(when, undated.index)))


def _contents(labels: pd.DataFrame) -> list[str]:
    """Return a digest of each label whatever its time."""
    return digest_events(labels.assign(when=pd.Timestamp(0, tz=UTC)))


def read_label_table(path: Path, *, exit_pits: bool = False) -> tuple[pd.DataFrame, int]:
    """Return the columns of labels in a file, and the number of exit pits that were left out.

    Raises
    ------
    BadInput : the file is absent or damaged, or see ``label_columns``.
    """
    return label_columns(read_columns(path, (*_TEXT, _SURFACE)), str(path), exit_pits=exit_pits)


def label_columns(
    table: pd.DataFrame, where: str, *, exit_pits: bool = False
) -> tuple[pd.DataFrame, int]:
    """Return the columns of labels in a table, and the number of exit pits that were left out.

    A table with a column ``surface`` is a pit table. It has one label per opening, but of the two
    openings of a ``hip`` only the entry pit, unless ``exit_pits``. Other columns are ignored.

    Raises
    ------
    BadInput : the table lacks the columns that make a label, or see ``require_plain_cells``; the
        message begins with ``where``.
    """
    table = require_plain_cells(where, table)
    has_mm = {"x_mm", "y_mm", "foil", "side"} <= set(table.columns)
    has_px = {"x_px", "y_px", "tile"} <= set(table.columns)
    if "class" not in table.columns or not (has_mm or has_px):
        expected = "columns class and foil, side, x_mm, y_mm or scan, tile, x_px, y_px"
        raise BadInput(where, expected, ", ".join(map(str, table.columns)) or "none")
    none = np.flatnonzero(table["class"].isna())
    if len(none):
        raise BadInput(f"{where}: column class, row {none[0] + 1}", "a class", "none")
    left_out = 0
    if _SURFACE in table.columns and not exit_pits:
        is_signal = table["class"].astype("str").map(parent_class) == "hip"
        is_exit = is_signal & (table[_SURFACE] == "bottom")
        left_out = int(is_exit.sum())
        table = table[~is_exit].reset_index(drop=True)
    names = [c.name for c in LABEL_COLUMNS if c.name in table.columns]
    return table[names], left_out


def read_class_map(path: Path) -> dict[int, str]:
    """Return number → class from a JSON file such as ``{"15": "top"}``.

    Raises
    ------
    BadInput : the file is absent, is no JSON, or holds something else.
    """
    value = read_json(path)
    try:
        return TypeAdapter(dict[int, str]).validate_python(value)
    except ValidationError as error:
        raise as_bad_input(path, error) from error


def read_yolo_boxes(
    path: Path, class_map: Mapping[int, str], image_size: tuple[int, int]
) -> pd.DataFrame:
    """Return x_px, y_px, region_px and class of YOLO boxes or polygons, one row per line.

    YOLO gives fractions that count from the edge of the picture; pixels count from the centre of
    the first pixel. A sixth number, the confidence of a detector, is read and not used. The place
    of a polygon is the middle of its extent.

    Parameters
    ----------
    class_map : number of a YOLO class → class.
    image_size : (height, width) of the picture in pixels.

    Raises
    ------
    BadInput : no regular file or no text, a line is neither box nor polygon, or its class is not in
        the map.
    """
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadInput(path, "a text file of boxes", str(error)) from error
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        kind, values = _fractions(where, line)
        if kind not in class_map:
            known = ", ".join(map(str, sorted(class_map))) or "none"
            raise BadInput(where, f"a class of the map ({known})", str(kind))
        (x, y), corners = _outline(values, image_size)
        row = {"x_px": x, "y_px": y, "region_px": format_region(corners), "class": class_map[kind]}
        rows.append(row)
    return pd.DataFrame(rows, columns=["x_px", "y_px", "region_px", "class"])


def _fractions(where: str, line: str) -> tuple[int, Floats]:
    """Return the number of a class, and the numbers of a box or a polygon, 0 to 1."""
    words = line.split()
    expected = "class, centre x, y, width, height, or three corners or more, as fractions"
    refusal = BadInput(where, expected, repr(line)[:60])
    try:
        kind, values = int(words[0]), np.array(words[1:], np.float64)
    except ValueError as error:
        raise refusal from error
    if not ((values >= -_ROUNDING) & (values <= 1 + _ROUNDING)).all():
        raise refusal
    is_box = len(values) in (4, 5) and bool((values[2:4] > 0).all())
    is_polygon = len(values) >= 6 and len(values) % 2 == 0
    if not (is_box or is_polygon):
        raise refusal
    return kind, values.clip(0, 1)


def _outline(values: Floats, image_size: tuple[int, int]) -> tuple[list[float], Floats]:
    """Return the place of a box or a polygon, and its corners (n, 2), x and y in pixels."""
    size = np.array(image_size[::-1])
    if len(values) < 6:
        centre, half = values[:2] * size - 0.5, values[2:4] * size / 2
        corners = centre + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    else:
        corners = values.reshape(-1, 2) * size - 0.5
        centre = (corners.min(axis=0) + corners.max(axis=0)) / 2
    return centre.tolist(), corners


def _pictures(store: Store, scan: str | None) -> dict[str, set[tuple[str, int]]]:
    """Return the stem of a picture file → (scan, tile) of the tiles that were read from it."""
    out: dict[str, set[tuple[str, int]]] = {}
    for name in store.injections.original_names() if scan is None else [scan]:
        for tile, sources in store.scans.sources(name).items():
            for source in sources:
                out.setdefault(PurePath(source).stem, set()).add((name, tile))
    return out


def _boxes_of_picture(
    store: Store,
    path: Path,
    given: LabelDefaults,
    pictures: Mapping[str, set[tuple[str, int]]],
) -> pd.DataFrame:
    if given.class_map is None:
        raise NoClassMap(path, "a map of the boxes' classes", "none")
    tiles = sorted(pictures.get(path.stem, ()))
    if len(tiles) != 1:
        found = ", ".join(f"tile {tile} of scan {scan}" for scan, tile in tiles) or "none"
        error = TwoPictures if tiles else NoPicture
        raise error(path, "one picture of the same name in the store", found)
    ((scan, tile),) = tiles
    boxes = read_yolo_boxes(path, given.class_map, store.scans.get(scan).image_size)
    return boxes.assign(scan=scan, tile=tile)
