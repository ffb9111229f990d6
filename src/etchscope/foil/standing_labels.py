"""Which events of labels stand: the latest per person and place, and one of several people's."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil.taxonomy import WITHDRAWN, parent
from etchscope.foil.types import Floats

__all__ = ["TOLERANCE_PX", "latest", "one_of_each_place", "succession"]

TOLERANCE_PX = 3.0
"""Labels of one person closer than this speak of the same thing."""


def succession(
    labels: pd.DataFrame,
    *,
    tolerance_mm: float | Mapping[str, float],
    tolerance_px: float = TOLERANCE_PX,
) -> "pd.Series[Any]":
    """Return, per event, the position of the event that replaced it; null while it stands.

    An event replaces the nearest standing one of the same person, foil and side within the
    tolerance, and one only, if that is older. Events of the same time replace none of each other,
    so pits that lie close together keep their labels.

    Parameters
    ----------
    labels : events, see ``as_labels``.
    tolerance_mm : in the foil frame, one number or foil → number.
    tolerance_px : in the tile, for labels without a place on the foil.

    Returns
    -------
    Int64, in the index of ``labels``; positions count from 0.
    """
    replaced = np.full(len(labels), -1, np.int64)  # the one place where absent is -1: an array
    at_mm = labels["x_mm"].notna().to_numpy()
    keys = labels[["foil", "side", "who"]].astype("str").fillna("")
    keys["scan"] = labels["scan"].where(~at_mm).astype("str").fillna("")
    keys["tile"] = labels["tile"].where(~at_mm).astype("str").fillna("")
    keys["is_mm"] = at_mm
    places = np.where(at_mm[:, None], labels[["x_mm", "y_mm"]], labels[["x_px", "y_px"]])
    times = labels["when"].astype("int64").to_numpy()
    for _, group in keys.reset_index(drop=True).groupby(list(keys.columns), sort=False):
        rows = group.index.to_numpy()
        if not group["is_mm"].iloc[0]:
            reach = tolerance_px
        elif isinstance(tolerance_mm, Mapping):
            reach = tolerance_mm[str(group["foil"].iloc[0])]
        else:
            reach = tolerance_mm
        _replace(rows, times, places, float(reach), replaced)
    values = pd.Series(replaced, index=labels.index).astype("Int64")
    return values.mask(values < 0)


def _replace(
    rows: "np.ndarray[Any, Any]",
    times: "np.ndarray[Any, Any]",
    places: Floats,
    reach: float,
    replaced: "np.ndarray[Any, Any]",
) -> None:
    # A grid of cells as wide as the tolerance: whatever is near lies in the 3 × 3 around.
    cells: dict[tuple[int, int], list[int]] = {}
    width = max(reach, 1e-9)
    ordered = rows[np.argsort(times[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(times[ordered])) + 1
    for batch in np.split(ordered, starts):
        home = [tuple(np.floor(places[i] / width).astype(int).tolist()) for i in batch]
        pairs = sorted(
            (float(np.hypot(*(places[i] - places[j]))), int(i), j)
            for i, cell in zip(batch, home, strict=True)
            for j in _near(cells, cell)
        )
        busy: set[int] = set()
        for distance, new, old in pairs:
            if distance <= reach and new not in busy and replaced[old] < 0:
                replaced[old] = new
                busy.add(new)
                cells[tuple(np.floor(places[old] / width).astype(int).tolist())].remove(old)
        for i, cell in zip(batch, home, strict=True):
            cells.setdefault(cell, []).append(int(i))


def _near(cells: dict[tuple[int, int], list[int]], cell: tuple[int, ...]) -> Iterator[int]:
    x, y = cell
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            yield from cells.get((x + dx, y + dy), ())


def latest(
    labels: pd.DataFrame,
    *,
    tolerance_mm: float | Mapping[str, float],
    tolerance_px: float = TOLERANCE_PX,
) -> pd.DataFrame:
    """Return the labels that stand: not replaced, not withdrawn; see ``succession``."""
    replaced = succession(labels, tolerance_mm=tolerance_mm, tolerance_px=tolerance_px)
    return labels[replaced.isna() & (labels["class"] != WITHDRAWN)].reset_index(drop=True)


def one_of_each_place(
    labels: pd.DataFrame,
    *,
    tolerance_mm: float | Mapping[str, float],
    tolerance_px: float = TOLERANCE_PX,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return standing labels of several people with one label a place, and those in conflict.

    A person's label stands before one of a model or a coincidence; of two people's, or of two that
    are none, the later one is a correction of the other. Of the same time with different classes
    they conflict: neither stands. Labels that one person gave on one scan are of different places,
    and a label takes the place of one of each other's, or other scan's, the nearest within the
    tolerance.

    Parameters
    ----------
    labels : see ``latest``; regions stay as they are.
    tolerance_mm, tolerance_px : as for ``succession``.

    Returns
    -------
    The labels that stand, in their order; and of each place whose labels conflict one of them.
    """
    is_point = (labels["region_mm"].isna() & labels["region_px"].isna()).to_numpy()
    is_person = ~labels["source"].isin(["model", "coincidence"]).to_numpy()
    at_mm = labels["x_mm"].notna().to_numpy()
    places = np.where(at_mm[:, None], labels[["x_mm", "y_mm"]], labels[["x_px", "y_px"]])
    times = labels["when"].astype("int64").to_numpy()
    keys = labels[["foil", "side"]].astype("str").fillna("")
    keys["scan"] = labels["scan"].where(~at_mm).astype("str").fillna("")
    keys["tile"] = labels["tile"].where(~at_mm).astype("str").fillna("")
    given = labels[["who", "scan"]].astype(object)
    giver = list(given.where(given.notna(), None).itertuples(index=False, name=None))
    said = labels["class"].map(parent).to_numpy()
    stands, is_disputed = np.ones(len(labels), bool), np.zeros(len(labels), bool)
    for key, group in keys[is_point].groupby(list(keys.columns), sort=False):
        rows = group.index.to_numpy()
        reach = tolerance_px
        if at_mm[rows[0]]:
            mapped = isinstance(tolerance_mm, Mapping)
            reach = float(tolerance_mm[str(key[0])] if mapped else tolerance_mm)  # type: ignore[index, arg-type]
        ordered = rows[np.lexsort((-times[rows], ~is_person[rows]))]
        near = _near_rows(places[ordered], reach)
        # A label that stands → whose labels, and of which scan, it has replaced.
        owners: dict[int, set[tuple[str | None, str | None]]] = {}
        for place, row in enumerate(ordered.tolist()):
            free = (k for k in near[place] if k in owners and giver[row] not in owners[k])
            over = next(free, None)
            if over is None:
                owners[place] = {giver[row]}
                continue
            owners[over].add(giver[row])
            stands[row] = False
            better = ordered[over]
            is_level = times[row] == times[better] and is_person[row] == is_person[better]
            if is_level and said[row] != said[better]:
                stands[better], is_disputed[better] = False, True
    return labels[stands].reset_index(drop=True), labels[is_disputed].reset_index(drop=True)


def _near_rows(places: Floats, reach: float) -> list[list[int]]:
    """Return of each place those within reach and before it, the nearest first."""
    from scipy.spatial import cKDTree  # here: most commands do without SciPy

    out = []
    for row, near in enumerate(cKDTree(places).query_ball_point(places, reach)):
        before = [k for k in near if k < row]
        out.append(sorted(before, key=lambda k: float(np.hypot(*(places[k] - places[row])))))
    return out
