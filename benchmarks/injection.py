"""Efficiency by injection against the truth, on simulated foils whose optics it does not know.

Each foil is photographed twice with the same background: without signal, into which signal is
injected, and with signal, whose true places are known. Both are searched with the same constants.

    python benchmarks/injection.py --random 10 --gradient 3
"""

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.background.efficiency import chance_stages, efficiency_of, reach_stages
from etchscope.background.signal import SignalPopulation
from etchscope.foil import BadInput
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.run.injected import density_at
from etchscope.run.injection import inject
from etchscope.simulation import (
    Density,
    Fragments,
    Hips,
    Population,
    SimulatedScan,
    drop_overlap_copies,
    randomise_scan,
    with_parameters,
)
from etchscope.store import Store, TilePictures
from etchscope.store.injections import Injection

RESULTS = Path(__file__).parent / "results" / "injection.json"
V, ZENITH = 4.0, 35.0
SIGNAL = SignalPopulation(v_low=V - 0.01, v_high=V + 0.01, max_zenith_deg=ZENITH)
TOLERANCE = 6.0
BINS = 4


def gradient_foil(seed, columns, rows):
    """A foil of the reference optics, whose density grows eightfold from left to right."""
    wide = columns * 4.0
    density = Density(gradient_per_mm=7 / wide)
    return SimulatedScan(
        seed, columns, rows, Population(Hips(), Fragments(per_tile=60), density=density), foil="g"
    )


def random_foil(seed, columns, rows):
    """A foil of the randomised simulator, with enough pits to learn from."""
    drawn = randomise_scan(SimulatedScan(seed, columns, rows, foil="r"))
    scale = (drawn.optics.pixel_size_um / 6.4516) ** 2
    per_picture = np.clip(drawn.population.fragments.per_tile * scale, 60, 1000)
    return with_parameters(drawn, {"fragments.per_tile": float(per_picture / scale)})


def with_signal(foil, per_picture):
    """The same foil with isotropic signal, or without any."""
    scale = (foil.optics.pixel_size_um / 6.4516) ** 2
    hips = Hips(per_tile=per_picture / scale, direction="isotropic", max_zenith_deg=ZENITH, v=V)
    return replace(foil, population=replace(foil.population, hips=hips))


def true_particles(foil):
    """Signal whose two openings lie in one tile, each once."""
    truth = foil.truth()
    truth = drop_overlap_copies(truth[truth["class"] == "hip"], foil.optics.image_size)
    top, bottom = (truth[truth["surface"] == s].set_index("particle") for s in ("top", "bottom"))
    both = top.index.intersection(bottom.index)
    top, bottom = top.loc[both], bottom.loc[both]
    same = (top["tile"] == bottom["tile"]).to_numpy()
    top, bottom = top[same], bottom[same]
    return pd.DataFrame(
        {
            "tile": top["tile"].to_numpy(),
            "entry_x_px": top["x_px"].to_numpy(),
            "entry_y_px": top["y_px"].to_numpy(),
            "exit_x_px": bottom["x_px"].to_numpy(),
            "exit_y_px": bottom["y_px"].to_numpy(),
        }
    )


def add(store, foil, name, source=None):
    scan = foil.scan.model_copy(update={"name": name})
    injection = None if source is None else Injection(source, {"x": np.zeros(1)}, {})
    names = ("simulated",) * len(scan.channels)
    store.scans.add(
        scan,
        foil.foil_record,
        lambda n: TilePictures(foil.read_tile(n), names),
        injection=injection,
    )


def compare(foil, folder, *, per_picture, tiles, per_tile, settings):
    """Return a row per stage and bin of density: truth and injection with their intervals."""
    store = Store.create(folder)
    bare, full = with_signal(foil, 0.0), with_signal(foil, per_picture)
    add(store, bare, "bare")
    add(store, full, "full", "bare")  # so that it has the constants of the bare one
    size = foil.optics.image_size
    report = inject(
        store, "bare", population=SIGNAL, tiles=tiles, per_tile=per_tile, settings=settings, seed=1
    )
    run = find(store, "full", settings=settings).run
    own = store.runs.pits(report.source_run)
    true = true_particles(full)
    hit = reach_stages(true, store.runs.pits(run), TOLERANCE)
    chance = chance_stages(true, own, TOLERANCE, size)
    true["density"] = density_at(true, own)
    injected = report.particles.assign(density=report.particles["density_per_mm2"])
    edges = np.quantile(true["density"], np.linspace(0, 1, BINS + 1))
    edges[0], edges[-1] = -np.inf, np.inf
    rows = []
    trusted = report.efficiency().valid
    for stage in hit.columns:
        spread = report.efficiency(stage=stage).spread
        for low, high in [(-np.inf, np.inf), *pairwise(edges)]:
            there = true["density"].between(low, high, inclusive="left").to_numpy()
            here = injected["density"].between(low, high, inclusive="left").to_numpy()
            ones = np.ones(there.sum())
            tile = true["tile"].to_numpy()[there]
            known = efficiency_of(
                hit[stage].to_numpy()[there], chance[stage].to_numpy()[there], ones, tile, ones
            )
            found = efficiency_of(
                report.reached[stage].to_numpy()[here],
                report.chance[stage].to_numpy()[here],
                injected["area_mm2"].to_numpy()[here],
                injected["tile"].to_numpy()[here],
                injected["optics"].to_numpy()[here],
                spread=spread,
            )
            rows.append(
                {
                    "stage": stage,
                    "is_all": bool(np.isinf(low) and np.isinf(high)),
                    "particles": int(there.sum()),
                    "injected": int(here.sum()),
                    "true": [known.value, known.low, known.high],
                    "found": [found.value, found.low, found.high],
                    "spread": found.spread,
                    "misfit": report.misfit,
                    "valid": known.valid and found.valid and trusted,
                }
            )
    return rows


def is_inside(row):
    """Whether the truth lies in the interval, widened by the truth's own half-width."""
    value, low, high = row["found"]
    true, least, most = row["true"]
    below = np.hypot(value - low, most - true)
    above = np.hypot(high - value, true - least)
    return bool(value - below <= true <= value + above)


def clean(value):
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None
    if isinstance(value, list):
        return [clean(v) for v in value]
    if isinstance(value, dict):
        return {k: clean(v) for k, v in value.items()}
    return value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int, default=10)
    parser.add_argument("--gradient", type=int, default=3)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--signal", type=float, default=10.0)
    parser.add_argument("--finder", default="classical")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    settings = FindSettings(finder=given.finder)
    out = {"finder": given.finder, "tiles": given.columns * given.rows, "v": V, "foils": []}
    kinds = [("gradient", gradient_foil, given.gradient), ("random", random_foil, given.random)]
    for kind, make, count in kinds:
        for seed in range(1, count + 1):
            folder, begin = Path(tempfile.mkdtemp()) / "store", time.monotonic()
            foil = make(seed, given.columns, given.rows)
            one = {"kind": kind, "seed": seed}
            try:
                one["bins"] = compare(
                    foil,
                    folder,
                    per_picture=given.signal,
                    tiles=given.columns * given.rows,
                    per_tile=10,
                    settings=settings,
                )
            except BadInput as error:
                one["refused"] = str(error)
            finally:
                shutil.rmtree(folder.parent, ignore_errors=True)
            for row in one.get("bins", ()):
                row["is_inside"] = is_inside(row) if row["valid"] else None
            out["foils"].append(one)
            whole = {
                r["stage"]: (r["true"], r["found"]) for r in one.get("bins", ()) if r["is_all"]
            }
            print(kind, seed, round(time.monotonic() - begin), clean(str(one.get("refused", ""))))
            print(clean({k: [list(a), list(b)] for k, (a, b) in whole.items()}), flush=True)
            given.output.write_text(json.dumps(clean(out), indent=1) + "\n")
    rows = [r for f in out["foils"] for r in f.get("bins", ()) if r["valid"]]
    inside = {
        stage: [sum(r["is_inside"] for r in own), len(own)]
        for stage in ("found", "paired")
        for own in ([r for r in rows if r["stage"] == stage],)
    }
    out["inside"] = inside
    given.output.write_text(json.dumps(clean(out), indent=1) + "\n")
    print(inside)


if __name__ == "__main__":
    main()
