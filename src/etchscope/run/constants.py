"""Constants of a scan for a search, which are fitted once and kept in the store."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from etchscope.files.digests import digest_of
from etchscope.foil import Device, Scan
from etchscope.imaging import Normalisation, Recipe, find_light_faults, fit_normalisation
from etchscope.preselect import (
    Calibration,
    ClassicalDetector,
    Detector,
    FindSettings,
    LearnedConstants,
    LearnedDetector,
    Lighting,
    calibrate_detector,
    fit_scale,
)
from etchscope.run.finder import finder_of
from etchscope.store import Store
from etchscope.store.fit_records import CalibrationFit, LightsFit, NormalisationFit, ScaleFit

__all__ = ["detector_of", "normalisation_of", "recipe_of"]

_CALIBRATION_TILES = 8
_SCALE_TILES = 3
_LIGHT_TILES = 4


def _require_pictures(store: Store, scan: Scan) -> None:
    """Refuse to fit constants to pictures whose white space is compressed.

    Raises
    ------
    BadInput : the scan is compressed.
    """
    store.compressions.refuse(scan.name, f"constants of scan {scan.name}")


def recipe_of(scan: Scan) -> Recipe:
    """Return the recipe of a scan: only tiles, and no cut-outs, share places on the camera."""
    return Recipe(method="level" if scan.layout == "montage" else "average")


def _spread_over(tiles: Sequence[int], count: int) -> tuple[int, ...]:
    """Return at most ``count`` tiles, evenly spread."""
    at = np.unique(np.linspace(0, len(tiles) - 1, min(count, len(tiles))).round().astype(int))
    return tuple(tiles[i] for i in at.tolist())


def _with_constants(store: Store, scan: Scan) -> Scan:
    """Return the scan whose constants a scan has: its own, or its source's if it is injected."""
    source = store.injections.source(scan.name)
    return scan if source == scan.name else store.scans.get(source)


def normalisation_of(store: Store, scan: Scan) -> Normalisation:
    """Return the scan's normalisation, which is fitted to its included tiles once.

    An injected scan has that of the scan that it was made from.
    """
    scan = _with_constants(store, scan)
    recipe = recipe_of(scan)
    known = store.fits.load(scan.name, recipe.digest, NormalisationFit)
    if known is not None:
        arrays, record = known
        return Normalisation(
            recipe, arrays["average"], arrays["gain"], arrays["offset"], record.limit
        )
    _require_pictures(store, scan)
    tiles = _spread_over([t.number for t in scan.included], recipe.tiles)
    fit = fit_normalisation((store.scans.read_tile(scan.name, n) for n in tiles), recipe)
    arrays = {"average": fit.average, "gain": fit.gain, "offset": fit.offset}
    saved = NormalisationFit(limit=fit.limit, tiles=tiles, recipe=asdict(recipe))
    store.fits.save(scan.name, recipe.digest, arrays, saved)
    return fit


def _calibration(
    store: Store,
    scan: Scan,
    normalisation: Normalisation,
    lighting: Lighting,
    settings: FindSettings,
) -> Calibration:
    """Return the constants of the classical finder for a scan, which are fitted once.

    They have a weight for each light that is used, as ``lighting`` states them.
    """
    used = [lighting.directional, lighting.dark, lighting.bright]
    part = [] if sum(map(len, used)) == len(scan.channels) else [[u.tolist() for u in used]]
    key = digest_of([normalisation.digest, settings.model_dump(), version("etchscope"), *part])[:16]
    known = store.fits.load(scan.name, f"calibration-{key}", CalibrationFit)
    if known is not None:
        arrays, record = known
        ratio, level = (np.inf if v is None else v for v in (record.ratio, record.level))
        return Calibration(**arrays, ratio=ratio, level=level, recipe=record.recipe)
    _require_pictures(store, scan)
    tiles = _spread_over([t.number for t in scan.included], _CALIBRATION_TILES)
    stacks = (store.scans.read_tile(scan.name, n) for n in tiles)
    found = calibrate_detector(stacks, normalisation, lighting, settings)
    arrays = {k: v for k, v in vars(found).items() if isinstance(v, np.ndarray)}
    # JSON has no infinity.
    finite = {k: v if np.isfinite(v := getattr(found, k)) else None for k in ("ratio", "level")}
    saved = CalibrationFit(**finite, recipe=found.recipe, tiles=tiles)
    store.fits.save(scan.name, f"calibration-{key}", arrays, saved)
    return found


def _lighting(store: Store, scan: Scan) -> tuple[Lighting, tuple[str, ...]]:
    """Return the lights that are used, and the faults of lights in words."""
    name = f"lights-{version('etchscope')}"
    known = store.fits.load(scan.name, name, LightsFit)
    if known is None:
        _require_pictures(store, scan)
        tiles = _spread_over([t.number for t in scan.included], _LIGHT_TILES)
        faults = find_light_faults(
            [store.scans.read_tile(scan.name, n) for n in tiles], scan.channels
        )
        record = LightsFit(
            left_out=tuple(f.channel for f in faults if f.is_left_out),
            faults=tuple(f.words for f in faults),
            tiles=tiles,
        )
        store.fits.save(scan.name, name, {}, record)
    else:
        record = known[1]
    return Lighting.of_scan(scan).without(record.left_out), record.faults


def _constants_of(
    store: Store, scan: Scan, normalisation: Normalisation, settings: FindSettings, weights: Path
) -> LearnedConstants:
    """Return the constants of the learned finder for a scan, which are fitted once."""
    finder = finder_of(weights)
    key = [normalisation.digest, settings.model_dump(), finder.digest, version("etchscope")]
    name = f"learned-{digest_of(key)[:16]}"
    known = store.fits.load(scan.name, name, ScaleFit)
    if known is not None:
        return LearnedConstants(known[1].scale)
    _require_pictures(store, scan)
    tiles = _spread_over([t.number for t in scan.included], _SCALE_TILES)
    stacks = (store.scans.read_tile(scan.name, n) for n in tiles)
    found = fit_scale(stacks, normalisation, _lighting(store, scan)[0], finder, settings)
    store.fits.save(scan.name, name, {}, ScaleFit(scale=found.scale, tiles=tiles))
    return found


def detector_of(
    store: Store, scan: Scan, settings: FindSettings, weights: Path, device: Device = "cpu"
) -> tuple[Detector, dict[str, Any]]:
    """Return the detector of a scan, and the record of its constants.

    An injected scan has the constants of the scan that it was made from.

    Parameters
    ----------
    device : where a learned finder computes; its constants are always fitted on the processor.
    """
    scan = _with_constants(store, scan)
    normalisation = normalisation_of(store, scan)
    lighting, faults = _lighting(store, scan)
    fit = {"recipe": normalisation.recipe.digest, "fit": normalisation.digest}
    record: dict[str, Any] = {"normalisation": fit, "light_faults": faults}
    if settings.finder == "classical":
        calibration = _calibration(store, scan, normalisation, lighting, settings)
        classical = ClassicalDetector(normalisation, calibration, lighting, settings)
        return classical, {**record, "calibration": calibration.digest}
    finder = finder_of(weights)
    constants = _constants_of(store, scan, normalisation, settings, weights)
    network = finder_of(weights, device)
    learned = LearnedDetector(
        normalisation, lighting, network, constants, settings, scan.pixel_size_um
    )
    return learned, {**record, "finder": digest_of(finder.digest)[:16], "scale": constants.scale}
