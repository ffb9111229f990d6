"""Patches of labels: what a model is taught."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.foil.types import Floats, Ints
from etchscope.learn import Patches

__all__ = ["Labelled"]


@dataclass(frozen=True)
class Labelled:
    """Patches of labels.

    ``said``: (n,) class. ``density_per_mm2``: (n,) of pits around each, nan where unknown.
    ``recipe``: digest of the normalisation's recipe. ``pixel_size_um``: (n,), nan where unknown.
    ``source``: n rows that say where each comes from, as ``scan, tile, x_px, y_px, id``.
    ``evidence``: (n,) of ``pair_evidence``, 0 for all unless given. ``share``: (n,) of its
    label, which other scans may show too; 1 for all unless given.
    """

    patches: Patches
    said: NDArray[np.str_]
    density_per_mm2: Floats
    recipe: str
    pixel_size_um: Floats
    source: pd.DataFrame
    evidence: Floats | None = None
    share: Floats | None = None

    @property
    def weight(self) -> Floats:
        """By how much each counts, so that every label counts once, (n,)."""
        return np.ones(len(self.said)) if self.share is None else self.share

    def take(self, which: NDArray[np.bool_] | Ints) -> "Labelled":
        """Return some of them."""
        return Labelled(
            self.patches.take(which),
            self.said[which],
            self.density_per_mm2[which],
            self.recipe,
            self.pixel_size_um[which],
            self.source[which] if which.dtype == np.bool_ else self.source.iloc[which],
            None if self.evidence is None else self.evidence[which],
            None if self.share is None else self.share[which],
        )
