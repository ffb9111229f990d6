"""The density maps of a run: pits and seen area fetched from a store, and mapped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from etchscope.background.bandwidth import smallest_bandwidth
from etchscope.background.comparison import Comparison, compare_densities
from etchscope.background.density_maps import DensityMap, PitPoints, Window, map_density
from etchscope.background.grid import MapGrid, grid_over
from etchscope.background.hidden import EfficiencyCurve, HiddenPits, excluded_area
from etchscope.background.map_tables import MapUnits
from etchscope.background.pit_groups import MapGroups, group_pits, size_edges
from etchscope.background.seen import TileOutlines, seen_area, tile_bounds
from etchscope.background.tile_counts import map_tiles
from etchscope.foil import BadInput, NoPositions, PitFlag, Scan, has_flag
from etchscope.foil.types import Bools, Ints
from etchscope.geometry import Similarity
from etchscope.run.frames import joint_frames
from etchscope.run.seen_ground import outline_tiles, searched_ground
from etchscope.run.tiles import require_searched_tiles
from etchscope.store import Store

__all__ = ["DensityMaps", "MapSettings", "grid_columns", "map_run"]

_CELLS = 4


@dataclass(frozen=True)
class MapSettings:
    """How pits are mapped.

    Parameters
    ----------
    by : what the pits are split by: nothing, surface, class or size.
    bandwidth_um : standard deviation of the kernel; chosen from the pits unless given.
    adaptive : whether the kernel is wider where pits are few.
    efficiency : measured efficiency against the density of all pits in pits/mm²; otherwise hidden
        pits follow from the area of the openings.
    """

    by: Literal["surface", "class", "size"] | None = None
    bandwidth_um: float | None = None
    adaptive: bool = False
    efficiency: EfficiencyCurve | None = None

    @property
    def has_own_share(self) -> bool:
        """Whether each group has a share of hidden pits of its own, and not that of all pits.

        Openings of one surface hide each other. A measured efficiency is that at a density of all
        pits, so groups have it from there.
        """
        return self.by == "surface" and self.efficiency is None


@dataclass(frozen=True)
class DensityMaps:
    """The density maps of a run, and where there is another run, how they compare.

    Parameters
    ----------
    scan, run : names.
    other : names of the scan and of the run that it is compared with.
    units : of the maps.
    frame : what the coordinates refer to, in words.
    maps : "all" and the groups → their maps, on one grid and with one bandwidth.
    comparisons : likewise; empty without another run.
    """

    scan: str
    run: str
    other: tuple[str, str] | None
    units: MapUnits
    frame: str
    maps: Mapping[str, DensityMap]
    comparisons: Mapping[str, Comparison]


@dataclass(frozen=True)
class _Searched:
    """The pits of a run, their places in a plane, and the tiles that it has searched."""

    scan: Scan
    pits: pd.DataFrame
    points: PitPoints
    tiles: TileOutlines
    ground: Callable[[int], Bools | None]

    def window(self, grid: MapGrid) -> Window:
        return Window(seen_area(self.tiles, self.ground, grid), grid)

    def hidden(self, which: Bools, settings: MapSettings, per_mm2: float) -> Any:
        """Return how hidden pits among some pits are counted, in the unit of the plane."""
        if settings.efficiency is not None:
            curve = settings.efficiency
            return replace(curve, density=curve.density * per_mm2)
        some = self.pits[which]
        share = np.asarray(some["surface"].value_counts(normalize=True), np.float64)
        radius = some["radius_px"].to_numpy(np.float64) * self.tiles.pixel
        return HiddenPits(excluded_area(radius, share))


def map_run(
    store: Store,
    run: str,
    settings: MapSettings,
    *,
    other: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> DensityMaps:
    """Return the maps of the density of pits that a run has found.

    Marks that are no pits do not count. A scan without positions and with several tiles has one
    cell per tile.

    Parameters
    ----------
    other : run of another scan to compare with, over the area that both show.
    progress : called with the number of tiles just looked at.

    Raises
    ------
    UnknownRun : the store has no such run.
    BadInput : nothing was seen; a bandwidth, an efficiency or another run where there is no scale
        or no positions; frames that are not known to each other; a split by a class that no model
        gave; or a scan into which signal was injected.
    """
    for name in (run, other):
        if name is not None:
            store.injections.refuse(store.runs.record(name).scan, "density map")
    scan = store.scans.get(store.runs.record(run).scan)
    placed = all(t.stage_x_mm is not None for t in scan.tiles)
    if scan.pixel_size_um is None:
        hint = "State pixel_size_um of the scan."
        for name, value in (
            ("bandwidth_um", settings.bandwidth_um),
            ("efficiency", settings.efficiency),
        ):
            if value is not None:
                raise BadInput(name, "a scan with a scale", scan.name, hint=hint)
    if other is not None and not (placed and scan.pixel_size_um):
        raise NoPositions(f"scan {scan.name}", "positions and a scale to compare scans", "none")
    own = _searched(store, run, None, progress)
    if not placed and len(scan.tiles) > 1:
        return _map_tiles(own, run, settings)
    units = _units(scan)
    grid = _grid(own, settings)
    window = own.window(grid)
    groups = group_pits(own.pits, settings.by, scan.pixel_size_um)
    maps = _map_groups(own, groups, window, settings)
    compared: dict[str, Comparison] = {}
    if other is not None:
        compared = _compare(store, own, other, window, groups, settings, progress)
    frame = "foil" if placed else "tile"
    names = None if other is None else (store.runs.record(other).scan, other)
    return DensityMaps(scan.name, run, names, units, frame, maps, compared)


def _units(scan: Scan) -> MapUnits:
    if scan.pixel_size_um is None:
        return MapUnits("px", "megapixel", 1e-6)
    return MapUnits("mm", "mm2", 1.0)


def _searched(
    store: Store, run: str, way: Similarity | None, progress: Callable[[int], None] | None
) -> _Searched:
    """Return the pits of a run on tiles that are still included, in a plane."""
    record = store.runs.record(run)
    scan = store.scans.get(record.scan)
    numbers = require_searched_tiles(run, record, scan)
    pits = store.runs.pits(run)
    pits = pits[pits["tile"].isin(numbers)].reset_index(drop=True)
    tiles = outline_tiles(scan, numbers, way)
    points = _places(pits, tiles)
    return _Searched(
        scan, pits, points, tiles, searched_ground(store, scan, record, progress=progress)
    )


def _places(pits: pd.DataFrame, tiles: TileOutlines) -> PitPoints:
    numbers, which = np.unique(pits["tile"].to_numpy(np.int64), return_inverse=True)
    affine = np.array([tiles.affines[n] for n in numbers.tolist()]).reshape(-1, 2, 3)[which]
    px = pits[["x_px", "y_px"]].to_numpy(np.float64)
    at = np.einsum("nij,nj->ni", affine[:, :, :2], px) + affine[:, :, 2]
    crowded = has_flag(pits, PitFlag.TOO_CROWDED).to_numpy(bool)
    return PitPoints(at[:, 0].copy(), at[:, 1].copy(), crowded, _partners(pits))


def _partners(pits: pd.DataFrame) -> Ints:
    """Return the place in the table of each pit's partner, −1 without one, (n,)."""
    place = pd.Series(np.arange(len(pits)), index=pits["pit"].to_numpy(np.int64))
    partner = pits["partner"].astype("Float64").to_numpy(np.float64, na_value=np.nan)
    return np.asarray(place.reindex(partner).fillna(-1), np.int64)


def _grid(own: _Searched, settings: MapSettings) -> MapGrid:
    """Return the fine grid over the tiles of a run."""
    x0, x1, y0, y1 = bounds = tile_bounds(own.tiles)
    box = (x1 - x0) * (y1 - y0)
    height, width = own.tiles.image_size
    seen = min(len(own.tiles.affines) * height * width * own.tiles.pixel**2, box)
    least = smallest_bandwidth(box, seen, len(own.points))
    if settings.bandwidth_um is not None:
        if not 0 < settings.bandwidth_um < np.inf:
            raise BadInput("bandwidth_um", "more than 0", f"{settings.bandwidth_um!r}")
        least = settings.bandwidth_um / 1000
    unit: Literal["mm", "px"] = "px" if own.scan.pixel_size_um is None else "mm"
    return grid_over(bounds, least / _CELLS, unit)


def _map_groups(
    own: _Searched, groups: MapGroups, window: Window, settings: MapSettings
) -> dict[str, DensityMap]:
    """Return the map of all pits, and those of their groups with the same bandwidth."""
    given = None if settings.bandwidth_um is None else settings.bandwidth_um / 1000
    how: dict[str, Any] = {"adaptive": settings.adaptive}
    counted = groups.counted
    hidden = own.hidden(counted, settings, 1.0)
    whole = map_density(own.points.take(counted), window, bandwidth=given, hidden=hidden, **how)
    maps = {"all": whole}
    for name, which in groups.groups.items():
        maps[name] = map_density(
            own.points.take(which),
            window,
            bandwidth=whole.bandwidth,
            hidden=own.hidden(which, settings, 1.0) if settings.has_own_share else None,
            part_of=None if settings.has_own_share else whole,
            **how,
        )
    return maps


def _map_tiles(own: _Searched, run: str, settings: MapSettings) -> DensityMaps:
    """Return the maps of a scan without positions, of one cell per tile."""
    if settings.bandwidth_um is not None or settings.adaptive:
        found = "tiles without positions, of which each is a cell"
        raise NoPositions(f"scan {own.scan.name}", "positions for a kernel over tiles", found)
    numbers = list(own.tiles.affines)
    height, width = own.scan.image_size
    grounds = [own.ground(n) for n in numbers]
    seen = np.array([1.0 if where is None else float(where.mean()) for where in grounds])
    place = own.pits["tile"].map({n: k for k, n in enumerate(numbers)}).to_numpy(np.int64)
    mm = own.scan.pixel_size_um
    area = height * width * (1e-6 if mm is None else (mm / 1000) ** 2)
    units = MapUnits("tile", "megapixel" if mm is None else "mm2", area)
    groups = group_pits(own.pits, settings.by, mm)
    whole: DensityMap | None = None
    maps: dict[str, DensityMap] = {}
    for name, which in {"all": groups.counted, **groups.groups}.items():
        count, crowded = (
            np.bincount(place[w], minlength=len(numbers))
            for w in (which, which & own.points.crowded)
        )
        is_own = whole is None or settings.has_own_share
        hidden = own.hidden(which, settings, area) if is_own else None
        if isinstance(hidden, HiddenPits):  # from the unit of the plane to tiles
            hidden = replace(hidden, area=hidden.area / (height * width * own.tiles.pixel**2))
        columns = min(grid_columns(own.scan), len(numbers))
        maps[name] = map_tiles(
            count,
            crowded,
            seen,
            columns,
            hidden=hidden,
            part_of=None if is_own else whole,
            variance=own.points.take(which).variance,
        )
        whole = whole or maps[name]
    return DensityMaps(own.scan.name, run, None, units, "grid of tiles", maps, {})


def grid_columns(scan: Scan) -> int:
    """Return the columns of the grid of tiles: those of the montage, or of a 4 : 3 sheet."""
    stated = scan.metadata.get("columns")
    if isinstance(stated, int) and stated > 0:
        return stated
    height, width = scan.image_size
    return int(np.ceil((len(scan.tiles) * 4 / 3 * height / width) ** 0.5))


def _compare(
    store: Store,
    own: _Searched,
    run: str,
    window: Window,
    groups: MapGroups,
    settings: MapSettings,
    progress: Callable[[int], None] | None,
) -> dict[str, Comparison]:
    """Return how the pits of a run compare with those of another one, all and by group."""
    scan = store.scans.get(store.runs.record(run).scan)
    if scan.pixel_size_um is None or any(t.stage_x_mm is None for t in scan.tiles):
        raise NoPositions(f"scan {scan.name}", "positions and a scale to compare scans", "none")
    ways = joint_frames(store).ways
    way, back = ways[scan.name], ways[own.scan.name].inverse()
    if way.target != back.source:
        hint = "Align them with `etchscope align`."
        expected = f"a frame that {own.scan.name} and {scan.name} share"
        raise BadInput("comparison", expected, "none", hint=hint)
    other = _searched(store, run, way.then(back), progress)
    edges = size_edges(own.pits[groups.counted])
    theirs = group_pits(other.pits, settings.by, own.scan.pixel_size_um, edges)
    if scan.side != own.scan.side:
        theirs = theirs.seen_from_the_other_side()
    beside = other.window(window.grid)
    given = None if settings.bandwidth_um is None else settings.bandwidth_um / 1000
    out: dict[str, Comparison] = {}
    for name in ("all", *(n for n in groups.groups if n in theirs.groups)):
        sides = []
        whole = None if settings.has_own_share else out.get("all")
        for side, of, area in ((own, groups, window), (other, theirs, beside)):
            which = of.counted if name == "all" else of.groups[name]
            hidden = side.hidden(which, settings, 1.0) if whole is None else None
            sides.append((side.points.take(which), area, hidden))
        out[name] = compare_densities(sides[0], sides[1], bandwidth=given, part_of=whole)
        given = out[name].one.bandwidth
    return out
