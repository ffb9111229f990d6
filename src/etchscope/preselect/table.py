"""The pit table of a scan from the openings of all tiles: copies, frame, density and pairs."""

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
"""Size of a pixel that is assumed for the scale of the density if that of the scan is unknown."""


@dataclass(frozen=True)
class PitCounts:
    """Numbers of openings before and after merging: raw = rows + merged + outside_region.

    Attributes
    ----------
    raw : all openings of all tiles.
    merged : copies of openings that remain in the row of another tile, and openings that the edge
        of a tile cuts and another tile does not show.
    outside_region : openings outside the region of interest.
    rows : rows of the pit table.
    """

    raw: int
    merged: int
    outside_region: int
    rows: int


def _pixel_mm(scan: Scan) -> float | None:
    """Return the size of a pixel in mm, None if it or the position of a tile is unknown."""
    placed = all(t.stage_x_mm is not None and t.stage_y_mm is not None for t in scan.tiles)
    return scan.pixel_size_um / 1000 if placed and scan.pixel_size_um is not None else None


def _scale_px(scan: Scan, settings: FindSettings) -> float:
    """Return the standard deviation, in pixels, of the Gaussian for the density."""
    return settings.density_mm / (_pixel_mm(scan) or _REFERENCE_PIXEL_MM)


def _places_px(
    tile: Ints, x_px: Floats, y_px: Floats, scan: Scan, settings: FindSettings
) -> Floats:
    """Return positions in pixels in one frame for all tiles, y down, (n, 2).

    Tiles without positions are placed in a row, so far apart that no pits of two tiles are near
    each other.
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
    """Return first x, last x, first y and last y of each included tile, (k, 4).

    They are in the frame of ``_places_px``.
    """
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
    """Return the rows of openings that are artefacts of the edge of their tile.

    The edge cuts such an opening, it has no copy, and another tile shows the place farther from its
    own edge and has no pit there.
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
    """Return the better copy of each pit, with a flag, and with ``mate`` as a row of this table."""
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
    """Return the (entry, exit) rows of steep pairs of which both openings remain, (k, 2)."""
    rows = np.arange(len(mate))
    mutual = (mate >= 0) & (mate[mate] == rows)
    entry = np.flatnonzero(mutual & (surface == "top"))
    entry = entry[surface[mate[entry]] == "bottom"]
    return np.column_stack([entry, mate[entry]])


def _are_marks(pits: pd.DataFrame) -> Bools:
    """Return which rows are marks, such as scratches and fibres, (n,)."""
    if "length_px" not in pits:
        return np.zeros(len(pits), bool)
    return np.asarray(pits["length_px"].notna())


def _with_density(
    pits: pd.DataFrame, place: Floats, everywhere: Floats, scan: Scan, settings: FindSettings
) -> pd.DataFrame:
    """Return the table with density and regime, and a flag where it is too crowded.

    ``everywhere`` holds the places of all pits that count, also those outside a region, (m, 2).
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
    """Return the table with the values that the two rows of each pair share."""
    out = pits.copy()
    partner = pd.array([pd.NA] * len(pits), dtype="Int64")
    partner[pairs.entry], partner[pairs.exit] = pairs.exit, pairs.entry
    out["partner"] = partner
    shift = place[pairs.exit] - place[pairs.entry]
    entry, exit_ = pits["entry"].to_numpy(), pits["exit"].to_numpy()
    # A pair that was split from one find, and a pit of unknown surface, keep the finder's value.
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
    """Return the pit table of a scan, and how many openings were merged or left out.

    Only pits inside the region are paired. Where two partners are possible, the better one is
    chosen. ``entry`` of a pair is that of its entry pit, and ``exit`` that of its exit pit.

    Parameters
    ----------
    found : the columns of ``detect_openings`` or ``find_openings`` for all tiles, one tile after
        the other, with ``tile``; ``mate`` is a row within the tile. Without ``covered``, the
        density rests on the number of pits alone.
    scan : the scan; the tiles that were searched are those that are not excluded.
    settings : of the search.
    region : (m, 2) polygon in foil mm that restricts the table, or None.
    foil : its thickness limits the displacement of exit pits; its thickness, removed bulk and
        material determine the tracks.

    Returns
    -------
    The pit table, with (n,) columns as ``foil.pits`` declares them, and the counts.

    Raises
    ------
    BadInput : a region with fewer than three corners, or a tile that the scan does not have.
    """
    merged = _merge(found, scan, settings)
    tile, x_px, y_px = (merged[c].to_numpy() for c in ("tile", "x_px", "y_px"))
    x_mm, y_mm = tile_to_foil(tile, x_px, y_px, scan)
    place = _places_px(tile, x_px, y_px, scan, settings)
    everywhere = place[~_are_marks(merged)]
    pits = merged.assign(x_mm=x_mm, y_mm=y_mm)
    if region is not None:
        inside = np.flatnonzero(in_polygon(x_mm, y_mm, region))
        number = np.full(len(pits) + 1, -1)
        number[inside] = np.arange(len(inside))
        pits, place = pits.iloc[inside].reset_index(drop=True), place[inside]
        pits["mate"] = number[pits["mate"].to_numpy()]
    foil = foil or Foil(name=scan.foil)
    shapes = Shapes.of(pits, place, scan.pixel_size_um)
    pairs = _pair(pits, shapes, place, scan, settings, foil)
    pits = _with_pairs(pits.drop(columns="mate"), place, pairs)
    pits = add_tracks(pits, shapes, pairs.entry, pairs.exit, foil, scan.pixel_size_um)
    pits = _with_density(pits, place, everywhere, scan, settings)
    pits = pits.assign(foil=scan.foil, side=scan.side, scan=scan.name, pit=np.arange(len(pits)))
    counts = PitCounts(len(found), len(found) - len(merged), len(merged) - len(pits), len(pits))
    return as_pits(pits), counts


def _pair(
    pits: pd.DataFrame,
    shapes: Shapes,
    place: Floats,
    scan: Scan,
    settings: FindSettings,
    foil: Foil,
) -> Pairs:
    """Return the pairs among the pits of a scan."""
    surface = pits["surface"].to_numpy()
    entries, exits = np.flatnonzero(surface == "top"), np.flatnonzero(surface == "bottom")
    rectangles, scale_px = _rectangles_px(scan, settings), _scale_px(scan, settings)
    mm, thickness_um = _pixel_mm(scan), foil.thickness_um
    return pair_openings(
        shapes,
        entries,
        exits,
        local_density(place[exits], place, rectangles, scale_px, own=False),
        _known_pairs(surface, pits["mate"].to_numpy()),
        thickness_px=None if thickness_um is None or mm is None else thickness_um / 1000 / mm,
        reach_px=settings.pair_reach_px,
        max_zenith_deg=settings.max_zenith_deg,
    )
