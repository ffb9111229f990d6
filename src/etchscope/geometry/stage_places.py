"""Whether the places of tiles on the stage fit each other and the size of the pictures.

A length in another unit than its key says is wrong by a factor of 1000, and scans differ by less:
none overlaps by 98 %, and tiles that sample a large foil lie within the travel of one stage.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from etchscope.foil import BadInput, Scan
from etchscope.foil.types import Floats, Ints

__all__ = ["require_fitting_places"]

_LARGEST_PIXEL_UM = 500.0
"""A flatbed scanner with 50 dots per inch; pits are smaller than its pixels."""
_LEAST_STEP = 0.02
"""Least distance of most successive tiles, in picture sides: nobody overlaps by 98 %."""
_FAR_MM, _FARTHEST_MM, _FAR_SIDES = 100.0, 300.0, 400.0
"""Lengths of the second rule of ``require_fitting_places``."""
_BEYOND_MM = 1e9  # of which the square is finite


def require_fitting_places(where: str, scan: Scan) -> None:
    """Refuse a scan whose positions or pixel size have another unit than it says.

    1. The pixel size is at most 500 µm.
    2. No group of tiles lies apart from the others. A gap of 100 mm is allowed, or of 400 sides of
       a picture if that is more, up to 300 mm, so tiles may be a sparse sample of a large foil.
       Gaps of more than three times as much are always refused.
    3. At least a quarter of the steps from a tile to that of the next number are longer than 0.02
       sides of a picture. So tiles may be photographed up to three times each.

    Rules 2 and 3 need two tiles with positions, rule 3 also the pixel size. A side is the shorter
    one of the picture.

    Parameters
    ----------
    where : the file or the thing that describes the scan, for errors.

    Raises
    ------
    BadInput : names the key and the rule that is broken.
    """
    size_um = scan.pixel_size_um
    if size_um is not None and size_um > _LARGEST_PIXEL_UM:
        expected = f"micrometres per pixel, at most {_LARGEST_PIXEL_UM:g}"
        hint = "Is it given in nanometres?"
        raise BadInput(f"{where}: pixel_size_um", expected, f"{size_um:g}", hint=hint)
    placed = sorted((t for t in scan.tiles if t.stage_x_mm is not None), key=lambda t: t.number)
    if len(placed) < 2:
        return
    at = np.array([(t.stage_x_mm, t.stage_y_mm) for t in placed], np.float64)
    at = at.clip(-_BEYOND_MM, _BEYOND_MM)
    side_mm = None if size_um is None else min(scan.image_size) * size_um / 1000
    numbers = np.array([t.number for t in placed], np.int64)
    _require_one_group(where, at, numbers, side_mm)
    step = float(np.quantile(np.hypot(*np.diff(at, axis=0).T), 0.75))
    if side_mm is not None and step < _LEAST_STEP * side_mm:
        expected = f"tiles apart from each other, with pictures of {side_mm:.3g} mm"
        found = f"most within {step:.3g} mm of the one before"
        hint = "Check position_unit and pixel_size_um."
        raise BadInput(f"{where}: positions", expected, found, hint=hint)


def _require_one_group(where: str, at: Floats, numbers: Ints, side_mm: float | None) -> None:
    sides_mm = _FARTHEST_MM if side_mm is None else _FAR_SIDES * side_mm
    most_mm = min(max(_FAR_MM, sides_mm), _FARTHEST_MM)
    # Tiles within the gap of each other lie in cells of this size that touch.
    cells, cell_of = np.unique(np.floor(at / most_mm), axis=0, return_inverse=True)
    touching = cKDTree(cells).query_pairs(1.5, output_type="ndarray")
    links = coo_matrix((np.ones(len(touching)), touching.T), (len(cells), len(cells)))
    groups, group_of_cell = connected_components(links, directed=False)
    if groups == 1:
        return
    group = group_of_cell[cell_of.ravel()]
    is_main = group == np.bincount(group).argmax()
    distance = cKDTree(at[is_main]).query(at[~is_main])[0]
    worst = int(distance.argmax())
    is_one_slip = 2 * np.count_nonzero(~is_main) < len(at)
    key = "positions" if is_one_slip else "position_unit"
    expected = f"all tiles within about {most_mm:.3g} mm of another one"
    found = f"tile {numbers[~is_main][worst]}, {distance[worst]:,.4g} mm from the others"
    hint = "Check its place." if is_one_slip else "Check the unit of the positions."
    raise BadInput(f"{where}: {key}", expected, found, hint=hint)
