"""The surfaces of an aligned stack, from the runs of its scans."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from etchscope.background.stack_openings import StackSurface
from etchscope.background.stack_views import merge_views
from etchscope.foil import BadInput, Foil, NoPositions, NotSearched, Scan, Side
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import Similarity, area_cm2, foil_to_tile, tile_to_foil
from etchscope.preselect.openings import Shapes, estimate_removed_bulk
from etchscope.run.frames import joint_frames
from etchscope.run.seen_ground import searched_ground
from etchscope.store import Store
from etchscope.store.anchoring import is_placed

__all__ = ["StackPits", "StackRuns", "aligned_scans", "gather_surfaces", "stack_runs"]

_OTHER: Mapping[Side, Side] = {"front": "back", "back": "front"}


@dataclass(frozen=True)
class StackRuns:
    """The scans of an alignment, their foils by depth, and the runs that show their pits.

    Attributes
    ----------
    runs : scan → run.
    ways : scan → transform from its foil frame to that of the stack.
    foils : the foils, the first one first.
    """

    runs: Mapping[str, str]
    ways: Mapping[str, Similarity]
    foils: tuple[Foil, ...]


@dataclass(frozen=True)
class StackPits:
    """The surfaces of a stack, and where their openings come from.

    Attributes
    ----------
    surfaces : by depth; places are in pixels of ``pixel_um`` in the frame of the stack.
    scans : names of the scans.
    scan, pit : for each surface, (n,) int64 number of the scan among ``scans``, and of the pit in
        its run.
    pixel_um : size of these pixels.
    area_mm2 : searched area of the first scan.
    tile_mm2 : area of one of its tiles.
    """

    surfaces: tuple[StackSurface, ...]
    scans: tuple[str, ...]
    scan: tuple[Ints, ...]
    pit: tuple[Ints, ...]
    pixel_um: float
    area_mm2: float
    tile_mm2: float


def aligned_scans(store: Store, alignment: str) -> list[Scan]:
    """Return the scans of an alignment, of two or more foils of known thickness.

    Parameters
    ----------
    alignment : name of an alignment that the store keeps.

    Raises
    ------
    UnknownAlignment : the store has no such alignment.
    NoPositions : a scan without a scale or without positions.
    BadInput : scans of one foil only, or a foil without thickness.
    """
    frames = joint_frames(store, alignment=alignment)
    kept = next(one for one in store.alignments.newest_first() if one.name == alignment)
    scans = [store.scans.get(one.scan) for one in kept.members if one.scan in frames.ways]
    for scan in scans:
        if not is_placed(scan):
            raise NoPositions(f"scan {scan.name}", "a scale, and the place of each tile", "none")
    names = list(dict.fromkeys(scan.foil for scan in scans))
    if len(names) < 2:
        hint = "Align scans of two or more foils."
        raise BadInput(f"alignment {alignment}", "two or more foils", ", ".join(names), hint=hint)
    for foil in store.scans.foils():
        if foil.name in names and foil.thickness_um is None:
            hint = "State thickness_um in scan.json."
            raise BadInput(f"foil {foil.name}", "its thickness", "none", hint=hint)
    return scans


def stack_runs(store: Store, alignment: str, *, runs: Mapping[str, str] | None = None) -> StackRuns:
    """Return the scans of an alignment with their latest runs.

    Parameters
    ----------
    alignment : name of an alignment that the store keeps.
    runs : scan → run to use instead of the latest.

    Raises
    ------
    UnknownAlignment, NoPositions, BadInput : see ``aligned_scans``.
    NotSearched : a scan without a run.
    """
    scans = aligned_scans(store, alignment)
    known = {foil.name: foil for foil in store.scans.foils()}
    foils = tuple(known[name] for name in dict.fromkeys(scan.foil for scan in scans))
    ways = joint_frames(store, alignment=alignment).ways
    used = {}
    for scan in scans:
        run = (runs or {}).get(scan.name) or store.runs.latest(scan.name)
        if run is None:
            raise NotSearched(f"scan {scan.name}", "a finished run", "none")
        used[scan.name] = run
    return StackRuns(used, {scan.name: ways[scan.name] for scan in scans}, foils)


def gather_surfaces(store: Store, stack: StackRuns, *, gap_um: float = 0.0) -> StackPits:
    """Return the openings of each surface of a stack.

    A surface is seen from its own side, and through the foil from the other side. Where both scans
    are in the alignment, the second view adds what the first one lacks.

    Parameters
    ----------
    stack : scans, runs and foils.
    gap_um : distance from each foil to the next one.
    """
    scans = {name: store.scans.get(name) for name in stack.runs}
    first = next(iter(scans.values()))
    unit_mm = float(first.pixel_size_um or 1.0) / 1000
    surfaces, of_scan, of_pit, depth = [], [], [], 0.0
    for foil in stack.foils:
        thick = float(foil.thickness_um or 0.0) / 1000 / unit_mm
        own = [k for k, scan in enumerate(scans.values()) if scan.foil == foil.name]
        places = [_searched_places(store, list(scans.values())[k], stack, unit_mm) for k in own]
        seen = _any_of(places)
        sides: tuple[tuple[Side, float], ...] = (("front", depth), ("back", depth + thick))
        for side, at in sides:
            shapes, scan, pit = _views(store, stack, list(scans.values()), own, side, unit_mm)
            removed = _removed_px(foil, shapes, unit_mm)
            surfaces.append(StackSurface(foil.name, side, at, removed, shapes, seen))
            of_scan.append(scan)
            of_pit.append(pit)
        depth += thick + gap_um / 1000 / unit_mm
    record = store.runs.record(stack.runs[first.name])
    region = None if record.region_mm is None else np.array(record.region_mm)
    tile_mm2 = float(np.prod(first.image_size)) * unit_mm**2
    return StackPits(
        tuple(surfaces),
        tuple(scans),
        tuple(of_scan),
        tuple(of_pit),
        1000 * unit_mm,
        100 * area_cm2(first, record.tiles, region),
        tile_mm2,
    )


def _views(
    store: Store,
    stack: StackRuns,
    scans: Sequence[Scan],
    own: Sequence[int],
    side: Side,
    unit_mm: float,
) -> tuple[Shapes, Ints, Ints]:
    """Return the openings of a surface from all scans of its foil, with scan and pit of each."""
    nearest_first = sorted(own, key=lambda k: scans[k].side != side)
    views = [_view(store, scans[k], stack, side, unit_mm) for k in nearest_first]
    shapes, pit = views[0]
    scan = np.full(len(pit), nearest_first[0])
    for k, (view, rows) in zip(nearest_first[1:], views[1:], strict=True):
        shapes, kept = merge_views(shapes, view)
        scan, pit = np.r_[scan, np.full(len(kept), k)], np.r_[pit, rows[kept]]
    return shapes, scan, pit


def _view(
    store: Store, scan: Scan, stack: StackRuns, side: Side, unit_mm: float
) -> tuple[Shapes, Ints]:
    """Return the openings of one surface as a scan shows them, and their pits in its run."""
    pits, way = store.runs.pits(stack.runs[scan.name]), stack.ways[scan.name]
    surface = "top" if scan.side == side else "bottom"
    of_it = (pits["surface"] == surface) & pits["length_px"].isna()
    pits = pits[of_it.to_numpy(bool) & pits["x_mm"].notna().to_numpy()]
    turn = _turn(scan, way) / unit_mm  # from pixels of the scan, y down, to those of the stack
    place = way.apply(pits[["x_mm", "y_mm"]].to_numpy(np.float64)) / unit_mm * [1, -1]
    angle = np.deg2rad(pits["angle_deg"].to_numpy(np.float64))
    axis = np.column_stack([np.cos(angle), -np.sin(angle)]) @ turn.T
    turned = pits.assign(angle_deg=np.rad2deg(np.arctan2(axis[:, 1], axis[:, 0])) % 180)
    shapes = Shapes.of(turned, place, scan.pixel_size_um)
    larger = float(np.sqrt(abs(np.linalg.det(turn))))
    shapes = replace(
        shapes, log_radius=shapes.log_radius + np.log(larger), s_place=shapes.s_place * larger
    )
    return shapes, pits["pit"].to_numpy(np.int64)


def _turn(scan: Scan, way: Similarity) -> Floats:
    """Return how pixels of a scan, y down, become mm in the frame of the stack, y up, (2, 2)."""
    tile = np.full(3, scan.tiles[0].number)
    x_px, y_px = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    at = way.apply(np.column_stack(tile_to_foil(tile, x_px, y_px, scan)))
    return np.column_stack([at[1] - at[0], at[2] - at[0]])


def _removed_px(foil: Foil, shapes: Shapes, unit_mm: float) -> float:
    """Return the bulk that etching removed: as stated, or from the shapes of round openings."""
    thick = float(foil.thickness_um or 0.0) / 1000 / unit_mm
    if foil.removed_um is not None:
        removed = foil.removed_um / 1000 / unit_mm
    else:
        removed = estimate_removed_bulk(shapes, np.arange(len(shapes.x)))
    return float(min(removed, 0.45 * thick))


def _searched_places(
    store: Store, scan: Scan, stack: StackRuns, unit_mm: float
) -> Callable[[Floats], Bools]:
    """Return a function that says which places of the stack a run of a scan has searched."""
    record = store.runs.record(stack.runs[scan.name])
    ground = searched_ground(store, scan, record)
    left_out = [tile for tile, _ in record.left_out]
    searched = np.setdiff1d(np.array(record.tiles, np.int64), left_out)
    back = stack.ways[scan.name].inverse()

    def seen(place_px: Floats) -> Bools:
        at = back.apply(place_px * unit_mm)
        where = foil_to_tile(at[:, 0], at[:, 1], scan)
        tile = where["tile"].fillna(-1).to_numpy(np.int64)
        out = np.isin(tile, searched)
        for number in np.unique(tile[out]).tolist():
            used = ground(number)
            if used is not None:
                mine = np.flatnonzero(tile == number)
                x, y = (where[c].to_numpy()[mine].round().astype(int) for c in ("x_px", "y_px"))
                y, x = y.clip(0, used.shape[0] - 1), x.clip(0, used.shape[1] - 1)
                out[mine] = used[y, x]
        return out

    return seen


def _any_of(seen: Sequence[Callable[[Floats], Bools]]) -> Callable[[Floats], Bools]:
    def every(place_px: Floats) -> Bools:
        return np.asarray(np.any([one(place_px) for one in seen], axis=0))

    return every
