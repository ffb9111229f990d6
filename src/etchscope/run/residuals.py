"""The tiles of a run without its found pits: fetched from a store, and scored for anomalies."""

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

import numpy as np
import pandas as pd

from etchscope.background.anomalies import (
    EmptyGround,
    anomaly_chi2,
    find_peaks,
    fit_empty_ground,
)
from etchscope.background.residuals import PitOptics, Residual, central_fit, take_out_pits
from etchscope.background.signal import require_sheet
from etchscope.files.digests import digest_of
from etchscope.foil import BadInput, Scan
from etchscope.foil.types import Bools, FloatImage, FloatStack, RawStack
from etchscope.imaging import Normalisation
from etchscope.imaging.cleaned import CleanSettings, clean_pictures
from etchscope.imaging.noise import measure_noise
from etchscope.run.constants import normalisation_of
from etchscope.run.injecting import optics_of
from etchscope.run.seen_ground import SearchedGround, searched_ground
from etchscope.run.tiles import require_searched_tiles
from etchscope.store import Store
from etchscope.store.fit_records import FitRecord

__all__ = ["RunTiles", "TileResidual", "open_tiles"]

_SAMPLE = 12
"""Greatest number of tiles that give the rate on empty ground."""
_LARGE_TILE_PX, _MOST_SMALL = 200, 200
"""Tiles that are smaller have few peaks, so more of them are measured."""
_RADII_PX = (2.5, 12.0)
_USUAL_PX = 4.0
_LIT = CleanSettings(scratch_px=np.inf)
"""A scratch is no found pit, so the residual shows it."""


class AnomalyFit(FitRecord):
    """How often empty ground of a run's tiles has peaks, see ``background.anomalies``."""

    per_mpx: tuple[float, float]
    start: tuple[float, float]
    width: tuple[float, float]
    tiles: int


@dataclass(frozen=True)
class TileResidual:
    """What remains of a tile, and its χ² against background and found pits.

    ``contrasts``: (channel, y, x) before the pits are taken out; ``known``: (y, x), where something
    is said.
    """

    contrasts: FloatStack
    residual: Residual
    chi2: FloatImage
    known: Bools


@dataclass(frozen=True)
class RunTiles:
    """The tiles of a run that are still included, with the pits found on them.

    Attributes
    ----------
    store, scan, run : the store, its scan, and the name of the run.
    numbers : of the tiles.
    normalisation : of the scan.
    pits : pit table of the run, without marks that are no pits.
    optics : what draws the pits, or None; ``no_optics`` says why.
    ground : where each tile was searched.
    """

    store: Store
    scan: Scan
    run: str
    numbers: tuple[int, ...]
    normalisation: Normalisation
    pits: pd.DataFrame
    optics: PitOptics | None
    no_optics: str
    ground: SearchedGround

    @cached_property
    def radius_px(self) -> float:
        """Usual radius of the pits."""
        radius = self.pits["radius_px"].dropna()
        usual = float(radius.median()) if len(radius) else _USUAL_PX
        return float(np.clip(usual, *_RADII_PX))

    def pits_of(self, tile: int) -> pd.DataFrame:
        """Return the pits of a tile."""
        return self.pits[self.pits["tile"] == tile].reset_index(drop=True)

    def measure(self, tile: int, raw: RawStack) -> TileResidual:
        """Return what remains of a tile.

        Parameters
        ----------
        tile : its number.
        raw : (channel, y, x) its pictures.
        """
        contrasts = clean_pictures(raw, self.normalisation, settings=_LIT).pictures
        noise = measure_noise(contrasts)
        residual = take_out_pits(contrasts, self.pits_of(tile), self.scan, self.optics, noise)
        seen = self.ground(tile)
        known = np.ones(residual.pits.shape, bool) if seen is None else seen
        chi2 = anomaly_chi2(residual, noise, self.radius_px, known)
        return TileResidual(contrasts, residual, chi2, known)

    def empty_ground(self) -> EmptyGround:
        """Return how often empty ground has peaks, which is measured once on at most 12 tiles.

        Raises
        ------
        BadInput : there is not enough ground without pits.
        """
        modelled = self.optics is not None
        key = [self.store.scans.digest(self.scan.name), self.run, modelled, version("etchscope")]
        name = f"anomaly-{digest_of(key)[:16]}"
        known = self.store.fits.record(self.scan.name, name, AnomalyFit)
        if known is None:
            known = AnomalyFit(**vars(self._measure_empty_ground()))
            self.store.fits.save(self.scan.name, name, {}, known)
        return EmptyGround(known.per_mpx, known.start, known.width, known.tiles)

    def _measure_empty_ground(self) -> EmptyGround:
        at = np.linspace(0, len(self.numbers) - 1, min(_SAMPLE, len(self.numbers)))
        sample = [self.numbers[i] for i in np.unique(at.round().astype(int)).tolist()]
        if min(self.scan.image_size) < _LARGE_TILE_PX:
            sample = list(self.numbers[:_MOST_SMALL])
        peaks, empty, at_pits = [], [], []
        for tile, raw in zip(
            sample, self.store.scans.read_tiles(self.scan.name, sample), strict=True
        ):
            one = self.measure(tile, raw)
            peaks.append(find_peaks(one.chi2, one.residual.pits, self.radius_px))
            shown = np.isfinite(one.chi2)
            empty.append(int((shown & ~one.residual.pits).sum()))
            at_pits.append(int((shown & one.residual.pits).sum()))
        return fit_empty_ground(peaks, empty, at_pits)


def open_tiles(store: Store, run: str) -> RunTiles:
    """Return the tiles of a run, with its optics if the pictures and the foil's record give them.

    Raises
    ------
    UnknownRun : the store has no such run.
    BadInput : no tile of the run is included any more, or the scan is compressed.
    """
    record = store.runs.record(run)
    store.compressions.refuse(record.scan, "residuals")
    scan = store.scans.get(record.scan)
    numbers = require_searched_tiles(run, record, scan)
    optics, why = _optics(store, scan, run)
    pits = store.runs.pits(run)
    openings = pits[pits["length_px"].isna()].reset_index(drop=True)
    return RunTiles(
        store,
        scan,
        run,
        numbers,
        normalisation_of(store, scan),
        openings,
        optics,
        why,
        searched_ground(store, scan, record),
    )


def _optics(store: Store, scan: Scan, run: str) -> tuple[PitOptics | None, str]:
    """Return what draws the pits of a scan, or why nothing does."""
    if scan.pixel_size_um is None:
        return None, f"scan {scan.name} has no pixel size, so that no pit can be drawn"
    foil = next(foil for foil in store.scans.foils() if foil.name == scan.foil)
    try:
        return PitOptics(central_fit(optics_of(store, scan, run)), require_sheet(foil)), ""
    except BadInput as error:
        why = f"expected {error.expected}, found {error.found}"
        return None, f"the optics of the scan are not known ({error.where}: {why})"
