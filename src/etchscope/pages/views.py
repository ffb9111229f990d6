"""The entries of a contact sheet of candidates, gathered from a store."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from etchscope.ensemble import Model
from etchscope.foil.types import Floats
from etchscope.learn import Patches, compute_saliency
from etchscope.pages.candidates import CandidateView
from etchscope.run import normalisation_of
from etchscope.run.patches import cut_scan
from etchscope.store import Store

__all__ = ["gather_views"]


def gather_views(
    store: Store, table: pd.DataFrame, *, progress: Callable[[int], None] | None = None
) -> list[CandidateView]:
    """Return the views of candidates of scored runs, ranked in the order of the table.

    Parameters
    ----------
    table : rows of scored pit tables.
    progress : called with the number of candidates just gathered.

    Raises
    ------
    BadInput : a run was not scored, or its model is not in the store any more.
    """
    table = table.reset_index(drop=True)
    views: dict[int, CandidateView] = {}
    for run, some in table.groupby("run", sort=False):
        record = store.runs.score_record(str(run))
        model = Model.from_record(*store.models.load(record.model.name))
        scan = store.scans.get(record.scan)
        normalisation = normalisation_of(store, scan)
        cut = cut_scan(store, scan, normalisation, some, size=model.size, scale=record.planes_scale)
        for rows, patches in cut:
            for place, view in zip(
                some.index[rows], _of_patches(model, patches, some.iloc[rows]), strict=True
            ):
                views[int(place)] = view(int(place) + 1)
            if progress is not None:
                progress(len(rows))
    return [views[k] for k in sorted(views)]


def _of_patches(
    model: Model, patches: Patches, rows: pd.DataFrame
) -> list[Callable[[int], CandidateView]]:
    votes_of = model.votes(patches)
    salient_kinds = [
        k for k in model.combiner.kinds if model.signal in k.classes and len(k.groups) == 2
    ]
    salient = None
    if salient_kinds:
        total = [compute_saliency(model.experts[k.name], patches) for k in salient_kinds]
        salient = np.mean(total, axis=0)
    lamps = tuple(f"{a:g}°" for a in patches.lights.azimuths_deg)
    names = (*lamps, *patches.lights.others)[: patches.lights.pictures]

    def make_view(n: int) -> Callable[[int], CandidateView]:
        votes = {k.name: _vote(k.groups, votes_of[k.name][n]) for k in model.combiner.kinds}
        row = {str(k): v for k, v in rows.iloc[n].to_dict().items()}
        own = None if salient is None else salient[n]
        shown = patches.pixels[n, : len(names)]
        # The plane of a light that the scan lacks is 0 everywhere.
        there = [k for k in range(len(names)) if not patches.lights.are_planes or shown[k].any()]
        some = tuple(names[k] for k in there)
        return lambda rank: CandidateView(rank, row, shown[there], some, votes, own)

    return [make_view(n) for n in range(len(patches))]


def _vote(groups: tuple[tuple[str, ...], ...], logits: "Floats | Any") -> tuple[str, float]:
    """Return the group that an expert votes for, and its margin: the log odds to the next group."""
    names = ["/".join(group) for group in groups]
    if np.ndim(logits) == 0:
        return names[0 if logits > 0 else 1], abs(float(logits))
    order = np.argsort(logits)[::-1]
    return names[int(order[0])], float(logits[order[0]] - logits[order[1]])
