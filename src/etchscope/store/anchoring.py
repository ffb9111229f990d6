"""Anchor labels as they were given: to their place on the foil, or in a scan's tile."""

from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from etchscope.foil import (
    BEYOND_PX,
    WITHDRAWN,
    BadInput,
    Scan,
    Taxonomy,
    as_labels,
    format_region,
    parse_region,
)
from etchscope.foil.types import Floats
from etchscope.geometry import foil_to_tile, tile_to_foil
from etchscope.store.catalogue import FoilRow, ScanRow
from etchscope.store.injections import sources_of_injected
from etchscope.store.label_rows import are_known
from etchscope.store.rows import get_scan

__all__ = ["anchored", "is_placed", "require_classes", "require_foils"]

_REQUIRED = ("foil", "side", "class", "who", "source", "when")


def is_placed(scan: Scan) -> bool:
    """Return whether places in a scan's tiles are places on the foil."""
    known = all(t.stage_x_mm is not None and t.stage_y_mm is not None for t in scan.tiles)
    return scan.pixel_size_um is not None and known


def anchored(session: Session, table: pd.DataFrame, taxonomy: Taxonomy, where: str) -> pd.DataFrame:
    """Return labels with foil, side and, where the scale is known, their place on the foil.

    A label that the catalogue has already needs no scan, which may have been removed since.

    Raises
    ------
    BadInput : something is missing, or unknown, or lies outside every tile; names the row.
    """
    labels = as_labels(table, where=where)
    fresh = pd.Series(~are_known(session, labels), index=labels.index)
    scans = _scans(session, labels, fresh, where)
    for name, rows in labels[fresh].groupby("scan").groups.items():
        _complete(labels, rows.to_numpy(), scans[str(name)], where)
    for column in _REQUIRED:
        _refuse(labels[column].isna(), f"{where}: column {column}", "a value", "none")
    no_place = labels["x_mm"].isna() & (labels["scan"].isna() | labels["x_px"].isna())
    _refuse(no_place, f"{where}: place", "x_mm, y_mm or scan, tile, x_px, y_px", "neither")
    require_classes(labels, taxonomy, where)
    require_foils(session, labels, where)
    _require_inside(session, labels[fresh], scans, where)
    return labels


def _refuse(wrong: Any, where: str, expected: str, found: Any) -> None:
    """Raise for the first row that is wrong; ``found`` is a text, or a function of the row."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        text = found if isinstance(found, str) else found(int(rows[0]))
        raise BadInput(f"{where}, row {rows[0] + 1}", expected, text)


def _scans(
    session: Session, labels: pd.DataFrame, fresh: "pd.Series[bool]", where: str
) -> dict[str, Scan]:
    known = session.scalars(select(ScanRow.name).order_by(ScanRow.name)).all()
    wrong = fresh & labels["scan"].notna() & ~labels["scan"].isin(known)
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise BadInput(
            f"{where}: column scan, row {rows[0] + 1}",
            f"one of the store's scans ({', '.join(known) or 'none'})",
            repr(labels["scan"].iloc[rows[0]]),
            hint="Where x_mm, y_mm, foil and side are known, leave the scan out.",
        )
    injected = sources_of_injected(session)
    rows = np.flatnonzero(fresh & labels["scan"].isin(list(injected)))
    if len(rows):
        name = str(labels["scan"].iloc[rows[0]])
        raise BadInput(
            f"{where}: column scan, row {rows[0] + 1}",
            "a scan as the microscope took it",
            f"scan {name}, into which signal was injected",
            hint=f"Label scan {injected[name]}.",
        )
    return {str(n): get_scan(session, str(n)) for n in labels.loc[fresh, "scan"].dropna().unique()}


def _complete(
    labels: pd.DataFrame, rows: "np.ndarray[Any, np.dtype[np.int64]]", scan: Scan, where: str
) -> None:
    """Fill in what follows from the scan; ``rows`` are the positions of its labels."""
    of_scan = labels.iloc[rows]
    for column, value in (("foil", scan.foil), ("side", scan.side)):
        other = of_scan[column].notna() & (of_scan[column] != value)
        if other.any():
            row = rows[np.flatnonzero(other)[0]]
            at = f"{where}: column {column}, row {row + 1}"
            raise BadInput(at, f"{value} as of scan {scan.name}", repr(labels[column].iloc[row]))
        labels.loc[rows, column] = value
    in_tile = of_scan["x_px"].notna() & of_scan["tile"].notna()
    partly = ~in_tile & (of_scan["x_px"].notna() | of_scan["tile"].notna())
    if partly.any() and of_scan.loc[partly, "x_mm"].isna().any():
        row = rows[np.flatnonzero(partly & of_scan["x_mm"].isna())[0]]
        raise BadInput(f"{where}: row {row + 1}", "tile, x_px and y_px", "only some of them")
    here = rows[in_tile.to_numpy()]
    _require_in_tile(labels, here, scan, where)
    numbers = labels["tile"].iloc[here].to_numpy(np.int64)
    x_px, y_px = labels["x_px"].iloc[here].to_numpy(), labels["y_px"].iloc[here].to_numpy()
    x_mm, y_mm = tile_to_foil(numbers, x_px, y_px, scan)
    given = labels[["x_mm", "y_mm"]].iloc[here].to_numpy()
    _require_agreement(here, given, np.column_stack([x_mm, y_mm]), scan, where)
    labels.loc[here, "x_mm"] = np.where(np.isnan(given[:, 0]), x_mm, given[:, 0])
    labels.loc[here, "y_mm"] = np.where(np.isnan(given[:, 1]), y_mm, given[:, 1])
    if is_placed(scan):
        for row, number in zip(here.tolist(), numbers.tolist(), strict=True):
            text: Any = labels["region_px"].iloc[row]
            if pd.notna(text) and pd.isna(labels["region_mm"].iloc[row]):
                corners = parse_region(str(text))
                tiles = np.full(len(corners), number, np.int64)
                place = tile_to_foil(tiles, corners[:, 0], corners[:, 1], scan)
                labels.loc[row, "region_mm"] = format_region(np.column_stack(place))


def _require_in_tile(
    labels: pd.DataFrame, rows: "np.ndarray[Any, np.dtype[np.int64]]", scan: Scan, where: str
) -> None:
    of_tile = labels.iloc[rows]
    known = {t.number for t in scan.tiles}
    for row, tile in zip(rows, of_tile["tile"], strict=True):
        if tile not in known:
            at = f"{where}: column tile, row {row + 1}"
            raise BadInput(at, f"a tile of scan {scan.name}", f"tile {tile}")
    height, width = scan.image_size
    inside = of_tile["x_px"].between(-BEYOND_PX, width - 1 + BEYOND_PX)
    inside &= of_tile["y_px"].between(-BEYOND_PX, height - 1 + BEYOND_PX)
    if not inside.all():
        row = rows[np.flatnonzero(~inside)[0]]
        x, y = labels["x_px"].iloc[row], labels["y_px"].iloc[row]
        expected = f"a place in the {width} × {height} px of a tile of scan {scan.name}"
        raise BadInput(f"{where}: row {row + 1}", expected, f"x_px {x:g}, y_px {y:g}")


def _require_agreement(
    rows: "np.ndarray[Any, np.dtype[np.int64]]", given: Floats, own: Floats, scan: Scan, where: str
) -> None:
    # A stage errs by some pixels; half a tile is another frame or another unit.
    reach = min(scan.image_size) / 2 * (scan.pixel_size_um or np.nan) / 1000
    far = np.hypot(*(given - own).T) > reach
    if far.any():
        first = int(np.flatnonzero(far)[0])
        raise BadInput(
            f"{where}: row {rows[first] + 1}",
            "x_mm, y_mm of the place that scan, tile, x_px, y_px say "
            f"({own[first, 0]:.3f}, {own[first, 1]:.3f})",
            f"({given[first, 0]:.3f}, {given[first, 1]:.3f})",
            hint="Leave out the one that is wrong.",
        )


def require_classes(labels: pd.DataFrame, taxonomy: Taxonomy, where: str) -> None:
    """Refuse labels of a class that the taxonomy does not know.

    Raises
    ------
    BadInput : names the class.
    """
    for name in labels["class"].unique():
        if name != WITHDRAWN:
            taxonomy.require(f"{where}: column class", str(name))


def require_foils(session: Session, labels: pd.DataFrame, where: str) -> None:
    """Refuse labels of a foil that the catalogue does not know.

    Raises
    ------
    BadInput : names the first row.
    """
    known = session.scalars(select(FoilRow.name).order_by(FoilRow.name)).all()
    _refuse(
        ~labels["foil"].isin(known),
        f"{where}: column foil",
        f"one of the store's foils ({', '.join(known) or 'none'})",
        lambda row: repr(labels["foil"].iloc[row]),
    )


def _require_inside(
    session: Session, labels: pd.DataFrame, scans: dict[str, Scan], where: str
) -> None:
    """Refuse a place on the foil outside every tile of its scan, or of all scans of its side."""
    free = labels[labels["x_px"].isna() | labels["scan"].isna()]
    keys = free.assign(scan=free["scan"].fillna("")).groupby(["foil", "side", "scan"])
    for _, group in keys:
        named = str(group["scan"].iloc[0])
        some = [scans[named]] if named else _scans_of(session, group)
        placed = [s for s in some if is_placed(s)]
        if not placed:
            continue
        inside = np.zeros(len(group), bool)
        for scan in placed:
            at = foil_to_tile(group["x_mm"].to_numpy(), group["y_mm"].to_numpy(), scan)
            inside |= at["tile"].notna().to_numpy()
        if not inside.all():
            first = group.iloc[int(np.flatnonzero(~inside)[0])]
            raise BadInput(
                f"{where}: row {int(str(first.name)) + 1}",
                f"a place in a tile of {', '.join('scan ' + s.name for s in placed)}",
                f"x_mm {first['x_mm']:g}, y_mm {first['y_mm']:g}",
            )


def _scans_of(session: Session, group: pd.DataFrame) -> list[Scan]:
    foil, side = str(group["foil"].iloc[0]), str(group["side"].iloc[0])
    here = (ScanRow.foil == foil) & (ScanRow.side == side)
    names = session.scalars(select(ScanRow.name).where(here).order_by(ScanRow.name)).all()
    return [get_scan(session, name) for name in names]
