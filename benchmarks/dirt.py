"""What cleaned pictures do to the search, and which share of unexplained things is an anomaly.

    python benchmarks/dirt.py -o results

Foils of the preset experiment are drawn with dirt (3 pieces of dust, 1 scratch, 1 fibre, 1 bubble
and 1 drop per tile) at 100 single pits per tile, and with usual dirt at 3,000. The shipped finder
searches their pictures as they are, and after the clean-up without and with deconvolution by the
true blur. Recall is that of true openings from 3 px radius, one to one within 6 px on their
surface. Candidates of a search are pairs, ranked by the probability that density alone makes one so
good; pixel by pixel they are the peaks of the product of the heat of an entry pit at a pixel and
the greatest heat of an exit pit within 8 px, without finds, shapes or pairs. A candidate is true
within 6 px of the entry pit of a particle that shows both openings. Efficiency is that at one false
candidate per tile on the same tiles. Chance is what the same list has when it is shifted by 60 px.
Intervals are a bootstrap over tiles; differences are of the same tiles.

Anomalies are searched on the dirty foil after every tenth found opening was dropped from the run's
table. A thing is found if a listed place lies within 6 px of it. Things are the dropped openings
that are true, true openings that the finder missed, and marks that no found opening touches.
The rate of accidental places is counted on a foil of the same texture without anything on it.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

import etchscope as es
from etchscope.background.anomalies import list_places
from etchscope.background.residuals import pit_ground
from etchscope.evaluation import match_one_to_one
from etchscope.foil.openings import SURFACES, VALUES
from etchscope.imaging import Lighting, Normalisation, fit_normalisation, light_planes
from etchscope.imaging.cleaned import clean_pictures, deconvolve
from etchscope.run.constants import normalisation_of, recipe_of
from etchscope.run.drawn import add_simulated
from etchscope.run.finder import SHIPPED, finder_of
from etchscope.run.residuals import open_tiles
from etchscope.simulation import SimulatedScan, preset, with_parameters
from etchscope.simulation.scene import MARK_CODES
from etchscope.store import TilePictures

TOLERANCE_PX, SHIFT_PX, LEAST_PX = 6.0, 60.0, 3.0
REACH_PX = 8
DIRT = {"dust": 3.0, "scratches": 1.0, "fibres": 1.0, "bubbles": 1.0, "drops": 1.0}
NOTHING = {
    "hips.per_tile": 0.0,
    "stars.per_tile": 0.0,
    "fragments.per_tile": 0.0,
    **{f"marks.{kind}_per_tile": 0.0 for kind in DIRT},
}
SEED = 61_000


def draw(tiles: int, density: float, seed: int, changes: dict[str, Any]) -> SimulatedScan:
    columns = max(round(np.sqrt(tiles)), 1)
    (foil,) = preset("experiment", seed=seed, columns=columns, rows=-(-tiles // columns))
    return with_parameters(foil, {"fragments.per_tile": density, **changes})


def as_grey(pictures: Any, fit: Normalisation) -> Any:
    """Return contrasts as 8-bit pictures that have the same contrasts."""
    grey = (pictures + fit.offset[:, None, None]) / fit.inverse
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def bootstrap(hits: Any, there: Any) -> list[float]:
    """Return a ratio over tiles in % with its interval."""
    rng = np.random.default_rng(0)
    pick = rng.integers(len(hits), size=(2000, len(hits)))
    low, high = np.quantile(hits[pick].sum(1) / np.maximum(there[pick].sum(1), 1), [0.025, 0.975])
    return [round(100 * float(v), 1) for v in (hits.sum() / max(there.sum(), 1), low, high)]


def hit_truths(truth: pd.DataFrame, found: pd.DataFrame, shift: float, *, sided: bool) -> Any:
    """Return which true places a list has, one to one, (n,), and for each row of it the truth."""
    groups = [
        t["tile"].to_numpy(np.int64) * 4 + (np.where(t["surface"] == "top", 0, 1) if sided else 0)
        for t in (truth, found)
    ]
    at = found[["x_px", "y_px"]].to_numpy(np.float64) + np.array([shift, 0.0])
    return match_one_to_one(
        truth[["x_px", "y_px"]].to_numpy(np.float64),
        at,
        TOLERANCE_PX,
        truth_group=groups[0],
        found_group=groups[1],
    )


def compare(hits: Any, others: Any, there: Any) -> list[float]:
    """Return the difference of two ratios over the same tiles in points with its interval."""
    rng = np.random.default_rng(0)
    pick = rng.integers(len(hits), size=(2000, len(hits)))
    steps = (hits - others)[pick].sum(1) / np.maximum(there[pick].sum(1), 1)
    low, high = np.quantile(steps, [0.025, 0.975])
    mean = (hits - others).sum() / max(there.sum(), 1)
    return [round(100 * float(v), 1) for v in (mean, low, high)]


def count_hits(
    candidates: pd.DataFrame, particles: pd.DataFrame, numbers: list[int], shift: float = 0.0
) -> Any:
    """Return the particles of each tile that are found at one false candidate per tile."""
    done = hit_truths(particles, candidates, 0.0, sided=False)
    true = np.zeros(len(candidates), bool)
    true[done.found_index] = True
    order = np.argsort(-candidates["rank"].to_numpy(), kind="stable")
    false = np.cumsum(~true[order])
    kept = order[: int(np.searchsorted(false, len(numbers), side="right"))]
    chosen = candidates.iloc[np.sort(kept)]
    got = hit_truths(particles, chosen, shift, sided=False).truth_hit
    tile = particles["tile"].to_numpy()
    return np.array([got[tile == n].sum() for n in numbers])


def pairs_of(pits: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of a search at their entry pits, ranked by their probability."""
    entry = pits[(pits["surface"] == "top") & pits["partner"].notna()]
    least = entry["pair_p"].fillna(1).clip(lower=1e-12)
    return entry.assign(rank=-np.log(least))[["tile", "x_px", "y_px", "rank"]]


def peaks_of(foil: SimulatedScan, read: Callable[[int], Any], numbers: list[int]) -> pd.DataFrame:
    """Return the peaks of the heat of an entry pit times that of an exit pit near it."""
    finder = finder_of(SHIPPED)
    stacks = {n: read(n) for n in numbers}
    fit = fit_normalisation(stacks.values(), recipe_of(foil.scan))
    lighting, parts = Lighting.of_scan(foil.scan), []
    for number, raw in stacks.items():
        maps = finder.maps(light_planes(raw, fit, lighting).stacked)
        heat = [maps[SURFACES.index(s) * len(VALUES)] for s in ("top", "bottom")]
        near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (REACH_PX + 1, REACH_PX + 1))
        both = np.maximum(heat[0], 0) * np.maximum(cv2.dilate(heat[1], near), 0)
        peak = (both == cv2.dilate(both, np.ones((3, 3), np.uint8))) & (both > 1e-4)
        y, x = np.nonzero(peak)
        parts.append(
            pd.DataFrame(
                {"tile": number, "x_px": 2 * x + 0.5, "y_px": 2 * y + 0.5, "rank": both[peak]}
            )
        )
    return pd.concat(parts, ignore_index=True)


def search(foil: SimulatedScan, read: Callable[[int], Any]) -> pd.DataFrame:
    """Return what the shipped finder finds on pictures of a foil."""
    names = tuple(f"step {c.step}" for c in foil.scan.channels)
    with tempfile.TemporaryDirectory() as folder:
        store = es.open(Path(folder) / "store", create=True)
        store.kept.scans.add(foil.scan, foil.foil_record, lambda n: TilePictures(read(n), names))
        store.find(foil.scan.name)
        return store.pits(foil.scan.name)


def measure_search(name: str, tiles: int, density: float, seed: int, dirty: bool) -> list[Any]:
    changes = {f"marks.{k}_per_tile": v for k, v in DIRT.items()} if dirty else {}
    foil = draw(tiles, density, seed, changes)
    numbers = [t.number for t in foil.scan.tiles]
    raw = {n: foil.read_tile(n) for n in numbers}
    fit = fit_normalisation(raw.values(), recipe_of(foil.scan))
    blur = [foil.optics.blur_um / foil.optics.pixel_size_um] * len(foil.scan.channels)
    kinds: dict[str, Callable[[int], Any]] = {
        "as taken": raw.__getitem__,
        "cleaned": lambda n: as_grey(clean_pictures(raw[n], fit).pictures, fit),
        "cleaned, deconvolved": lambda n: as_grey(
            clean_pictures(raw[n], fit, blur_px=blur).pictures, fit
        ),
    }
    truth = foil.truth()
    openings = truth[truth["radius_px"] >= LEAST_PX].reset_index(drop=True)
    signal = truth[(truth["class"] == "hip") & truth["partner"].notna()]
    particles = signal[signal["surface"] == "top"].reset_index(drop=True)
    rows, usual = [], dict[str, Any]()
    for kind, read in kinds.items():
        pits = search(foil, read)
        found = pits[pits["length_px"].isna()]
        recall = []
        for shift in (0.0, SHIFT_PX):
            got = hit_truths(openings, found, shift, sided=True).truth_hit
            tile = openings["tile"].to_numpy()
            hits, there = (
                np.array([w[tile == n].sum() for n in numbers]) for w in (got, got | True)
            )
            recall.append(bootstrap(hits, there))
        pairs, pixels = pairs_of(found), peaks_of(foil, read, numbers)
        row = [name, kind, len(numbers), recall[0], recall[1][0]]
        of = particles["tile"].to_numpy()
        there = np.array([(of == n).sum() for n in numbers])
        for way, candidates in (("pairs", pairs), ("pixels", pixels)):
            hits = count_hits(candidates, particles, numbers)
            first = usual.setdefault(way, hits)
            row += [bootstrap(hits, there), compare(hits, first, there)]
            row.append(bootstrap(count_hits(candidates, particles, numbers, SHIFT_PX), there)[0])
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def near(places: pd.DataFrame, x: float, y: float) -> bool:
    apart = np.hypot(places["x_px"].to_numpy() - x, places["y_px"].to_numpy() - y)
    return bool((apart < TOLERANCE_PX).any())


def measure_anomalies(tiles: int, seed: int) -> tuple[list[Any], dict[str, Any]]:
    foil = draw(tiles, 100.0, seed, {f"marks.{k}_per_tile": v for k, v in DIRT.items()})
    with tempfile.TemporaryDirectory() as folder:
        store = es.open(Path(folder) / "store", create=True)
        add_simulated(foil, store.kept)
        run = store.find(foil.scan.name).run
        whole = open_tiles(store.kept, run)
        empty = whole.empty_ground()
        lost = whole.pits.index % 10 == 0
        dropped = replace(whole, pits=whole.pits[~lost].reset_index(drop=True))
        found: dict[str, list[list[bool]]] = {}
        area = int(np.prod(foil.scan.image_size))
        for number in dropped.numbers:
            truth = foil.truth([number])
            truth = truth[truth["radius_px"] >= LEAST_PX].reset_index(drop=True)
            own = whole.pits[(whole.pits["tile"] == number)].reset_index(drop=True)
            lost_here = whole.pits[lost & (whole.pits["tile"] == number).to_numpy()]
            one = dropped.measure(number, store.kept.scans.read_tile(foil.scan.name, number))
            score = empty.score(one.chi2, one.residual.pits, area)
            lists = [list_places(score, one.residual.pits, s, dropped.radius_px) for s in (0, 1)]
            hit = hit_truths(truth, own, 0.0, sided=False)
            true_places = truth[["x_px", "y_px"]].to_numpy()
            things: list[tuple[str, float, float]] = []
            for x, y in lost_here[["x_px", "y_px"]].to_numpy():
                if (np.hypot(*(true_places - [x, y]).T) < TOLERANCE_PX).any():
                    things.append(("dropped openings", x, y))
            for x, y, said in truth.loc[~hit.truth_hit, ["x_px", "y_px", "class"]].to_numpy():
                kind = "missed openings of stars" if "spall" in said else "other missed openings"
                things.append((kind, x, y))
            for kind, x, y in things:
                found.setdefault(kind, []).append([near(p, x, y) for p in lists])
            marks, ground = foil.marked(number), pit_ground(own, foil.scan.image_size) >= 0
            for kind, code in MARK_CODES.items():
                count, labels = cv2.connectedComponents((marks == code).astype(np.uint8))
                for k in range(1, count):
                    where = labels == k
                    if where.sum() < 20 or (where & ground).any():
                        continue
                    wide = cv2.dilate(where.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
                    at = [p[["y_px", "x_px"]].to_numpy(np.int64) for p in lists]
                    found.setdefault(f"{kind}, untouched by a find", []).append(
                        [bool(wide[a[:, 0], a[:, 1]].any()) for a in at]
                    )
        none = draw(tiles, 0.0, seed + 1, NOTHING)
        bare = replace(dropped, pits=whole.pits.iloc[:0], scan=none.scan)
        bare = replace(bare, normalisation=normalisation_of(store.kept, foil.scan))
        counts = []
        fit = fit_normalisation([none.read_tile(n) for n in dropped.numbers], recipe_of(none.scan))
        for number in dropped.numbers:
            one = replace(bare, normalisation=fit).measure(number, none.read_tile(number))
            score = empty.score(one.chi2, one.residual.pits, area)
            pits = one.residual.pits
            counts.append([len(list_places(score, pits, s, bare.radius_px)) for s in (0, 1)])
    rows = []
    for kind, hits in sorted(found.items()):
        share = np.array(hits, float)
        rows.append([kind, len(hits), *(exact(share[:, k]) for k in (0, 1))])
    rate = np.array(counts, float).mean(0)
    print(json.dumps(rows), rate, flush=True)
    return rows, {"rate_one": round(float(rate[0]), 2), "rate_tenth": round(float(rate[1]), 2)}


def exact(hits: Any) -> list[float]:
    """Return a percentage with its exact interval."""
    from etchscope.evaluation import proportion

    p = proportion(float(hits.sum()), float(len(hits)))
    return [round(100 * v, 1) for v in (p.value, p.low, p.high)]


def measure_filter() -> list[Any]:
    """Return what deconvolution does to noise and to the radius of discs, by blur."""
    rng, rows = np.random.default_rng(SEED), []
    for sigma in (0.7, 1.0, 1.5, 2.0):
        for radius in (4.0, 8.0):
            sizes, gains, raw = [], [], []
            for _ in range(20):
                x, y = rng.uniform(28, 36, 2)
                v, u = np.mgrid[:320, :320] / 5 - 0.4
                disc = -0.5 * (np.hypot(u - x, v - y) < radius)
                sharp = disc.reshape(64, 5, 64, 5).mean((1, 3))
                seen = cv2.GaussianBlur(sharp, (0, 0), sigma) + rng.normal(0, 0.03, (64, 64))
                done, gain = deconvolve(seen.astype(np.float32), sigma, 0.03)
                for out, picture in ((sizes, done), (raw, seen)):
                    smooth = cv2.GaussianBlur(np.asarray(picture, np.float32), (0, 0), 0.5)
                    out.append(np.sqrt((smooth < -0.25).sum() / np.pi) / radius)
                gains.append(gain)
            rows.append(
                [
                    sigma,
                    radius,
                    round(float(np.mean(gains)), 2),
                    *(round(100 * (float(np.mean(s)) - 1), 1) for s in (raw, sizes)),
                ]
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for dirt.json")
    parser.add_argument("--tiles", type=int, nargs=3, default=(24, 4, 9))
    options = parser.parse_args()
    dirty, dense, anomalous = options.tiles
    filtered = measure_filter()
    rows, values = measure_anomalies(anomalous, SEED + 2)
    rows_of = measure_search("dirty, 100 per tile", dirty, 100.0, SEED, True)
    rows_of += measure_search("3,000 per tile", dense, 3000.0, SEED + 1, False)
    tables = {
        "filter": {
            "columns": [
                "blur (px)",
                "radius (px)",
                "noise gain",
                "radius before (% off)",
                "radius after (% off)",
            ],
            "rows": filtered,
        },
        "search": {
            "columns": [
                "foil",
                "pictures",
                "tiles",
                "recall (%)",
                "recall by chance (%)",
                "efficiency by pairs (%)",
                "more than as taken (points)",
                "by chance (%)",
                "efficiency by pixels (%)",
                "more than as taken by pixels (points)",
                "pixels by chance (%)",
            ],
            "rows": rows_of,
        },
        "anomalies": {
            "columns": [
                "what",
                "there are",
                "found at 1 accidental place per tile (%)",
                "found at 0.1 (%)",
            ],
            "rows": rows,
        },
    }
    paragraph = " ".join(__doc__.split("-o results\n")[1].split())
    result = {
        "command": "python benchmarks/dirt.py -o results",
        "seed": f"{SEED} to {SEED + 3}",
        "version": "0.1.0 (unreleased)",
        "machine": "2 cores",
        "date": "2026-11-28",
        "about": paragraph,
        "tables": tables,
        "values": values,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, ensure_ascii=False, indent=1)
    (options.output / "dirt.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
