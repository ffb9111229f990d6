"""Distil a model of a store on the finds of its scans."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from etchscope.ensemble import Distilled, Model, distil_model
from etchscope.ensemble.distil import EPOCHS
from etchscope.foil import BadInput, Device, Scan
from etchscope.foil.types import Ints
from etchscope.imaging import Lighting
from etchscope.learn import join_patches
from etchscope.run.constants import normalisation_of
from etchscope.run.patches import cut_scan, scale_of
from etchscope.run.results import choose_runs
from etchscope.store import Store

__all__ = ["distil"]

_HELD_OUT = 0.2
"""Share of a scan that is held out: a strip at one end of its longer side."""

Watch = Callable[[str, int], Callable[[int], Any]]
"""From the name of some work and the number of its steps to what is called with steps done."""


def distil(
    store: Store,
    name: str,
    scans: Sequence[str],
    *,
    most: int,
    seed: int,
    device: Device,
    watch: Watch,
) -> Distilled:
    """Return the distilled model of a model of the store.

    Half of the finds, as far as there are as many, have a partner, since only these can be signal.

    Parameters
    ----------
    name : of the model.
    scans : searched scans, of the same lights.
    most : greatest number of finds, of all scans together; a patch takes some 40 kB of memory.
    seed : of the drawn finds, and of the weights.
    device : where networks are computed and trained.

    Raises
    ------
    UnknownModel, UnknownScan : the store has no such model or scan.
    NotSearched : a scan was not searched.
    BadInput : an injected or compressed scan, scans of different lights, or too few finds or tiles.
    """
    model = Model.from_record(*store.models.load(name))
    described = [store.scans.get(scan) for scan in scans]
    for one in scans:
        store.injections.refuse(one, "distillation")
        store.compressions.refuse(one, "distillation")
    _require_same_lights(described)
    rng = np.random.default_rng(seed)
    patches, held_out = [], []
    done = watch("Cutting patches", len(scans))
    for scan in described:
        pits = store.runs.pits(choose_runs(store, scan=scan.name)[0])
        chosen = pits.loc[_draw(pits, most // len(scans), rng)].reset_index(drop=True)
        scale = scale_of(pits) if model.lights.are_planes else None
        is_held_out = _is_held_out(scan)
        for _, some in cut_scan(
            store, scan, normalisation_of(store, scan), chosen, size=model.size, scale=scale
        ):
            patches.append(some)
            held_out.append(np.full(len(some), is_held_out[int(some.region[0])]))
        done(1)
    if not patches:
        raise BadInput(", ".join(scans), "finds", "none", hint="Search more tiles first.")
    return distil_model(
        model,
        join_patches(patches),
        Lighting.of_scan(described[0]),
        held_out=np.concatenate(held_out),
        seed=seed,
        device=device,
        progress=watch(f"Distilling {name}", EPOCHS),
    )


def _require_same_lights(scans: Sequence[Scan]) -> None:
    first, *others = scans
    for scan in others:
        if (scan.channels, scan.gradient_sign) != (first.channels, first.gradient_sign):
            expected = f"the lights of scan {first.name}"
            hint = "Distil one model for each set of lights."
            raise BadInput(f"scan {scan.name}", expected, "other lights", hint=hint)


def _draw(pits: pd.DataFrame, most: int, rng: np.random.Generator) -> Ints:
    """Return the rows of some finds, in their order; half of them have a partner."""
    usable = np.flatnonzero(pits["length_px"].isna())
    order = rng.permutation(usable)
    has_partner = pits["partner"].notna().to_numpy()[order]
    paired, single = order[has_partner], order[~has_partner]
    few = min(len(paired), len(single), most // 2)
    first = paired if len(paired) > len(single) else single
    other = single if len(paired) > len(single) else paired
    return np.sort(np.concatenate([other[:few], first[: most - few]]))


def _is_held_out(scan: Scan) -> dict[int, bool]:
    """Return tile → whether it lies in the strip that is held out, as its neighbours then do."""
    numbers = np.array([t.number for t in scan.tiles])
    places = np.array([(t.stage_x_mm, t.stage_y_mm) for t in scan.tiles], np.float64)
    if np.isnan(places).any():
        places = numbers[:, None].astype(np.float64)
    along = places[:, np.ptp(places, axis=0).argmax()]
    different = np.unique(along)
    cut = different[min(round(len(different) * (1 - _HELD_OUT)), len(different) - 1)]
    return dict(zip(numbers.tolist(), (along >= cut).tolist(), strict=True))
