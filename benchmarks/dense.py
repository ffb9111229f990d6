"""From stored pictures to candidates: tiles a second by density, with all networks and with one.

    python benchmarks/dense.py -o results

Foils of the preset experiment are simulated at each density. On half of them, of all densities
together, the shipped experts are distilled into one network. The other half measures: seconds of
the search, and of scoring with the shipped experts and with the one network, on all cores, after a
first search and scoring that load and compile everything; and the signal efficiency of both models
at exactly 1 false candidate per tile, over all candidates, beside that of the same candidates in
random order. Intervals are 95 %, over tiles. The load of the machine is printed, because times mean
little on a busy one.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from etchscope.evaluation import Figure, efficiency_at_rate
from etchscope.files import read_table
from etchscope.run import find, simulate
from etchscope.run.distilling import distil
from etchscope.run.experts import SHIPPED
from etchscope.run.search import search_of_run
from etchscope.run.stages.scoring import score
from etchscope.simulation import SimulatedScan, preset, with_parameters
from etchscope.store import Store, read_model

TILES = {10: 24, 100: 12, 1000: 6, 3000: 4}
"""Tiles of each foil by background pits per tile."""
MODELS = ("shipped", "distilled")


def make_foil(density: int, seed: int) -> SimulatedScan:
    (scan,) = preset("experiment", seed=seed + density, columns=TILES[density], rows=1)
    return replace(
        with_parameters(scan, {"fragments.per_tile": float(density)}), foil=f"d{density}-{seed}"
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.monotonic()
    done = work()
    return time.monotonic() - begun, done


def efficiency(store: Store, run: str, truth: Any) -> tuple[Figure, float]:
    """Return the efficiency at 1 false candidate per tile, and that in random order."""
    search, _ = search_of_run(store, run, truth, signal="hip", valid_only=False)
    true = int(search.is_true.sum())
    false = len(search.score) - true
    kept = min(search.tiles / false, 1.0) if false else 1.0
    return efficiency_at_rate(search, 1.0), kept * true / search.particles


def measure(store: Store, foil: SimulatedScan, truth: Any) -> dict[str, Any]:
    """Return the times and efficiencies on one foil."""
    name, tiles = foil.scan.name, len(foil.scan.tiles)
    out: dict[str, Any] = {"tiles": tiles}
    store.runs.remove([find(store, name).run])
    seconds, found = timed(lambda: find(store, name))
    out |= {"pits per tile": found.pits / tiles, "find": tiles / seconds}
    for model in MODELS:
        store.runs.remove([score(store, name, model).run])
        again, done = timed(lambda model=model: score(store, name, model))
        out[f"score, {model}"] = tiles / again
        out[f"whole, {model}"] = tiles / (seconds + again)
        figure, chance = efficiency(store, done.run, truth)
        out[f"efficiency, {model}"] = [round(100 * v, 1) for v in figure]
        out[f"chance, {model}"] = round(100 * chance, 1)
    return out


def describe(
    rows: dict[int, dict[str, Any]], repeats: dict[str, Any], seconds: float, seed: int, load: float
) -> dict[str, Any]:
    """Return the figures as results.py reads them."""
    speed = [
        [
            f"{density:,}",
            *(round(row[k], 2) for k in ("find", *(f"score, {m}" for m in MODELS))),
            *(round(row[f"whole, {m}"], 2) for m in MODELS),
        ]
        for density, row in rows.items()
    ]
    loss = [
        [
            f"{density:,}",
            *(v for m in MODELS for v in (row[f"efficiency, {m}"], row[f"chance, {m}"])),
        ]
        for density, row in rows.items()
    ]
    columns = ["background pits per tile"]
    return {
        "command": "python benchmarks/dense.py -o results",
        "seed": f"{seed}, plus the density, and plus 500 for the foils that measure",
        "version": "0.1.0 (unreleased)",
        "machine": f"{os.cpu_count()} cores, load {load:.1f} at the end",
        "date": time.strftime("%Y-%m-%d"),
        "about": "From stored pictures to candidates, foils of the preset experiment with ten "
        "pictures of 640 × 480 pixels per tile, on all cores, with the experts of the package and "
        "with one network that was distilled from them on other foils of the same densities. "
        "Efficiencies are at exactly 1 false candidate per tile, over all candidates, valid or "
        "not; chance is that of the same candidates in random order. Intervals are 95 %, over "
        "tiles.",
        "values": {**repeats, "seconds": round(seconds)},
        "tables": {
            "speed": {
                "columns": [
                    *columns,
                    "search (tiles/s)",
                    "scoring (tiles/s)",
                    "scoring, distilled (tiles/s)",
                    "whole (tiles/s)",
                    "whole, distilled (tiles/s)",
                ],
                "rows": speed,
            },
            "loss": {
                "columns": [
                    *columns,
                    "efficiency (%)",
                    "by chance (%)",
                    "distilled: efficiency (%)",
                    "by chance (%)",
                ],
                "rows": loss,
            },
        },
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--densities", type=int, nargs="+", default=list(TILES), choices=TILES)
    parser.add_argument("--seed", type=int, default=51_000)
    parser.add_argument("-o", "--output", type=Path, help="folder for dense.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="etchscope-dense-") as folder:
        store = Store.create(Path(folder) / "store")
        store.models.save("shipped", *read_model(SHIPPED))
        foils = {d: [make_foil(d, given.seed + k) for k in (0, 500)] for d in given.densities}
        paths = simulate(
            [one for pair in foils.values() for one in pair], Path(folder), store=store
        )
        truths = dict(
            zip([one.foil for pair in foils.values() for one in pair], paths, strict=True)
        )
        learnt = [pair[0].scan.name for pair in foils.values()]
        for name in learnt:
            find(store, name)
        seconds, done = timed(
            lambda: distil(
                store,
                "shipped",
                learnt,
                most=8000,
                seed=given.seed,
                device="cpu",
                watch=lambda *_: lambda _: None,
            )
        )
        store.models.save("distilled", *done.model.to_record())
        print(f"distilled in {seconds:.0f} s: {done.resemblance.to_record()}", flush=True)
        rows = {}
        for density, (_, foil) in foils.items():
            rows[density] = measure(store, foil, read_table(truths[foil.foil]))
            print(density, json.dumps(rows[density]), flush=True)
    load = os.getloadavg()[0]
    print(f"load {load:.1f} on {os.cpu_count()} cores")
    if given.output is not None:
        record = describe(rows, done.resemblance.to_record(), seconds, given.seed, load)
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "dense.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
