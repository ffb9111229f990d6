"""Align what files and stores hold, keep the alignment, and make labels of coincidences."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from etchscope.align import AlignedStack, Member, find_holes
from etchscope.foil import BadInput, NotSearched, PitList
from etchscope.foil.types import Bools
from etchscope.geometry import (
    datum_holes_mm,
    foil_frame,
    foil_to_tile,
    tile_to_foil,
)
from etchscope.ingest import OfSurface
from etchscope.store import Store
from etchscope.store.alignments import (
    ALIGNMENT_FILE,
    AlignedScan,
    KeptAlignment,
    read_alignment,
    write_alignment,
)

__all__ = [
    "CoincidenceLabels",
    "find_datum",
    "keep_alignment",
    "label_from_coincidence",
    "list_of_scan",
    "load_alignment",
    "save_alignment",
]


def find_datum(store: Store, scan: str) -> tuple[tuple[int, float, float], ...]:
    """Return (tile, x_px, y_px) of each datum hole that the pictures of a scan show whole.

    The backlit picture is searched, or else the first.

    Raises
    ------
    BadInput : no such scan, its scale is unknown, or its pictures are damaged.
    """
    record = store.scans.get(scan)
    if record.pixel_size_um is None:
        raise BadInput(f"scan {scan}", "a pixel size", "none", hint="Give pixel_size_um.")
    backlit = record.indices("backlit")
    channel = int(backlit[0]) if len(backlit) else 0
    numbers = [tile.number for tile in record.included]
    out = []
    for number, pictures in zip(numbers, store.scans.read_tiles(scan, numbers), strict=True):
        holes = find_holes(pictures[channel], record.pixel_size_um)
        out += [(number, x, y) for x, y in holes[["x_px", "y_px"]].to_numpy(float).tolist()]
    return tuple(out)


def list_of_scan(
    store: Store, scan: str, *, surface: OfSurface = "top", look_for_holes: bool = False
) -> PitList:
    """Return the pits of a scan's latest run as a list, in the scan's foil frame.

    Parameters
    ----------
    surface : see ``ingest.read_pit_list``.
    look_for_holes : on the pictures, where the scan does not state its datum holes.

    Raises
    ------
    BadInput : no such scan, none of its runs is finished, or its scale is unknown.
    """
    record = store.scans.get(scan)
    run = store.runs.latest(scan)
    if run is None:
        raise NotSearched(f"scan {scan}", "a finished run", "none")
    pits = store.runs.pits(run)
    if surface != "any":
        pits = pits[pits["surface"] != ("bottom" if surface == "top" else "top")]
    pits = pits.reset_index(drop=True)
    holes = datum_holes_mm(record)
    if look_for_holes and not holes:
        # In the frame that the scan has, which found holes do not change.
        found = find_datum(store, scan)
        tile = np.array([t for t, _, _ in found], np.int64)
        x_px, y_px = (np.array([h[k] for h in found], float) for k in (1, 2))
        x_mm, y_mm = tile_to_foil(tile, x_px, y_px, record)
        holes = tuple(zip(x_mm.tolist(), y_mm.tolist(), strict=True))
    return PitList(scan, record.foil, record.side, pits, record.image_size, holes)


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

    Fewer than two scans tell nothing, so nothing is kept.

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
        source = PitList(one.name, one.foil, one.side, table[["x_mm", "y_mm"]])
        own, row = table[["x_mm", "y_mm"]].to_numpy(), table["row"].to_numpy(np.int64)
        members.append(Member(source, None, own, row, None, one.against, one.transform))
    return AlignedStack(tuple(members), written.tolerance_mm, written.spread_mm)


@dataclass(frozen=True)
class CoincidenceLabels:
    """What was labelled.

    ``places``: that enough other surfaces show. ``outside``: of them, not in a tile of the
    target's scans. ``added``, ``known``: labels that are new, and that the store had. ``expected
    accidental``: sum of the labels' probabilities of being accidental.
    """

    places: int
    outside: int
    added: int
    known: int
    expected_accidental: float


def label_from_coincidence(
    store: Store,
    folder: Path,
    target: str,
    *,
    surfaces: int = 2,
    foils: int = 1,
    most_p: float = 0.05,
    name: str = "hip",
    who: str = "coincidence",
) -> CoincidenceLabels:
    """Label where the other foils of an alignment say that an ion went through a foil.

    The labels stand at the target's foil and side, in its own frame: the target must be a list of
    the store's scan, or in the same frame. Their time is that of the alignment, so the same again
    adds none.

    Parameters
    ----------
    folder : of ``save_alignment``.
    target : name of the list that is labelled.
    surfaces, foils, most_p : see ``AlignedStack.labels_for``.
    name : class of the labels.

    Raises
    ------
    BadInput : no alignment, no such list, too few others, or a foil the store does not know.
    MachineFailed : the disk is full.
    """
    stack = load_alignment(folder)
    member = stack.member(target)
    found = stack.labels_for(target, surfaces=surfaces, foils=foils, most_p=most_p)
    inside = _inside(store, member.source, found)
    kept = found[inside].reset_index(drop=True)
    pits = [c for c in kept.columns if c.startswith("pit.")]
    shown = kept[pits].notna().to_numpy()
    names = np.array([c.removeprefix("pit.") for c in pits])
    notes = [
        f"p_accidental {p:.2g}; shown by {', '.join(names[has])}"
        for p, has in zip(kept["p_accidental"], shown, strict=True)
    ]
    when = datetime.fromtimestamp((folder / ALIGNMENT_FILE).stat().st_mtime, UTC)
    labels = pd.DataFrame(
        {
            "foil": member.source.foil,
            "side": member.source.side,
            "x_mm": kept["x_mm"],
            "y_mm": kept["y_mm"],
            "class": name,
            "who": who,
            "source": "coincidence",
            "when": when.isoformat(),
            "note": notes,
        }
    )
    added = store.labels.add(labels, where=str(folder))
    expected = float(kept["p_accidental"].sum())
    outside = int((~inside).sum())
    return CoincidenceLabels(len(found), outside, added, len(kept) - added, expected)


def _inside(store: Store, source: PitList, places: pd.DataFrame) -> Bools:
    """Return which places a scan of the list's foil and side shows; all without such a scan."""
    inside, known = np.zeros(len(places), bool), False
    for scan in map(store.scans.get, store.scans.names()):
        placed = all(t.stage_x_mm is not None for t in scan.tiles) and scan.pixel_size_um
        if (scan.foil, scan.side) == (source.foil, source.side) and placed:
            known = True
            at = foil_to_tile(places["x_mm"].to_numpy(), places["y_mm"].to_numpy(), scan)
            inside |= at["tile"].notna().to_numpy()
    return inside if known else np.ones(len(places), bool)
