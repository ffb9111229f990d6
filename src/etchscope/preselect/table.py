"""From the pits of all tiles to the pit table of a scan: copies, frame, density, pairs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from etchscope.foil import (
    Foil,
    PitFlag,
    Scan,
    as_pits,
)
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import edge_distance_px, in_polygon, tile_to_foil, tile_to_stage
from etchscope.geometry.overlaps import are_better_seen_elsewhere, merge_copies
from etchscope.preselect.density import (
    are_too_crowded,
    density_beyond,
    local_density,
    pit_density,
)
from etchscope.preselect.openings import Shapes
from etchscope.preselect.pairs import Pairs, pair_openings
from etchscope.preselect.settings import FindSettings
from etchscope.preselect.tracks import add_tracks

__all__ = ["PitCounts", "complete"]

_SURFACES = ["top", "bottom", "unknown"]
_REFERENCE_PIXEL_MM = 0.0064516
"""Turns the density's scale into pixels where the scan's own scale is unknown."""


@dataclass(frozen=True)
class PitCounts:
    """Where the detections of all tiles went: raw = rows + merged + outside_region.

    ``merged`` counts the copies that another tile's row stands for, and openings cut by a tile's
    edge that the other tile does not confirm.
    """

    raw: int
    merged: int
    outside_region: int
    rows: int


def _pixel_mm(scan: Scan) -> float | None:
    """Return the pixel size where the tiles have places in millimetres."""
    placed = all(t.stage_x_mm is not None and t.stage_y_mm is not None for t in scan.tiles)
    return scan.pixel_size_um / 1000 if placed and scan.pixel_size_um is not None else None


def _scale_px(scan: Scan, settings: FindSettings) -> float:
    """Return the standard deviation of the Gaussian that the density is smoothed with."""
    return settings.density_mm / (_pixel_mm(scan) or _REFERENCE_PIXEL_MM)


def _places_px(
    tile: Ints, x_px: Floats, y_px: Floats, scan: Scan, settings: FindSettings
) -> Floats:
    """Return (n, 2) positions in pixels in one frame for all tiles, y down.

    Tiles without positions are set in a row, so far apart that nothing in two of them is near.
    """
    mm = _pixel_mm(scan)
    if mm is None:
        farthest = max(8 * _scale_px(scan, settings), settings.pair_reach_px, settings.merge_px)
        rank = np.searchsorted(np.sort([t.number for t in scan.tiles]), tile)
        return np.column_stack([x_px + rank * (scan.image_size[1] + 1 + farthest), y_px])
    centre = {t.number: (t.stage_x_mm, t.stage_y_mm) for t in scan.tiles}
    at = np.array([centre[t] for t in tile.tolist()], float).reshape(-1, 2)
    x, y = tile_to_stage(x_px, y_px, at[:, 0], at[:, 1], scan)
    return np.column_stack([x / mm, -y / mm])


def _rectangles_px(scan: Scan, settings: FindSettings) -> Floats:
    """Return the included tiles in the frame of ``_places_px``."""
    height, width = scan.image_size
    tiles = np.array([t.number for t in scan.included])
    corner = np.full(len(tiles), -0.5)
    low = _places_px(tiles, corner, corner, scan, settings)
    return np.column_stack([low[:, 0], low[:, 0] + width, low[:, 1], low[:, 1] + height])


def _edge_artefacts(
    found: pd.DataFrame,
    place: Floats,
    margin_px: Floats,
    alone: Bools,
    scan: Scan,
    settings: FindSettings,
) -> Ints:
    """Return the rows without a copy whose opening their tile's edge cuts, in view of another tile.

    That tile shows the place farther from its edge and has no such pit: it was the edge's doing.
    """
    is_cut = (found["flags"].to_numpy() & int(PitFlag.EDGE)) != 0
    suspects = np.flatnonzero(is_cut & alone)
    seen = are_better_seen_elsewhere(
        place[suspects],
        found["tile"].to_numpy()[suspects],
        margin_px[suspects],
        np.array([t.number for t in scan.included]),
        _rectangles_px(scan, settings),
    )
    return suspects[seen]


def _merge(found: pd.DataFrame, scan: Scan, settings: FindSettings) -> pd.DataFrame:
    """Return one row a pit: the better copy, flagged, its ``mate`` now a row of this table."""
    x, y, tile = found["x_px"].to_numpy(), found["y_px"].to_numpy(), found["tile"].to_numpy()
    margin = edge_distance_px(x, y, scan.image_size)
    surface = pd.Categorical(found["surface"], categories=_SURFACES).codes.astype(np.int64)
    place = _places_px(tile, x, y, scan, settings)
    stands = merge_copies(place, tile, surface, margin, settings.merge_px)
    rows = np.arange(len(found))
    start = pd.Series(rows).groupby(tile).transform("min").to_numpy() if len(found) else rows
    mate = found["mate"].to_numpy()
    mate = np.where(mate >= 0, stands[np.where(mate >= 0, mate + start, 0)], -1)
    alone = (stands == rows) & ~np.isin(rows, stands[stands != rows])
    stands[_edge_artefacts(found, place, margin, alone, scan, settings)] = -1
    mate = np.where((mate >= 0) & (stands[mate] >= 0), mate, -1)
    kept = np.flatnonzero(stands == rows)
    number = np.full(len(found) + 1, -1)
    number[kept] = np.arange(len(kept))
    out = found.iloc[kept].reset_index(drop=True)
    copied = np.isin(kept, stands[stands != rows])
    flags = out["flags"].to_numpy() | np.where(copied, int(PitFlag.MERGED_DUPLICATE), 0)
    return out.assign(mate=number[mate[kept]], flags=flags)


def _regimes(density_per_mm2: Floats, settings: FindSettings) -> Floats:
    names = np.array(["low", "medium", "high"])
    limits = [settings.medium_per_mm2, settings.high_per_mm2]
    regime = names[np.digitize(np.nan_to_num(density_per_mm2), limits)]
    return np.where(np.isnan(density_per_mm2), "unknown", regime)


def _known_pairs(surface: Floats, mate: Ints) -> Ints:
    """Return the (entry, exit) rows of steep pairs whose two openings are both still there."""
    rows = np.arange(len(mate))
    mutual = (mate >= 0) & (mate[mate] == rows)
    entry = np.flatnonzero(mutual & (surface == "top"))
    entry = entry[surface[mate[entry]] == "bottom"]
    return np.column_stack([entry, mate[entry]])


def _are_marks(pits: pd.DataFrame) -> Bools:
    """Return which rows are scratches, fibres and the like, which are no pits, (n,)."""
    if "length_px" not in pits:
        return np.zeros(len(pits), bool)
    return np.asarray(pits["length_px"].notna())


def _with_density(
    pits: pd.DataFrame, place: Floats, everywhere: Floats, scan: Scan, settings: FindSettings
) -> pd.DataFrame:
    """Return the table with density and regime, and a word where they say that it is too crowded.

    ``everywhere`` are the places of all pits that count, beyond a region too.
    """
    rectangles, scale = _rectangles_px(scan, settings), _scale_px(scan, settings)
    counted = density_beyond(everywhere, place, rectangles, scale, settings.pair_reach_px)
    covered = pits["covered"].to_numpy() if "covered" in pits else np.full(len(pits), np.nan)
    density = pit_density(counted, covered, pits["radius_px"].to_numpy(), scale)
    crowded = are_too_crowded(counted, density)
    mm = _pixel_mm(scan)
    unit = mm**2 if mm is not None else np.nan
    regime = np.where(crowded, "high", _regimes(density.value / unit, settings))
    flags = pits["flags"].to_numpy() | np.where(crowded, int(PitFlag.TOO_CROWDED), 0)
    return pits.drop(columns="covered", errors="ignore").assign(
        density_per_mm2=density.value / unit,
        density_low=density.low / unit,
        density_high=density.high / unit,
        regime=regime,
        flags=flags,
        valid=pd.array([False if c else pd.NA for c in crowded.tolist()], dtype="boolean"),
    )


def _with_pairs(pits: pd.DataFrame, place: Floats, pairs: Pairs) -> pd.DataFrame:
    """Return the table with what the two rows of each pair share."""
    out = pits.copy()
    partner = pd.array([pd.NA] * len(pits), dtype="Int64")
    partner[pairs.entry], partner[pairs.exit] = pairs.exit, pairs.entry
    out["partner"] = partner
    shift = place[pairs.exit] - place[pairs.entry]
    entry, exit_ = pits["entry"].to_numpy(), pits["exit"].to_numpy()
    # Of a pair that was split from one find, and where no surface is known, the finder speaks.
    out["hip"] = np.where(np.isnan(pairs.log_ratio), pits["hip"].to_numpy(), pairs.log_ratio)
    shared = {
        "pair_dx_px": shift[:, 0],
        "pair_dy_px": shift[:, 1],
        "pair_p": pairs.chance,
        "entry": entry[pairs.entry],
        "exit": exit_[pairs.exit],
        "hip": out["hip"].to_numpy()[np.stack([pairs.entry, pairs.exit])].max(axis=0),
    }
    for name, values in shared.items():
        column = out[name].to_numpy(copy=True) if name in out else np.full(len(pits), np.nan)
        column[pairs.entry], column[pairs.exit] = values, values
        out[name] = column
    return out


def complete(
    found: pd.DataFrame,
    scan: Scan,
    settings: FindSettings,
    region: Floats | None = None,
    foil: Foil | None = None,
) -> tuple[pd.DataFrame, PitCounts]:
    """Return the pit table of a scan, and where its detections went.

    Pairs are sought among the pits of the region only. Where two partners are possible the better
    one is named; ``entry`` of a pair is that of its entry pit, ``exit`` that of its exit pit.

    Parameters
    ----------
    found : what ``detect_openings`` gives of all tiles, one after the other, with ``tile``;
        ``mate`` counts rows within the tile. Without ``covered`` pits are counted even in a crowd.
    scan : the scan; the tiles that were searched are those that are not excluded.
    region : (m, 2) polygon in foil mm that restricts the table, or None.
    foil : what is known of it: the thickness says how far exit pits may lie, and with the bulk
        that was removed, and the material's response, what pairs say of their particles.

    Raises
    ------
    BadInput : a region with fewer than three corners.
    """
    merged = _merge(found, scan, settings)
    columns = (merged[c].to_numpy() for c in ("tile", "x_px", "y_px"))
    tile, x_px, y_px = columns
    x_mm, y_mm = tile_to_foil(tile, x_px, y_px, scan)
    place = _places_px(tile, x_px, y_px, scan, settings)
    everywhere = place[~_are_marks(merged)]
    rectangles, scale_px = _rectangles_px(scan, settings), _scale_px(scan, settings)
    pits = merged.assign(x_mm=x_mm, y_mm=y_mm)
    if region is not None:
        inside = np.flatnonzero(in_polygon(x_mm, y_mm, region))
        number = np.full(len(pits) + 1, -1)
        number[inside] = np.arange(len(inside))
        pits, place = pits.iloc[inside].reset_index(drop=True), place[inside]
        pits["mate"] = number[pits["mate"].to_numpy()]
    surface, mate = pits["surface"].to_numpy(), pits.pop("mate").to_numpy()
    entries, exits = np.flatnonzero(surface == "top"), np.flatnonzero(surface == "bottom")
    of_exits = local_density(place[exits], place, rectangles, scale_px, own=False)
    mm = _pixel_mm(scan)
    foil = foil or Foil(name=scan.foil)
    shapes = Shapes.of(pits, place, scan.pixel_size_um)
    thickness_um = foil.thickness_um
    pairs = pair_openings(
        shapes,
        entries,
        exits,
        of_exits,
        _known_pairs(surface, mate),
        thickness_px=None if thickness_um is None or mm is None else thickness_um / 1000 / mm,
        reach_px=settings.pair_reach_px,
        max_zenith_deg=settings.max_zenith_deg,
    )
    pits = _with_pairs(pits, place, pairs)
    pits = add_tracks(pits, shapes, pairs.entry, pairs.exit, foil, scan.pixel_size_um)
    pits = _with_density(pits, place, everywhere, scan, settings)
    pits = pits.assign(foil=scan.foil, side=scan.side, scan=scan.name, pit=np.arange(len(pits)))
    counts = PitCounts(len(found), len(found) - len(merged), len(merged) - len(pits), len(pits))
    return as_pits(pits), counts
