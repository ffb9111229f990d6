"""A simulated foil under the microscope: its scan record, its tiles one by one, and the truth."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.foil import BadInput, Scan, Side, Tile, as_pits, foil_frame, stage_to_tile
from etchscope.foil.types import Bools, RawStack
from etchscope.simulate.optics import Optics, height_map, render
from etchscope.simulate.populations import Population, draw_openings

__all__ = ["SimulatedScan", "isolated"]

_STEP_MM = (4.0, 3.0)
_PIXEL_UM = 6.4516


@dataclass(frozen=True)
class SimulatedScan:
    """One side of a foil that never existed, scanned column by column like the reference.

    Every tile is a function of ``seed`` and its number alone, so any worker can render it. The
    same seed with another ``side`` is the same foil turned over.

    Raises
    ------
    BadInput : a negative seed, or no column or row.

    Examples
    --------
    >>> foil = SimulatedScan(seed=1, columns=1, rows=1, population=Population(10, 1))
    >>> foil.read_tile(1).shape
    (10, 480, 640)
    """

    seed: int
    columns: int = 4
    rows: int = 3
    population: Population = field(default_factory=Population)
    optics: Optics = field(default_factory=Optics)
    side: Side = "front"
    foil: str = "demo"

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("columns", 1), ("rows", 1)):
            value = getattr(self, name)
            if value < least:
                raise BadInput(f"simulation: {name}", f"{least} or more", repr(value))

    @cached_property
    def scan(self) -> Scan:
        """The scan's record; stage x is reversed on the back, so foil x is the same."""
        sign = -1 if self.side == "back" else 1
        tiles = [
            Tile(
                number=1 + c * self.rows + r,
                stage_x_mm=sign * c * _STEP_MM[0],
                stage_y_mm=-r * _STEP_MM[1],
            )
            for c in range(self.columns)
            for r in range(self.rows)
        ]
        return Scan(
            name=f"{self.foil}-{self.side}",
            foil=self.foil,
            side=self.side,
            layout="smartscope",
            pixel_size_um=_PIXEL_UM,
            image_size=self.optics.image_size,
            channels=self.optics.channels,
            tiles=tuple(tiles),
        )

    @cached_property
    def _openings(self) -> pd.DataFrame:
        """Openings on the whole foil in foil mm, surfaces as seen from the front."""
        height, width = self.optics.image_size
        mm = _PIXEL_UM / 1000
        wide = (self.columns - 1) * _STEP_MM[0] / mm + width
        high = (self.rows - 1) * _STEP_MM[1] / mm + height
        rng = np.random.default_rng([self.seed, 0])
        out = draw_openings(
            rng,
            self.population,
            width_px=wide,
            height_px=high,
            tiles=wide * high / (width * height),
        )
        out["x_mm"] = (out.pop("x_px") - width / 2) * mm
        out["y_mm"] = (height / 2 - out.pop("y_px")) * mm
        return out

    def _in_tile(self, number: int, margin_px: float) -> pd.DataFrame:
        """Return the openings around one tile in its pixels, surfaces as the camera sees them."""
        tile = next((t for t in self.scan.tiles if t.number == number), None)
        if tile is None:
            raise BadInput("simulation: tile", f"1 to {len(self.scan.tiles)}", repr(number))
        out = self._openings.copy()
        x, y = foil_frame(self.scan).to_stage(out["x_mm"].to_numpy(), out["y_mm"].to_numpy())
        at = np.array([tile.stage_x_mm, tile.stage_y_mm], float)
        out["x_px"], out["y_px"] = stage_to_tile(x, y, at[0], at[1], self.scan)
        if self.side == "back":
            out["surface"] = out["surface"].map({"top": "bottom", "bottom": "top"})
            out["angle_deg"] = (180 - out["angle_deg"]) % 180
        height, width = self.optics.image_size
        near = out["x_px"].between(-0.5 - margin_px, width - 0.5 + margin_px)
        return out[near & out["y_px"].between(-0.5 - margin_px, height - 0.5 + margin_px)]

    def read_tile(self, number: int) -> RawStack:
        """Return the (channel, y, x) uint8 pictures of one tile.

        Raises
        ------
        BadInput : the scan has no such tile.
        """
        pits = self._in_tile(number, margin_px=30)
        surfaces = [
            height_map(pits[pits["surface"] == s], self.optics.image_size)
            for s in ("top", "bottom")
        ]
        side = 0 if self.side == "front" else 1
        rng = np.random.default_rng([self.seed, 1, side, number])
        return render(surfaces[0], surfaces[1], self.optics, rng)

    def truth(self) -> pd.DataFrame:
        """Return the true openings as a pit table, one row an opening and tile that shows it.

        An opening in the overlap of two tiles has a row in each; ``pit`` numbers the opening,
        ``class`` is hip, top or bottom, and ``partner`` names the other opening of a pair.
        """
        parts = []
        for tile in self.scan.tiles:
            part = self._in_tile(tile.number, margin_px=0).assign(tile=tile.number)
            parts.append(part)
        rows = pd.concat(parts)
        pairs = int(self._openings["hip"].sum()) // 2
        pit = rows.index.to_numpy()
        partner = np.where(pit < pairs, pit + pairs, pit - pairs)
        is_hip = rows["hip"].to_numpy()
        columns = rows[["tile", "surface", "x_px", "y_px", "x_mm", "y_mm", "radius_px"]].copy()
        columns["ellipticity"], columns["angle_deg"] = rows["ellipticity"], rows["angle_deg"]
        columns["foil"], columns["side"], columns["scan"] = self.foil, self.side, self.scan.name
        columns["run"], columns["pit"] = "truth", pit
        columns["partner"] = pd.array(np.where(is_hip, partner, -1), dtype="Int64")
        columns.loc[~is_hip, "partner"] = pd.NA
        columns["class"] = np.where(is_hip, "hip", rows["surface"])
        return as_pits(columns.reset_index(drop=True))


def isolated(truth: pd.DataFrame) -> Bools:
    """Return, per opening, whether it touches no other one of its foil; (n,) bool.

    Parameters
    ----------
    truth : one row an opening, ``x_mm, y_mm, radius_px`` of the reference pixel size.
    """
    place = truth[["x_mm", "y_mm"]].to_numpy() * 1000 / _PIXEL_UM
    radius = truth["radius_px"].to_numpy()
    touching = np.zeros(len(truth), bool)
    if len(truth) > 1:
        pairs = cKDTree(place).query_pairs(2 * radius.max(), output_type="ndarray")
        i, j = pairs[:, 0], pairs[:, 1]
        apart = np.hypot(*(place[i] - place[j]).T)
        near = apart < radius[i] + radius[j]
        touching[i[near]] = touching[j[near]] = True
    return ~touching
