"""Speed and memory of `find` from the store, beside its floor and beside other detectors.

    python benchmarks/preselect.py

200 simulated tiles of 640 × 480 px, eight directional channels, 30 background pits a tile, two
threads. The floor is reading and decoding the same tiles. The other detectors (scikit-image
blob_log, trackpy locate, SEP, OpenCV's blob detector) run in one thread on one directional channel
of the same tiles, flat-fielded alike, at the setting of theirs that is best in recall + precision
on other tiles. Peak memory is the whole process's, for 50 and for 500 tiles.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from etchscope.evaluation import match_one_to_one
from etchscope.foil import Foil
from etchscope.imaging import Recipe, fit_normalisation
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.simulation import Optics, Population, SimulatedScan, reference_channels
from etchscope.store import Store, TilePictures

TOLERANCE_PX = 6.0
LAMPS = reference_channels()[:8]
Detector = Callable[[np.ndarray], np.ndarray]


def make_foil(tiles: int, pits: int, seed: int) -> SimulatedScan:
    rows = 25
    return SimulatedScan(
        seed=seed,
        columns=-(-tiles // rows),
        rows=min(rows, tiles),
        population=Population.of(background_per_tile=pits, pairs_per_tile=5),
        optics=Optics(channels=LAMPS),
    )


def make_store(foil: SimulatedScan, folder: Path) -> Store:
    store = Store.create(folder)
    sources = tuple(f"step {c.step}" for c in foil.scan.channels)
    store.scans.add(
        foil.scan, Foil(name=foil.foil), lambda n: TilePictures(foil.read_tile(n), sources)
    )
    return store


def blob_log(threshold: float) -> Detector:
    from skimage.feature import blob_log as locate

    def run(picture: np.ndarray) -> np.ndarray:
        both = [
            locate(s * picture, min_sigma=2, max_sigma=8, num_sigma=5, threshold=threshold)
            for s in (1, -1)
        ]
        return np.concatenate(both)[:, 1::-1]

    return run


def trackpy_locate(minmass: float) -> Detector:
    import trackpy

    trackpy.quiet()

    def run(picture: np.ndarray) -> np.ndarray:
        found = [
            trackpy.locate(s * picture * 100 + 100, 13, minmass=minmass, invert=False)
            for s in (1, -1)
        ]
        return pd.concat(found)[["x", "y"]].to_numpy(float)

    return run


def sep_extract(sigma: float) -> Detector:
    import sep

    def run(picture: np.ndarray) -> np.ndarray:
        data = np.ascontiguousarray(picture, np.float32)
        background = sep.Background(data)
        flat = data - background
        both = [
            sep.extract(np.ascontiguousarray(s * flat), sigma, err=background.globalrms, minarea=5)
            for s in (1, -1)
        ]
        return np.concatenate([np.column_stack([f["x"], f["y"]]) for f in both])

    return run


def opencv_blobs(step: float) -> Detector:
    parameters = cv2.SimpleBlobDetector_Params()
    parameters.minThreshold, parameters.maxThreshold, parameters.thresholdStep = 20, 235, step
    parameters.filterByArea, parameters.minArea, parameters.maxArea = True, 12, 600
    parameters.filterByCircularity = parameters.filterByInertia = False
    parameters.filterByConvexity = False
    parameters.filterByColor = False
    detector = cv2.SimpleBlobDetector_create(parameters)

    def run(picture: np.ndarray) -> np.ndarray:
        grey = np.clip(128 + 250 * picture, 0, 255).astype(np.uint8)
        return np.array([k.pt for k in detector.detect(grey)]).reshape(-1, 2)

    return run


PEERS = {
    "skimage blob_log": (blob_log, (0.02, 0.03, 0.05, 0.08)),
    "trackpy locate": (trackpy_locate, (100.0, 200.0, 400.0, 800.0)),
    "SEP extract": (sep_extract, (2.0, 3.0, 4.0, 6.0)),
    "OpenCV blob detector": (opencv_blobs, (5.0, 10.0, 20.0)),
}


def merge_finds(points: np.ndarray) -> np.ndarray:
    """Return points with neighbours merged: a pit has a bright and a dark wall."""
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return points
    pairs = cKDTree(points).query_pairs(7.0, output_type="ndarray")
    gone = np.zeros(len(points), bool)
    out = points.copy()
    for i, j in pairs.tolist():
        if not (gone[i] or gone[j]):
            out[i], gone[j] = (points[i] + points[j]) / 2, True
    return out[~gone]


def score_finds(found: dict[int, np.ndarray], truth: pd.DataFrame) -> tuple[float, float]:
    """Return recall and precision of points a tile, away from the tiles' edges."""
    hits = wanted = good = given = 0
    for tile, points in found.items():
        true = truth.loc[truth["tile"] == tile, ["x_px", "y_px"]].to_numpy()
        matching = match_one_to_one(true, points, TOLERANCE_PX)
        clear, kept = (
            (p[:, 0] > 12) & (p[:, 0] < 627) & (p[:, 1] > 12) & (p[:, 1] < 467)
            for p in (true, points)
        )
        hits, wanted = hits + int(matching.truth_hit[clear].sum()), wanted + int(clear.sum())
        good, given = good + int(matching.found_hit[kept].sum()), given + int(kept.sum())
    return hits / max(wanted, 1), good / max(given, 1)


def compare_peers(store: Store, foil: SimulatedScan, tiles: int, ours: float) -> None:
    """Print speed, recall and precision of each peer, tuned on the scan's last tiles."""
    numbers = [t.number for t in foil.scan.tiles]
    stacks = {n: store.scans.read_tile(foil.scan.name, n) for n in numbers[:tiles] + numbers[-8:]}
    fit = fit_normalisation(list(stacks.values())[:32], Recipe())
    pictures = {n: fit.apply(s)[0] for n, s in stacks.items()}
    truth = foil.truth()
    for name, (make, settings) in PEERS.items():
        tuned = []
        for setting in settings:
            detect = make(setting)
            tuned.append(
                sum(score_finds({n: merge_finds(detect(pictures[n])) for n in numbers[-8:]}, truth))
            )
        detect = make(settings[int(np.argmax(tuned))])
        start = time.perf_counter()
        found = {n: merge_finds(detect(pictures[n])) for n in numbers[:tiles]}
        speed = tiles / (time.perf_counter() - start)
        recall, precision = score_finds(found, truth)
        print(
            f"{name:22s} {speed:8.1f} tiles/s ({speed / ours:5.2f} of find)   "
            f"recall {recall:.3f}  precision {precision:.3f}"
        )


def peak_memory_mb(tiles: int, pits: int) -> float:
    """Return the peak memory of `find` on a store of so many tiles, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        foil = make_foil(tiles, pits, 5)
        make_store(foil, path)
        code = (
            "import resource; from etchscope.store import Store; from etchscope.run import find;"
            f"find(Store.open({str(path)!r}), {foil.scan.name!r});"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=200)
    parser.add_argument("--pits", type=int, default=30)
    parser.add_argument("--peer-tiles", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--finder", default="learned")
    parser.add_argument("--skip-memory", action="store_true")
    options = parser.parse_args()
    foil = make_foil(options.tiles, options.pits, 11)
    settings = FindSettings(finder=options.finder)
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(foil, Path(folder) / "store")
        name = foil.scan.name
        tiles = len(foil.scan.tiles)
        numbers = [t.number for t in foil.scan.tiles]
        tiny = make_foil(2, options.pits, 12)
        find(make_store(tiny, Path(folder) / "tiny"), tiny.scan.name, settings=settings)  # compiles
        speeds, floors = [], []
        for k in range(options.repeat):
            start = time.perf_counter()
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda n: store.scans.read_tile(name, n).sum(), numbers))
            floors.append(tiles / (time.perf_counter() - start))
            shutil.copytree(store.path, Path(folder) / f"copy{k}")
            fresh = Store.open(Path(folder) / f"copy{k}")
            start = time.perf_counter()
            done = find(fresh, name, settings=settings)
            speeds.append(tiles / (time.perf_counter() - start))
        ours = float(np.median(speeds))
        floor = float(np.median(floors))
        pits = fresh.runs.pits(done.run)
        views = {n: pits.loc[pits["tile"] == n, ["x_px", "y_px"]].to_numpy() for n in numbers}
        print(f"{tiles} tiles, {options.pits} background pits a tile, 8 channels, 2 threads")
        print(
            f"{'find':22s} {ours:8.1f} tiles/s, runs {np.round(speeds, 1).tolist()}\n"
            f"{'read and decode only':22s} {floor:8.1f} tiles/s: find takes "
            f"{floor / ours:.1f} times as long"
        )
        recall, precision = score_finds(views, foil.truth())
        print(f"{'find, all tiles':22s} recall {recall:.3f}  precision {precision:.3f} (own tile)")
        compare_peers(store, foil, options.peer_tiles, ours)
    if not options.skip_memory:
        small, large = peak_memory_mb(50, options.pits), peak_memory_mb(500, options.pits)
        print(
            f"peak memory: {small:.0f} MB at 50 tiles, {large:.0f} MB at 500: {large / small:.3f}"
        )


if __name__ == "__main__":
    main()
