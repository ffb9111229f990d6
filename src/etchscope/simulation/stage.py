"""How a foil lies on the stage: the frame of the sheet against that of the stage, and tilt."""

from dataclasses import dataclass

import numpy as np

from etchscope.foil import Side
from etchscope.foil.bounds import require_bounds, require_numbers
from etchscope.foil.types import Floats
from etchscope.simulation.optics import Plane

__all__ = ["Stage"]


@dataclass(frozen=True)
class Stage:
    """How the foil lies on the stage.

    Parameters
    ----------
    rotation_deg : turns the foil counter-clockwise.
    offset_mm : moves the foil (x, y).
    jitter_um : rms error of a tile's true position against the recorded one, per axis.
    overlap_px : by how much neighbouring tiles overlap (x, y), negative for a gap.
    tilt_x_um_per_mm, tilt_y_um_per_mm : slopes by which the foil rises out of the focal plane from
        the middle of the scan, y up.
    bend_um_per_mm2 : bend of the foil; it rises by this times the square of the distance.

    Raises
    ------
    BadInput : a parameter outside its range.
    """

    rotation_deg: float = 0.0
    offset_mm: tuple[float, float] = (0.0, 0.0)
    jitter_um: float = 0.0
    overlap_px: tuple[float, float] = (20, 15)
    tilt_x_um_per_mm: float = 0.0
    tilt_y_um_per_mm: float = 0.0
    bend_um_per_mm2: float = 0.0

    def __post_init__(self) -> None:
        tilts = ("tilt_x_um_per_mm", "tilt_y_um_per_mm", "bend_um_per_mm2")
        limits = {"rotation_deg": (-180.0, 180.0), "jitter_um": (0.0, 500.0)}
        require_bounds(self, {**limits, **dict.fromkeys(tilts, (-500.0, 500.0))})
        require_numbers("stage.offset_mm", self.offset_mm, -1000, 1000, count=2)
        require_numbers("stage.overlap_px", self.overlap_px, -10000, 10000, count=2)

    def from_sheet(self, x_mm: Floats, y_mm: Floats, side: Side) -> tuple[Floats, Floats]:
        """Return the place on the stage, in mm, of points of the sheet: turned over, turned, moved.

        Parameters
        ----------
        x_mm, y_mm : (n,) places on the sheet, y up, seen from the front.
        side : the side of the foil that faces the camera.
        """
        x = -x_mm if side == "back" else x_mm
        a = np.deg2rad(self.rotation_deg)
        dx, dy = self.offset_mm
        return x * np.cos(a) - y_mm * np.sin(a) + dx, x * np.sin(a) + y_mm * np.cos(a) + dy

    def to_sheet(self, x_mm: Floats, y_mm: Floats, side: Side) -> tuple[Floats, Floats]:
        """Return the place on the sheet of points of the stage; the inverse of ``from_sheet``.

        Parameters
        ----------
        x_mm, y_mm : (n,) float64 on the stage.
        side : of the sheet that faces the microscope.

        Returns
        -------
        x and y on the sheet in mm, (n,) float64 each.
        """
        a = np.deg2rad(self.rotation_deg)
        dx, dy = x_mm - self.offset_mm[0], y_mm - self.offset_mm[1]
        x, y = dx * np.cos(a) + dy * np.sin(a), dy * np.cos(a) - dx * np.sin(a)
        return (-x if side == "back" else x), y

    def plane_at(self, x_mm: float, y_mm: float) -> Plane:
        """Return the height and slope of the foil at a place counted from the scan's middle."""
        tilt_x, tilt_y, bend = self.tilt_x_um_per_mm, self.tilt_y_um_per_mm, self.bend_um_per_mm2
        height = tilt_x * x_mm + tilt_y * y_mm + bend * (x_mm**2 + y_mm**2)
        slope_x = (tilt_x + 2 * bend * x_mm) / 1000
        slope_y = (tilt_y + 2 * bend * y_mm) / 1000
        return Plane(height, slope_x, slope_y)
