"""A simulated foil under the microscope: its scan record, its tiles one by one, and the truth."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.foil import BadInput, Foil, Scan, Side, Tile, as_pits
from etchscope.foil.bounds import require_bounds
from etchscope.foil.types import Floats, RawStack
from etchscope.geometry import edge_distance_px, foil_frame, in_tile, stage_to_tile, tile_to_stage
from etchscope.physics.materials import get_material
from etchscope.simulation.camera import Camera, check_camera, draw_fixed_pattern
from etchscope.simulation.cells import Cell, list_cells
from etchscope.simulation.checks import check_memory, check_signal, check_sizes
from etchscope.simulation.marks import marks_reach_mm, strokes_of_cell, tabulate_strokes
from etchscope.simulation.optics import Optics, Plane, Scene
from etchscope.simulation.particles import etch, reach_mm, select_near, tracks_of_cell
from etchscope.simulation.populations import Population, Sheet
from etchscope.simulation.rendering import render
from etchscope.simulation.scene import draw_marked, draw_scene
from etchscope.simulation.stage import Stage
from etchscope.simulation.surface import Surface
from etchscope.simulation.truth import TRUTH_COLUMNS, list_marks, list_openings, number_pits

__all__ = ["SimulatedScan"]

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"


@dataclass(frozen=True)
class SimulatedScan:
    """One side of a foil that never existed, scanned column by column like the reference.

    Every tile is a function of the parameters and its number alone, so any worker can render it.
    The same ``seed`` with another ``side`` is the same foil turned over, with another ``optics``
    or ``stage`` the same foil seen otherwise, with another ``exposure`` the next foil of a stack:
    the same ions, another background.

    Raises
    ------
    BadInput : a parameter outside its range, signal that etches no pit, a pit larger than a tile,
        or pictures that do not fit into memory.

    Examples
    --------
    >>> foil = SimulatedScan(seed=1, columns=1, rows=1)
    >>> foil.read_tile(1).shape
    (10, 480, 640)
    >>> sorted(foil.truth()["class"].unique())
    ['bottom', 'hip', 'top']
    """

    seed: int
    columns: int = 4
    rows: int = 3
    population: Population = field(default_factory=Population)
    sheet: Sheet = field(default_factory=Sheet)
    optics: Optics = field(default_factory=Optics)
    surface: Surface = field(default_factory=Surface)
    camera: Camera = field(default_factory=Camera)
    stage: Stage = field(default_factory=Stage)
    side: Side = "front"
    foil: str = "simulated"
    stack: str | None = None
    exposure: int = 0

    def __post_init__(self) -> None:
        require_bounds(
            self,
            {"seed": (0, 2**63), "columns": (1, 1000), "rows": (1, 1000), "exposure": (0, 1000)},
            what="",
        )
        if not re.fullmatch(_NAME, self.foil):
            expected = "letters, digits, dot, dash and underscore, at most 80"
            raise BadInput("simulation: foil", expected, repr(self.foil))
        check_camera(self.camera, self.optics)
        check_signal(self.population.hips, self.sheet)
        check_sizes(self.sheet, self.optics, self.stage)
        check_memory(self.optics)

    @cached_property
    def scan(self) -> Scan:
        """The scan's record; stage x is reversed on the back, so foil x is the same."""
        height, width = self.optics.image_size
        mm = self.optics.pixel_size_um / 1000
        overlap_x, overlap_y = self.stage.overlap_px
        step_x, step_y = (width - overlap_x) * mm, (height - overlap_y) * mm
        sign = -1 if self.side == "back" else 1
        tiles = tuple(
            Tile(
                number=1 + c * self.rows + r,
                stage_x_mm=round(sign * c * step_x, 6),
                stage_y_mm=round(-r * step_y, 6),
            )
            for c in range(self.columns)
            for r in range(self.rows)
        )
        record = Scan(
            name=f"{self.foil}-{self.side}",
            foil=self.foil,
            side=self.side,
            layout="smartscope",
            pixel_size_um=self.optics.pixel_size_um,
            image_size=self.optics.image_size,
            dtype="uint8" if self.optics.bit_depth == 8 else "uint16",
            channels=self.optics.channels,
            tiles=tiles,
        )
        return record.model_copy(update={"datum": self._datum(record)})

    @property
    def foil_record(self) -> Foil:
        """The foil's record for a store."""
        return Foil(
            name=self.foil,
            stack=self.stack,
            material=get_material(self.sheet.material).name,
            thickness_um=self.sheet.thickness_um,
            etch={"removed_um": self.sheet.removed_um},
        )

    def _datum(self, record: Scan) -> tuple[tuple[int, float, float], ...]:
        """Return each datum hole where the tile that shows it best shows it."""
        out = []
        for hole in self.population.marks.holes_mm:
            x_mm, y_mm = (np.array(v) for v in hole)
            stage = self.stage.from_sheet(x_mm, y_mm, self.side)
            best = None
            for tile in record.tiles:
                at_x, at_y = self._true_place(tile)
                x, y = (float(v) for v in stage_to_tile(*stage, at_x, at_y, record))
                inside = float(edge_distance_px(x, y, record.image_size))
                if inside > 0 and (best is None or inside > best[0]):
                    best = (inside, (tile.number, round(x, 3), round(y, 3)))
            if best is not None:
                out.append(best[1])
        return tuple(out)

    def _true_place(self, tile: Tile) -> tuple[Floats, Floats]:
        """Return where the stage really was."""
        rng = np.random.default_rng([self.seed, 3, self.exposure, self._side, tile.number])
        dx, dy = rng.normal(0, self.stage.jitter_um / 1000, 2)
        return np.array((tile.stage_x_mm or 0.0) + dx), np.array((tile.stage_y_mm or 0.0) + dy)

    @property
    def _side(self) -> int:
        return 0 if self.side == "front" else 1

    @cached_property
    def _tiles(self) -> dict[int, Tile]:
        return {tile.number: tile for tile in self.scan.tiles}

    def _tile(self, number: int) -> Tile:
        if number not in self._tiles:
            raise BadInput("simulation: tile", f"1 to {len(self._tiles)}", repr(number))
        return self._tiles[number]

    def _to_tile(self, x_mm: Floats, y_mm: Floats, tile: Tile) -> tuple[Floats, Floats]:
        at_x, at_y = self._true_place(tile)
        return stage_to_tile(*self.stage.from_sheet(x_mm, y_mm, self.side), at_x, at_y, self.scan)

    def _cells(self, tile: Tile, reach: float) -> list[Cell]:
        """Return the cells whose particles may show in a tile."""
        height, width = self.optics.image_size
        right, down = np.array([0.0, width, width, 0.0]), np.array([0.0, 0.0, height, height])
        stage = tile_to_stage(right, down, *self._true_place(tile), self.scan)
        x, y = self.stage.to_sheet(*stage, self.side)
        return list_cells(x, y, reach)

    def _pits(self, tile: Tile) -> pd.DataFrame:
        """Return the pits that show in a tile, in its pixels, surfaces as the camera sees them."""
        reach = reach_mm(self.population, self.sheet)
        height, width = self.optics.image_size
        middle = tile_to_stage(
            np.array((width - 1) / 2),
            np.array((height - 1) / 2),
            *self._true_place(tile),
            self.scan,
        )
        at_x, at_y = (float(v) for v in self.stage.to_sheet(*middle, self.side))
        half_mm = (np.hypot(width, height) / 2 + 2) * self.optics.pixel_size_um / 1000
        parts = [
            select_near(
                tracks_of_cell(self.seed, cell, self.population, self.sheet, self.exposure),
                at_x,
                at_y,
                half_mm,
            )
            for cell in self._cells(tile, reach)
        ]
        out = etch(parts, self.sheet)
        x, y = self._to_tile(out["x_mm"].to_numpy(), out["y_mm"].to_numpy(), tile)
        half = out["major_um"].to_numpy() / 2 / self.optics.pixel_size_um + 2
        shown = (x > -half) & (x < width + half) & (y > -half) & (y < height + half)
        out = out[shown].assign(centre_x_px=x[shown], centre_y_px=y[shown])
        entered = self._to_tile(
            out["entered_x_mm"].to_numpy(), out["entered_y_mm"].to_numpy(), tile
        )
        out["x_px"], out["y_px"] = entered
        azimuth = out["azimuth_rad"].to_numpy()
        if self.side == "back":
            azimuth = np.pi - azimuth
        out["azimuth_rad"] = azimuth + np.deg2rad(self.stage.rotation_deg)
        top = out["front"].to_numpy() == (self.side == "front")
        out["surface"] = np.where(top, "top", "bottom")
        return out

    def _marks(self, tile: Tile) -> pd.DataFrame:
        """Return the strokes near a tile, in its pixels; dust and scratches of the near side."""
        back = self.side == "back"
        parts = [
            strokes_of_cell(self.seed, cell, self.population, self.exposure, back)
            for cell in self._cells(tile, marks_reach_mm(self.population))
        ]
        out = tabulate_strokes([stroke for part in parts for stroke in part])
        for end in "01":
            x, y = (out[f"{axis}{end}_mm"].to_numpy(float) for axis in "xy")
            out[f"x{end}_px"], out[f"y{end}_px"] = self._to_tile(x, y, tile)
        return out

    def scene(self, number: int) -> Scene:
        """Return the foil of one tile before any light falls on it.

        Raises
        ------
        BadInput : the scan has no such tile.
        """
        tile = self._tile(number)
        return draw_scene(
            self._pits(tile),
            self._marks(tile),
            self.optics,
            thickness_um=self.sheet.thickness_um - 2 * self.sheet.removed_um,
            refractive_index=get_material(self.sheet.material).refractive_index,
        )

    def read_tile(self, number: int) -> RawStack:
        """Return the (channel, y, x) pictures of one tile.

        Raises
        ------
        BadInput : the scan has no such tile.
        """
        scene = self.scene(number)
        rng = np.random.default_rng([self.seed, 1, self.exposure, self._side, number])
        own = np.random.default_rng([self.seed, 5, self.exposure, self._side])
        return render(
            scene,
            self.optics,
            rng,
            surface=self.surface,
            camera=self.camera,
            plane=self._plane(self._tile(number)),
            pattern=draw_fixed_pattern(self.camera, self.optics.image_size, own),
        )

    def _plane(self, tile: Tile) -> Plane:
        """Return how the foil lies in the focus of one tile: its tilt and bend there."""
        first, last = self.scan.tiles[0], self.scan.tiles[-1]  # corners of the scan
        middle_x = ((first.stage_x_mm or 0.0) + (last.stage_x_mm or 0.0)) / 2
        middle_y = ((first.stage_y_mm or 0.0) + (last.stage_y_mm or 0.0)) / 2
        x, y = (tile.stage_x_mm or 0.0) - middle_x, (tile.stage_y_mm or 0.0) - middle_y
        return self.stage.plane_at(x, y)

    def marked(self, number: int) -> NDArray[np.uint8]:
        """Return where a tile shows what is no pit, (y, x) uint8 of ``optics.image_size``.

        0 nothing, 1 dust, 2 scratch, 3 fibre, 4 bubble, 5 hole, 6 drop (``MARK_CODES``). Where two
        lie on each other the later of drop, dust, scratch, fibre, bubble, hole stands. A pixel
        counts if its centre lies within a stroke, and a stroke thinner than a pixel is one wide.

        Raises
        ------
        BadInput : the scan has no such tile.
        """
        strokes = self._marks(self._tile(number))
        return draw_marked(strokes, self.optics)

    def truth(self, tiles: Collection[int] | None = None) -> pd.DataFrame:
        """Return the true openings as a pit table, one row per opening and tile that shows it.

        An opening in the overlap of two tiles has a row in each; ``pit`` numbers the opening, and
        ``partner`` names the other opening of a signal pair if the scan shows it. ``class`` is
        hip, top, bottom, top.spallation, bottom.spallation or maybe. After the pit table's columns
        come ``TRUTH_COLUMNS``; ``particle`` is the same number on every scan of a foil, and for
        ions on every foil of a stack.

        Parameters
        ----------
        tiles : numbers of the tiles to list; by default all. ``pit`` counts within the list.
        """
        return self._table(self._true_pits, tiles)

    def openings(self, number: int) -> pd.DataFrame:
        """Return the openings that reach into a tile, those whose centre lies beyond it too.

        Columns ``x_px, y_px, radius_px, ellipticity, angle_deg, depth_um, surface``, as in
        ``truth``.

        Raises
        ------
        BadInput : the scan has no such tile.
        """
        names = ["x_px", "y_px", "radius_px", "ellipticity", "angle_deg", "depth_um", "surface"]
        return self._true_pits(self._tile(number))[names].reset_index(drop=True)

    def marks(self, tiles: Collection[int] | None = None) -> pd.DataFrame:
        """Return what is no pit, in the columns of ``truth``, one row per mark and tile.

        ``class`` is misc.dust, misc.scratch, misc.fibre, misc.bubble, misc.drop or misc.hole; the
        place is the middle of the mark and the radius that of its extent.
        """
        return self._table(self._true_marks, tiles)

    def _table(
        self, rows_of: Callable[[Tile], pd.DataFrame], tiles: Collection[int] | None
    ) -> pd.DataFrame:
        parts = []
        for tile in self.scan.tiles:
            if tiles is not None and tile.number not in tiles:
                continue
            part = rows_of(tile)
            inside = in_tile(part["x_px"], part["y_px"], self.optics.image_size)
            parts.append(part[inside].assign(tile=tile.number))
        rows = pd.concat(parts, ignore_index=True)
        x, y = rows.pop("x_mm").to_numpy(), rows.pop("y_mm").to_numpy()
        stage = self.stage.from_sheet(x, y, self.side)
        rows["x_mm"], rows["y_mm"] = foil_frame(self.scan).from_stage(*stage)
        rows = number_pits(rows)
        rows["foil"], rows["side"], rows["scan"] = self.foil, self.side, self.scan.name
        rows["run"] = "truth"
        extra = rows[list(TRUTH_COLUMNS)]
        return as_pits(rows.drop(columns=list(TRUTH_COLUMNS))).join(extra)

    def _true_pits(self, tile: Tile) -> pd.DataFrame:
        return list_openings(self._pits(tile), self.optics.pixel_size_um)

    def _true_marks(self, tile: Tile) -> pd.DataFrame:
        marks = list_marks(self._marks(tile), self.optics.pixel_size_um)
        x_px, y_px = self._to_tile(marks["x_mm"].to_numpy(), marks["y_mm"].to_numpy(), tile)
        return marks.assign(x_px=x_px, y_px=y_px)
