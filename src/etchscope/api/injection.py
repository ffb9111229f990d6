"""Injection: what a search would have found of signal in the user's own pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from etchscope.api.given import File
from etchscope.api.kept import OfStore
from etchscope.foil import BadInput, Device
from etchscope.progress import Progress, watch_steps

if TYPE_CHECKING:
    from distributed import Client

    from etchscope.background.report import InjectionReport
    from etchscope.background.signal import SignalPopulation
    from etchscope.preselect import FindSettings

__all__ = ["InjectionSteps", "signal_of"]


def signal_of(
    store: OfStore,
    scan: str,
    *,
    z_over_beta: tuple[float, float] | None = None,
    v: tuple[float, float] | None = None,
    max_zenith_deg: float | None = None,
) -> "SignalPopulation":
    """Return the population of signal with Z/β or V between two values.

    Parameters
    ----------
    scan : whose foil states the material, for Z/β.
    z_over_beta, v : lowest and highest value, one of the two; the default V unless given.
    max_zenith_deg : largest angle to the normal of the foil.

    Raises
    ------
    BadInput : both are given, a value is out of range, or the material has no response curve.
    """
    from etchscope.background.signal import SignalPopulation

    given = {} if max_zenith_deg is None else {"max_zenith_deg": max_zenith_deg}
    if z_over_beta is not None and v is not None:
        raise BadInput("signal", "a range of Z/β or of V", "both")
    if z_over_beta is not None:
        foil = store.kept.scans.get(scan).foil
        material = next(f.material for f in store.kept.scans.foils() if f.name == foil)
        return SignalPopulation.of_charges(*z_over_beta, material, **given)
    if v is not None:
        given |= {"v_low": v[0], "v_high": v[1]}
    return SignalPopulation(**given)


class InjectionSteps(OfStore):
    """What is done with injected signal."""

    def inject(
        self,
        scan: str,
        folder: File | None = None,
        *,
        signal: "SignalPopulation | None" = None,
        tiles: int = 100,
        particles_per_tile: int | None = None,
        seed: int = 0,
        model: str | None = None,
        control: str | None = None,
        settings: "FindSettings | None" = None,
        finder: File | None = None,
        tolerance_px: float = 6.0,
        workers: int | None = None,
        executor: "str | Client" = "threads",
        device: Device = "auto",
        progress: Progress = False,
    ) -> "InjectionReport":
        """Put signal into copies of a scan's tiles, search them, and return what was found of it.

        The scan and its pictures stay as they are. The copies are a scan of the store of their own,
        which no training and no calibration uses.

        Parameters
        ----------
        folder : gets tables, figures and a JSON file.
        signal : that is drawn, see ``signal_of``.
        tiles : number of tiles, spread over the densities of the foil.
        particles_per_tile : most particles on a tile; as many as 10, but no more openings than a
            tenth of the pits of the tile, unless that is fewer than two particles.
        seed : of places, particles and noise.
        model : of the store, whose working point selects; without one, pairs are counted.
        control : a scan without signal, from which false candidates are counted.
        settings, finder, workers, executor, device : see ``find``; the settings are those of the
            scan's latest search unless given.
        tolerance_px : largest distance of a find from the place of an injected pit.

        Raises
        ------
        UnknownScan, UnknownModel : the store has no such scan or model.
        BadInput : an injected scan, no scale, no positions, too few pits, an unknown thickness or
            removed bulk of the foil, or more particles than the foil has pits.
        MachineFailed : the disk is full, or a worker process was lost.
        """
        from etchscope.run.injection import inject

        with watch_steps(progress) as shown:

            def watched(what: str, total: int) -> Any:
                return lambda done: shown(what, done, total)

            report = inject(
                self.kept,
                scan,
                population=signal,
                tiles=tiles,
                per_tile=particles_per_tile,
                seed=seed,
                model=model,
                control=control,
                settings=settings,
                finder=None if finder is None else Path(finder),
                tolerance_px=tolerance_px,
                workers=workers,
                executor=executor,
                device=device,
                watch=watched,
            )
        if folder is not None:
            from etchscope.pages.injection import write_injection

            write_injection(report, Path(folder))
        return report

    def injected_pits(self, scan: str) -> pd.DataFrame:
        """Return the true pits of an injected scan as a pit table, flagged as injected.

        Raises
        ------
        UnknownScan : the store has no such scan.
        BadInput : the scan is not an injected one.
        """
        from etchscope.run.injected import injected_pits

        return injected_pits(self.kept, scan)
