"""The classifiers of the learned finder: features of a find, and boosted trees that use them.

The heat of a find alone does not determine how likely it is an opening. The same heat can be a
faint pit on a smooth tile, texture on a rough tile, the wrong surface below a clearer find of the
other surface, or part of a scratch. The features distinguish these cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from etchscope.foil.openings import SURFACES, map_index
from etchscope.foil.types import FloatImage, Floats, FloatStack, Ints

__all__ = ["FEATURES", "LOWEST_HEAT", "Trees", "measure_finds"]

FEATURES = ("heat", "rival", "either", "mark", "mark_around", "weak", "middling", "strong")
"""The features of a find.

Its heat; the highest heat near it of the other surface, of either surface and of marks; the highest
heat of marks around it; log10 of one more than the number of weak, of middling and of strong peaks
per area of a reference tile."""
LOWEST_HEAT = -2.0
"""Least heat of a find; peaks below it are not used at all."""
_NEAR, _AROUND = 3, 9
"""Side in cells of the squares that are near a find, and around it."""
_STEPS = (-1.4, -0.8, -0.3)
"""Limits of the heat: a peak below the first is weak, below the second middling, above the third
strong."""
_REFERENCE_CELLS = 76_800
"""Number of cells of the reference tile, which has 640 × 480 px."""


def _highest(map_: FloatImage, cells: int) -> FloatImage:
    return np.asarray(cv2.dilate(map_, np.ones((cells, cells), np.uint8)))


def measure_finds(
    maps: FloatStack, heat: Floats, surface: NDArray[np.str_], rows: Ints, columns: Ints
) -> Floats:
    """Return ``FEATURES`` of the finds of one tile, (n, feature) float64.

    Parameters
    ----------
    maps : (map, y, x) float32 maps in the order of ``MAPS``.
    heat, surface : (n,) heat and surface of each find.
    rows, columns : (n,) int64 cell of each find.
    """
    heats = {s: _highest(maps[map_index(s, "heat")], _NEAR)[rows, columns] for s in SURFACES}
    higher = np.maximum(heats["top"], heats["bottom"])
    rival = np.select(
        [surface == "top", surface == "bottom"], [heats["bottom"], heats["top"]], higher
    )
    counts = np.histogram(heat, [LOWEST_HEAT, *_STEPS, np.inf])[0][[0, 1, 3]]
    crowd = np.log10(1 + counts * (_REFERENCE_CELLS / maps[0].size))
    marks = [_highest(maps[-1], size)[rows, columns] for size in (_NEAR, _AROUND)]
    of_each = np.column_stack([heat, rival, heats["unknown"], *marks])
    return np.column_stack([of_each, np.tile(crowd, (len(heat), 1))]).astype(np.float64)


@numba.njit(nogil=True, cache=True)
def _sum_of_leaves(
    features: Floats,
    feature: NDArray[Any],
    threshold: NDArray[Any],
    left: NDArray[Any],
    right: NDArray[Any],
    value: NDArray[Any],
) -> Floats:  # pragma: no cover
    out = np.zeros(len(features))
    for i in range(len(features)):
        for tree in range(len(feature)):
            node = 0
            while left[tree, node] >= 0:
                is_left = features[i, feature[tree, node]] <= threshold[tree, node]
                node = left[tree, node] if is_left else right[tree, node]
            out[i] += value[tree, node]
    return out


@dataclass(frozen=True)
class Trees:
    """Boosted trees. Their result for a find, log odds or another value, is the sum of its leaves.

    Attributes
    ----------
    feature, threshold, left, right, value : (tree, node) tables. At a node a find goes to the node
        ``left`` if its feature is at most the threshold, else to ``right``; −1 in ``left`` marks a
        leaf, which has a value.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]

    def __call__(self, features: Floats) -> Floats:
        """Return the sums, (n,) float64, for the features of finds, (n, feature)."""
        # The trees were fitted to features in single precision.
        wide = np.ascontiguousarray(features.astype(np.float32), np.float64)
        tables = (self.feature, self.threshold, self.left, self.right, self.value)
        return np.asarray(_sum_of_leaves(wide, *tables))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the tables by name, each (tree, node)."""
        return dict(vars(self))

    @classmethod
    def constant(cls, value: float) -> "Trees":
        """Return trees whose result is the same value for every find."""
        leaf, none = np.full((1, 1), -1, np.int32), np.zeros((1, 1))
        return cls(leaf, none, leaf, leaf, np.full((1, 1), value, np.float32))

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], *, features: int = len(FEATURES)
    ) -> "Trees":
        """Return the trees from the tables of ``to_arrays``.

        Parameters
        ----------
        arrays : the tables by name.
        features : number of features of a find.

        Raises
        ------
        KeyError : a table is missing.
        ValueError : the tables differ in shape, or are no trees.
        """
        trees = cls(**{k: np.asarray(arrays[k]) for k in cls.__dataclass_fields__})
        nodes = trees.feature.shape
        if len(nodes) != 2 or any(v.shape != nodes for v in vars(trees).values()):
            raise ValueError("tables of trees that differ in shape")
        at = np.arange(nodes[1])
        inner = trees.left >= 0
        # Children come after their node, so that every path ends.
        onward = (trees.left > at) & (trees.right > at) & (trees.right < nodes[1])
        known = (trees.feature >= 0) & (trees.feature < features) & (trees.left < nodes[1])
        if not np.isfinite(trees.value).all() or not (onward & known)[inner].all():
            raise ValueError("tables of trees that lead nowhere")
        return trees
