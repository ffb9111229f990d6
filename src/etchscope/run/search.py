"""Compare a scored run with the known signal of its foil."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from etchscope.candidates import candidate_table, places_px
from etchscope.evaluation import Ground, Search, local_shifts, match_particles
from etchscope.foil import (
    BadInput,
    Scan,
    parent_class,
)
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import (
    area_cm2,
    foil_to_tile,
    in_polygon,
    in_tile,
    part_of_tile,
    tile_to_foil,
)
from etchscope.store import Store

__all__ = ["search_of_run", "tiles_by_density"]

_TOLERANCE_PX = 6.0
_PX = ("x_px", "y_px")
_PARTS = 2
"""Parts along each side of a tile that have a density of their own."""


@dataclass(frozen=True)
class _Particles:
    """Openings of the signal in ``table``, and the ``number`` of the particle of each, (n,)."""

    table: pd.DataFrame
    number: Ints


def _particles(truth: pd.DataFrame, signal: str, where: str, hint: str) -> _Particles:
    """Return the true signal's openings; entry and exit pit are one particle."""
    if "class" not in truth.columns:
        raise BadInput(where, "a column class", "none")
    table = truth[truth["class"].map(parent_class) == signal].reset_index(drop=True)
    if not len(table):
        raise BadInput(where, f"some of class {signal}", "none", hint)
    if "particle" in table.columns:
        return _Particles(table, np.unique(table["particle"], return_inverse=True)[1])
    number = np.arange(len(table))
    if {"pit", "partner"} <= set(table.columns):
        row = pd.Series(number, index=table["pit"])
        other = row.reindex(table["partner"]).to_numpy(np.float64)
        number = np.where(np.isnan(other), number, np.fmin(other, number)).astype(np.int64)
    return _Particles(table, number)


def _name_foils(truth: pd.DataFrame, scan: Scan) -> str:
    """Return a sentence that names the foils of a truth of other foils than the scan's, or ""."""
    foils = sorted({str(f) for f in truth["foil"].dropna()}) if "foil" in truth.columns else []
    if not foils or scan.foil in foils:
        return ""
    return f"The table is of foil {', '.join(foils)}, the scan is of foil {scan.foil}."


def search_of_run(
    store: Store,
    run: str,
    truth: pd.DataFrame,
    *,
    signal: str,
    tolerance_px: float = _TOLERANCE_PX,
    valid_only: bool = True,
    only_tiles: Collection[int] | None = None,
    where: str = "truth",
) -> tuple[Search, pd.DataFrame]:
    """Return the candidates of a scored run against the true signal on its tiles.

    Parameters
    ----------
    truth : table with ``class``, ``tile``, and a place; ``particle`` or ``partner`` join entry and
        exit pit. It must hold all signal on the run's tiles, because all other candidates count as
        false. Rows of other scans, or outside the run's region, are left out.
    signal : class of the signal.
    tolerance_px : largest distance of a true candidate from a true opening.
    valid_only : leave out candidates where the model is not valid; their particles are lost.
    only_tiles : candidates and signal of these tiles only, see ``tiles_by_density``.
    where : name of the truth for an error.

    Returns
    -------
    The search, and its candidates with ``is_true`` and ``particle`` (−1 where false), best first.
    For a run in a region, ``tiles`` is the searched area in tiles. The density of a quarter of a
    tile is the median of its openings' densities, 0 without openings; a particle without a
    candidate has the density of its quarter.

    Raises
    ------
    NotScored : the run was not scored.
    BadInput : no candidate is valid, or the truth lacks places or has no signal there.
    """
    record = store.runs.score_record(run)
    scan = store.scans.get(record.scan)
    pits = store.runs.pits(run)
    tiles = [n for n in record.tiles if only_tiles is None or n in only_tiles]
    candidates = _candidates(pits, scan, tiles, f"run {run}", valid_only=valid_only)
    hint = _name_foils(truth, scan)
    if "scan" in truth.columns:  # tile 1 of another scan is another place
        truth = truth[truth["scan"].isna() | (truth["scan"] == scan.name)]
        where = f"{where} of scan {scan.name}"
    true = _particles(truth, signal, where, hint)
    on_foil = _are_on_foil(true.table, candidates, where)
    scale = scan.pixel_size_um if on_foil else None
    region = None if record.region_mm is None else np.array(record.region_mm, float)
    here = _on_tiles(true.table, scan, tiles, region, on_foil=on_foil)
    if not here.any():
        raise BadInput(where, f"some of class {signal} where run {run} searched", "none", hint)
    area = area_cm2(scan, tiles, region)
    count = len(tiles) if region is None else max(1, round(area / area_cm2(scan, tiles[:1])))
    true = _Particles(true.table[here].reset_index(drop=True), true.number[here])
    at = places_px(true.table, scale)

    def matched(some: pd.DataFrame) -> tuple[Bools, Ints]:
        return match_particles(at, true.number, places_px(some, scale), tolerance_px)

    def searched(some: pd.DataFrame) -> Bools:
        inside = in_tile(some["x_px"], some["y_px"], scan.image_size)
        return inside & _on_tiles(some, scan, tiles, region, on_foil=on_foil)

    is_true, which = matched(candidates)
    tile, particle_tile, ground = _surroundings(candidates, is_true, which, true, pits, tiles, scan)
    found = Search(
        candidates["score"].to_numpy(np.float64),
        is_true,
        _by_chance(candidates, scan, tolerance_px, matched, searched),
        len(np.unique(true.number)),
        count,
        area,
        tile,
        particle_tile,
        _exposure(scan, tiles, region, count),
        ground,
    )
    return found, candidates.assign(is_true=is_true, particle=which)


def _candidates(
    pits: pd.DataFrame, scan: Scan, tiles: list[int], where: str, *, valid_only: bool
) -> pd.DataFrame:
    """Return the candidates on some tiles; those where the model is valid, or all."""
    candidates = candidate_table(pits, pixel_size_um=scan.pixel_size_um)
    candidates = candidates[candidates["tile"].isin(tiles)].reset_index(drop=True)
    if not valid_only:
        return candidates
    candidates = candidates[candidates["valid"]].reset_index(drop=True)
    if not len(candidates):
        none = "none: the scan is unlike what the model was trained on"
        raise BadInput(where, "candidates where the model is valid", none)
    return candidates


def _are_on_foil(true: pd.DataFrame, candidates: pd.DataFrame, where: str) -> bool:
    """Return whether truth and candidates are compared on the foil; otherwise on their tiles."""
    columns = set(true.columns)
    on_foil = {"x_mm", "y_mm"} <= columns and bool(true["x_mm"].notna().all())
    on_foil = on_foil and bool(candidates["x_mm"].notna().all())
    if not on_foil and not {"tile", *_PX} <= columns:
        expected = "tile, x_px, y_px, or x_mm, y_mm if the scan has a place on the foil"
        raise BadInput(where, f"columns {expected}", ", ".join(map(str, true.columns)))
    return on_foil


def _surroundings(
    candidates: pd.DataFrame,
    is_true: Bools,
    which: Ints,
    true: _Particles,
    pits: pd.DataFrame,
    tiles: list[int],
    scan: Scan,
) -> tuple[Ints, Ints, Ground]:
    """Return the place in ``tiles`` of each candidate and of each particle, and the densities.

    Parameters
    ----------
    is_true, which : of each candidate, whether it is signal, and the number of its particle.
    """
    numbers, first = np.unique(true.number, return_index=True)
    of_particles = _in_tiles(true.table.iloc[first], scan)
    density = _densities(pits, tiles, scan)
    tile = _codes(candidates["tile"], tiles)
    particle_tile = _codes(of_particles["tile"], tiles)
    there = density[particle_tile, _parts(of_particles, scan)]
    of_candidates = candidates["density_per_mm2"].to_numpy(np.float64)
    found_one = np.searchsorted(numbers, which[is_true])
    particle_tile[found_one], there[found_one] = tile[is_true], of_candidates[is_true]
    return tile, particle_tile, Ground(_middles(scan, tiles), density, of_candidates, there)


def tiles_by_density(store: Store, run: str, groups: int = 3) -> dict[str, list[int]]:
    """Return a run's tiles in equal groups by the number of pits found on them.

    Returns
    -------
    "12 to 40 pits a tile" → tile numbers, the emptiest tiles first; at most one group per tile.
    """
    pits = store.runs.pits(run)
    found = pits["tile"].value_counts().reindex(list(store.runs.record(run).tiles), fill_value=0)
    ordered = found.sort_values(kind="stable")
    parts = np.array_split(np.arange(len(ordered)), min(groups, len(ordered)))
    out: dict[str, list[int]] = {}
    for part in parts:
        some = ordered.iloc[part]
        name = f"{some.iloc[0]} to {some.iloc[-1]} pits a tile"
        out[name] = [*out.get(name, []), *some.index.tolist()]
    return out


def _on_tiles(
    openings: pd.DataFrame, scan: Scan, tiles: list[int], region: Floats | None, *, on_foil: bool
) -> Bools:
    """Return which openings lie where the run searched, (n,)."""
    here = np.ones(len(openings), bool)
    if "tile" in openings.columns:
        here = openings["tile"].isin(tiles).to_numpy()
    if region is None:
        return here
    x_mm, y_mm = (openings[c].to_numpy(np.float64) for c in (("x_mm", "y_mm") if on_foil else _PX))
    if not on_foil:
        number = openings["tile"].where(here, tiles[0]).to_numpy(np.int64)
        x_mm, y_mm = tile_to_foil(number, x_mm, y_mm, scan)
    return np.asarray(here & in_polygon(x_mm, y_mm, region))


def _shifted(candidates: pd.DataFrame, shift_px: Floats, scan: Scan) -> pd.DataFrame:
    """Return the candidates shifted within their tiles."""
    at = candidates[list(_PX)].to_numpy(np.float64) + shift_px
    x_mm, y_mm = tile_to_foil(candidates["tile"].to_numpy(np.int64), at[:, 0], at[:, 1], scan)
    return candidates.assign(x_px=at[:, 0], y_px=at[:, 1], x_mm=x_mm, y_mm=y_mm)


def _by_chance(
    candidates: pd.DataFrame,
    scan: Scan,
    tolerance_px: float,
    matched: Callable[[pd.DataFrame], tuple[Bools, Ints]],
    searched: Callable[[pd.DataFrame], Bools],
) -> Floats:
    """Return the share of the local shifts in which each candidate is true, (n,).

    A shift counts if the shifted candidate lies where the run searched; a candidate without such a
    shift, as in a small region, gets the share of all others.
    """
    hits, counted = np.zeros(len(candidates)), np.zeros(len(candidates))
    for shift in local_shifts(tolerance_px):
        moved = _shifted(candidates, shift, scan)
        counts = searched(moved)
        hits += matched(moved)[0] & counts
        counted += counts
    mean = np.full(len(hits), hits.sum() / max(counted.sum(), 1))
    return np.asarray(np.divide(hits, counted, where=counted > 0, out=mean))


def _exposure(scan: Scan, tiles: list[int], region: Floats | None, count: int) -> Floats:
    """Return the searched part of each tile, in all ``count``, then 0 for no tile, (t + 1,)."""
    own = np.ones(len(tiles))
    if region is not None:
        own = np.array([area_cm2(scan, [n], region) for n in tiles])
    return np.asarray(np.append(own * count / own.sum(), 0.0))


def _codes(tile: "pd.Series[int]", tiles: list[int]) -> Ints:
    """Return the place of each tile in a list, or its length for another tile, (n,)."""
    place = {number: k for k, number in enumerate(tiles)}
    return np.array(tile.map(place).fillna(len(tiles)), np.int64)


def _in_tiles(openings: pd.DataFrame, scan: Scan) -> pd.DataFrame:
    """Return ``tile, x_px, y_px`` of openings that have these, or a place on the foil."""
    if {"tile", *_PX} <= set(openings.columns):
        return openings[["tile", *_PX]]
    x_mm, y_mm = (openings[c].to_numpy(np.float64) for c in ("x_mm", "y_mm"))
    return foil_to_tile(x_mm, y_mm, scan)


def _parts(openings: pd.DataFrame, scan: Scan) -> Ints:
    return part_of_tile(openings["x_px"], openings["y_px"], scan.image_size, _PARTS)


def _densities(pits: pd.DataFrame, tiles: list[int], scan: Scan) -> Floats:
    """Return the density in 1/mm² of the parts of tiles, (t + 1, parts): the median of their pits'.

    It is 0 without pits and on no tile; all nan without a scale.
    """
    if scan.pixel_size_um is None:
        return np.full((len(tiles) + 1, _PARTS**2), np.nan)
    here = [_codes(pits["tile"], tiles), _parts(pits, scan)]
    median = pits["density_per_mm2"].groupby(here).median()
    out = np.zeros((len(tiles) + 1, _PARTS**2))
    at = np.array(median.index.to_list(), np.int64).reshape(-1, 2)
    out[at[:, 0], at[:, 1]] = median.fillna(0.0)
    out[-1] = 0.0
    return out


def _middles(scan: Scan, tiles: list[int]) -> Floats:
    """Return the places of tiles, (t + 1, 2): on the stage, or in a row if these are unknown.

    The last place is that of no tile.
    """
    of = {t.number: t for t in scan.tiles}
    on_stage = [(of[n].stage_x_mm, of[n].stage_y_mm) for n in tiles]
    if any(x is None or y is None for x, y in on_stage):
        on_stage = [(float(k), 0.0) for k in range(len(tiles))]
    return np.array([*on_stage, (0.0, 0.0)], np.float64)
