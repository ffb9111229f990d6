"""The candidates of an aligned stack: one ranked list of particles from the runs of its scans."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from etchscope.background.stack_candidates import StackSearch, search_stack
from etchscope.foil import BadInput
from etchscope.run.stack_surfaces import StackPits, gather_surfaces, stack_runs
from etchscope.store import Store

__all__ = ["StackCandidates", "search_alignment"]


@dataclass(frozen=True)
class StackCandidates:
    """The particles through an aligned stack.

    Attributes
    ----------
    table : one row per particle by falling score: ``x_mm, y_mm`` on the first surface in the frame
        of the stack; ``dip_deg``, ``azimuth_deg`` and the etch ratio ``v`` of all openings
        together; ``openings``, ``surfaces`` and ``foils``, the numbers of openings, of surfaces
        that were searched there, and of foils with an opening; ``score``;
        ``accidental`` with ``accidental_low, accidental_high``, the number of accidental particles
        with at least this score that are expected on the whole stack, with its 95 % interval;
        ``selected``; and for each surface ``scan.FOIL-SIDE`` and ``pit.FOIL-SIDE``, the scan and
        the number of the pit in its run, null without an opening.
    threshold : score from which a particle is selected.
    runs : scan → run.
    tiles : searched area of the first scan in areas of one of its tiles.
    """

    table: pd.DataFrame
    threshold: float
    runs: Mapping[str, str]
    tiles: float

    @property
    def record(self) -> dict[str, Any]:
        """What a file of the table says of its origin."""
        return {"runs": dict(self.runs), "threshold": self.threshold, "tiles": self.tiles}


def search_alignment(
    store: Store,
    alignment: str,
    *,
    runs: Mapping[str, str] | None = None,
    gap_um: float = 0.0,
    false_per_tile: float = 0.1,
    shifts: int = 10,
    seed: int = 0,
) -> StackCandidates:
    """Return the particles through the foils of an alignment; see ``background.search_stack``.

    Parameters
    ----------
    alignment : name of an alignment that the store keeps; its first foil is the first of the stack.
    runs : scan → run to use instead of the latest.
    gap_um : distance from each foil to the next one, 0 or more; particles correct it.
    false_per_tile : accidental particles per tile at the threshold, above 0.
    shifts, seed : see ``background.search_stack``.

    Raises
    ------
    UnknownAlignment, NotSearched, NoPositions : see ``stack_surfaces.stack_runs``.
    BadInput : likewise; or a value that is out of range.
    """
    for name, value, least in (("gap_um", gap_um, 0.0), ("false_per_tile", false_per_tile, 1e-6)):
        if not least <= value < 1e6:
            raise BadInput(name, f"a number from {least:g} to 1e6", f"{value:g}")
    if shifts < 1:
        raise BadInput("shifts", "1 or more", f"{shifts}")
    stack = stack_runs(store, alignment, runs=runs)
    pits = gather_surfaces(store, stack, gap_um=gap_um)
    search = search_stack(pits.surfaces, shifts=shifts, seed=seed)
    tiles = pits.area_mm2 / pits.tile_mm2
    threshold = search.threshold(false_per_tile * tiles)
    return StackCandidates(_tabulate(pits, search, threshold), threshold, stack.runs, tiles)


def _tabulate(pits: StackPits, search: StackSearch, threshold: float) -> pd.DataFrame:
    """Return the table of ``StackCandidates``."""
    found, openings = search.found, search.openings
    mm, has = pits.pixel_um / 1000, found.hits >= 0
    slope = found.fit[:, 3:5]
    foils = np.array([s.foil for s in openings.surfaces])
    value, low, high = search.expected(found.score)
    columns: dict[str, Any] = {
        "x_mm": found.fit[:, 1] * mm,
        "y_mm": found.fit[:, 2] * mm,
        "dip_deg": np.rad2deg(np.arctan2(1.0, np.hypot(*slope.T))),
        "azimuth_deg": np.rad2deg(np.arctan2(slope[:, 1], slope[:, 0])) % 360,
        "v": 1 + np.exp(found.fit[:, 6]),
        "openings": has.sum(1),
        "surfaces": found.seen.sum(1),
        "foils": sum(has[:, foils == foil].any(1).astype(np.int64) for foil in np.unique(foils)),
        "score": found.score,
        "accidental": value,
        "accidental_low": low,
        "accidental_high": high,
        "selected": found.score >= threshold,
    }
    scans = np.array(pits.scans)
    for k, surface in enumerate(openings.surfaces):
        own = openings.own[found.hits[:, k]]
        name = f"{surface.foil}-{surface.side}"
        here = has[:, k]
        scan = np.full(len(own), None, object)
        scan[here] = scans[pits.scan[k][own[here]]]
        pit = np.zeros(len(own), np.int64)
        pit[here] = pits.pit[k][own[here]]
        columns[f"scan.{name}"] = pd.array(scan, dtype="str")
        columns[f"pit.{name}"] = pd.arrays.IntegerArray(pit, ~here)
    return pd.DataFrame(columns)
