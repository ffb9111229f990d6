"""Density maps: of runs of a store, and of plain lists of places."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from etchscope.api.given import File, Table, name_of_table
from etchscope.api.kept import OfStore
from etchscope.files.tables import read_columns
from etchscope.foil import BadInput
from etchscope.foil.types import Floats
from etchscope.progress import Progress, watch

if TYPE_CHECKING:
    from etchscope.background.hidden import EfficiencyCurve
    from etchscope.background.pit_groups import Split
    from etchscope.run.density_maps import DensityMaps

__all__ = ["DensitySteps", "map_density", "summarise_maps", "write_density_maps"]


class DensitySteps(OfStore):
    """What is done with the density of pits everywhere on a foil."""

    def map(
        self,
        scan: str | None = None,
        *,
        run: str | None = None,
        by: "Split | None" = None,
        bandwidth_um: float | None = None,
        adaptive: bool = False,
        compare: str | None = None,
        efficiency: Table | None = None,
        progress: Progress = False,
    ) -> "DensityMaps":
        """Return maps of the density of pits of a run, with intervals, over the area it has seen.

        Parameters
        ----------
        scan : may be None where only one scan has runs.
        run : the latest of the scan unless given.
        by : also one map for each surface, class or size of the pits.
        bandwidth_um : standard deviation of the kernel; chosen from the pits unless given.
        adaptive : make the kernel wider where pits are few.
        compare : another scan, whose latest run is compared with this one.
        efficiency : table of the measured efficiency, ``density_per_mm2, efficiency, low, high``;
            without it hidden pits follow from the area of the openings.

        Raises
        ------
        UnknownScan, UnknownRun, NotSearched, SeveralScans : see ``chosen_runs``.
        NotScored : by class, and no model has classified the pits.
        NoPositions : a comparison, or a kernel over several tiles, without positions.
        BadInput : nothing was seen, a bandwidth that cannot be, a bandwidth or an efficiency where
            there is no scale, or scans whose frames are not known to each other.
        """
        from etchscope.run.density_maps import MapSettings, map_run
        from etchscope.run.results import choose_run

        settings = MapSettings(
            by, bandwidth_um, adaptive, None if efficiency is None else _curve(efficiency)
        )
        chosen = choose_run(self.kept, scan=scan, run=run)
        other = None if compare is None else choose_run(self.kept, scan=compare)
        names = [chosen] if other is None else [chosen, other]
        tiles = sum(len(self.kept.runs.record(name).tiles) for name in names)
        with watch(progress, "Mapping", tiles) as bar:
            return map_run(self.kept, chosen, settings, other=other, progress=bar.advance)


def _curve(given: Table) -> "EfficiencyCurve":
    """Return the efficiency of a table.

    Raises
    ------
    BadInput : a column is absent or no numbers, or see ``EfficiencyCurve``.
    """
    from etchscope.background.hidden import EfficiencyCurve

    where = name_of_table(given, "efficiency")
    table = given if isinstance(given, pd.DataFrame) else read_columns(Path(given), ())
    names = ("density_per_mm2", "efficiency", "low", "high")
    missing = [n for n in names if n not in table.columns]
    if missing:
        raise BadInput(where, f"columns {', '.join(names)}", f"no {missing[0]}")
    try:
        rows = table[list(names)].sort_values("density_per_mm2").to_numpy(np.float64)
    except (ValueError, TypeError) as error:
        raise BadInput(where, "numbers", str(error)) from error
    return EfficiencyCurve(*rows.T)


def write_density_maps(done: "DensityMaps", folder: File) -> list[Path]:
    """Write maps as tables, OME-Zarr and figures into a folder; return the figures.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    from etchscope.pages.density_maps import write_density_maps as write

    return write(done, Path(folder))


def summarise_maps(done: "DensityMaps") -> dict[str, object]:
    """Return the figures of maps for JSON: totals and mean densities with 95 % intervals."""
    from etchscope.pages.density_maps import summarise_maps as summarise

    return summarise(done)


def map_density(
    x_mm: ArrayLike,
    y_mm: ArrayLike,
    window_mm: Sequence[ArrayLike],
    *,
    bandwidth_um: float | None = None,
    adaptive: bool = False,
) -> pd.DataFrame:
    """Return the density of places inside polygons, one row per cell, as ``docs/density-maps.md``.

    Parameters
    ----------
    x_mm, y_mm : (n,) places; those outside the polygons do not count.
    window_mm : (m, 2) corners of each polygon of the seen area. One inside another is a hole.
    bandwidth_um : standard deviation of the kernel; chosen from the places unless given.
    adaptive : make the kernel wider where places are few.

    Raises
    ------
    BadInput : places that are not finite or not as many x as y, no polygon of three corners, or a
        bandwidth that cannot be.

    Examples
    --------
    >>> sheet = [(0, 0), (4, 0), (4, 3), (0, 3)]
    >>> table = map_density([1.0, 1.2, 3.0], [1.0, 1.1, 2.0], [sheet], bandwidth_um=500)
    >>> round(float(table["seen_mm2"].sum()), 6), int(table["found"].sum())
    (12.0, 3)
    """
    from etchscope.background.bandwidth import smallest_bandwidth
    from etchscope.background.density_maps import PitPoints, Window
    from etchscope.background.density_maps import map_density as map_points
    from etchscope.background.grid import grid_over
    from etchscope.background.map_tables import MapUnits, density_table
    from etchscope.background.polygons import inside_polygons, polygon_area

    x, y = (np.asarray(v, np.float64) for v in (x_mm, y_mm))
    if x.ndim != 1 or x.shape != y.shape or not np.isfinite([x, y]).all():
        raise BadInput("x_mm, y_mm", "as many finite numbers each", f"shapes {x.shape}, {y.shape}")
    if bandwidth_um is not None and not 0 < bandwidth_um < np.inf:
        raise BadInput("bandwidth_um", "more than 0", f"{bandwidth_um!r}")
    polygons: list[Floats] = [np.asarray(p, np.float64) for p in window_mm]
    inside = inside_polygons(x, y, polygons)
    corners = np.concatenate(polygons)
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    box = (x1 - x0) * (y1 - y0)
    least = smallest_bandwidth(box, box, int(inside.sum()))
    width = None if bandwidth_um is None else bandwidth_um / 1000
    grid = grid_over((x0, x1, y0, y1), (width or least) / 4)
    window = Window(polygon_area(polygons, grid), grid)
    pits = PitPoints(x[inside], y[inside])
    done = map_points(pits, window, bandwidth=width, adaptive=adaptive)
    return density_table(done, MapUnits("mm", "mm2", 1.0))
