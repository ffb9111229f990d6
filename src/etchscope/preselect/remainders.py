"""What an ideal pit leaves of a real one that was taken out, and is no pit of its own.

A real pit is no ideal one, so round a strong one faint finds remain: its far wall, its shadow, a
bright rim. On simulated foils of the reference optics they have less than half of its response and
lie, with the other sign, within twice its radius, with the same sign within it. An unrelated pit
can do that too, but in a sparse place hardly ever does: of such finds 1 in 10 is true at 100 pits
a tile, 1 in 4 at 300, 1 in 2 at 1,000.
"""

import numpy as np
from scipy.spatial import cKDTree

from etchscope.foil.types import Bools, Floats
from etchscope.preselect.peaks import Finds

__all__ = ["are_remainders"]

_SHARE = 0.45
"""Of the stronger pit's response, what a find beside it must exceed in a sparse place."""
_SHARE_WITHOUT_SIGN = 0.3
"""The same where no sign tells two pits that overlap apart."""
_OTHER, _SAME, _ANY = 2.0, 1.2, 2.5
"""How far remainders reach, in radii of the pit: of the other sign, the same, and without sign."""
_SPARSE, _CROWDED = 0.1, 0.2
"""Covered fractions up to which unrelated pits are rare, and from which they are as many."""
_LARGEST = 0.92
"""Finds larger than this share of the largest radius have no size: of those beside a stronger pit
1 in 20 is true at 300 pits a tile, 1 in 6 at 1,000, so that they are remainders anywhere."""
_BEYOND = 3.0
"""How far those reach, in radii of the pit."""


def are_remainders(finds: Finds, covered: Floats, largest_px: float, *, signed: bool) -> Bools:
    """Return which finds a stronger one beside them explains, (n,).

    Parameters
    ----------
    finds : of one tile.
    covered : (n,) covered fraction round each, 0 to 1.
    largest_px : largest radius that was looked for.
    signed : whether the sign of the amplitude means anything.
    """
    out = np.zeros(len(finds), bool)
    if len(finds) < 2:
        return out
    place = np.column_stack([finds.x_px, finds.y_px])
    pairs = cKDTree(place).query_pairs(
        _BEYOND * float(finds.radius_px.max()), output_type="ndarray"
    )
    one, other = pairs[:, 0], pairs[:, 1]
    is_weaker = finds.snr[one] < finds.snr[other]
    weak, strong = np.where(is_weaker, (one, other), (other, one))
    share = finds.snr[weak] / finds.snr[strong]
    radii = np.hypot(*(place[weak] - place[strong]).T) / finds.radius_px[strong]
    same = np.sign(finds.amplitude[weak]) == np.sign(finds.amplitude[strong])
    reach = np.where(same, _SAME, _OTHER) if signed else np.full(len(weak), _ANY)
    least = _SHARE if signed else _SHARE_WITHOUT_SIGN
    sparse = np.clip((_CROWDED - covered) / (_CROWDED - _SPARSE), 0, 1)
    is_left = (radii < reach) & (share < least * sparse[weak])
    no_size = finds.radius_px[weak] > _LARGEST * largest_px
    is_left |= no_size & (radii < _BEYOND) & (share < least)
    out[weak[is_left]] = True
    return out
