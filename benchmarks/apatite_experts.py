"""The searched micrographs, the labels from their boxes, and the experts, for apatite.py."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from apatite_lists import CLASSES, IMAGE_SIZE, XY, Boxes, are_inside
from etchscope.ensemble import Labelled
from etchscope.foil import Taxonomy
from etchscope.ingest import LabelDefaults, Overrides, add_scan, import_labels
from etchscope.learn import (
    Expert,
    Patches,
    Training,
    join_patches,
    set_threads,
    split_folds,
    train_expert,
)
from etchscope.preselect import FindSettings
from etchscope.run import find, normalisation_of
from etchscope.run.labelled import labelled_pits
from etchscope.run.patches import cut_scan, labelled_patches
from etchscope.store import Store

SAMPLES = ("BC-04", "DUR-G2", "img")
TAXONOMY = Taxonomy(
    classes={"track": "signal: a fission track", "ground": "no track"}, no_pit=("ground",)
)
WHEN = "2026-01-01"
SETTINGS = {  # lower than the defaults, for faint tracks and for ground
    "learned": FindSettings(least_probability=0.1),
    "classical": FindSettings(finder="classical", threshold=3.0),
}
TRAINING = Training(network="plain", width=0.5, epochs=8)
PATCH_PX = 48  # contains five of six tracks; binned, since a track is at least 6 px wide
BINNING = 2
GROUND = 100  # labels per picture
FOLDS = 3


def choose_test_pictures(pictures: Sequence[Path], seed: int) -> set[str]:
    """Return the names of a fifth of the pictures of each sample."""
    rng, out = np.random.default_rng(seed), set()
    for sample in SAMPLES:
        own = sorted(p.stem for p in pictures if p.stem.startswith(sample))
        out |= set(rng.permutation(own)[: len(own) // 5].tolist())
    return out


def make_store(folder: Path, pictures: Sequence[Path], test: set[str], finder: str) -> Store:
    """Return a store with one searched scan per sample, and the training boxes as labels."""
    store = Store.create(folder)
    for sample in SAMPLES:
        own = [p for p in pictures if p.stem.startswith(sample)]
        add_scan(store, own, overrides=Overrides(scan=sample, foil=sample))
        find(store, sample, settings=SETTINGS[finder])
    boxes = [p.with_suffix(".txt") for p in pictures if p.stem not in test]
    who = LabelDefaults(who="nachtergaele", when=WHEN, class_map=CLASSES)
    import_labels(store, boxes, who, taxonomy=TAXONOMY)
    return store


def list_finds(store: Store, boxes: Boxes) -> pd.DataFrame:
    """Return the finds of all scans with the half sides of their boxes, and whether in a box."""
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
        finds.loc[some.index, "is_in_box"] = are_inside(boxes[name], some[XY].to_numpy()).any(0)
    return finds


def add_ground(store: Store, finds: pd.DataFrame) -> None:
    """Label some finds of each picture that lie in no box as ground."""
    rng = np.random.default_rng(0)
    # The centre of an opening that the edge cuts may lie beyond the edge, where no label can be.
    in_picture = finds[XY].ge(0).all(axis=1) & finds[XY].lt(IMAGE_SIZE[0]).all(axis=1)
    free = finds[in_picture & ~finds["is_in_box"]]
    parts = [own.iloc[rng.permutation(len(own))[:GROUND]] for _, own in free.groupby("picture")]
    ground = pd.concat(parts)[["scan", "tile", *XY]]
    who = {"who": "pre-selection", "source": "model", "when": WHEN}
    store.labels.add(ground.assign(**{"class": "ground"}, **who))


def bin_patches(patches: Patches) -> Patches:
    n, channels, size, _ = patches.pixels.shape
    shape = (n, channels, size // BINNING, BINNING, size // BINNING, BINNING)
    return replace(patches, pixels=patches.pixels.reshape(shape).mean((3, 5)))


def cut_training_patches(store: Store) -> Labelled:
    """Return the patches of labels; a box is represented by the find nearest to its centre."""
    centre = store.labels.table().set_index("id")[XY]
    chosen = []
    for one in labelled_pits(store)[0]:
        table = one.table[one.table["pit"].notna()]
        off = np.hypot(*(table[XY].to_numpy() - centre.loc[table["id"]].to_numpy()).T)
        nearest = table.assign(off=off).sort_values("off", kind="stable").groupby("id").head(1)
        chosen.append(replace(one, table=nearest.drop(columns="off").sort_index()))
    labelled = labelled_patches(store, chosen, size=PATCH_PX)
    return replace(labelled, patches=bin_patches(labelled.patches))


def cut_all_patches(store: Store, finds: pd.DataFrame) -> Patches:
    """Return the patches of all finds in their order."""
    parts, rows = [], []
    for sample in SAMPLES:
        scan, own = store.scans.get(sample), np.flatnonzero(finds["scan"] == sample)
        cut = cut_scan(store, scan, normalisation_of(store, scan), finds.iloc[own], size=PATCH_PX)
        for which, patches in cut:
            parts.append(bin_patches(patches))
            rows.append(own[which])
    return join_patches(parts).take(np.argsort(np.concatenate(rows)))


def train(patches: Patches, target: np.ndarray, seed: int) -> Expert:
    set_threads(1)
    validation = next(split_folds(patches.region, target, FOLDS + 2, seed))
    return train_expert(patches, target, TRAINING, validation=validation, seed=seed)


def score_finds(
    store: Store, finds: pd.DataFrame, seeds: int, pool: ProcessPoolExecutor
) -> list[np.ndarray]:
    """Return the logits of all finds for each seed, by experts not trained on their picture."""
    labelled = cut_training_patches(store)
    target, source = labelled.label == "track", labelled.source
    print(f"labels: {int(target.sum())} track, {int((~target).sum())} ground")
    tests = [list(split_folds(labelled.patches.region, target, FOLDS, s)) for s in range(seeds)]
    running = [
        [
            pool.submit(train, labelled.patches.take(~held), target[~held], 100 * seed + fold)
            for fold, held in enumerate(tests[seed])
        ]
        for seed in range(seeds)
    ]
    patches = cut_all_patches(store, finds)
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
