"""Accuracy, reliability and speed of the training of experts, with the labels of the experiment.

    python benchmarks/learn.py --network equivariant --seeds 10
    python benchmarks/learn.py --network each-lamp one-lamp plain azimuth boosted --seeds 2
    python benchmarks/learn.py --time

A simulated foil is searched, and each find within 6 px of an opening gets the label of the opening:
259 hip, 199 top, 811 bottom and 80 misc (a pair counts at its entry pit, and maybe is no training
target). Experts are cross-validated over five folds of whole tiles. The script prints the balanced
accuracy with its spread over folds and seeds, the number of trainings that failed, and the
efficiency for signal at 1 % false positives with its 95 % interval. With `--time` it prints
only the time of a training, of the shipped trainings, and of scoring.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from sklearn.metrics import balanced_accuracy_score

from boosted import cross_validate_boosted
from etchscope.ensemble import Labelled, default_kinds
from etchscope.evaluation import proportion
from etchscope.foil import BadInput
from etchscope.ingest import LabelDefaults, import_labels
from etchscope.learn import (
    CrossValidation,
    Patches,
    Training,
    cross_validate,
    measure_efficiency_at,
    set_threads,
    train_expert,
)
from etchscope.run import find, simulate
from etchscope.run.labelled import labelled_pits
from etchscope.run.patches import labelled_patches
from etchscope.simulation import SimulatedScan, preset
from etchscope.store import Store

TOLERANCE_PX = 6.0
MIX = {"hip": 259, "top": 199, "bottom": 811, "misc": 80}
TRAININGS = {
    "equivariant": Training(),
    "plain": Training(network="plain"),
    "plain, no turns": Training(network="plain", augmentation="none"),
    "plain, C8": Training(network="plain", augmentation="C8"),
    "lamps only": Training(network="plain", lights="lamps"),
    "one-lamp": Training(network="plain", lights="one"),
    "each-lamp": Training(network="each-lamp"),
    "azimuth": Training(network="azimuth"),
}
"""The training of each kind of expert; ``one-lamp`` is a 2-D network on one direction of light."""
BOOSTED = "boosted"
"""Gradient-boosted trees on measured features, as a baseline."""


def label_foil(scan: SimulatedScan, *, only_found: bool = True) -> Labelled:
    """Return the labels of the finds on a simulated foil, which is searched in a store."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "store")
        (truth,) = simulate([scan], Path(folder) / "truth", store=store)
        find(store, scan.scan.name)
        marks = truth.with_name(truth.name.replace("-truth", "-marks"))
        who = LabelDefaults(who="simulator", source="model", when="2026-01-01")
        import_labels(store, [truth, marks], who)
        pits, _ = labelled_pits(store)
        if only_found:
            pits = [replace(p, table=p.table[p.table["pit"].notna()]) for p in pits]
        return labelled_patches(store, pits)


def make_mix_foil(seed: int, tiles: int = 16) -> SimulatedScan:
    """Return a foil with the notes' label mix."""
    rows = 4
    (scan,) = preset("label-mix", seed=seed, columns=-(-tiles // rows), rows=rows)
    return scan


def is_clear(labelled: Labelled, truth: pd.DataFrame) -> np.ndarray:
    """Return which labels have openings of one particle only within 6 px, (n,) bool."""
    far = 1e6  # px, between tiles
    at, places = (
        np.column_stack([t["x_px"] + far * t["tile"], t["y_px"]]).astype(float)
        for t in (labelled.source, truth)
    )
    particle = truth["particle"].to_numpy()
    near = cKDTree(places).query_ball_point(at, TOLERANCE_PX)
    return np.array([len(set(particle[some])) <= 1 for some in near])


def draw_labels(labelled: Labelled, numbers: dict[str, int], seed: int) -> Labelled:
    """Return so many labels of each class, chosen at random."""
    rng = np.random.default_rng(seed)
    chosen = []
    for name, number in numbers.items():
        own = np.flatnonzero(labelled.label == name)
        if len(own) < number:
            raise BadInput(f"labels of {name}", f"{number} or more", str(len(own)))
        chosen.append(rng.permutation(own)[:number])
    return labelled.take(np.sort(np.concatenate(chosen)))


def _validated(patches: Patches, target: np.ndarray, name: str, seed: int) -> CrossValidation:
    set_threads(1)
    if name == BOOSTED:
        return cross_validate_boosted(patches, target, seeds=(seed,))
    return cross_validate(patches, target, TRAININGS[name], seeds=(seed,))


def measure_at_one_percent(done: Sequence[CrossValidation]) -> str:
    """Return the efficiency at 1 % false positives over the seeds, and the first one's interval."""
    if (~done[0].target).sum() < 100:
        return "too few labels of the second class"
    passed = [measure_efficiency_at(d.scores[0], d.target, 0.01) for d in done]
    shares = [100 * a / b for a, b in passed]
    one = proportion(*passed[0])
    return f"{np.mean(shares):5.1f} % ({min(shares):.1f} to {max(shares):.1f}; first seed {one})"


def print_experts_table(
    labelled: Labelled,
    clear: np.ndarray,
    names: Sequence[str],
    experts: Sequence[str],
    seeds: int,
    workers: int,
) -> None:
    kinds = [kind for kind in default_kinds(tuple(MIX)) if kind.name in experts]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for name in names:
            begin = time.perf_counter()
            running = {}
            for kind in kinds:
                of_kind = np.isin(labelled.label, kind.classes)
                work = partial(
                    _validated,
                    labelled.patches.take(of_kind),
                    kind.target(labelled.label[of_kind]),
                    name,
                )
                running[kind.name] = [pool.submit(work, seed) for seed in range(seeds)]
            for kind in kinds:
                done = [f.result() for f in running[kind.name]]
                alone = clear[np.isin(labelled.label, kind.classes)]
                clear_shares = [
                    balanced_accuracy_score(d.target[alone], d.scores[0, alone] > 0) for d in done
                ]
                folds = pd.concat([d.trainings for d in done])
                accuracy = np.array([d.balanced_accuracy[0] for d in done])
                each = folds["balanced_accuracy"]
                print(
                    f"{name:16s} {kind.name:11s} balanced accuracy {100 * accuracy.mean():.2f} % "
                    f"(rms over seeds {100 * accuracy.std():.2f}; folds {100 * each.min():.1f} to "
                    f"{100 * each.max():.1f}), clear {100 * np.mean(clear_shares):.2f} %; failed "
                    f"{int(folds['failed'].sum())} of {len(folds)}; at 1 % "
                    f"{measure_at_one_percent(done)}",
                    flush=True,
                )
            print(f"{name:16s} {time.perf_counter() - begin:.0f} s", flush=True)


def print_times(labelled: Labelled) -> None:
    """Print the time of one expert, of the shipped 5-fold trainings, and of scoring."""
    set_threads(os.cpu_count() or 1)
    total = 0.0
    for kind in default_kinds(tuple(MIX)):
        of_kind = np.isin(labelled.label, kind.classes)
        some, target = labelled.patches.take(of_kind), kind.target(labelled.label[of_kind])
        begin = time.perf_counter()
        cross_validate(some, target, Training())
        took = time.perf_counter() - begin
        print(f"{kind.name:11s} {len(some)} labels, 5 folds: {took:.1f} s, {took / 5:.1f} s a fold")
        total += took
        if kind.name == "top-bottom":
            print(f"the three experts of pits, 5 folds: {total:.0f} s", flush=True)
    print(f"all four: {total:.0f} s")
    expert = train_expert(
        labelled.patches,
        labelled.label == "hip",
        Training(epochs=1, restarts=0),
        validation=labelled.patches.region % 4 == 0,
        seed=0,
    )
    many = labelled.patches.take(np.arange(3000) % len(labelled.patches))
    expert.scores(many.take(np.arange(256)))
    begin = time.perf_counter()
    expert.scores(many)
    print(f"{len(many) / (time.perf_counter() - begin):.0f} patches scored a second by one network")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", default=[], choices=[*TRAININGS, BOOSTED])
    names = [kind.name for kind in default_kinds(tuple(MIX))]
    parser.add_argument("--experts", nargs="+", default=names, choices=names)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tiles", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--time", action="store_true", help="time trainings on all cores")
    options = parser.parse_args()
    scan = make_mix_foil(2027, options.tiles)
    labelled = label_foil(scan)
    counts = pd.Series(labelled.label).value_counts().to_dict()
    print(f"{len(labelled.label)} labelled finds on {options.tiles} tiles: {counts}")
    labelled = draw_labels(labelled, MIX, 0)
    if options.time:
        print_times(labelled)
    clear = is_clear(labelled, scan.truth())
    print(f"{clear.mean():.1%} of the labels are clear of other particles")
    print_experts_table(
        labelled, clear, options.network, options.experts, options.seeds, options.workers
    )


if __name__ == "__main__":
    main()
