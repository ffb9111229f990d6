"""False finds that remain where an ideal pit was subtracted from the response to a real one.

A real pit differs from the ideal one, so faint finds remain around a strong pit: its far wall, its
shadow, a bright rim. On simulated foils of the reference optics they have less than half of its
response, and lie within twice its radius if they have the other sign, and within the radius if they
have the same sign. An unrelated pit can also do so, but rarely where pits are sparse: the share of
true pits among such finds is 1 in 10 at 100 pits per tile, 1 in 4 at 300, and 1 in 2 at 1,000.
"""

import numpy as np
from scipy.spatial import cKDTree

from etchscope.foil.types import Bools, Floats
from etchscope.preselect.peaks import Finds

__all__ = ["are_remainders"]

_SHARE = 0.45
"""Response of a find, relative to that of a stronger pit beside it, up to which it is a remainder
where pits are sparse."""
_SHARE_WITHOUT_SIGN = 0.3
"""The same where responses have no sign, which would distinguish two pits that overlap."""
_OTHER, _SAME, _ANY = 2.0, 1.2, 2.5
"""Greatest distance of remainders, in radii of the pit, if they have the other sign, the same sign,
and no sign."""
_SPARSE, _CROWDED = 0.1, 0.2
"""Covered fraction up to which unrelated pits are rare, and from which they are as frequent as
remainders."""
_LARGEST = 0.92
"""Share of the largest radius above which the radius of a find is not determined. Of such finds
beside a stronger pit 1 in 20 is true at 300 pits per tile, and 1 in 6 at 1,000, so that they are
remainders at every density."""
_BEYOND = 3.0
"""Greatest distance of such remainders, in radii of the pit."""


def are_remainders(finds: Finds, covered: Floats, largest_px: float, *, signed: bool) -> Bools:
    """Return which finds are remainders of a stronger one beside them, (n,) bool.

    Parameters
    ----------
    finds : the n finds of one tile.
    covered : (n,) covered fraction around each, 0 to 1.
    largest_px : largest radius of the pits to be found.
    signed : whether the sign of the amplitude shows the surface.
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
