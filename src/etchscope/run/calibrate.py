"""Calibrate a model on scored scans with known signal, such as simulations of a user's scan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from etchscope.ensemble import Model, WorkingPoint, fit_calibration, gather_measures
from etchscope.foil import NotScored
from etchscope.foil.types import Bools
from etchscope.run.search import search_of_run
from etchscope.store import Store

__all__ = ["KnownRun", "calibrated", "known_candidates"]

_TOLERANCE_PX = 6.0


@dataclass(frozen=True)
class KnownRun:
    """A scored run, and all true signal of its scan.

    Parameters
    ----------
    truth : see ``search_of_run``.
    where : name of the truth for an error.
    """

    run: str
    truth: pd.DataFrame
    where: str


def known_candidates(
    store: Store, known: Sequence[KnownRun], *, signal: str, tolerance_px: float
) -> tuple[pd.DataFrame, Bools]:
    """Return the measures of all candidates of some runs, and which are signal, (n,) bool.

    Parameters
    ----------
    signal : class of the signal.
    tolerance_px : largest distance of a true candidate from a true opening.

    Raises
    ------
    NotScored : a run did not keep the scores of the experts.
    BadInput : a truth without the signal, or an injected scan.
    """
    measures, is_signal = [], []
    for one in known:
        store.injections.refuse(store.runs.record(one.run).scan, "calibration")
        judged = store.runs.judged(one.run)
        if judged is None:
            raise NotScored(f"run {one.run}", "the score of the experts for each pit", "none")
        _, candidates = search_of_run(
            store,
            one.run,
            one.truth,
            signal=signal,
            tolerance_px=tolerance_px,
            valid_only=False,
            where=one.where,
        )
        pits = store.runs.pits(one.run)
        experts = judged.set_index("pit")["score"].reindex(pits["pit"]).to_numpy(np.float64)
        experts = np.where(pits["length_px"].notna(), np.nan, experts)
        of_pits = gather_measures(pits, experts).set_axis(pits["pit"])
        measures.append(of_pits.loc[candidates["pit"]])
        is_signal.append(candidates["is_true"].to_numpy(bool))
    return pd.concat(measures, ignore_index=True), np.concatenate(is_signal)


def calibrated(
    store: Store, model: Model, known: Sequence[KnownRun], *, tolerance_px: float = _TOLERANCE_PX
) -> Model:
    """Return the model with a calibration fitted to the candidates of runs with known signal.

    The old working point held for other scores; it is set to even odds until one is chosen.

    Raises
    ------
    BadInput : see ``known_candidates``; or too few candidates.
    """
    measures, is_signal = known_candidates(
        store, known, signal=model.signal, tolerance_px=tolerance_px
    )
    runs = ", ".join(one.run for one in known)
    true = f"{is_signal.sum()} of them {model.signal}"
    calibration = fit_calibration(
        measures, is_signal, fitted_on=f"{len(is_signal)} candidates, {true}, {runs}"
    )
    point = WorkingPoint.of_one(0.0, "even odds", "nothing")
    return replace(model, calibration=calibration, working_point=point)
