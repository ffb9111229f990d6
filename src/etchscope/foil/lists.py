"""A foil that is known by its list of pits, with pictures or without."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from etchscope.foil.errors import BadInput
from etchscope.foil.records import Side

__all__ = ["PitList"]


@dataclass(frozen=True)
class PitList:
    """One side of a foil, described by the places of its pits.

    Parameters
    ----------
    name : name of the list, unique in a stack.
    foil, side : the surface that it shows.
    pits : table with finite ``x_mm, y_mm`` in the list's own frame, seen from the front, y up; also
        ``tile, x_px, y_px`` where they are known.
    image_size : (height, width) of a tile in px; None where there are no tiles.
    holes_mm : (x, y) of the datum holes in the list's frame; empty where they are not known.

    Raises
    ------
    BadInput : a place is absent or not finite; the error names the row.
    """

    name: str
    foil: str
    side: Side
    pits: pd.DataFrame = field(repr=False, compare=False)
    image_size: tuple[int, int] | None = None
    holes_mm: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        where = f"list {self.name}"
        if not {"x_mm", "y_mm"} <= set(self.pits.columns):
            found = ", ".join(map(str, self.pits.columns)) or "none"
            raise BadInput(where, "columns x_mm and y_mm", found)
        wrong = ~np.isfinite(self.pits[["x_mm", "y_mm"]].to_numpy(float)).all(axis=1)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0]) + 1
            hint = "Without a scale or positions a list cannot be aligned."
            raise BadInput(f"{where}: row {row}", "finite x_mm, y_mm", "none", hint=hint)

    @property
    def frame(self) -> str:
        """The name of the list's frame."""
        return f"{self.name} mm"

    @property
    def has_tiles(self) -> bool:
        """Whether the list states the tile of each pit and the place in that tile."""
        return self.image_size is not None and {"tile", "x_px", "y_px"} <= set(self.pits.columns)
