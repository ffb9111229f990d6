"""Make an injected scan: signal in copies of a scan's tiles, kept in the same store."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from etchscope.background.examples import choose_examples, cut_examples, group_examples
from etchscope.background.injection import (
    InjectionPlan,
    TileSample,
    allowed_places,
    choose_places,
    inject_tile,
    particles_of_tiles,
    sample_tiles,
)
from etchscope.background.optics_fit import FittedOptics, fit_optics
from etchscope.background.signal import SignalPopulation, require_sheet
from etchscope.files.digests import digest_of
from etchscope.foil import BadInput, Foil, Scan
from etchscope.foil.types import Floats, Ints
from etchscope.geometry import stage_to_tile, tile_to_stage
from etchscope.physics.materials import get_material
from etchscope.preselect import FindSettings, Ground
from etchscope.run.constants import normalisation_of
from etchscope.run.tiles import ground_of
from etchscope.store import Store, TilePictures
from etchscope.store.fit_records import FitRecord
from etchscope.store.injections import Injection

__all__ = ["InjectedScan", "make_injected_scan", "optics_of"]

_LEARN_TILES = 24
"""Greatest number of tiles whose pits show the optics."""
_APART_RADII = 5.0
_APART_PX = 30.0


class OpticsFit(FitRecord):
    """``fits``: parameters, gamma and cost of each fit of a scan's optics."""

    fits: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class InjectedScan:
    """An injected scan of a store: its name, and whether it was there before."""

    name: str
    source: str
    was_done: bool


def optics_of(store: Store, scan: Scan, run: str) -> tuple[FittedOptics, ...]:
    """Return the optics of a scan, which are learned from the pits of a search once.

    Raises
    ------
    BadInput : too few pits, or the foil is not known well enough.
    """
    foil = _foil_of(store, scan)
    key = [store.scans.digest(scan.name), run, foil.model_dump(mode="json"), version("etchscope")]
    name = f"optics-{digest_of(key)[:16]}"
    known = store.fits.record(scan.name, name, OpticsFit)
    if known is None:
        known = OpticsFit(fits=tuple(asdict(fit) for fit in _learned(store, scan, foil, run)))
        store.fits.save(scan.name, name, {}, known)
    return tuple(FittedOptics(**fit) for fit in known.fits)


def _learned(store: Store, scan: Scan, foil: Foil, run: str) -> list[FittedOptics]:
    sheet = require_sheet(foil)
    pits = store.runs.pits(run)
    counts = pits["tile"].value_counts().sort_index(kind="stable").sort_values(kind="stable")
    spread = np.unique(np.linspace(0, len(counts) - 1, min(_LEARN_TILES, len(counts))).astype(int))
    tiles = sorted(int(n) for n in counts.index[spread]) if len(counts) else []
    examples = choose_examples(pits[pits["tile"].isin(tiles)], scan.image_size)
    needed = sorted({int(n) for n in examples["tile"]})
    stacks = zip(needed, store.scans.read_tiles(scan.name, needed), strict=True)
    rows, light = cut_examples(examples, stacks, normalisation_of(store, scan))
    index = get_material(sheet.material).refractive_index
    return fit_optics(group_examples(examples, rows, light), scan, sheet, index)


def _foil_of(store: Store, scan: Scan) -> Foil:
    return next(foil for foil in store.scans.foils() if foil.name == scan.foil)


def make_injected_scan(
    store: Store,
    scan: str,
    run: str,
    *,
    population: SignalPopulation,
    tiles: int,
    per_tile: int | None,
    seed: int,
    progress: Callable[[int], None] | None = None,
    total: Callable[[int], None] | None = None,
) -> InjectedScan:
    """Add an injected scan to a store, whole or not at all; the same again changes nothing.

    Parameters
    ----------
    scan : the source, which stays as it is.
    run : its search.
    population : that particles are drawn from.
    tiles, per_tile, seed : see ``background.injection``.
    progress : called with the number of tiles just made, from any thread.
    total : called once with the number of tiles.

    Raises
    ------
    BadInput : an injected scan, one without scale or positions, too few pits, or see
        ``sample_tiles``.
    MachineFailed : the disk is full.
    """
    source = _require_source(store, scan)
    foil = _foil_of(store, source)
    sheet = require_sheet(foil)
    record, pits = store.runs.record(run), store.runs.pits(run)
    included = {t.number for t in source.included}
    searched: Ints = np.array([n for n in record.tiles if n in included], np.int64)
    found = pits["tile"].value_counts().reindex(searched, fill_value=0)
    counts: Ints = np.asarray(found, np.int64)
    rng = np.random.default_rng([seed, 0])
    sample = sample_tiles(searched, counts, tiles, per_tile, rng)
    plan = InjectionPlan(seed, population, optics_of(store, source, run), sheet, foil, source)
    made_by = {
        "version": version("etchscope"),
        "source_digest": store.scans.digest(scan),
        "run": run,
        "seed": seed,
        "tiles": tiles,
        "per_tile": per_tile,
        "population": population.to_dict(),
        "optics": [asdict(fit) for fit in plan.optics],
    }
    name = f"{scan[:80]}-injected-{digest_of(made_by)[:8]}"
    if name in store.scans.names():
        return InjectedScan(name, scan, was_done=True)
    if total is not None:
        total(len(sample.number))
    # The mask of the source's search is a part of the ground, so the injected scan has it, too.
    mask = None if record.mask is None else store.fits.mask(scan, record.mask)
    ground = ground_of(
        source, normalisation_of(store, source), FindSettings(**record.settings), mask
    )
    openings = _openings(store, plan, sample, ground, rng)
    table = {n: _plain(openings[n]) for n in openings.columns if n not in ("kind", "front")}
    injection = Injection(scan, table, made_by, mask)
    _add(store, name, plan, sample, openings, pits, injection, progress)
    return InjectedScan(name, scan, was_done=False)


def _require_source(store: Store, scan: str) -> Scan:
    """Return the scan that signal is injected into.

    Raises
    ------
    BadInput : it is itself injected, or compressed, or has no scale or no positions.
    """
    store.injections.refuse(scan, "injection")
    store.compressions.refuse(scan, "injection")
    source = store.scans.get(scan)
    if source.pixel_size_um is None:
        raise BadInput(f"scan {scan}", "a pixel size", "none", "Give pixel_size_um.")
    if any(t.stage_x_mm is None for t in source.tiles):
        raise BadInput(f"scan {scan}", "tiles with positions on the stage", "none")
    return source


def _openings(
    store: Store, plan: InjectionPlan, sample: TileSample, ground: Ground, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the openings of all particles of the sample, with numbers of their own."""
    scan, parts, first = plan.scan, [], 0
    numbers, places_mm = _places_of(scan)
    apart = max(_APART_PX, _APART_RADII * plan.largest_px)
    height, width = scan.image_size
    for number, count, weight in zip(
        sample.number.tolist(), sample.particles.tolist(), sample.weight.tolist(), strict=True
    ):
        raw = store.scans.read_tile(scan.name, number)
        offset = _offsets(scan, places_mm[numbers == number][0], places_mm)
        near = (np.abs(offset[:, 0]) < width) & (np.abs(offset[:, 1]) < height)
        near &= numbers != number
        allowed = allowed_places(ground(number, raw), scan.image_size, offset[near])
        area = float(allowed.sum()) * (plan.scan.pixel_size_um or np.nan) ** 2 / 1e6
        places = choose_places(allowed, count, apart, np.random.default_rng([plan.seed, 3, number]))
        if not len(places):
            continue
        own = particles_of_tiles(plan, number, weight, area, places)
        own["particle"] += first
        first += len(places)
        parts.append(own)
    if not parts or not sum(map(len, parts)):
        raise BadInput(f"scan {scan.name}", "ground to inject into", "none on the sampled tiles")
    return pd.concat(parts, ignore_index=True)


def _places_of(scan: Scan) -> tuple[Ints, Floats]:
    """Return the numbers of all tiles, (n,), and their centres on the stage in mm, (n, 2)."""
    numbers = np.array([t.number for t in scan.tiles], np.int64)
    return numbers, np.array([(t.stage_x_mm or 0.0, t.stage_y_mm or 0.0) for t in scan.tiles])


def _offsets(scan: Scan, here: Floats, others: Floats) -> Floats:
    """Return the places of other tiles' first pixels in a tile's pixels, (n, 2).

    Parameters
    ----------
    here, others : (2,) and (n, 2) centres on the stage in mm.
    """
    zero = np.zeros(len(others))
    stage = tile_to_stage(zero, zero, others[:, 0], others[:, 1], scan)
    here_x, here_y = (np.full(len(others), v) for v in here)
    return np.column_stack(stage_to_tile(*stage, here_x, here_y, scan))


def _add(
    store: Store,
    name: str,
    plan: InjectionPlan,
    sample: TileSample,
    openings: pd.DataFrame,
    pits: pd.DataFrame,
    injection: Injection,
    progress: Callable[[int], None] | None,
) -> None:
    """Add the sampled tiles, and those that the foil's frame needs, which are excluded."""
    source = plan.scan
    sampled = set(sample.number.tolist())
    framing = {min(t.number for t in source.tiles), *(tile for tile, _, _ in source.datum)}
    why = "kept for the foil's frame only; nothing was injected"
    tiles = tuple(
        t if t.number in sampled else t.model_copy(update={"excluded": True, "excluded_why": why})
        for t in source.tiles
        if t.number in sampled | framing
    )
    scan = source.model_copy(update={"name": name, "tiles": tiles})
    limit = normalisation_of(store, source).limit
    by_tile = dict(tuple(pits.groupby("tile")))
    none = pits.iloc[:0]

    def read_tile(number: int) -> TilePictures:
        raw = store.scans.read_tile(source.name, number)
        if number in sampled:
            shown = _shown(openings, number, source)
            raw = inject_tile(plan, number, raw, shown, by_tile.get(number, none), limit)
        said = f"tile {number} of scan {source.name}, with injected signal"
        return TilePictures(raw, (said,) * len(source.channels))

    store.scans.add(scan, plan.foil, read_tile, progress=progress, injection=injection)


def _plain(column: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
    """Return a column as an array without Python objects."""
    values = column.to_numpy()
    return values.astype("U8") if values.dtype == object or values.dtype.kind == "U" else values


def _shown(openings: pd.DataFrame, number: int, scan: Scan) -> pd.DataFrame:
    """Return the openings that reach into a tile, also those of other tiles, in its pixels."""
    height, width = scan.image_size
    numbers, places_mm = _places_of(scan)
    offset = _offsets(scan, places_mm[numbers == number][0], places_mm)
    offset[numbers == number] = 0.0
    order = np.argsort(numbers)
    tile = order[np.searchsorted(numbers[order], openings["tile"].to_numpy(np.int64))]
    dx, dy = offset[tile].T
    x, y = openings["centre_x_px"] + dx, openings["centre_y_px"] + dy
    reach = openings["major_um"] / 2 / (scan.pixel_size_um or np.nan) + 2
    inside = (x > -reach) & (x < width + reach) & (y > -reach) & (y < height + reach)
    whole = openings["particle"].isin(openings["particle"][inside])
    moved = openings.assign(
        centre_x_px=x, centre_y_px=y, x_px=openings["x_px"] + dx, y_px=openings["y_px"] + dy
    )
    return moved[whole].reset_index(drop=True)
