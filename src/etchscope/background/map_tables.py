"""Density maps as tables and as numbers: one row per cell, in the units that users read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from etchscope.background.comparison import Comparison
from etchscope.background.density_maps import REASONS, DensityMap, integrate
from etchscope.background.grid import MapGrid
from etchscope.foil.types import Floats

__all__ = ["MapUnits", "comparison_table", "density_table", "summarise_map"]


@dataclass(frozen=True)
class MapUnits:
    """The units of a map: those of its lengths, and those of its areas.

    Parameters
    ----------
    length : mm, px or tile, that of the grid.
    area : mm2 or megapixel.
    per_grid : area of one of the grid's units squared, in ``area``.
    """

    length: str
    area: str
    per_grid: float

    @property
    def density(self) -> str:
        """Unit of a density in words, as "pits/mm²"."""
        return "pits/mm²" if self.area == "mm2" else "pits/megapixel"


def _places(grid: MapGrid, units: MapUnits) -> dict[str, Floats]:
    """Return the columns of the centres of cells."""
    x, y = np.meshgrid(grid.x, grid.y)
    names = (
        ("column", "row") if units.length == "tile" else (f"x_{units.length}", f"y_{units.length}")
    )
    return {names[0]: x.ravel(), names[1]: y.ravel()}


def density_table(one: DensityMap, units: MapUnits) -> pd.DataFrame:
    """Return one row per cell, row by row of the grid.

    The columns are the centre (``x_mm, y_mm``, or in px, or ``column, row`` of the grid of tiles),
    ``found`` pits in the cell, ``seen_mm2``, ``density_per_mm2`` with its 95 % interval ``low`` and
    ``high``, ``kernel_per_mm2`` of found pits alone, ``valid``, and the ``reason`` where it is not.
    Without a scale, areas are in megapixels, and the names say so. Where nothing near was seen,
    densities are nan.
    """
    per = 1 / units.per_grid
    pits = one.all_pits
    return pd.DataFrame(
        {
            **_places(one.grid, units),
            "found": one.count.ravel(),
            f"seen_{units.area}": one.seen.ravel() * units.per_grid,
            f"density_per_{units.area}": pits.value.ravel() * per,
            "low": pits.low.ravel() * per,
            "high": pits.high.ravel() * per,
            f"kernel_per_{units.area}": one.kernel.ravel() * per,
            "valid": one.valid.ravel(),
            "reason": np.array(REASONS)[one.reason.ravel()],
        }
    )


def comparison_table(both: Comparison, units: MapUnits) -> pd.DataFrame:
    """Return one row per cell of the area that both scans show, row by row of the grid.

    The columns are the centre, ``density_per_mm2`` and ``other_per_mm2``, their ``ratio`` with its
    95 % interval ``low`` and ``high``, the ``significance`` in standard deviations, ``seen_mm2``,
    ``valid``, and the ``reason`` where it is not.
    """
    per = 1 / units.per_grid
    reason = np.where(both.one.reason > 0, both.one.reason, both.other.reason)
    return pd.DataFrame(
        {
            **_places(both.one.grid, units),
            f"seen_{units.area}": both.one.seen.ravel() * units.per_grid,
            f"density_per_{units.area}": both.one.all_pits.value.ravel() * per,
            f"other_per_{units.area}": both.other.all_pits.value.ravel() * per,
            "ratio": both.ratio.ravel(),
            "low": both.low.ravel(),
            "high": both.high.ravel(),
            "significance": both.significance.ravel(),
            "valid": both.valid.ravel(),
            "reason": np.array(REASONS)[reason.ravel()],
        }
    )


def summarise_map(one: DensityMap, units: MapUnits) -> dict[str, Any]:
    """Return the figures of a map for JSON: its total and mean with their intervals, its cells."""
    total = integrate(one)
    seen = total.seen * units.per_grid
    shown = one.valid & np.isfinite(one.all_pits.value)
    values = one.all_pits.value[shown] / units.per_grid
    cells = {REASONS[k]: int((one.reason == k).sum()) for k in (2, 3)}
    return {
        "bandwidth": one.bandwidth or None,
        "is_adaptive": one.is_adaptive,
        "cell": one.grid.step,
        "length_unit": units.length,
        "area_unit": units.area,
        "found": int(one.count.sum()),
        f"seen_{units.area}": float(one.seen.sum()) * units.per_grid,
        "valid": {
            "cells": int(one.valid.sum()),
            f"seen_{units.area}": seen,
            "found": total.found,
            "pits": [total.value, total.low, total.high],
            f"density_per_{units.area}": [v / seen for v in (total.value, total.low, total.high)]
            if seen > 0
            else None,
            "lowest": float(values.min()) if len(values) else None,
            "highest": float(values.max()) if len(values) else None,
        },
        "cells_not_valid": cells,
    }
