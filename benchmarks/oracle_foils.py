"""The openings of simulated foils, exact and as they are measured, for oracle.py."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import area_cm2, tile_to_stage
from etchscope.preselect import FindSettings
from etchscope.preselect.density import local_density
from etchscope.preselect.openings import Shapes
from etchscope.simulation import SimulatedScan, drop_overlap_copies, preset, with_parameters

LEAST_PX, LEAST_DEPTH_PX = 2.0, 0.5
"""Least radius and depth of an opening that is known."""
BEAM_DEG = 25.0
"""Zenith angle up to which trees pair openings, which is four times the spread of the beam."""
FIRST_SEED, TRAINING_SEED = 21_000, 31_000
RICH_TILES = 800
"""Number of tiles whose signal the foils for training hold, on however many tiles. Trees learn
little from 500 particles."""


@dataclass(frozen=True)
class Errors:
    """Standard deviations of the measurements of an opening.

    ``place_px`` is that along an axis, ``radius`` and ``depth`` are relative, and ``ellipse`` is
    that of ellipticity times cos and sin of twice the angle. Without ``depth`` none is measured.
    """

    place_px: float = 0.8
    radius: float = 0.06
    ellipse: float = 0.06
    depth: float | None = None


@dataclass(frozen=True)
class Truth:
    """The openings of a foil, (n,) rows, and its tiles, (t,).

    Attributes
    ----------
    shapes : exact shapes with depths.
    is_entry : whether each opening is an entry pit.
    is_known : whether it is large and deep enough to be known.
    is_hip : whether it is of the signal.
    other : row of the other opening of the particle where the pictures show it, else −1.
    zenith_deg : zenith angle of the particle.
    of_entries, of_exits : local density of the known entry and exit pits, 1/px².
    tile : index of the tile.
    exposure : (t,) area of each tile that no other tile shows, in tiles, on average.
    thickness_px, removed_px : thickness of the foil, and bulk removed on each side.
    times : factor by which there is more signal than in a search.
    """

    shapes: Shapes
    is_entry: Bools
    is_known: Bools
    is_hip: Bools
    other: Ints
    zenith_deg: Floats
    of_entries: Floats
    of_exits: Floats
    tile: Ints
    exposure: Floats
    thickness_px: float
    removed_px: float
    times: float

    @property
    def entries(self) -> Ints:
        return np.flatnonzero(self.is_known & self.is_entry)

    @property
    def exits(self) -> Ints:
        return np.flatnonzero(self.is_known & ~self.is_entry)

    @property
    def particles(self) -> Ints:
        """Entry rows of the particles with both openings in the pictures."""
        return np.flatnonzero((self.other >= 0) & self.is_entry)

    @property
    def reach_px(self) -> float:
        """Largest displacement of openings that trees pair."""
        return float(self.thickness_px * np.tan(np.deg2rad(BEAM_DEG)))

    @property
    def pairs(self) -> int:
        """Approximate number of pairs of openings near each other."""
        place = np.column_stack([self.shapes.x, self.shapes.y])
        trees = (cKDTree(place[rows]) for rows in (self.entries, self.exits))
        return int(next(trees).count_neighbors(next(trees), self.reach_px))

    def are_true(self, entry: Ints, exit_: Ints) -> Bools:
        return np.asarray(self.other[entry] == exit_)

    def weights(self, entry: Ints, exit_: Ints) -> Floats:
        """Return the number of pairs on a foil with the usual signal that each pair represents."""
        each = np.where(self.is_hip, 1 / self.times, 1.0)
        both = each[entry] * each[exit_]
        return np.where(self.are_true(entry, exit_), each[entry], both)


def simulate_foil(density: int, tiles: int, seed: int, changes: dict[str, Any]) -> SimulatedScan:
    columns = max(round(np.sqrt(tiles * 0.8)), 1)
    (foil,) = preset("experiment", seed=seed, columns=columns, rows=-(-tiles // columns))
    return with_parameters(foil, {"fragments.per_tile": float(density), **changes})


def list_openings(foil: SimulatedScan, times: float = 1.0) -> Truth:
    """Return the openings that pictures of a foil would show; its signal counts 1 / ``times``."""
    scan, pixel_um = foil.scan, foil.optics.pixel_size_um
    height, width = scan.image_size
    table = drop_overlap_copies(foil.truth(), scan.image_size)
    middle = np.array([(t.stage_x_mm, t.stage_y_mm) for t in scan.tiles], np.float64)
    tile = np.searchsorted([t.number for t in scan.tiles], table["tile"])
    columns = table["x_px"].to_numpy(), table["y_px"].to_numpy()
    stage = tile_to_stage(*columns, middle[tile, 0], middle[tile, 1], scan)
    mm = pixel_um / 1000
    place = np.column_stack([stage[0], -stage[1]]) / mm
    corner = np.column_stack([middle[:, 0], -middle[:, 1]]) / mm - [width / 2, height / 2]
    rectangles = np.column_stack(
        [corner[:, 0], corner[:, 0] + width, corner[:, 1], corner[:, 1] + height]
    )
    shapes = Shapes.of(table, place, pixel_um)
    is_entry = (table["surface"] == "top").to_numpy()
    is_known = (shapes.log_radius >= np.log(LEAST_PX)) & (
        shapes.log_depth >= np.log(LEAST_DEPTH_PX)
    )
    scale = FindSettings().density_mm / mm
    is_hip = (table["class"] == "hip").to_numpy()

    def density(of: Bools) -> Floats:
        kinds = ((is_known & of & ~is_hip, 1.0), (is_known & of & is_hip, times))
        every = [
            local_density(place[own], place, rectangles, scale, own=own * 1.0) / rarer
            for own, rarer in kinds
        ]
        return np.asarray(every[0] + every[1])

    whole_cm2 = width * height * mm**2 / 100
    alone = area_cm2(scan, [t.number for t in scan.tiles]) / whole_cm2 / len(scan.tiles)
    return Truth(
        shapes,
        is_entry,
        is_known,
        is_hip,
        table["partner"].fillna(-1).to_numpy(np.int64),
        90 - table["dip_deg"].to_numpy(np.float64),
        density(is_entry),
        density(~is_entry),
        tile,
        np.full(len(scan.tiles), alone),
        foil.sheet.thickness_um / pixel_um,
        foil.sheet.removed_um / pixel_um,
        times,
    )


def simulate_training_foil(density: int, tiles: int) -> Truth:
    """Return a foil with much more signal, which has a lower weight, for the training of trees."""
    foil = simulate_foil(density, tiles, TRAINING_SEED + density, {})
    times = max(RICH_TILES / tiles, 1.0)
    rich = with_parameters(foil, {"hips.per_tile": times * foil.population.hips.per_tile})
    return list_openings(rich, times)


def limit_tiles(most: int, density: int) -> int:
    """Return a number of tiles with 120,000 fragments, at least 40 and at most ``most``."""
    return int(np.clip(120_000 // density, min(40, most), most))


def measure(truth: Truth, errors: Errors, seed: int) -> Shapes:
    """Return the measured openings; with the same seed the errors differ only by their scale."""
    exact, n = truth.shapes, len(truth.tile)
    x, y, radius, e_cos, e_sin, depth = np.random.default_rng(seed).normal(size=(6, n))
    log_depth = np.full(n, np.nan)
    if errors.depth is not None:
        log_depth = exact.log_depth + errors.depth * depth
    return Shapes(
        exact.x + errors.place_px * x,
        exact.y + errors.place_px * y,
        exact.log_radius + errors.radius * radius,
        exact.e_cos + errors.ellipse * e_cos,
        exact.e_sin + errors.ellipse * e_sin,
        log_depth,
        np.full(n, errors.radius),
        np.full(n, errors.ellipse),
        np.full(n, errors.place_px),
        np.full(n, errors.depth or np.nan),
        np.ones(n),
    )
