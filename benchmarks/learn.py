"""How well and how fast experts learn, on the experiment's label mix.

    python benchmarks/learn.py --network equivariant plain --seeds 1

A simulated foil is searched; a find within 6 px of a true opening gets its class as a label, up to
259 hip, 199 top, 811 bottom (a pair counts at its entry pit). Three experts, five folds of
whole tiles: balanced accuracy on the held-out folds, the spread over folds and seeds, the trainings
that failed, the signal's efficiency at 1 % false positives with its 95 % interval, and the time.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from etchscope.evaluate import match_one_to_one, proportion
from etchscope.imaging import Recipe, fit_normalisation
from etchscope.learn import (
    NETWORKS,
    Lights,
    Patches,
    Training,
    cross_validate,
    cut_patches,
    efficiency_at,
    network,
)
from etchscope.run import find, simulate
from etchscope.simulate import SimulatedScan, preset
from etchscope.store import Store

MIX = {"hip": 259, "top": 199, "bottom": 811}
EXPERTS = (("top", "bottom"), ("hip", "top"), ("hip", "bottom"))
TOLERANCE_PX = 6.0


def labelled(scan: SimulatedScan) -> tuple[Patches, np.ndarray]:
    """Return a patch of every find that is a true opening, and its class."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "store")
        simulate([scan], Path(folder) / "truth", store=store)
        found = store.read_pits(find(store, scan.scan.name).run)
        stacks = {t.number: store.read_tile(scan.scan.name, t.number) for t in scan.scan.tiles}
    normalisation = fit_normalisation(stacks.values(), Recipe())
    lights, order = Lights.of_scan(scan.scan)
    truth = scan.truth()
    truth = truth[(truth["class"] != "hip") | (truth["surface"] == "top")]
    pixels, classes, regions = [], [], []
    for number, stack in stacks.items():
        here, there = truth[truth["tile"] == number], found[found["tile"] == number]
        places = [t[["x_px", "y_px"]].to_numpy(float) for t in (here, there)]
        matched = match_one_to_one(*places, TOLERANCE_PX)
        at = places[1][matched.found_index]
        inside = (at > 0).all(1) & (at < [scan.optics.image_size[1] - 1, 479]).all(1)
        tile = normalisation.apply(stack)[order]
        pixels.append(cut_patches(tile, at[inside, 0], at[inside, 1]))
        classes.append(here["class"].to_numpy(str)[matched.truth_index][inside])
        regions.append(np.full(inside.sum(), number))
    together = np.concatenate(pixels)
    region = np.concatenate(regions)
    return Patches(together, lights, region, np.arange(len(region))), np.concatenate(classes)


def mixed(classes: np.ndarray, seed: int) -> np.ndarray:
    """Return which patches make up the experiment's mix."""
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(classes == c))[:n] for c, n in MIX.items()]
    return np.sort(np.concatenate(chosen))


def patches_a_second(name: str, patches: Patches) -> float:
    module = network(name, patches.lights, patches.pixels.shape[2]).eval()
    many = torch.from_numpy(np.tile(patches.pixels, (3, 1, 1, 1))[:3000])
    with torch.inference_mode():
        module(many[:256])
        begin = time.perf_counter()
        for part in torch.split(many, 512):
            module(part)
    return len(many) / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", default=["equivariant"], choices=list(NETWORKS))
    parser.add_argument("--augmentation", default="D4", choices=["none", "C4", "D4", "C8"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--tiles", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(2)
    rows = 4
    (scan,) = preset("label-mix", seed=2027, columns=-(-options.tiles // rows), rows=rows)
    patches, classes = labelled(scan)
    counts = pd.Series(classes).value_counts().to_dict()
    print(f"{len(patches)} labelled finds on {len(scan.scan.tiles)} tiles: {counts}")
    keep = mixed(classes, 0)
    patches, classes = patches.take(keep), classes[keep]
    for name in options.network:
        start = time.perf_counter()
        for first, second in EXPERTS:
            of_two = np.isin(classes, (first, second))
            some, target = patches.take(of_two), classes[of_two] == first
            begin = time.perf_counter()
            training = Training(
                network=name, augmentation=options.augmentation, epochs=options.epochs
            )
            done = cross_validate(some, target, training, seeds=range(options.seeds))
            folds = done.trainings["balanced_accuracy"]
            passed = [efficiency_at(s, target, 0.01) for s in done.scores]
            at = proportion(sum(p[0] for p in passed), sum(p[1] for p in passed))
            print(
                f"{name:12s} {first}-{second:7s} balanced accuracy "
                f"{done.balanced_accuracy.mean():.4f} (folds {folds.min():.3f} to {folds.max():.3f}"
                f", rms {folds.std():.4f}); failed {int(done.trainings['failed'].sum())} of "
                f"{len(folds)}; {first} at 1 % {second}: {at}; "
                f"{(time.perf_counter() - begin) / len(folds):.1f} s a training",
                flush=True,
            )
        print(f"{name:12s} all: {time.perf_counter() - start:.0f} s")
        print(f"{name:12s} {patches_a_second(name, patches):.0f} patches scored a second")


if __name__ == "__main__":
    main()
