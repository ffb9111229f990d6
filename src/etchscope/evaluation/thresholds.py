"""Thresholds by local density that are expected to meet a requirement on the next foil."""

from collections.abc import Sequence

import numpy as np

from etchscope.evaluation.density_classes import list_classes
from etchscope.evaluation.halves import searched_tiles
from etchscope.evaluation.requirement import Requirement
from etchscope.evaluation.search import Search

__all__ = ["choose_thresholds"]


def choose_thresholds(
    search: Search, required: Requirement, edges: Sequence[float] = ()
) -> tuple[float, ...]:
    """Return the threshold of each class of density that is expected to meet a requirement.

    A candidate passes at or above the threshold of its class. Each class has the required rate of
    false candidates by its own area, which is that of the parts of tiles whose density belongs to
    the class. The k-th best false score is the threshold that k false candidates of another foil
    are expected to reach, see ``density_classes``; between two scores it is interpolated, and above
    the best one it is extrapolated.

    Parameters
    ----------
    search : ranked candidates of a foil whose signal is known.
    required : an efficiency, or a rate of false candidates.
    edges : densities in 1/mm² between the classes, see ``density_edges``; by default one class.

    Raises
    ------
    BadInput : an efficiency that is never reached.
    """
    if required.efficiency is not None:
        search.threshold_for(efficiency=required.efficiency)  # raises if it is never reached
    own = searched_tiles(search)
    weight = np.ones(len(own))
    return tuple(c.threshold(weight, required) for c in list_classes(search, edges, own))
