"""A simulated foil under the microscope: its scan record, its tiles one by one, and the truth."""

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from etchscope.foil import (
    BadInput,
    Foil,
    Scan,
    Side,
    Tile,
    as_pits,
)
from etchscope.foil.bounds import require_bounds, require_numbers, require_within
from etchscope.foil.types import Bools, Floats, RawStack
from etchscope.geometry import edge_distance_px, foil_frame, in_tile, stage_to_tile, tile_to_stage
from etchscope.physics.materials import material_named
from etchscope.simulation.camera import Camera, check_camera, fixed_pattern
from etchscope.simulation.cells import CELL_MM, Cell
from etchscope.simulation.marks import Stroke, as_marks, draw_strokes, marks_reach_mm
from etchscope.simulation.optics import OVERSAMPLING, Optics, Plane, Scene
from etchscope.simulation.particles import draw_tracks, etch, near, reach_mm
from etchscope.simulation.populations import Population, Sheet
from etchscope.simulation.rendering import render
from etchscope.simulation.scene import draw_marked, draw_scene
from etchscope.simulation.surface import Surface

__all__ = ["TRUTH_COLUMNS", "SimulatedScan", "Stage", "isolated", "once"]

TRUTH_COLUMNS = ("particle", "removed_um", "length_um")
"""What the truth says beyond the pit table; NaN for marks. Azimuths as the camera sees them."""
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"


@dataclass(frozen=True)
class Stage:
    """How the foil lies on the stage.

    ``rotation_deg`` turns the foil counter-clockwise, ``offset_mm`` moves it (x, y);
    ``jitter_um`` is the rms error of a tile's true position against the recorded one, per axis;
    ``overlap_px`` is by how much neighbouring tiles overlap (x, y), negative for a gap. The foil
    rises from the scan's middle by ``tilt_x_um_per_mm`` and ``tilt_y_um_per_mm`` (y up) and bends
    by ``bend_um_per_mm2`` times the square of the distance, out of the focal plane.
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
        hips = self.population.hips
        ratio = hips.ratio(self.sheet)
        if hips.per_tile and ratio <= 1.02:
            material = material_named(self.sheet.material)
            loss = hips.energy_loss(self.sheet)
            raise BadInput(
                "simulation: hips.rel_mev_cm2_g (or charge and beta, or v)",
                f"V of 1.02 or more ({material.name} begins at {material.threshold:g} MeV cm²/g)",
                f"V = {ratio:.4g} at {loss:.4g} MeV cm²/g: no pit to be seen",
            )
        widest = 2 * self.sheet.removed_um / self.optics.pixel_size_um
        require_within(
            "pit size in pixels (2 · sheet.removed_um / optics.pixel_size_um)",
            widest,
            0,
            min(self.optics.image_size) - 1,
            hint="Remove less or make the picture larger.",
        )
        smallest = min(
            size - overlap
            for size, overlap in zip(
                self.optics.image_size[::-1], self.stage.overlap_px, strict=True
            )
        )
        require_within("tile less stage.overlap_px, in pixels", smallest, 1, np.inf)
        # Per point of the height maps about ten float32; per picture about four.
        points = self.optics.image_size[0] * self.optics.image_size[1]
        needed = points * 4 * (10 * OVERSAMPLING**2 + 4 * len(self.optics.channels))
        if needed > _memory_bytes():
            raise BadInput(
                "simulation: optics.image_size and optics.channels",
                f"pictures that fit into {_memory_bytes() / 2**30:.1f} GiB of memory",
                f"{needed / 2**30:.1f} GiB for one tile",
            )

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
            material=material_named(self.sheet.material).name,
            thickness_um=self.sheet.thickness_um,
            etch={"removed_um": self.sheet.removed_um},
        )

    def _sheet_to_stage(self, x_mm: Floats, y_mm: Floats) -> tuple[Floats, Floats]:
        """Return the stage place of points of the sheet: turned over, turned, moved."""
        x = -x_mm if self.side == "back" else x_mm
        a = np.deg2rad(self.stage.rotation_deg)
        dx, dy = self.stage.offset_mm
        return x * np.cos(a) - y_mm * np.sin(a) + dx, x * np.sin(a) + y_mm * np.cos(a) + dy

    def _stage_to_sheet(self, x_mm: Floats, y_mm: Floats) -> tuple[Floats, Floats]:
        a = np.deg2rad(self.stage.rotation_deg)
        dx, dy = x_mm - self.stage.offset_mm[0], y_mm - self.stage.offset_mm[1]
        x, y = dx * np.cos(a) + dy * np.sin(a), dy * np.cos(a) - dx * np.sin(a)
        return (-x if self.side == "back" else x), y

    def _datum(self, record: Scan) -> tuple[tuple[int, float, float], ...]:
        """Return each datum hole where the tile that shows it best shows it."""
        out = []
        for hole in self.population.marks.holes_mm:
            stage = self._sheet_to_stage(*(np.array(v) for v in hole))
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
        return stage_to_tile(*self._sheet_to_stage(x_mm, y_mm), at_x, at_y, self.scan)

    def _cells(self, tile: Tile, reach: float) -> list[Cell]:
        """Return the cells whose particles may show in a tile."""
        height, width = self.optics.image_size
        right, down = np.array([0.0, width, width, 0.0]), np.array([0.0, 0.0, height, height])
        stage = tile_to_stage(right, down, *self._true_place(tile), self.scan)
        x, y = self._stage_to_sheet(*stage)
        i = range(_cell(x.min() - reach), _cell(x.max() + reach) + 1)
        j = range(_cell(y.min() - reach), _cell(y.max() + reach) + 1)
        return [(a, b) for a in i for b in j]

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
        at_x, at_y = (float(v) for v in self._stage_to_sheet(*middle))
        half_mm = (np.hypot(width, height) / 2 + 2) * self.optics.pixel_size_um / 1000
        parts = [
            near(
                _tracks_of_cell(self.seed, cell, self.population, self.sheet, self.exposure),
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
            _marks_of_cell(self.seed, cell, self.population, self.exposure, back)
            for cell in self._cells(tile, marks_reach_mm(self.population))
        ]
        out = as_marks([stroke for part in parts for stroke in part])
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
            refractive_index=material_named(self.sheet.material).refractive_index,
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
            pattern=fixed_pattern(self.camera, self.optics.image_size, own),
        )

    def _plane(self, tile: Tile) -> Plane:
        """Return how the foil lies in the focus of one tile: its tilt and bend there."""
        s, places = self.stage, [(t.stage_x_mm or 0.0, t.stage_y_mm or 0.0) for t in self._ends]
        x = (tile.stage_x_mm or 0.0) - (places[0][0] + places[1][0]) / 2
        y = (tile.stage_y_mm or 0.0) - (places[0][1] + places[1][1]) / 2
        height = s.tilt_x_um_per_mm * x + s.tilt_y_um_per_mm * y + s.bend_um_per_mm2 * (x**2 + y**2)
        slope_x = (s.tilt_x_um_per_mm + 2 * s.bend_um_per_mm2 * x) / 1000
        slope_y = (s.tilt_y_um_per_mm + 2 * s.bend_um_per_mm2 * y) / 1000
        return Plane(height, slope_x, slope_y)

    @property
    def _ends(self) -> tuple[Tile, Tile]:
        """The first and the last tile, corners of the scan."""
        return self.scan.tiles[0], self.scan.tiles[-1]

    def marked(self, number: int) -> NDArray[np.uint8]:
        """Return where a tile shows what is no pit, (y, x) uint8 of ``optics.image_size``.

        0 nothing, 1 dust, 2 scratch, 3 fibre, 4 bubble, 5 hole, 6 drop (``MARK_CODES``). Where two
        lie on each other the later of drop, dust, scratch, fibre, bubble, hole is told. A pixel
        counts if its centre lies within a stroke, and a stroke thinner than a pixel is one wide.

        Raises
        ------
        BadInput : the scan has no such tile.
        """
        strokes = self._marks(self._tile(number))
        return draw_marked(strokes, self.optics)

    def truth(self, tiles: Collection[int] | None = None) -> pd.DataFrame:
        """Return the true openings as a pit table, one row an opening and tile that shows it.

        An opening in the overlap of two tiles has a row in each; ``pit`` numbers the opening, and
        ``partner`` names the other opening of a signal pair if the scan shows it. ``class`` is
        hip, top, bottom, top.spallation, bottom.spallation or maybe. After the pit table's columns
        come ``TRUTH_COLUMNS``; ``particle`` is the same number on every scan of a foil, and for
        ions on every foil of a stack.

        Parameters
        ----------
        tiles : numbers of the tiles to list; all unless given. ``pit`` counts within the list.
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
        """Return what is no pit, in the columns of ``truth``, one row a mark and tile.

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
        stage = self._sheet_to_stage(rows.pop("x_mm").to_numpy(), rows.pop("y_mm").to_numpy())
        rows["x_mm"], rows["y_mm"] = foil_frame(self.scan).from_stage(*stage)
        thing, other = rows.pop("thing"), rows.pop("other")
        numbers = pd.Series(np.arange(thing.nunique()), index=np.sort(thing.unique()))
        rows["pit"] = numbers.loc[thing].to_numpy()
        rows["partner"] = other.map(numbers).astype("Int64").to_numpy()
        rows["foil"], rows["side"], rows["scan"] = self.foil, self.side, self.scan.name
        rows["run"] = "truth"
        extra = rows[list(TRUTH_COLUMNS)]
        return as_pits(rows.drop(columns=list(TRUTH_COLUMNS))).join(extra)

    def _true_pits(self, tile: Tile) -> pd.DataFrame:
        pits = self._pits(tile)
        px = self.optics.pixel_size_um
        hip = (pits["kind"] == "hip").to_numpy()
        # 2 · particle + surface names an opening (each prong of a star is a particle).
        thing = 2 * pits["particle"].to_numpy() + pits["front"].to_numpy()
        kind = pits["kind"].to_numpy()
        # A track is seen on its way down, whichever surface it was etched from.
        upwards = np.where(pits["surface"] == "bottom", 180.0, 0.0)
        spalled = np.where(kind == "spallation", ".spallation", "")
        plain = np.char.add(pits["surface"].to_numpy(str), spalled)
        return pd.DataFrame(
            {
                "x_px": pits["centre_x_px"],
                "y_px": pits["centre_y_px"],
                "x_mm": pits["x_mm"],
                "y_mm": pits["y_mm"],
                "surface": pits["surface"],
                "class": np.where((kind == "hip") | (kind == "maybe"), kind, plain),
                "radius_px": np.sqrt(pits["major_um"] * pits["minor_um"]) / 2 / px,
                "ellipticity": 1 - pits["minor_um"] / pits["major_um"],
                "angle_deg": np.rad2deg(pits["azimuth_rad"]) % 180,
                "thing": thing,
                "other": np.where(hip, thing ^ 1, -1),
                "particle": pits["particle"],
                "v": pits["v"],
                "dip_deg": np.rad2deg(pits["dip_rad"]),
                "azimuth_deg": (np.rad2deg(pits["azimuth_rad"]) + upwards) % 360,
                "depth_um": pits["depth_um"],
                "removed_um": pits["removed_um"],
                "length_um": pits["length_um"],
            }
        )

    def _true_marks(self, tile: Tile) -> pd.DataFrame:
        strokes = self._marks(tile)
        ends = pd.concat(
            [
                strokes[[f"x{e}_mm", f"y{e}_mm", "radius_mm", "kind", "mark"]].set_axis(
                    ["x", "y", "radius_mm", "kind", "mark"], axis=1
                )
                for e in "01"
            ]
        )
        marks = ends.groupby("mark").agg(
            x0=("x", "min"),
            x1=("x", "max"),
            y0=("y", "min"),
            y1=("y", "max"),
            radius=("radius_mm", "max"),
            kind=("kind", "first"),
        )
        x, y = ((marks[f"{a}0"] + marks[f"{a}1"]).to_numpy() / 2 for a in "xy")
        extent = np.hypot(marks["x1"] - marks["x0"], marks["y1"] - marks["y0"]) / 2
        x_px, y_px = self._to_tile(x, y, tile)
        flat = marks["kind"].isin(["dust", "scratch", "fibre", "drop"]).to_numpy()
        return pd.DataFrame(
            {
                "x_px": x_px,
                "y_px": y_px,
                "x_mm": x,
                "y_mm": y,
                "surface": np.where(flat, "top", "unknown"),
                "class": "misc." + marks["kind"].to_numpy(),
                "radius_px": (extent + marks["radius"]).to_numpy()
                * 1000
                / self.optics.pixel_size_um,
                "thing": marks.index.to_numpy(),
                "other": -1,
                "particle": marks.index.to_numpy(),
                **dict.fromkeys(TRUTH_COLUMNS[1:], np.nan),
            }
        )


def _cell(x_mm: float) -> int:
    return int(np.floor(x_mm / CELL_MM))


@lru_cache(maxsize=64)
def _tracks_of_cell(
    seed: int, cell: Cell, population: Population, sheet: Sheet, exposure: int
) -> dict[str, Floats]:
    """Draw a cell once for the tiles around it; the caller changes nothing in it."""
    return draw_tracks(seed, cell, population, sheet, exposure=exposure)


@lru_cache(maxsize=256)
def _marks_of_cell(
    seed: int, cell: Cell, population: Population, exposure: int, back: bool
) -> list[Stroke]:
    """Draw a cell's marks once for the tiles around it; the caller changes nothing in it."""
    return draw_strokes(seed, cell, population, exposure=exposure, back=back)


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def once(truth: pd.DataFrame, image_size: tuple[int, int]) -> pd.DataFrame:
    """Return a truth with one row an opening: from the tile whose edge is farthest from it.

    Parameters
    ----------
    truth : rows of several tiles; ``x_px, y_px, pit``.
    image_size : (height, width) of the tiles.
    """
    height, width = image_size
    x, y = truth["x_px"].to_numpy(), truth["y_px"].to_numpy()
    margin = np.minimum.reduce([x, width - 1 - x, y, height - 1 - y])
    order = np.argsort(-margin, kind="stable")
    unique = truth.iloc[order].drop_duplicates("pit").sort_values("pit")
    return unique.reset_index(drop=True)


def isolated(truth: pd.DataFrame, pixel_size_um: float) -> Bools:
    """Return, per opening, whether it touches no other one of its foil; (n,) bool.

    Parameters
    ----------
    truth : one row an opening, ``x_mm, y_mm, radius_px``.
    pixel_size_um : of the scan.
    """
    place = truth[["x_mm", "y_mm"]].to_numpy() * 1000 / pixel_size_um
    radius = truth["radius_px"].to_numpy()
    touching = np.zeros(len(truth), bool)
    if len(truth) > 1:
        pairs = cKDTree(place).query_pairs(2 * radius.max(), output_type="ndarray")
        i, j = pairs[:, 0], pairs[:, 1]
        apart = np.hypot(*(place[i] - place[j]).T)
        near = apart < radius[i] + radius[j]
        touching[i[near]] = touching[j[near]] = True
    return ~touching
