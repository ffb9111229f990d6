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
from importlib.metadata import version
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


def percent(value):
    """A value with its interval in per cent, or a dash."""
    known = [v for v in value if v is not None and np.isfinite(v)]
    return [round(100 * v, 1) for v in value] if len(known) == 3 else "–"


def summarise(foils, given):
    """Return the figures of all foils in the form of benchmarks/results."""
    rows, counts = [], {}
    for foil in foils:
        name = f"{foil['kind']} {foil['seed']}"
        for row in foil.get("bins", ()):
            if row["is_inside"] is not None:
                key = (foil["kind"], row["stage"], "all" if row["is_all"] else "bins")
                hit, of = counts.get(key, (0, 0))
                counts[key] = (hit + row["is_inside"], of + 1)
        whole = {r["stage"]: r for r in foil.get("bins", ()) if r["is_all"]}
        if not whole:
            rows.append([name, *["refused"] * 6])
            continue
        found, paired = whole["found"], whole["paired"]
        figures = [percent(r[k]) for r in (found, paired) for k in ("true", "found")]
        rows.append([name, found["particles"], found["injected"], *figures])
    columns = ["foil", "true", "injected", "found: truth", "found: injection"]
    columns += ["paired: truth", "paired: injection"]
    inside = [[f"{k}, {s}, {w}", hit, of] for (k, s, w), (hit, of) in sorted(counts.items())]
    return {
        "about": "Efficiency by injection against the truth, in % with 95 % intervals, on "
        f"simulated foils of {given.columns * given.rows} tiles. The injection knows thickness, "
        f"removed bulk and scale, and of the optics the pictures only. Finder: {given.finder}.",
        "command": "python benchmarks/injection.py",
        "seed": "1 and following",
        "version": version("etchscope"),
        "machine": given.machine,
        "date": time.strftime("%Y-%m-%d"),
        "tables": {
            "main": {"columns": columns, "rows": rows},
            "inside": {
                "columns": ["foils, stage, bins of density", "inside", "of"],
                "rows": inside,
            },
        },
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int, default=10)
    parser.add_argument("--gradient", type=int, default=3)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--signal", type=float, default=10.0)
    parser.add_argument("--finder", default="classical")
    parser.add_argument("--machine", default="")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    settings = FindSettings(finder=given.finder)
    foils = []
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
            foils.append(one)
            print(kind, seed, round(time.monotonic() - begin), one.get("refused", ""), flush=True)
            given.output.write_text(json.dumps(summarise(foils, given), indent=1) + "\n")


if __name__ == "__main__":
    main()
