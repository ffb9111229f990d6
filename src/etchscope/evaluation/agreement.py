"""Conflicts: places whose labels disagree."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from etchscope.evaluation.matching import match_one_to_one
from etchscope.foil import (
    DEFAULT_TAXONOMY,
    TOLERANCE_PX,
    Taxonomy,
    find_replacements,
    parent_class,
)

__all__ = ["CONFLICT_COLUMNS", "find_conflicts"]

_OF_PLACE = ("foil", "side", "x_mm", "y_mm", "scan", "tile", "x_px", "y_px")
_OF_LABEL = ("class", "who", "when", "id")
CONFLICT_COLUMNS = (*_OF_PLACE, *(f"{c}_{n}" for n in (1, 2) for c in _OF_LABEL))
"""Columns: the place of the first label, then class, who, when and id of either label."""


def find_conflicts(
    labels: pd.DataFrame,
    tolerance_mm: float | Mapping[str, float],
    *,
    tolerance_px: float = TOLERANCE_PX,
    taxonomy: Taxonomy = DEFAULT_TAXONOMY,
) -> pd.DataFrame:
    """Return one row per pair of labels at one place whose decidable classes differ.

    The standing labels of two people are matched one to one, so that neighbours in a crowd of pits
    do not conflict. A person who replaces a label by one of another class disagrees with themself;
    such pairs are found if ``labels`` holds all events. A class agrees with its subclasses. Labels
    of different sides are not compared.

    Parameters
    ----------
    labels : see ``foil.as_labels``.
    tolerance_mm : labels strictly closer than this on the foil are at one place; one number, or
        foil → number.
    tolerance_px : the same in a tile, for labels without a place on the foil.
    taxonomy : states which classes are decidable.

    Returns
    -------
    A table with ``CONFLICT_COLUMNS``; without a row if all labels agree.

    Examples
    --------
    >>> from etchscope.foil import as_labels
    >>> place = {"foil": ["F1", "F1"], "side": ["front"] * 2, "x_mm": [1, 1.01], "y_mm": [2, 2.0]}
    >>> labels = as_labels(place | {"class": ["hip", "top"], "who": ["anna", "ben"]})
    >>> print(find_conflicts(labels, 0.02)[["class_1", "who_1", "class_2", "who_2"]])
      class_1 who_1 class_2 who_2
    0     hip  anna     top   ben
    """
    labels = labels.reset_index(drop=True)
    replaced = find_replacements(labels, tolerance_mm=tolerance_mm, tolerance_px=tolerance_px)
    old = np.flatnonzero(replaced.notna())
    pairs = list(zip(old.tolist(), replaced.iloc[old].tolist(), strict=True))
    standing = labels[replaced.isna()]
    for group, reach in _groups(standing, tolerance_mm, tolerance_px):
        pairs += _matched(group, reach)
    classes = labels["class"].to_numpy(object)
    found = [(i, j) for i, j in sorted(pairs) if _disagree(classes[i], classes[j], taxonomy)]
    first, second = (labels.iloc[[p[n] for p in found]].reset_index(drop=True) for n in (0, 1))
    one = first[list(_OF_LABEL)].add_suffix("_1")
    two = second[list(_OF_LABEL)].add_suffix("_2")
    return pd.concat([first[list(_OF_PLACE)], one, two], axis=1)


def _groups(
    labels: pd.DataFrame, tolerance_mm: float | Mapping[str, float], tolerance_px: float
) -> Iterator[tuple[pd.DataFrame, float]]:
    on_foil = labels["x_mm"].notna()
    for (foil, _), group in labels[on_foil].groupby(["foil", "side"], dropna=False):
        places = group.assign(x=group["x_mm"], y=group["y_mm"])
        reach = tolerance_mm[str(foil)] if isinstance(tolerance_mm, Mapping) else tolerance_mm
        yield places, float(reach)
    for _, group in labels[~on_foil].groupby(["scan", "tile"], dropna=False):
        yield group.assign(x=group["x_px"], y=group["y_px"]), tolerance_px


def _matched(group: pd.DataFrame, reach: float) -> list[tuple[int, int]]:
    of_person = [rows for _, rows in group.groupby("who", dropna=False)]
    pairs = []
    for one, two in combinations(of_person, 2):
        match = match_one_to_one(one[["x", "y"]].to_numpy(), two[["x", "y"]].to_numpy(), reach)
        for i, j in zip(match.truth_index, match.found_index, strict=True):
            first, second = sorted((int(one.index[i]), int(two.index[j])))
            pairs.append((first, second))
    return pairs


def _disagree(one: Any, two: Any, taxonomy: Taxonomy) -> bool:
    if one == two or not (taxonomy.is_decidable(one) and taxonomy.is_decidable(two)):
        return False
    return bool(one != parent_class(two) and two != parent_class(one))
