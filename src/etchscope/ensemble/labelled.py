"""Labelled patches: what a model is trained on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.foil.types import Floats, Ints
from etchscope.learn import Patches

__all__ = ["Labelled"]


@dataclass(frozen=True)
class Labelled:
    """Patches of labels, and what is known of each.

    Attributes
    ----------
    patches : n patches.
    label : (n,) class of the label.
    density_per_mm2 : (n,) local density of pits in 1/mm²; NaN where it is unknown.
    recipe : digest of the recipe of normalisation.
    pixel_size_um : (n,) pixel size in µm; NaN where it is unknown.
    source : n rows with the origin of each patch, ``scan, tile, x_px, y_px, id``.
    evidence : (n,) see ``pair_evidence``; None stands for 0.
    share : (n,) weight of the patch among all patches of its label, one per scan of the same place;
        None stands for 1.
    """

    patches: Patches
    label: NDArray[np.str_]
    density_per_mm2: Floats
    recipe: str
    pixel_size_um: Floats
    source: pd.DataFrame
    evidence: Floats | None = None
    share: Floats | None = None

    @property
    def weight(self) -> Floats:
        """Weight of each patch, (n,); the weights of one label sum to 1."""
        return np.ones(len(self.label)) if self.share is None else self.share

    def take(self, which: NDArray[np.bool_] | Ints) -> "Labelled":
        """Return some of the patches.

        Parameters
        ----------
        which : (n,) bool, or (m,) int64 row numbers.
        """
        return Labelled(
            self.patches.take(which),
            self.label[which],
            self.density_per_mm2[which],
            self.recipe,
            self.pixel_size_um[which],
            self.source[which] if which.dtype == np.bool_ else self.source.iloc[which],
            None if self.evidence is None else self.evidence[which],
            None if self.share is None else self.share[which],
        )
