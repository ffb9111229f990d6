"""How a model does on foils unlike those it was trained on, and whether `valid` says so.

    python benchmarks/domain.py --tiles 6

One model is trained on ten random foils, another on as many labels of one kind of foil. The score
at which 1 false candidate per tile passes is determined on five more random foils. Then both models
are tested on ten random foils of other seeds, and on foils with one parameter far outside the
ranges of the random foils. Where a model states `valid = false` it selects nothing, and the second
efficiency takes that into account. All foils have the direction of the signal and the thickness of
the reference, because the displacement of exit pits is known before a search and determines the
size of the patches; a pit whose exit pit lies outside its patch looks like a top pit to an expert.
The time is printed.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.evaluation import Search, proportion
from etchscope.foil import BadInput
from etchscope.run.search import search_of_run
from etchscope.run.stages.scoring import score
from etchscope.simulation import SimulatedScan, preset, randomise_scan, with_parameters
from etchscope.store import Store
from search import label_some, simulate_and_search, train_model

LABELS = (25, 20, 40, 15)
"""Number of labels of hip, top, bottom and misc on each of ten foils."""
OUTSIDE: dict[str, dict[str, object]] = {
    "as the reference": {},
    "blurred": {"optics.blur_um": 18.0},
    "larger pixels": {"optics.pixel_size_um": 9.0},
    "noisy": {"optics.read_noise": 15.0},
    "deeper etched": {"sheet.removed_um": 100.0},
    "crowded": {"fragments.per_tile": 3000.0},
    "grazing light": {"optics.elevation_deg": 10.0},
    "rough": {"optics.texture": 0.3},
    "out of focus": {"optics.focus_um": -300.0},
}
"""Parameters outside the ranges of the random foils, by name."""


def make_random_foil(seed: int, tiles: int) -> SimulatedScan:
    (scan,) = preset("reference", seed=seed, columns=3, rows=-(-tiles // 3))
    names = ("direction", "zenith_deg", "spread_deg", "max_zenith_deg")
    fixed = {f"hips.{name}": getattr(scan.population.hips, name) for name in names}
    fixed |= {"hips.per_tile": 10.0, "sheet.thickness_um": scan.sheet.thickness_um}
    scan = with_parameters(randomise_scan(scan), fixed)
    return replace(scan, foil=f"random-{seed}")


def make_reference_foil(name: str, tiles: int, seed: int) -> SimulatedScan:
    (scan,) = preset("reference", seed=seed, columns=3, rows=-(-tiles // 3))
    scan = with_parameters(scan, {"hips.per_tile": 10.0, **OUTSIDE[name]})
    return replace(scan, foil=name.replace(" ", "-"))


def pool_searches(several: Sequence[Search]) -> Search:
    """Return the searches of several foils as one search."""
    values = np.concatenate([s.score for s in several])
    order = np.argsort(-values, kind="stable")
    is_true, chance = (
        np.concatenate([getattr(s, name) for s in several])[order]
        for name in ("is_true", "by_chance")
    )
    numbers = (sum(s.particles for s in several), sum(s.tiles for s in several))
    before = np.cumsum([0, *(len(s.exposure) for s in several)])
    tile, particle_tile = (
        np.concatenate([getattr(s, name) + n for s, n in zip(several, before, strict=False)])
        for name in ("tile", "particle_tile")
    )
    return Search(
        values[order],
        is_true,
        chance,
        *numbers,
        sum(s.area_cm2 for s in several),
        tile[order],
        particle_tile,
        np.concatenate([s.exposure for s in several]),
    )


def search_foil(
    store: Store, scan: SimulatedScan, truth: pd.DataFrame, model: str
) -> tuple[Search, ...]:
    """Score a foil; return its search, and its search where the model is valid."""
    run = score(store, scan.scan.name, model).run
    everywhere, _ = search_of_run(store, run, truth, signal="hip", valid_only=False)
    try:
        valid, _ = search_of_run(store, run, truth, signal="hip")
    except BadInput:  # valid nowhere
        none = {"score": np.zeros(0), "is_true": np.zeros(0, bool), "by_chance": np.zeros(0)}
        valid = replace(everywhere, **none, tile=np.zeros(0, np.int64), ground=None)
    return everywhere, valid


def print_figures(
    name: str, model: str, found: Sequence[tuple[Search, ...]], threshold: float
) -> None:
    """Print the figures of several foils together, everywhere and where the model is valid."""
    everywhere, valid = (pool_searches(some) for some in zip(*found, strict=True))
    share = proportion(len(valid.score), len(everywhere.score))
    false, false_valid = (s.false(threshold) / s.tiles for s in (everywhere, valid))
    print(
        f"{name:20s} {model:9s} efficiency {everywhere.efficiency(threshold)}, chance "
        f"{everywhere.chance(threshold).value:.3f}, {false:.2f} false per tile; valid {share}; "
        f"there {valid.efficiency(threshold)}, {false_valid:.2f} false per tile",
        flush=True,
    )


def print_each(
    scans: Sequence[SimulatedScan],
    truths: Sequence[pd.DataFrame],
    found: Sequence[tuple[Search, ...]],
    threshold: float,
) -> None:
    """Print for each foil its figures at the common score, and at its own for 1 false per tile."""
    for scan, truth, (everywhere, valid) in zip(scans, truths, found, strict=True):
        own, tiles = everywhere.threshold_for(false_per_tile=1), everywhere.tiles
        print(
            f"  {scan.foil}: {len(truth) / tiles:.0f} openings per tile, efficiency "
            f"{everywhere.efficiency(threshold)}, {everywhere.false(threshold) / tiles:.2f} "
            f"false per tile; at its own score {everywhere.efficiency(own)}; with a candidate "
            f"{proportion(int(everywhere.is_true.sum()), everywhere.particles)}; valid "
            f"{proportion(len(valid.score), len(everywhere.score))}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=6, help="a foil")
    options = parser.parse_args()
    tiles, begin = options.tiles, time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store.create(folder / "store")
        training: dict[str, list[str]] = {"random": [], "one kind": []}
        for seed in range(500, 510):
            for kind, scan in (
                ("random", make_random_foil(seed, tiles)),
                (
                    "one kind",
                    replace(make_reference_foil("as the reference", 4, seed), foil=f"kind-{seed}"),
                ),
            ):
                truth = simulate_and_search(scan, store, folder / "training")
                label_some(store, scan, truth, LABELS, seed)
                training[kind].append(scan.scan.name)
        models = {}
        for kind, names in training.items():
            print(f"trained on {kind}:")
            models[kind] = kind.replace(" ", "-")
            train_model(store, names, models[kind])
        print(f"trained after {time.perf_counter() - begin:.0f} s", flush=True)
        foils = {
            "frozen": [make_random_foil(seed, tiles) for seed in range(620, 625)],
            "random, other seeds": [make_random_foil(seed, tiles) for seed in range(720, 730)],
            **{what: [make_reference_foil(what, tiles, 800)] for what in OUTSIDE},
        }
        thresholds = {}
        for what, scans in foils.items():
            truths = [simulate_and_search(scan, store, folder / "test") for scan in scans]
            for kind, model in models.items():
                found = [
                    search_foil(store, scan, truth, model)
                    for scan, truth in zip(scans, truths, strict=True)
                ]
                if what == "frozen":
                    everywhere = pool_searches([f[0] for f in found])
                    thresholds[kind] = everywhere.threshold_for(false_per_tile=1)
                print_figures(what, kind, found, thresholds[kind])
                if what.startswith("random"):
                    print_each(scans, truths, found, thresholds[kind])
        print(f"after {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
