"""Cut a montage, one picture of rows × columns of cells between dark lines, into its cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etchscope.files.foreign_pictures import Page
from etchscope.foil import BadInput
from etchscope.foil.types import Bools

__all__ = ["Cells", "Sheet", "find_cells"]

Cells = list[tuple[slice, slice]]
"""(y, x) of each cell, row by row, all of one size."""


@dataclass(frozen=True)
class Sheet:
    """How the tiles of a montage lie in it: (height, width) of the whole, and each cell."""

    image_size: tuple[int, int]
    cells: Cells


_DARK = 0.25
"""The 90th percentile of a dark line lies below this share of the median of the montage."""


def find_cells(where: str, page: Page, rows: int | None, columns: int | None) -> Cells:
    """Return the cells of a montage, all of one size, numbered row by row.

    Parameters
    ----------
    where : the file, for errors.
    page : (y, x) the whole montage.
    rows, columns : their numbers; None takes those that the dark lines make.

    Raises
    ------
    BadInput : the dark lines make another number of cells, or cells of very different sizes.
    """
    limit = _DARK * float(np.median(page))
    dark_y = np.quantile(page, 0.9, axis=1) < limit
    dark_x = np.quantile(page, 0.9, axis=0) < limit
    ys = _spans(f"{where}: rows", dark_y, rows)
    xs = _spans(f"{where}: columns", dark_x, columns)
    return [(y, x) for y in ys for x in xs]


def _spans(where: str, dark: Bools, count: int | None) -> list[slice]:
    edges = np.flatnonzero(np.diff(np.concatenate([[True], dark, [True]]).astype(np.int8)))
    found = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    if not found or (count is not None and len(found) != count):
        expected = f"{count or 'some'} between dark lines"
        raise BadInput(where, expected, f"{len(found)}", hint="Check rows and columns.")
    size = max(b - a for a, b in found)
    return _equal(where, found, size, len(dark))


def _equal(where: str, found: Sequence[tuple[int, int]], size: int, end: int) -> list[slice]:
    """Extend each span to the common size, into the wider neighbouring line (the first of two).

    A cell whose first or last line of pixels is dark is found one pixel too small.
    """
    out: list[slice] = []
    for i, (start, stop) in enumerate(found):
        before = out[-1].stop if out else 0
        after = found[i + 1][0] if i + 1 < len(found) else end
        while stop - start < size:
            if start - before >= after - stop and start > before:
                start -= 1
            elif stop < after:
                stop += 1
            else:
                raise BadInput(where, f"cells of {size} pixels", f"{stop - start} pixels")
        if stop - start - (found[i][1] - found[i][0]) > 2:
            found_px = found[i][1] - found[i][0]
            raise BadInput(where, f"cells of about {size} pixels", f"one of {found_px}")
        out.append(slice(start, stop))
    return out
