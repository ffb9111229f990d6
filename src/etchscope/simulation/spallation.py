"""The true stars of a simulated foil: which tracks come from one vertex, and where it is."""

import numpy as np
import pandas as pd

from etchscope.geometry import foil_frame
from etchscope.simulation.cells import list_cells
from etchscope.simulation.particles import reach_mm, tracks_of_cell
from etchscope.simulation.scan import SimulatedScan

__all__ = ["list_prongs"]


def list_prongs(foil: SimulatedScan) -> pd.DataFrame:
    """Return the prongs of all stars in and around a simulated scan, visible or not.

    Returns
    -------
    DataFrame with one row per prong: ``particle``, as in ``SimulatedScan.truth``; ``star``, int64,
    the same number for all prongs of a vertex, from 0; the vertex ``x_mm, y_mm`` in the foil frame
    and ``depth_um`` below the front; and ``zenith_deg`` of the prong, 0 along the normal from
    front to back, up to 180.
    """
    rectangle = [(tile.stage_x_mm or 0.0, tile.stage_y_mm or 0.0) for tile in foil.scan.tiles]
    middle_x, middle_y = np.array(rectangle, np.float64).T
    x, y = foil.stage.to_sheet(middle_x, middle_y, foil.side)
    half_mm = np.hypot(*foil.scan.image_size) / 2 * foil.optics.pixel_size_um / 1000
    cells = list_cells(x, y, half_mm + reach_mm(foil.population, foil.sheet))
    drawn = [
        tracks_of_cell(foil.seed, cell, foil.population, foil.sheet, foil.exposure)
        for cell in cells
    ]
    names = ("particle", "kind", "x_mm", "y_mm", "z_um", "dx_um", "dy_um", "dz_um")
    table = pd.DataFrame({name: np.concatenate([c[name] for c in drawn]) for name in names})
    # 3 is spallation; the prongs of a star begin at exactly one point.
    table = table[table["kind"] == 3].reset_index(drop=True)
    star = table.groupby(["x_mm", "y_mm", "z_um"], sort=False).ngroup()
    stage = foil.stage.from_sheet(table["x_mm"].to_numpy(), table["y_mm"].to_numpy(), foil.side)
    x_mm, y_mm = foil_frame(foil.scan).from_stage(*stage)
    across = np.hypot(table["dx_um"], table["dy_um"])
    return pd.DataFrame(
        {
            "particle": table["particle"].astype(np.int64),
            "star": star.to_numpy(np.int64),
            "x_mm": x_mm,
            "y_mm": y_mm,
            "depth_um": table["z_um"],
            "zenith_deg": np.rad2deg(np.arctan2(across, table["dz_um"])),
        }
    )
