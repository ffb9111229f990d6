"""What the maps of a tile say of a find beyond its own heat, and how likely that makes it.

The same heat is a faint pit on a quiet tile, texture on a rough one, the wrong surface under a
surer find of the other, and a scratch where marks are. The judge knows all of these.
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
"""Heat of the find; the highest of the other surface's, of either surface's and of the marks' near
it; of the marks' around it; log10 of one more than the weak, middling and strong peaks of its tile,
a reference tile's area."""
LOWEST_HEAT = -2.0
"""Peaks of less heat are no finds, and count nowhere."""
_NEAR, _AROUND = 3, 9
"""Cells a side within which another map's heat is near, and around."""
_STEPS = (-1.4, -0.8, -0.3)
"""Heats: below the first a peak is weak, below the second middling, above the third strong."""
_REFERENCE_CELLS = 76_800
"""Cells of a tile of 640 × 480 px."""


def _highest(map_: FloatImage, cells: int) -> FloatImage:
    return np.asarray(cv2.dilate(map_, np.ones((cells, cells), np.uint8)))


def measure_finds(
    maps: FloatStack, heat: Floats, surface: NDArray[np.str_], rows: Ints, columns: Ints
) -> Floats:
    """Return ``FEATURES`` of the finds of one tile, (n, feature).

    Parameters
    ----------
    maps : (map, y, x).
    heat, surface, rows, columns : (n,) of each find, and its cell.
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
    """Boosted trees: what they say of a find, log odds or a value, is the sum of its leaves.

    Attributes
    ----------
    feature, threshold, left, right, value : (tree, node); a find goes left where its feature is at
        most the threshold; a leaf has no left, −1.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]

    def __call__(self, features: Floats) -> Floats:
        """Return the (n,) sums of finds that are (n, feature)."""
        # In single precision, as the trees were grown.
        wide = np.ascontiguousarray(features.astype(np.float32), np.float64)
        tables = (self.feature, self.threshold, self.left, self.right, self.value)
        return np.asarray(_sum_of_leaves(wide, *tables))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the tables by name."""
        return dict(vars(self))

    @classmethod
    def constant(cls, value: float) -> "Trees":
        """Return trees that say the same of every find."""
        leaf, none = np.full((1, 1), -1, np.int32), np.zeros((1, 1))
        return cls(leaf, none, leaf, leaf, np.full((1, 1), value, np.float32))

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], *, features: int = len(FEATURES)
    ) -> "Trees":
        """Return the trees of stored tables.

        Parameters
        ----------
        features : how many features a find has.

        Raises
        ------
        KeyError, ValueError : tables that are no trees.
        """
        trees = cls(**{k: np.asarray(arrays[k]) for k in cls.__dataclass_fields__})
        nodes = trees.feature.shape
        if len(nodes) != 2 or any(v.shape != nodes for v in vars(trees).values()):
            raise ValueError("tables of trees that differ in shape")
        at = np.arange(nodes[1])
        inner = trees.left >= 0
        # Each step leads on, so that every walk ends.
        onward = (trees.left > at) & (trees.right > at) & (trees.right < nodes[1])
        known = (trees.feature >= 0) & (trees.feature < features) & (trees.left < nodes[1])
        if not np.isfinite(trees.value).all() or not (onward & known)[inner].all():
            raise ValueError("tables of trees that lead nowhere")
        return trees
