"""Another detector, another shape: fission tracks in apatite, learnt from boxes that a person drew.

    python benchmarks/apatite.py ../shared/data/apatite -o DIR

DIR gets a figure. 50 micrographs in transmitted light with YOLO boxes, three samples of a scan
each. A fifth of each sample's pictures is the test, chosen by a fixed seed. The boxes of the others
are imported as labels of `track`, with a taxonomy of their own: of each box the find of the
pre-selection that is nearest to its centre. Finds that lie in no box are labels of `ground`. One
expert is trained on them, over folds of whole pictures; each find of a training picture is scored
by the expert that did not see the picture, and a find of a test picture by the mean of them all.

The package's own finder was taught with 32 of the pictures of split 0 that are no test among what
it saw, and judged with 4 more.

Beside it: the same finds ranked by what the finder says and by contrast alone, and scikit-image's
blob_log by its response. All lists keep the best of each place. Its reach and the least score are
those of the best F1 on the training pictures; the test pictures are looked at once. A find is true
if its centre lies in a box, one to one, the most pairs that there can be. Chance is the same list
shifted by 60 and 120 px, of which what leaves the picture does not count. Intervals are 95 %, as if
boxes were independent; those of one picture are not.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from etchscope.candidates import best_of_each_place
from etchscope.ensemble import Labelled
from etchscope.evaluation import Proportion, in_box, local_shifts, proportion
from etchscope.foil import Taxonomy, parse_region
from etchscope.ingest import LabelDefaults, Overrides, add_scan, import_labels
from etchscope.ingest.labels import read_yolo_boxes
from etchscope.learn import Expert, Patches, Training, folds, joined, set_threads, train_expert
from etchscope.preselect import FindSettings
from etchscope.run import find, normalisation_of
from etchscope.run.labelled import labelled_pits
from etchscope.run.patches import cut_scan, labelled_patches
from etchscope.store import Store

SAMPLES = ("BC-04", "DUR-G2", "img")
CLASSES = {15: "track"}
TAXONOMY = Taxonomy(
    classes={"track": "signal: a fission track", "ground": "no track"}, no_pit=("ground",)
)
IMAGE_SIZE = (804, 804)
SHIFTED_PX = 6.0  # a tenth of the least shift
WHEN = "2026-01-01"
SETTINGS = {  # lower than usual: faint tracks, and what is none
    "learned": FindSettings(least_probability=0.1),
    "classical": FindSettings(finder="classical", threshold=3.0),
}
TRAINING = Training(network="plain", width=0.5, epochs=8)
PATCH_PX = 48  # holds five of six tracks; binned, since a track is 6 px wide or more
BINNING = 2
GROUND = 100  # labels a picture
FOLDS = 3
REACH_PX = (8.0, 12.0, 16.0, 20.0, 24.0, 28.0)
QUANTILES = np.linspace(0, 0.99, 100)  # of the scores, where the least may lie
SIGMAS = ((1.0, 3.0), (1.0, 4.0), (1.0, 6.0), (2.0, 4.0), (2.0, 6.0), (3.0, 6.0))
LEAST_RESPONSE = 0.1  # a third of what is best
XY, HALF = ["x_px", "y_px"], ["half_x_px", "half_y_px"]
Boxes = dict[str, np.ndarray]


def test_pictures(pictures: Sequence[Path], seed: int) -> set[str]:
    """Return the names of a fifth of each sample's pictures."""
    rng, out = np.random.default_rng(seed), set()
    for sample in SAMPLES:
        own = sorted(p.stem for p in pictures if p.stem.startswith(sample))
        out |= set(rng.permutation(own)[: len(own) // 5].tolist())
    return out


def boxes_of(pictures: Sequence[Path]) -> Boxes:
    """Return name → (n, 4) boxes: left, top, right, bottom in pixels."""
    out = {}
    for path in pictures:
        table = read_yolo_boxes(path.with_suffix(".txt"), CLASSES, IMAGE_SIZE)
        corners = np.array([parse_region(text) for text in table["region_px"]])
        out[path.stem] = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    return out


def searched_store(folder: Path, pictures: Sequence[Path], test: set[str], finder: str) -> Store:
    """Return a store with a searched scan a sample, and the training pictures' boxes as labels."""
    store = Store.create(folder)
    for sample in SAMPLES:
        own = [p for p in pictures if p.stem.startswith(sample)]
        add_scan(store, own, overrides=Overrides(scan=sample, foil=sample))
        find(store, sample, settings=SETTINGS[finder])
    boxes = [p.with_suffix(".txt") for p in pictures if p.stem not in test]
    who = LabelDefaults(who="nachtergaele", when=WHEN, class_map=CLASSES)
    import_labels(store, boxes, who, taxonomy=TAXONOMY)
    return store


def is_inside(boxes: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return which points lie in which boxes, (box, point)."""
    return ((xy >= boxes[:, None, :2]) & (xy <= boxes[:, None, 2:])).all(2)


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which boxes overlap which others by an intersection over union of half, or more."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    both = (high - low).clip(0).prod(2)
    area, other_area = ((b[:, 2:] - b[:, :2]).prod(1) for b in (boxes, others))
    return both >= 0.5 * (area[:, None] + other_area - both)


def paired(related: np.ndarray) -> np.ndarray:
    """Return the point of each box in the largest one-to-one matching, −1 without one."""
    return maximum_bipartite_matching(csr_array(related), perm_type="column")


def finds_of(store: Store, boxes: Boxes) -> pd.DataFrame:
    """Return the finds of all scans: where, the half sides of their boxes, are they in a box."""
    parts = []
    for sample in SAMPLES:
        pits = store.runs.pits(str(store.runs.latest(sample)))
        pits = pits[pits["class"] != "misc"]
        names = {n: Path(s[0]).stem for n, s in store.scans.sources(sample).items()}
        long, angle = pits["radius_px"] / np.sqrt(1 - pits["ellipticity"]), pits["angle_deg"]
        short, turn = long * (1 - pits["ellipticity"]), np.deg2rad(angle)
        parts.append(
            pits[["scan", "tile", *XY, "contrast", "hip"]].assign(
                picture=pits["tile"].map(names),
                half_x_px=np.hypot(long * np.cos(turn), short * np.sin(turn)),
                half_y_px=np.hypot(long * np.sin(turn), short * np.cos(turn)),
            )
        )
    finds = pd.concat(parts, ignore_index=True)
    finds["is_in_box"] = False
    for name, some in finds.groupby("picture"):
        finds.loc[some.index, "is_in_box"] = is_inside(boxes[name], some[XY].to_numpy()).any(0)
    return finds


def add_ground(store: Store, finds: pd.DataFrame) -> None:
    """Label some finds of each picture that lie in no box, as what they are by the boxes."""
    rng = np.random.default_rng(0)
    # An opening that the edge cuts may have its centre beyond it, where no label can be.
    in_picture = finds[XY].ge(0).all(axis=1) & finds[XY].lt(IMAGE_SIZE[0]).all(axis=1)
    free = finds[in_picture & ~finds["is_in_box"]]
    parts = [own.iloc[rng.permutation(len(own))[:GROUND]] for _, own in free.groupby("picture")]
    ground = pd.concat(parts)[["scan", "tile", *XY]]
    who = {"who": "pre-selection", "source": "model", "when": WHEN}
    store.labels.add(ground.assign(**{"class": "ground"}, **who))


def binned(patches: Patches) -> Patches:
    n, channels, size, _ = patches.pixels.shape
    shape = (n, channels, size // BINNING, BINNING, size // BINNING, BINNING)
    return replace(patches, pixels=patches.pixels.reshape(shape).mean((3, 5)))


def training_patches(store: Store) -> Labelled:
    """Return the patches of labels; of the finds in a box the one nearest to its centre."""
    centre = store.labels.table().set_index("id")[XY]
    chosen = []
    for one in labelled_pits(store)[0]:
        table = one.table[one.table["pit"].notna()]
        off = np.hypot(*(table[XY].to_numpy() - centre.loc[table["id"]].to_numpy()).T)
        nearest = table.assign(off=off).sort_values("off", kind="stable").groupby("id").head(1)
        chosen.append(replace(one, table=nearest.drop(columns="off").sort_index()))
    labelled = labelled_patches(store, chosen, size=PATCH_PX)
    return replace(labelled, patches=binned(labelled.patches))


def all_patches(store: Store, finds: pd.DataFrame) -> Patches:
    """Return the patches of all finds, in their order."""
    parts, rows = [], []
    for sample in SAMPLES:
        scan, own = store.scans.get(sample), np.flatnonzero(finds["scan"] == sample)
        cut = cut_scan(store, scan, normalisation_of(store, scan), finds.iloc[own], size=PATCH_PX)
        for which, patches in cut:
            parts.append(binned(patches))
            rows.append(own[which])
    return joined(parts).take(np.argsort(np.concatenate(rows)))


def trained(patches: Patches, target: np.ndarray, seed: int) -> Expert:
    set_threads(1)
    validation = next(folds(patches.region, target, FOLDS + 2, seed))
    return train_expert(patches, target, TRAINING, validation=validation, seed=seed)


def expert_scores(
    store: Store, finds: pd.DataFrame, seeds: int, pool: ProcessPoolExecutor
) -> list[np.ndarray]:
    """Return the logits of all finds for each seed, none by an expert that saw the picture."""
    labelled = training_patches(store)
    target, source = labelled.said == "track", labelled.source
    print(f"labels: {int(target.sum())} track, {int((~target).sum())} ground")
    tests = [list(folds(labelled.patches.region, target, FOLDS, s)) for s in range(seeds)]
    running = [
        [
            pool.submit(trained, labelled.patches.take(~held), target[~held], 100 * seed + fold)
            for fold, held in enumerate(tests[seed])
        ]
        for seed in range(seeds)
    ]
    patches = all_patches(store, finds)
    place = pd.MultiIndex.from_frame(finds[["scan", "tile"]])
    labelled_place = pd.MultiIndex.from_frame(source[["scan", "tile"]])
    is_labelled = place.isin(labelled_place)
    out = []
    for seed in range(seeds):
        scores = np.zeros(len(finds))
        for held, future in zip(tests[seed], running[seed], strict=True):
            expert = future.result()
            if not expert.learnt:
                print(f"seed {seed}: a training that did not learn")
            own = is_labelled & place.isin(labelled_place[held])
            scores[own] = expert.scores(patches.take(own))
            scores[~is_labelled] += expert.scores(patches.take(~is_labelled)) / FOLDS
        out.append(scores)
    return out


def blobs_of(picture: np.ndarray, sigmas: tuple[float, float], name: str) -> pd.DataFrame:
    """Return what blob_log finds on one picture, with its response there."""
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


@dataclass(frozen=True)
class Cut:
    """What is kept of a list: the best of each place within reach, from a score on."""

    reach_px: float
    least: float

    def of(self, found: pd.DataFrame) -> pd.DataFrame:
        place = found[XY].to_numpy(float) + 1e6 * pd.factorize(found["picture"])[0][:, None]
        best = best_of_each_place(place, found["score"].to_numpy(float), self.reach_px)
        kept: pd.DataFrame = found[best & (found["score"] >= self.least).to_numpy()]
        return kept


Relation = Callable[[np.ndarray, pd.DataFrame], np.ndarray]


def centres(boxes: np.ndarray, found: pd.DataFrame) -> np.ndarray:
    return is_inside(boxes, found[XY].to_numpy(float))


def extents(boxes: np.ndarray, found: pd.DataFrame) -> np.ndarray:
    xy, half = found[XY].to_numpy(float), found[HALF].to_numpy(float)
    return overlaps(boxes, np.concatenate([xy - half, xy + half], axis=1))


def figures(
    boxes: Boxes, names: Sequence[str], kept: pd.DataFrame, relation: Relation = centres
) -> tuple[Proportion, Proportion]:
    """Return recall and precision on some pictures."""
    own = kept[kept["picture"].isin(names)]
    true = 0
    for name, found in own.groupby("picture"):
        true += int((paired(relation(boxes[name], found)) >= 0).sum())
    return proportion(true, sum(len(boxes[n]) for n in names)), proportion(true, len(own))


def chance(boxes: Boxes, names: Sequence[str], kept: pd.DataFrame) -> tuple[float, float]:
    """Return recall and precision of the finds shifted nearby."""
    own = kept[kept["picture"].isin(names)]
    inside = in_box((-0.5, -0.5), np.array(IMAGE_SIZE) - 0.5)
    true = counted = 0
    for shift in local_shifts(SHIFTED_PX):
        for name, found in own.groupby("picture"):
            moved = found[XY].to_numpy(float) + shift
            moved = moved[inside(moved)]
            true += int((paired(is_inside(boxes[name], moved)) >= 0).sum())
            counted += len(moved)
    precision = true / max(counted, 1)
    return precision * len(own) / sum(len(boxes[n]) for n in names), precision


def tuned(boxes: Boxes, names: Sequence[str], found: pd.DataFrame) -> tuple[float, Cut]:
    """Return the best F1 on some pictures, and the cut that has it."""
    own, best = found[found["picture"].isin(names)], (0.0, Cut(0.0, 0.0))
    wanted = sum(len(boxes[name]) for name in names)
    for reach in REACH_PX:
        everything = Cut(reach, -np.inf).of(own)
        least = np.quantile(everything["score"], QUANTILES)
        true = np.zeros(len(least), int)
        for name, some in everything.groupby("picture"):
            related, score = centres(boxes[name], some), some["score"].to_numpy()
            true += [(paired(related[:, score >= one]) >= 0).sum() for one in least]
        given = (everything["score"].to_numpy()[:, None] >= least).sum(0)
        f1 = 2 * true / (wanted + given)
        if f1.max() > best[0]:
            best = float(f1.max()), Cut(reach, float(least[f1.argmax()]))
    return best


def row(name: str, boxes: Boxes, names: Sequence[str], kept: pd.DataFrame) -> None:
    recall, precision = figures(boxes, names, kept)
    by_chance, by_chance_precision = chance(boxes, names, kept)
    extent, extent_precision = figures(boxes, names, kept, extents)
    f1 = 2 * recall.successes / (recall.trials + precision.trials)
    print(
        f"{name:26s} recall {recall!s:19s} precision {precision!s:19s} F1 {100 * f1:.1f} | chance "
        f"{100 * by_chance:.1f}, {100 * by_chance_precision:.1f} | "
        f"IoU 0.5 {100 * extent.value:.1f}, {100 * extent_precision.value:.1f}",
        flush=True,
    )


def draw(
    path: Path, pictures: Sequence[Path], boxes: Boxes, kept: pd.DataFrame, title: str
) -> None:
    """Draw boxes, and true and false finds, on pictures."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(8 * len(pictures), 8.6))
    for axis, picture in zip(axes, pictures, strict=True):
        own = kept[kept["picture"] == picture.stem]
        match = paired(centres(boxes[picture.stem], own))
        axis.imshow(plt.imread(picture))
        for (left, top, right, bottom), which in zip(boxes[picture.stem], match, strict=True):
            colour = "lime" if which >= 0 else "orange"
            size = right - left, bottom - top
            axis.add_patch(plt.Rectangle((left, top), *size, fill=False, color=colour, lw=1.2))
        is_true = np.isin(np.arange(len(own)), match)
        for some, colour, mark in ((own[is_true], "cyan", "+"), (own[~is_true], "red", "x")):
            axis.plot(some["x_px"], some["y_px"], mark, color=colour, ms=7, mew=1.6)
        axis.set_title(picture.stem)
        axis.set_axis_off()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def blob_lists(store: Store, pool: ProcessPoolExecutor) -> dict[tuple[float, float], pd.DataFrame]:
    """Return sigmas → blobs of all pictures, on the pictures that the finds were found on."""
    running: dict[tuple[float, float], list] = {sigmas: [] for sigmas in SIGMAS}
    for sample in SAMPLES:
        normalisation = normalisation_of(store, store.scans.get(sample))
        for number, source in store.scans.sources(sample).items():
            picture = -normalisation.apply(store.scans.read_tile(sample, number))[0]
            for sigmas, futures in running.items():
                futures.append(pool.submit(blobs_of, picture, sigmas, Path(source[0]).stem))
    return {s: pd.concat([f.result() for f in r], ignore_index=True) for s, r in running.items()}


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
    chosen = test_pictures(pictures, options.split)
    test = sorted(chosen)
    train = sorted(p.stem for p in pictures if p.stem not in chosen)
    boxes = boxes_of(pictures)
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool,
    ):
        store = searched_store(Path(folder) / "store", pictures, chosen, options.finder)
        finds = finds_of(store, boxes)
        add_ground(store, finds[finds["picture"].isin(train)])
        each = expert_scores(store, finds, options.seeds, pool)
        print(f"trained and scored after {time.perf_counter() - begin:.0f} s", flush=True)
        blobs = blob_lists(store, pool)
        print(f"blobs after {time.perf_counter() - begin:.0f} s", flush=True)
        tune = partial(pool.submit, tuned, boxes, train)
        columns = ["picture", *XY, *HALF]
        lists = {
            f"expert, seed {seed}": finds[columns].assign(score=scores)
            for seed, scores in enumerate(each)
        }
        lists["finder alone"] = finds[columns].assign(score=finds["hip"])
        lists["contrast alone"] = finds[columns].assign(score=finds["contrast"])
        lists |= {f"blob_log, sigma {a:g} to {b:g}": table for (a, b), table in blobs.items()}
        running = {name: tune(table) for name, table in lists.items()}
        best = {name: future.result() for name, future in running.items()}
    by_blobs = [name for name in lists if name.startswith("blob_log")]
    for name in sorted(by_blobs, key=lambda name: -best[name][0])[1:]:
        print(f"{name}: F1 {100 * best[name][0]:.1f} in training, left out")
        del lists[name]
    print(f"{len(train)} pictures in training, {len(test)} in test: {', '.join(test)}")
    for names in (train, test):
        recall, _ = figures(boxes, names, finds)
        by_chance, _ = chance(boxes, names, finds)
        print(
            f"{recall.trials} boxes, {int(finds['picture'].isin(names).sum())} finds: one in "
            f"{recall} of the boxes at most, by chance {100 * by_chance:.1f} %"
        )
    kept = {}
    for name, table in lists.items():
        f1, cut = best[name]
        kept[name] = cut.of(table)
        print(f"{name}: best of {cut.reach_px:g} px, from {cut.least:.3g}, F1 {100 * f1:.1f}")
        row("  in training", boxes, train, kept[name])
        row("  test", boxes, test, kept[name])
    first = next(iter(kept))
    for sample in SAMPLES:
        own = [name for name in test if name.startswith(sample)]
        row(f"{first}, {sample}", boxes, own, kept[first])
    shown = [
        next(p for p in pictures if p.stem in chosen and p.stem.startswith(s)) for s in SAMPLES
    ]
    title = "boxes found (green) and missed (orange); finds true (cyan +) and false (red x)"
    draw(options.output / "apatite.png", shown, boxes, kept[first], f"{first}: {title}")
    print(f"{options.output / 'apatite.png'}; {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
