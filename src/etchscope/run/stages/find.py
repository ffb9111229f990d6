"""Search the tiles of a scan for pits: plan, execute in batches, resume, commit."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil import (
    BadInput,
    Foil,
    Scan,
    usable_cores,
)
from etchscope.foil.types import Bools, Floats, RawStack
from etchscope.geometry import foil_frame, in_polygon
from etchscope.imaging import Normalisation, Recipe, fit_normalisation, foil_ground, light_faults
from etchscope.learn.threads import set_threads
from etchscope.preselect import (
    Calibration,
    ClassicalDetector,
    Detector,
    FindSettings,
    Ground,
    LearnedConstants,
    LearnedDetector,
    Lighting,
    calibrate_detector,
    complete,
    detect_tiles,
    fit_scale,
)
from etchscope.run.execute import Executor, execute
from etchscope.run.finder import SHIPPED, finder_of
from etchscope.store import Store
from etchscope.store.run_files import drop_partial

__all__ = ["FindReport", "find", "normalisation_of", "recipe_of"]

_BATCH = 16
"""Tiles a part: small enough to lose little at a kill, large enough for a file of its own."""
_CALIBRATION_TILES = 8
_SCALE_TILES = 3
_LIGHT_TILES = 4
_KNOWN_OF_FOIL = {"name", "material", "thickness_um", "etch"}
_LARGEST_PX = 30.0
"""Dark discs up to this radius may be pits, whatever is looked for."""


@dataclass(frozen=True)
class FindReport:
    """What a search did: its identity, whether it had been done before, and where rows went."""

    run: str
    scan: str
    tiles: int
    pits: int
    was_done: bool
    counts: dict[str, int]


@dataclass(frozen=True)
class _Plan:
    """All that decides the bytes of a run's tables."""

    scan: Scan
    tiles: tuple[int, ...]
    settings: FindSettings
    weights: Path
    record: dict[str, Any]

    @property
    def run(self) -> str:
        return "find-" + _digest(self.record)[:16]

    @property
    def batches(self) -> list[tuple[int, ...]]:
        return [self.tiles[i : i + _BATCH] for i in range(0, len(self.tiles), _BATCH)]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def recipe_of(scan: Scan) -> Recipe:
    """Return how a scan is normalised: cut-outs share no place on the camera, tiles do."""
    return Recipe(method="level" if scan.layout == "montage" else "average")


def _spread_over(tiles: Sequence[int], count: int) -> list[int]:
    """Return at most ``count`` tiles, evenly spread."""
    at = np.unique(np.linspace(0, len(tiles) - 1, min(count, len(tiles))).round().astype(int))
    return [tiles[i] for i in at.tolist()]


def normalisation_of(store: Store, scan: Scan) -> Normalisation:
    """Return the scan's normalisation; fitted on its included tiles the first time only."""
    recipe = recipe_of(scan)
    known = store.fits.load(scan.name, recipe.digest)
    if known is not None:
        arrays, record = known
        return Normalisation(
            recipe, arrays["average"], arrays["gain"], arrays["offset"], int(record["limit"])
        )
    tiles = _spread_over([t.number for t in scan.included], recipe.tiles)
    fit = fit_normalisation((store.scans.read_tile(scan.name, n) for n in tiles), recipe)
    arrays = {"average": fit.average, "gain": fit.gain, "offset": fit.offset}
    record = {"limit": fit.limit, "tiles": tiles, "recipe": asdict(recipe)}
    store.fits.save(scan.name, recipe.digest, arrays, record)
    return fit


def _calibration(
    store: Store, scan: Scan, normalisation: Normalisation, settings: FindSettings
) -> Calibration:
    """Return the constants of the scan for these settings; found the first time only."""
    key = _digest([normalisation.digest, settings.model_dump(), version("etchscope")])[:16]
    known = store.fits.load(scan.name, f"calibration-{key}")
    if known is not None:
        arrays, record = known
        ratio, level = (np.inf if (v := record[k]) is None else v for k in ("ratio", "level"))
        return Calibration(**arrays, ratio=ratio, level=level, recipe=str(record["recipe"]))
    tiles = _spread_over([t.number for t in scan.included], _CALIBRATION_TILES)
    lighting = Lighting.of_scan(scan)
    stacks = (store.scans.read_tile(scan.name, n) for n in tiles)
    found = calibrate_detector(stacks, normalisation, lighting, settings)
    arrays = {k: v for k, v in vars(found).items() if isinstance(v, np.ndarray)}
    # JSON has no infinity.
    finite = {k: v for k in ("ratio", "level") if np.isfinite(v := getattr(found, k))}
    record = {"ratio": None, "level": None, **finite, "recipe": found.recipe, "tiles": tiles}
    store.fits.save(scan.name, f"calibration-{key}", arrays, record)
    return found


def _lighting(store: Store, scan: Scan) -> tuple[Lighting, list[str]]:
    """Return the lights that are used, and in words what is wrong with others or with these."""
    name = f"lights-{version('etchscope')}"
    known = store.fits.load(scan.name, name)
    if known is None:
        tiles = _spread_over([t.number for t in scan.included], _LIGHT_TILES)
        faults = light_faults([store.scans.read_tile(scan.name, n) for n in tiles], scan.channels)
        left_out = [f.channel for f in faults if f.is_left_out]
        told: dict[str, Any] = {
            "left_out": left_out,
            "faults": [f.words for f in faults],
            "tiles": tiles,
        }
        store.fits.save(scan.name, name, {}, told)
    else:
        told = known[1]
    return Lighting.of_scan(scan).without(told["left_out"]), told["faults"]


def _constants_of(
    store: Store, scan: Scan, normalisation: Normalisation, settings: FindSettings, weights: Path
) -> LearnedConstants:
    """Return what the learned finder needs to know of the scan; found the first time only."""
    finder = finder_of(weights)
    told = [normalisation.digest, settings.model_dump(), finder.digest, version("etchscope")]
    name = f"learned-{_digest(told)[:16]}"
    known = store.fits.load(scan.name, name)
    if known is not None:
        return LearnedConstants(float(known[1]["scale"]))
    tiles = _spread_over([t.number for t in scan.included], _SCALE_TILES)
    stacks = (store.scans.read_tile(scan.name, n) for n in tiles)
    found = fit_scale(stacks, normalisation, _lighting(store, scan)[0], finder, settings)
    store.fits.save(scan.name, name, {}, {**asdict(found), "tiles": tiles})
    return found


def _detector(
    store: Store, scan: Scan, settings: FindSettings, weights: Path
) -> tuple[Detector, dict[str, Any]]:
    """Return what searches the tiles of a scan, and the record of its constants."""
    normalisation = normalisation_of(store, scan)
    lighting, faults = _lighting(store, scan)
    fit = {"recipe": normalisation.recipe.digest, "fit": normalisation.digest}
    record: dict[str, Any] = {"normalisation": fit, "light_faults": faults}
    if settings.finder == "classical":
        calibration = _calibration(store, scan, normalisation, settings)
        classical = ClassicalDetector(normalisation, calibration, lighting, settings)
        return classical, {**record, "calibration": calibration.digest}
    finder = finder_of(weights)
    constants = _constants_of(store, scan, normalisation, settings, weights)
    learned = LearnedDetector(
        normalisation, lighting, finder, constants, settings, scan.pixel_size_um
    )
    return learned, {**record, "finder": _digest(finder.digest)[:16], "scale": constants.scale}


def _searched(scan: Scan, region: Floats | None) -> tuple[int, ...]:
    """Return the included tiles that the region, a polygon in foil mm, may touch.

    Raises
    ------
    BadInput : no tile is left, or the scan has no positions that a region could refer to.
    """
    tiles, hint = scan.included, "Include some tiles."
    if region is not None:
        if scan.pixel_size_um is None or any(t.stage_x_mm is None for t in scan.tiles):
            raise BadInput("region of interest", "a scan with positions and a scale", scan.name)
        if not np.isfinite(region).all():
            raise BadInput("region of interest", "corners in mm", "one that is no number")
        in_polygon(np.zeros(1), np.zeros(1), region)
        height, width = (n * scan.pixel_size_um / 1000 for n in scan.image_size)
        place = np.array([(t.stage_x_mm, t.stage_y_mm) for t in tiles], float).reshape(-1, 2)
        x, y = foil_frame(scan).from_stage(place[:, 0], place[:, 1])
        reach = np.hypot(height, width) / 2
        low, high = region.min(axis=0) - reach, region.max(axis=0) + reach
        near = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
        tiles = tuple(t for t, is_near in zip(tiles, near.tolist(), strict=True) if is_near)
        hint = "Include some tiles, or choose another region."
    if not tiles:
        raise BadInput(f"scan {scan.name}", "at least one tile to search", "none", hint=hint)
    return tuple(t.number for t in tiles)


def _plan(
    store: Store, scan: Scan, settings: FindSettings, region: Floats | None, weights: Path
) -> _Plan:
    Lighting.of_scan(scan)  # refuses too few lamps before anything is fitted
    tiles = _searched(scan, region)
    mask = store.fits.mask(scan.name)
    if mask is not None:
        touched = set(mask.touched(scan))
        tiles = tuple(n for n in tiles if n in touched)
        if not tiles:
            raise BadInput(f"scan {scan.name}: mask", "a tile to search in it", "none")
    _, constants = _detector(store, scan, settings, weights)
    record = {
        "stage": "find",
        "version": version("etchscope"),
        "scan": scan.name,
        "scan_digest": store.scans.digest(scan.name),
        "tiles": list(tiles),
        "settings": settings.model_dump(),
        "foil": _foil(store, scan).model_dump(mode="json", include=_KNOWN_OF_FOIL),
        "region_mm": None if region is None else region.tolist(),
        "mask": None if mask is None else mask.digest,
        **constants,
    }
    return _Plan(scan, tiles, settings, weights, record)


def _foil(store: Store, scan: Scan) -> Foil:
    return next(foil for foil in store.scans.foils() if foil.name == scan.foil)


@lru_cache(maxsize=1)
def _loaded(
    path: Path, run: str, scan_name: str, settings: FindSettings, weights: Path, mask: str | None
) -> tuple[Detector, Ground]:
    """Return what searches every tile of a run, made once a worker; ``run`` is its identity."""
    store = Store.open(path)
    scan = store.scans.get(scan_name)
    return _detector(store, scan, settings, weights)[0], _ground(store, scan, settings, mask)


def _ground(store: Store, scan: Scan, settings: FindSettings, digest: str | None) -> Ground:
    """Return what tells where a tile of the scan is to be searched: on foil, and in the mask."""
    mask = None if digest is None else store.fits.mask(scan.name, digest)
    levels = normalisation_of(store, scan).gain
    roles = [c.role for c in scan.channels]
    largest = max(_LARGEST_PX, settings.largest_radius_px)

    def where(number: int, raw: RawStack) -> Bools:
        ground = foil_ground(
            raw,
            roles,
            largest_radius_px=largest,
            margin_px=settings.largest_radius_px,
            levels=levels,
        )
        return ground if mask is None else ground & mask.of_tile(scan, number)

    return where


def _search_batch(
    path: Path,
    run: str,
    scan: str,
    settings: FindSettings,
    weights: Path,
    mask: str | None,
    index: int,
    tiles: tuple[int, ...],
) -> int:
    """Search the tiles of one batch and write its part; return how many tiles that were."""
    detector, ground = _loaded(path, run, scan, settings, weights, mask)
    store = Store.open(path)
    stacks = store.scans.read_tiles(scan, tiles)
    # Workers share the cores; and one thread always adds in the same order.
    before = set_threads(1)
    try:
        searched = detect_tiles(zip(tiles, stacks, strict=True), detector, ground)
    finally:
        set_threads(before)
    record = {
        "scan": scan,
        "tiles": list(tiles),
        "usable_px": [searched.usable_px[n] for n in tiles],
        "off_foil": searched.off_foil,
        "left_out": [[n, why] for n, why in sorted(searched.left_out.items())],
    }
    store.runs.write_part(run, index, searched.table, record)
    return len(tiles)


def find(
    store: Store,
    scan: str,
    *,
    settings: FindSettings | None = None,
    weights: Path | None = None,
    region: Floats | None = None,
    workers: int | None = None,
    executor: Executor = "threads",
    progress: Callable[[int], None] | None = None,
    total: Callable[[int], None] | None = None,
) -> FindReport:
    """Search a scan of a store for pits and commit the pit table as a run.

    The run's identity is made of the scan, the tiles, the settings, the normalisation and the
    version: the same identity gives the same bytes, whatever the workers, and a search that was
    killed goes on where it stopped.

    Parameters
    ----------
    weights : folder of a learned finder; that of the package unless given.
    region : (m, 2) polygon in foil mm to restrict the search to, or None.
    workers : threads or processes; as many as there are cores unless given.
    progress : called with the number of tiles just done.
    total : called once with the number of tiles, before the first.

    Raises
    ------
    BadInput : no such scan, nothing to search, too few azimuths, or a damaged picture.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    settings = settings or FindSettings()
    region = None if region is None else np.asarray(region, np.float64)
    plan = _plan(store, store.scans.get(scan), settings, region, (weights or SHIPPED).absolute())
    if total is not None:
        total(len(plan.tiles))
    if _is_done(store, plan):
        return _done(store, plan)
    tell = progress or (lambda _: None)
    parts = store.runs.parts(plan.run)
    todo = []
    for index, tiles in enumerate(plan.batches):
        if parts.get(index, {}).get("tiles") == list(tiles):
            tell(len(tiles))
        else:
            told = (store.path.absolute(), plan.run, scan, settings, plan.weights)
            todo.append(partial(_search_batch, *told, plan.record["mask"], index, tiles))
    try:
        execute(todo, executor=executor, workers=workers or usable_cores(), progress=tell)
        return _commit(store, plan, region)
    except (BadInput, OSError):
        # Another process may have done the same search, and dropped the parts under this one.
        if not _is_done(store, plan):
            raise
    return _done(store, plan)


def _is_done(store: Store, plan: _Plan) -> bool:
    return plan.run in store.runs


def _done(store: Store, plan: _Plan) -> FindReport:
    """Return the report of a run that is finished already."""
    drop_partial(store.path / "runs", plan.run)  # left by a kill right after the commit
    if store.runs.latest(plan.scan.name) != plan.run:
        store.runs.renew(plan.run)  # what was asked for last is what an export takes
    counts = dict(store.runs.record(plan.run)["counts"])
    pits = len(store.runs.pits(plan.run))
    return FindReport(plan.run, plan.scan.name, len(plan.tiles), pits, True, counts)


def _commit(store: Store, plan: _Plan, region: Floats | None) -> FindReport:
    """Join the parts in the order of the tiles, complete the table, and commit the run."""
    parts = [store.runs.read_part(plan.run, i) for i in range(len(plan.batches))]
    told = store.runs.parts(plan.run)
    records = [told[i] for i in range(len(plan.batches))]
    ground = {
        "usable_px": [n for r in records for n in r["usable_px"]],
        "left_out": [pair for r in records for pair in r["left_out"]],
    }
    searched = plan.scan.model_copy(
        update={
            "tiles": tuple(
                t.model_copy(update={"excluded": t.number not in plan.tiles})
                for t in plan.scan.tiles
            )
        }
    )
    found = [part for part in parts if len(part)] or parts[:1]
    pits, counts = complete(
        pd.concat(found, ignore_index=True),
        searched,
        plan.settings,
        region,
        foil=Foil(**plan.record["foil"]),
    )
    tally = {k: v for k, v in asdict(counts).items() if k != "rows"}
    off_foil = sum(r["off_foil"] for r in records)
    tally |= {"raw": tally["raw"] + off_foil, "off_foil": off_foil}
    record = {**plan.record, "counts": tally, **ground}
    store.runs.commit(plan.run, plan.scan.name, pits.assign(run=plan.run), record)
    return FindReport(plan.run, plan.scan.name, len(plan.tiles), len(pits), False, tally)
