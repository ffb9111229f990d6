"""Fission tracks in apatite, another detector: an expert trained on boxes that a person drew.

    python benchmarks/apatite.py ../shared/data/apatite -o DIR

DIR gets a figure. The data are 50 micrographs in transmitted light with YOLO boxes, from three
samples, which are one scan each. A fifth of the pictures of each sample, chosen with a fixed seed,
is the test. The boxes of the others are imported as labels of `track`, with a taxonomy of their
own; each box labels the find nearest to its centre. Finds outside all boxes are labels of `ground`.
One expert is trained on them, over folds of whole pictures. A find of a training picture is scored
by the expert that was not trained on the picture, and a find of a test picture by the mean of all
experts.

The training of the shipped finder included 32 of the pictures of split 0 that are not in its test,
and its classifiers were fitted on 4 more.

For comparison, the same finds are ranked by the finder alone and by contrast alone, and those of
blob_log of scikit-image by its response. Of all lists the best find of each place is kept. The
reach of a place and the least score are those with the best F1 on the training pictures; the test
pictures are not used for any choice. A find is true if its centre lies in a box, in the largest
one-to-one matching. Chance is the same list shifted by 60 and 120 px, without the finds that leave
the picture. Intervals are 95 % and take boxes as independent, although those of one picture are
not.

The time is printed after the training, after the blobs and at the end.
"""

import argparse
import math
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from apatite_experts import (
    SAMPLES,
    SETTINGS,
    add_ground,
    choose_test_pictures,
    list_finds,
    make_store,
    score_finds,
)
from apatite_lists import (
    HALF,
    XY,
    Boxes,
    Cut,
    draw,
    measure,
    measure_chance,
    print_row,
    read_boxes,
    tune_cut,
)
from etchscope.run import normalisation_of
from etchscope.store import Store

SIGMAS = ((1.0, 3.0), (1.0, 4.0), (1.0, 6.0), (2.0, 4.0), (2.0, 6.0), (3.0, 6.0))
LEAST_RESPONSE = 0.1  # a third of the best value


def find_blobs(picture: np.ndarray, sigmas: tuple[float, float], name: str) -> pd.DataFrame:
    """Return the finds of blob_log on one picture with its response."""
    from skimage.feature import blob_log

    low, high = sigmas
    number = math.ceil((high - low) / 2) + 1
    found = blob_log(picture, low, high, number, threshold=LEAST_RESPONSE, overlap=1)
    y, x = found[:, :2].astype(int).T
    score = np.zeros(len(found))
    for sigma in np.unique(found[:, 2]):
        own = found[:, 2] == sigma
        response = -(sigma**2) * ndimage.gaussian_laplace(picture, sigma)
        score[own] = response[y[own], x[own]]
    half = np.sqrt(2) * found[:, 2]
    columns = {"picture": name, "x_px": x, "y_px": y, "half_x_px": half, "half_y_px": half}
    return pd.DataFrame({**columns, "score": score})


def find_all_blobs(
    store: Store, pool: ProcessPoolExecutor
) -> dict[tuple[float, float], pd.DataFrame]:
    """Return for each pair of sigmas the blobs of all pictures, normalised as for the finder."""
    running: dict[tuple[float, float], list] = {sigmas: [] for sigmas in SIGMAS}
    for sample in SAMPLES:
        normalisation = normalisation_of(store, store.scans.get(sample))
        for number, source in store.scans.sources(sample).items():
            picture = -normalisation.apply(store.scans.read_tile(sample, number))[0]
            for sigmas, futures in running.items():
                futures.append(pool.submit(find_blobs, picture, sigmas, Path(source[0]).stem))
    return {s: pd.concat([f.result() for f in r], ignore_index=True) for s, r in running.items()}


def name_lists(
    finds: pd.DataFrame, each: list[np.ndarray], blobs: dict[tuple[float, float], pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Return all lists of finds by name, with their scores."""
    columns = ["picture", *XY, *HALF]
    lists = {
        f"expert, seed {seed}": finds[columns].assign(score=scores)
        for seed, scores in enumerate(each)
    }
    lists["finder alone"] = finds[columns].assign(score=finds["hip"])
    lists["contrast alone"] = finds[columns].assign(score=finds["contrast"])
    lists |= {f"blob_log, sigma {a:g} to {b:g}": table for (a, b), table in blobs.items()}
    return lists


def leave_out_blobs(lists: dict[str, pd.DataFrame], best: dict[str, tuple[float, Cut]]) -> None:
    """Remove all lists of blob_log but the one that is best in training."""
    by_blobs = [name for name in lists if name.startswith("blob_log")]
    for name in sorted(by_blobs, key=lambda name: -best[name][0])[1:]:
        print(f"{name}: F1 {100 * best[name][0]:.1f} in training, left out")
        del lists[name]


def print_finds(boxes: Boxes, train: list[str], test: list[str], finds: pd.DataFrame) -> None:
    """Print how many boxes have a find, in training and in test."""
    print(f"{len(train)} pictures in training, {len(test)} in test: {', '.join(test)}")
    for names in (train, test):
        recall, _ = measure(boxes, names, finds)
        by_chance, _ = measure_chance(boxes, names, finds)
        print(
            f"{recall.trials} boxes, {int(finds['picture'].isin(names).sum())} finds: one in "
            f"{recall} of the boxes at most, by chance {100 * by_chance:.1f} %"
        )


def print_lists(
    lists: dict[str, pd.DataFrame],
    best: dict[str, tuple[float, Cut]],
    boxes: Boxes,
    train: list[str],
    test: list[str],
) -> dict[str, pd.DataFrame]:
    """Print recall and precision of each list; return the finds that are kept."""
    kept = {}
    for name, table in lists.items():
        f1, cut = best[name]
        kept[name] = cut.of(table)
        print(f"{name}: best of {cut.reach_px:g} px, from {cut.least:.3g}, F1 {100 * f1:.1f}")
        print_row("  in training", boxes, train, kept[name])
        print_row("  test", boxes, test, kept[name])
    first = next(iter(kept))
    for sample in SAMPLES:
        own = [name for name in test if name.startswith(sample)]
        print_row(f"{first}, {sample}", boxes, own, kept[first])
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--finder", choices=list(SETTINGS), default="learned")
    parser.add_argument("--seeds", type=int, default=3, help="of trainings")
    parser.add_argument("--split", type=int, default=0, help="seed of the choice of test pictures")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    begin = time.perf_counter()
    options.output.mkdir(parents=True, exist_ok=True)
    pictures = sorted(options.folder.glob("*.jpg"))
    chosen = choose_test_pictures(pictures, options.split)
    test = sorted(chosen)
    train = sorted(p.stem for p in pictures if p.stem not in chosen)
    boxes = read_boxes(pictures)
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool,
    ):
        store = make_store(Path(folder) / "store", pictures, chosen, options.finder)
        finds = list_finds(store, boxes)
        add_ground(store, finds[finds["picture"].isin(train)])
        each = score_finds(store, finds, options.seeds, pool)
        print(f"trained and scored after {time.perf_counter() - begin:.0f} s", flush=True)
        blobs = find_all_blobs(store, pool)
        print(f"blobs after {time.perf_counter() - begin:.0f} s", flush=True)
        tune = partial(pool.submit, tune_cut, boxes, train)
        lists = name_lists(finds, each, blobs)
        running = {name: tune(table) for name, table in lists.items()}
        best = {name: future.result() for name, future in running.items()}
    leave_out_blobs(lists, best)
    print_finds(boxes, train, test, finds)
    kept = print_lists(lists, best, boxes, train, test)
    first = next(iter(kept))
    shown = [
        next(p for p in pictures if p.stem in chosen and p.stem.startswith(s)) for s in SAMPLES
    ]
    title = "boxes found (green) and missed (orange); finds true (cyan +) and false (red x)"
    draw(options.output / "apatite.png", shown, boxes, kept[first], f"{first}: {title}")
    print(f"{options.output / 'apatite.png'}; {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
