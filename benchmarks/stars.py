"""How well stars are found, by number of prongs, and what they do to the search for signal.

    python benchmarks/stars.py -o results
    python benchmarks/stars.py --rendered 12 -o results

Without pictures, the true openings of foils of the preset `experiment` with 20 stars per tile get
the errors that the finder has on it, and an opening within the radius of a larger one is left out.
A star is there if at least two of its openings on one surface remain. A found star is true if its
vertex lies within 12 px of the true one; chance is the share of the found stars that are true
after a shift by 60 px. The threshold allows 0.1 accidental stars per tile by scrambled copies,
which know nothing of the truth. Intervals are exact 95 % ones.

Stars are of two lengths: as the simulator draws them (etch ratio 2.8, mean range 120 µm), and long
ones (4.5, 300 µm).

With `--rendered N`, N tiles with long stars are photographed and searched by the finder instead.

What stars do to the search is measured with the likelihood ratio of pairs on openings with errors:
thresholds are chosen on a foil without stars, at 1 and 0.1 false candidates per tile, and applied
once to another foil: without stars, with 40 stars per tile of each kind, and with as
many more single fragments as these stars leave openings.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

import etchscope as es
from etchscope.background.stars import StarSearch
from etchscope.evaluation import Requirement, choose_thresholds, poisson_interval, proportion
from etchscope.foil.stars import STAR_KINDS
from etchscope.foil.types import Bools
from etchscope.run.drawn import add_simulated
from etchscope.simulation import Stars
from oracle_candidates import rank_by_likelihood
from oracle_foils import Errors, list_openings, simulate_foil
from oracle_foils import measure as measure_pairs
from star_foils import Openings, measure, places, simulate, true_openings

PRONGS = {"short": Stars(max_prongs=8), "long": Stars(v=4.5, range_um=300.0, max_prongs=8)}
FALSE_PER_TILE = 0.1
NEAR_PX, SHIFT_PX = 12.0, 60.0
TILES = {100: 80, 1000: 24}
PAIR_TILES = {100: 80, 1000: 40}
PAIR_STARS = 40.0
FIRST_SEED = 51_000


def list_there(openings: Openings) -> pd.DataFrame:
    """Return the stars with two openings or more on one surface: surface, x, y, n."""
    of = openings.star >= 0
    table = pd.DataFrame(
        {
            "star": openings.star[of],
            "surface": openings.pits["surface"].to_numpy()[of],
            "x": openings.vertex_px[of, 0],
            "y": openings.vertex_px[of, 1],
        }
    )
    stars = table.groupby(["surface", "star"]).agg(
        x=("x", "first"), y=("y", "first"), n=("x", "size")
    )
    return stars[stars["n"] >= 2].reset_index()


def match(found: pd.DataFrame, there: pd.DataFrame, shift_px: float) -> tuple[Bools, Bools]:
    """Return which found stars are true, and which of those that are there were found."""
    true, hit = np.zeros(len(found), bool), np.zeros(len(there), bool)
    for surface in ("top", "bottom"):
        own = np.flatnonzero(found["surface"] == surface)
        real = np.flatnonzero(there["surface"] == surface)
        if len(own) and len(real):
            at = found[["x_px", "y_px"]].to_numpy()[own] + shift_px
            gap, which = cKDTree(there[["x", "y"]].to_numpy()[real]).query(at)
            true[own] = gap < NEAR_PX
            hit[real[which[gap < NEAR_PX]]] = True
    return true, hit


def figure(successes: float, trials: float) -> list[float] | None:
    """Return a percentage with its interval, None without a trial."""
    if not trials:
        return None
    p = proportion(successes, trials)
    return [round(100 * v, 1) for v in (p.value, p.low, p.high)]


def summarise(
    search: StarSearch, there: pd.DataFrame, tiles: int, case: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of openings: efficiency, purity, chance and counts."""
    accidental = np.sort(search.accidental["score"].to_numpy())[::-1]
    allowed = round(FALSE_PER_TILE * tiles * search.copies)
    level = accidental[allowed] if allowed < len(accidental) else 0.0
    found = search.stars[search.stars["score"] > level].reset_index(drop=True)
    true, hit = match(found, there, 0.0)
    by_chance, hit_by_chance = match(found, there, SHIFT_PX)
    groups = [("2", 2, 2), ("3", 3, 3), ("4 and more", 4, 99), ("all", 2, 99)]
    for name, low, high in groups:
        own, real = found["prongs"].between(low, high), there["n"].between(low, high)
        right = own & true
        decided = found["kind"][right]
        yield case | {
            "openings": name,
            "there": int(real.sum()),
            "efficiency": figure(hit[real].sum(), real.sum()),
            "efficiency_chance": figure(hit_by_chance[real].sum(), real.sum()),
            "found": int(own.sum()),
            "purity": figure(right.sum(), own.sum()),
            "purity_chance": figure((own & by_chance).sum(), own.sum()),
            "kinds": {k: int(v) for k, v in decided.value_counts().items()},
        }


def measure_stars(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for density in options.densities:
        tiles = options.tiles or TILES[density]
        for length, prongs in PRONGS.items():
            for k, kind in enumerate(STAR_KINDS):
                begin = time.perf_counter()
                foil = simulate(density, tiles, FIRST_SEED + density + k, kind, prongs)
                openings = measure(true_openings(foil), FIRST_SEED + k)
                search = openings.search(copies=options.copies)
                case = {"background": density, "prongs": length, "kind": kind}
                case["tiles"] = len(foil.scan.tiles)
                new = list(summarise(search, list_there(openings), case["tiles"], case))
                rows += new
                for row in new:
                    print(json.dumps(row), flush=True)
                print(f"after {time.perf_counter() - begin:.0f} s", flush=True)
    return rows


def measure_rendered(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for density in options.densities:
        foil = simulate(density, options.rendered, FIRST_SEED - 1, "isotropic", PRONGS["long"])
        with tempfile.TemporaryDirectory() as folder:
            store = es.open(Path(folder) / "store", create=True)
            add_simulated(foil, store.kept)
            store.find(foil.scan.name)
            pits = store.pits(foil.scan.name)
        place, rectangles = places(foil, pits)
        none = np.full(len(pits), -1)
        found = Openings(foil, pits, place, rectangles, none, np.full_like(place, np.nan))
        search = found.search(copies=options.copies)
        case = {"background": density, "prongs": "long", "kind": "isotropic, rendered"}
        case["tiles"] = len(foil.scan.tiles)
        there = list_there(measure(true_openings(foil), 0))
        new = list(summarise(search, there, case["tiles"], case))
        rows += new
        for row in new:
            print(json.dumps(row), flush=True)
    return rows


def measure_search(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return efficiency and false candidates at frozen thresholds, with and without stars."""
    rows: list[dict[str, Any]] = []
    for density in options.densities:
        tiles = options.pair_tiles or PAIR_TILES[density]
        errors = Errors(place_px=0.45, radius=0.11, ellipse=0.12)
        none = {"stars.per_tile": 0.0}
        kinds = {
            kind: {
                "stars.per_tile": PAIR_STARS,
                "stars.kinds": (kind,),
                "stars.v": 4.5,
                "stars.range_um": 300.0,
                "stars.max_prongs": 8,
            }
            for kind in STAR_KINDS
        }
        truth = list_openings(simulate_foil(density, tiles, FIRST_SEED + 7, none))
        ranked = rank_by_likelihood(truth, measure_pairs(truth, errors, 1)).search(truth)
        levels = {
            rate: choose_thresholds(ranked, Requirement(false_per_tile=rate))[0]
            for rate in (1.0, 0.1)
        }
        counts: dict[str, int] = {}
        cases: dict[str, dict[str, Any]] = {"none": none, **kinds}
        for name, changes in cases.items():
            rows += of_case(density, tiles, name, changes, errors, levels, counts)
            control = f"as many single pits as {name}"
            if name != "none":
                more = (counts[name] - counts["none"]) / tiles
                single = none | {"fragments.per_tile": density * (1 + more / counts["fragment"])}
                rows += of_case(density, tiles, control, single, errors, levels, counts)
            else:
                counts["fragment"] = max(counts["none"] / tiles - 24, 1)
    return rows


def of_case(
    density: int,
    tiles: int,
    name: str,
    changes: dict[str, Any],
    errors: Errors,
    levels: dict[float, float],
    counts: dict[str, int],
) -> Iterator[dict[str, Any]]:
    """Yield the figures of one foil at each threshold."""
    truth = list_openings(simulate_foil(density, tiles, FIRST_SEED + 8, changes))
    counts[name] = int(truth.is_known.sum())
    search = rank_by_likelihood(truth, measure_pairs(truth, errors, 2)).search(truth)
    area = float(truth.exposure.sum())
    for rate, level in levels.items():
        passed = search.score >= level
        false = int((passed & ~search.is_true).sum())
        low, high = poisson_interval(false)
        row = {
            "background": density,
            "stars": name,
            "openings_per_tile": round(counts[name] / area, 1),
            "threshold_for": rate,
            "particles": search.particles,
            "efficiency": figure((passed & search.is_true).sum(), search.particles),
            "false_per_tile": [round(v / area, 3) for v in (false, low, high)],
        }
        print(json.dumps(row), flush=True)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--densities", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--tiles", type=int, help="tiles of each kind of star")
    parser.add_argument("--pair-tiles", type=int, help="tiles of the study of the search")
    parser.add_argument("--copies", type=int, default=5, help="scrambled copies")
    parser.add_argument("--rendered", type=int, help="photograph this number of tiles instead")
    parser.add_argument("--only", choices=("stars", "search"), help="one of the two studies")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {}
    if options.rendered:
        record["rendered"] = measure_rendered(options)
    else:
        if options.only != "search":
            record["stars"] = measure_stars(options)
        if options.only != "stars":
            record["search"] = measure_search(options)
    name = "-".join(["stars", *record])
    (options.output / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
