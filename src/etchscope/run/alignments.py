"""Alignments: written to folders and read from them, and kept in stores."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from etchscope.align import AlignedStack, Member
from etchscope.foil import BadInput, PitList
from etchscope.foil.cells import cast_column
from etchscope.geometry import foil_frame
from etchscope.store import Store
from etchscope.store.alignments import AlignedScan, KeptAlignment, read_alignment, write_alignment

__all__ = ["keep_alignment", "load_alignment", "save_alignment"]


def save_alignment(folder: Path, stack: AlignedStack) -> Path:
    """Write a stack: ``alignment.json``, the places, and each list's pits; return the first.

    ``{list}.parquet`` has each pit once: ``row`` (in the list), ``x_mm, y_mm`` (its own frame),
    ``stack_x_mm, stack_y_mm``. ``places.parquet`` has the coincidences.

    Raises
    ------
    BadInput : the folder is a file, or a list is called "places".
    MachineFailed : the disk is full.
    """
    tables = {m.source.name: _table(m) for m in stack.members}
    if "places" in tables:
        raise BadInput("list", "another name than places", "places")
    return write_alignment(folder, stack.to_dict(), tables | {"places": stack.places()})


def _table(member: Member) -> pd.DataFrame:
    own, there = member.own_mm, member.surface.xy_mm
    columns: dict[str, Any] = {"row": member.row, "x_mm": own[:, 0], "y_mm": own[:, 1]}
    return pd.DataFrame(columns | {"stack_x_mm": there[:, 0], "stack_y_mm": there[:, 1]})


def keep_alignment(store: Store, name: str, stack: AlignedStack, scans: Collection[str]) -> None:
    """Keep in a store how the foil frames of its scans lie to each other, for ``joint_frames``.

    Nothing is kept of fewer than two scans.

    Parameters
    ----------
    name : of the alignment in the store; one of the same name is replaced.
    scans : the lists of the stack that are scans of the store.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    names = [m.source.name for m in stack.members if m.source.name in scans]
    members = tuple(
        AlignedScan(
            scan=one, frame=foil_frame(store.scans.get(one)), transform=stack.member(one).transform
        )
        for one in names
    )
    if len(members) > 1:
        kept = KeptAlignment(name=name, when=datetime.now(UTC), members=members)
        store.alignments.keep(kept)


def _cast(where: str, table: pd.DataFrame, name: str, dtype: str) -> "pd.Series[Any]":
    try:
        return cast_column(table[name], dtype)
    except ValueError as error:
        raise BadInput(f"{where}: column {name}", dtype, str(error)) from error


def load_alignment(folder: Path) -> AlignedStack:
    """Return the stack that ``save_alignment`` wrote, without the record of its registrations.

    Raises
    ------
    BadInput : no alignment there, or a damaged one.
    """
    written, tables = read_alignment(folder)
    members = []
    for one in written.members:
        table = tables[one.name]
        missing = sorted({"row", "x_mm", "y_mm"} - set(table.columns))
        if missing:
            expected = "columns row, x_mm, y_mm"
            raise BadInput(folder / f"{one.name}.parquet", expected, f"no {', '.join(missing)}")
        where = f"{folder / one.name}.parquet"
        pits = pd.DataFrame(
            {name: _cast(where, table, name, "float64") for name in ("x_mm", "y_mm")}
        )
        source = PitList(one.name, one.foil, one.side, pits)
        own, row = pits.to_numpy(), _cast(where, table, "row", "int64").to_numpy()
        members.append(Member(source, None, own, row, None, one.against, one.transform))
    return AlignedStack(tuple(members), written.tolerance_mm, written.spread_mm)
