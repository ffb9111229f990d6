"""Which events of labels stand: the latest per person and place, and one of several people's."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil.taxonomy import WITHDRAWN, parent_class
from etchscope.foil.types import Floats

__all__ = ["TOLERANCE_PX", "find_replacements", "reconcile_labels", "select_standing"]

TOLERANCE_PX = 3.0
"""Labels of one person closer than this label the same thing."""


def find_replacements(
    labels: pd.DataFrame,
    *,
    tolerance_mm: float | Mapping[str, float],
    tolerance_px: float = TOLERANCE_PX,
) -> "pd.Series[Any]":
    """Return for each event the row of the event that replaced it, null while the event stands.

    An event replaces one older event: the nearest of those that stand, of the same person, foil and
    side, and within the tolerance. Events of the same time do not replace each other, so pits that
    lie close together keep their labels.

    Parameters
    ----------
    labels : n events, see ``as_labels``.
    tolerance_mm : distance in the foil frame, one for all foils or foil → distance.
    tolerance_px : distance in the tile, for labels without a place on the foil.

    Returns
    -------
    (n,) Int64 with the index of ``labels``; rows count from 0.
    """
    replaced = np.full(len(labels), -1, np.int64)  # -1: not replaced
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
    """Write into ``replaced`` which of some rows replace each other; they share person and foil."""
    # In a grid of cells as wide as the tolerance, all that is near lies in the 3 × 3 cells around.
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
    """Yield the rows in a cell and in the eight cells around it."""
    x, y = cell
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            yield from cells.get((x + dx, y + dy), ())


def select_standing(
    labels: pd.DataFrame,
    *,
    tolerance_mm: float | Mapping[str, float],
    tolerance_px: float = TOLERANCE_PX,
) -> pd.DataFrame:
    """Return the labels that stand, neither replaced nor withdrawn; see ``find_replacements``."""
    replaced = find_replacements(labels, tolerance_mm=tolerance_mm, tolerance_px=tolerance_px)
    return labels[replaced.isna() & (labels["class"] != WITHDRAWN)].reset_index(drop=True)


def reconcile_labels(
    labels: pd.DataFrame,
    *,
    tolerance_mm: float | Mapping[str, float],
    tolerance_px: float = TOLERANCE_PX,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the labels of several people reduced to one per place, and the labels in conflict.

    The label of a person has precedence over that of a model or a coincidence. Of two people's
    labels, or of two that are not people's, the later one corrects the other. Two labels of the
    same time and of different classes are in conflict, and neither stands. Labels that one person
    gave on one scan belong to different places. A label therefore replaces at most one label of
    each other person or scan: the nearest within the tolerance.

    Parameters
    ----------
    labels : standing labels, see ``select_standing``; regions are not compared.
    tolerance_mm, tolerance_px : as for ``find_replacements``.

    Returns
    -------
    The labels that stand, in their order; and one label of each place whose labels conflict.
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
    class_ = labels["class"].map(parent_class).to_numpy()
    stands, is_disputed = np.ones(len(labels), bool), np.zeros(len(labels), bool)
    for key, group in keys[is_point].groupby(list(keys.columns), sort=False):
        rows = group.index.to_numpy()
        reach = tolerance_px
        if at_mm[rows[0]]:
            mapped = isinstance(tolerance_mm, Mapping)
            reach = float(tolerance_mm[str(key[0])] if mapped else tolerance_mm)  # type: ignore[index, arg-type]
        ordered = rows[np.lexsort((-times[rows], ~is_person[rows]))]
        near = _near_rows(places[ordered], reach)
        # A label that stands → the person and scan of each label that it has replaced.
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
            if is_level and class_[row] != class_[better]:
                stands[better], is_disputed[better] = False, True
    return labels[stands].reset_index(drop=True), labels[is_disputed].reset_index(drop=True)


def _near_rows(places: Floats, reach: float) -> list[list[int]]:
    """Return for each place the earlier places within reach, the nearest first."""
    from scipy.spatial import cKDTree  # here, since few callers need SciPy

    out = []
    for row, near in enumerate(cKDTree(places).query_ball_point(places, reach)):
        before = [k for k in near if k < row]
        out.append(sorted(before, key=lambda k: float(np.hypot(*(places[k] - places[row])))))
    return out
