"""Calibrate a model on scored scans whose signal is known, as simulated twins of a user's own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from etchscope.ensemble import Model, WorkingPoint, fit_calibration, measures_of
from etchscope.foil import BadInput
from etchscope.run.search import search_of_run
from etchscope.store import Store

__all__ = ["KnownRun", "calibrated"]


@dataclass(frozen=True)
class KnownRun:
    """A scored run, and all true signal of its scan, see ``search_of_run``; ``where``: its name."""

    run: str
    truth: pd.DataFrame
    where: str


def calibrated(
    store: Store, model: Model, known: Sequence[KnownRun], *, tolerance_px: float
) -> Model:
    """Return the model with a calibration fitted on the candidates of runs whose signal is known.

    Its working point was that of other scores, and is put to even odds until one is chosen.

    Raises
    ------
    BadInput : a run that kept nothing of what experts said, a truth without the signal, or too few
        candidates.
    """
    measures, is_signal = [], []
    for one in known:
        judged = store.read_judged(one.run)
        if judged is None:
            hint = "Repeat `etchscope run`."
            raise BadInput(f"run {one.run}", "what experts said of each pit", "none", hint)
        _, candidates = search_of_run(
            store,
            one.run,
            one.truth,
            signal=model.signal,
            tolerance_px=tolerance_px,
            valid_only=False,
            where=one.where,
        )
        pits = store.read_pits(one.run)
        experts = judged.set_index("pit")["score"].reindex(pits["pit"]).to_numpy(np.float64)
        experts = np.where(pits["length_px"].notna(), np.nan, experts)
        told = measures_of(pits, experts).set_axis(pits["pit"])
        measures.append(told.loc[candidates["pit"]])
        is_signal.append(candidates["is_true"].to_numpy(bool))
    every = np.concatenate(is_signal)
    runs = ", ".join(one.run for one in known)
    calibration = fit_calibration(
        pd.concat(measures, ignore_index=True),
        every,
        fitted_on=f"{len(every)} candidates, {every.sum()} of them {model.signal}, {runs}",
    )
    point = WorkingPoint.of_one(0.0, "even odds", "nothing")
    return replace(model, calibration=calibration, working_point=point)
