"""Labels where the other foils of a stack show that an ion went through a foil."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.foil import PitList
from etchscope.foil.types import Bools
from etchscope.geometry import foil_to_tile
from etchscope.run.alignments import load_alignment
from etchscope.store import Store
from etchscope.store.alignments import ALIGNMENT_FILE

__all__ = ["CoincidenceLabels", "label_from_coincidence"]


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
    for scan in map(store.scans.get, store.injections.original_names()):
        placed = all(t.stage_x_mm is not None for t in scan.tiles) and scan.pixel_size_um
        if (scan.foil, scan.side) == (source.foil, source.side) and placed:
            known = True
            at = foil_to_tile(places["x_mm"].to_numpy(), places["y_mm"].to_numpy(), scan)
            inside |= at["tile"].notna().to_numpy()
    return inside if known else np.ones(len(places), bool)
