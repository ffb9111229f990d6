"""Choose a model's working point on a scored scan whose signal is known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from etchscope.ensemble import Model, WorkingPoint, measure_working_point
from etchscope.evaluation import Proportion, Requirement, Search
from etchscope.foil import BadInput
from etchscope.foil.types import Floats
from etchscope.run.results import find_run_of_model
from etchscope.run.search import search_of_run, tiles_by_density
from etchscope.store import Store

__all__ = ["ChosenPoint", "KnownScan", "choose_working_point"]


@dataclass(frozen=True)
class KnownScan:
    """A scored scan and all its true signal.

    Parameters
    ----------
    truth : see ``search_of_run``.
    where : name of the truth for an error.
    scan : name of the scan; None for the only one that was scored.
    """

    truth: pd.DataFrame
    where: str
    scan: str | None = None


@dataclass(frozen=True)
class ChosenPoint:
    """A working point with the searches that it comes from.

    Parameters
    ----------
    point : the working point.
    run : the run that it was chosen on.
    search, measured : the search for the thresholds, and the search for the figures.
    store, model : where the model was kept, and the model before.
    truth, where, tolerance_px : see ``choose_working_point``.
    """

    point: WorkingPoint
    run: str
    search: Search
    measured: Search
    store: Store
    model: Model
    truth: pd.DataFrame
    where: str
    tolerance_px: float

    @property
    def chance(self) -> Proportion:
        """The efficiency that the same search has by local shifts."""
        return self.measured.chance(self._thresholds)

    @property
    def false_chi2_ndf(self) -> float:
        """Overdispersion of false candidates over tiles, see ``evaluation.overdispersion``."""
        return self.measured.false_chi2_ndf(self._thresholds)

    @property
    def _thresholds(self) -> Floats:
        """Return the threshold of each candidate that was measured, (n,)."""
        density = np.full(len(self.measured.score), np.nan)
        if self.measured.ground is not None:
            density = self.measured.ground.candidates
        return self.point.threshold_at(density)

    def searches_by_density(self) -> dict[str, Search]:
        """Return the search on all tiles, and on thirds of them by density of pits, by name.

        Thirds without signal, or without valid candidates, are left out.
        """
        searches = {f"all {self.search.tiles:g} tiles": self.search}
        for name, tiles in tiles_by_density(self.store, self.run).items():
            try:
                searches[name], _ = search_of_run(
                    self.store,
                    self.run,
                    self.truth,
                    signal=self.model.signal,
                    tolerance_px=self.tolerance_px,
                    only_tiles=tiles,
                    where=self.where,
                )
            except BadInput:
                continue
        return searches


def choose_working_point(
    store: Store,
    name: str,
    asked: Requirement,
    on: KnownScan,
    *,
    measure_on: KnownScan | None = None,
    tolerance_px: float = 6.0,
) -> ChosenPoint:
    """Choose the working point of a model of the store, keep it in the model, and return it.

    Parameters
    ----------
    name : of the model, which must have scored the scans.
    asked : an efficiency or a rate of false candidates.
    on : the scan that the thresholds are chosen on.
    measure_on : another scan for the figures; by default they come from thresholds chosen on one
        half of the tiles and measured on the other half.
    tolerance_px : a candidate closer than this to a true opening is true.

    Raises
    ------
    BadInput : an injected scan, one that the model did not score, the same scan twice, or see
        ``search_of_run`` and ``measure_working_point``.
    """
    model = Model.from_record(*store.models.load(name))

    def search_on(known: KnownScan, run: str) -> Search:
        store.injections.refuse(store.runs.record(run).scan, "working point")
        return search_of_run(
            store,
            run,
            known.truth,
            signal=model.signal,
            tolerance_px=tolerance_px,
            where=known.where,
        )[0]

    run = find_run_of_model(store, name, scan=on.scan)
    search = search_on(on, run)
    chosen_on, other = _words(search, model.signal, run), None
    measured_on = f"{chosen_on}, chosen on one half of the tiles and measured on the other"
    if measure_on is not None:
        other_run = find_run_of_model(store, name, scan=measure_on.scan)
        if other_run == run:
            expected = "another scan than the one to choose on"
            raise BadInput("scan to measure on", expected, other_run)
        other = search_on(measure_on, other_run)
        measured_on = f"{_words(other, model.signal, other_run)}; chosen on {chosen_on}"
    point = measure_working_point(
        search, asked, chosen_by=str(asked), measured_on=measured_on, other=other
    )
    store.models.save(name, *model.at(point).to_record(), replace=True)
    measured = search if other is None else other
    return ChosenPoint(point, run, search, measured, store, model, on.truth, on.where, tolerance_px)


def _words(search: Search, signal: str, run: str) -> str:
    return f"{search.particles} true {signal} on {search.tiles:g} tiles, {run}"
