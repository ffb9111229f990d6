"""How much signal a search could keep if it knew every opening, by density and by zenith angle.

    python benchmarks/oracle.py -o results
    python benchmarks/oracle.py --isotropic -o results

No picture is made. The true openings of foils of the preset `experiment` are smeared by measurement
errors, and each entry pit gets its best partner. The best partner is that with the highest score,
which is either Etchscope's likelihood ratio, without depths, or that of boosted trees. The trees
are trained on other foils of the same density to distinguish particles from unrelated pairs. They
approximate the likelihood with all information, and use Etchscope's likelihood of one particle too,
with no depths, or with depths to 15 or 5 %. Their efficiency is no upper bound, because they were
trained on few of the unrelated pairs that are as good as particles.

Among entry pits with the same partner only the best is a candidate. A candidate is true if its
openings are those of one particle of the signal. A particle counts if the pictures show both its
openings, even if one is too small or too shallow to be known. True by place, as for a list of
places to be inspected, means that the first candidate with an opening of a particle is true even if
its other opening is not of that particle.

Efficiencies are at exactly 1 and 0.1 false candidates per tile, with 95 % intervals from a
bootstrap over tiles. Candidates are identified by their openings and not by their places, so none
is true by a chance match. Chance is the efficiency of the same candidates at that rate in random
order, which is large only where there are few false ones.

With `--isotropic` the signal comes from everywhere up to 60° of zenith, and the efficiency of the
likelihood ratio at 1 false candidate per tile is given by zenith angle, with the known thickness of
the foil, and for openings within 20 px of each other only. The signal of the preset, with V = 1.6,
opens no pits beyond 49°; with `--ratio 3` some are open at all angles.

The time for each density is printed.
"""

import argparse
import json
import time
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from etchscope.evaluation import (
    Figure,
    Requirement,
    Search,
    choose_thresholds,
    efficiency_at_rate,
    proportion_over_tiles,
)
from etchscope.foil.types import Bools
from oracle_candidates import (
    HABIT_PX,
    Candidates,
    Pairing,
    rank_by_likelihood,
    rank_by_trees,
    train,
)
from oracle_figures import RATES, ZENITH_DEG, draw_by_density, draw_by_zenith
from oracle_foils import (
    FIRST_SEED,
    TRAINING_SEED,
    Errors,
    Truth,
    limit_tiles,
    list_openings,
    measure,
    simulate_foil,
    simulate_training_foil,
)

DEPTHS = {"no depths": None, "depths to 15 %": 0.15, "depths to 5 %": 0.05}


def in_random_order(search: Search, rate: float) -> float:
    """Return the efficiency at a rate for the same candidates in random order."""
    true = int(search.is_true.sum())
    false = len(search.is_true) - true
    passed = min(rate * search.tiles / false, 1.0) if false else 1.0
    return passed * true / max(search.particles, 1)


def percent(figure: Figure) -> str:
    value, low, high = (100 * v for v in figure)
    return f"{value:5.1f} % [{low:.1f}, {high:.1f}]"


def make_row(density: int, case: str, truth: Truth, candidates: Candidates) -> dict[str, Any]:
    search, places = candidates.search(truth), candidates.search(truth, by_place=True)
    row: dict[str, Any] = {
        "background_per_tile": density,
        "case": case,
        "particles": search.particles,
        "tiles": search.tiles,
        "with_a_candidate": int(search.is_true.sum()),
        "candidates": len(search.score),
    }
    columns = []
    for rate in RATES:
        row[f"at_{rate:g}"] = efficiency_at_rate(search, rate)
        row[f"by_place_at_{rate:g}"] = efficiency_at_rate(places, rate)
        row[f"chance_at_{rate:g}"] = in_random_order(search, rate)
        chance = f"chance {100 * row[f'chance_at_{rate:g}']:4.1f}"
        figures = (percent(row[f"{kind}at_{rate:g}"]) for kind in ("", "by_place_"))
        columns.append(f"{', by place '.join(figures)}, {chance}")
    print(f"{density:6d}  {case:30s} {' | '.join(columns)}", flush=True)
    return row


def measure_by_density(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each density and method."""
    rows = []
    cases = {name: Errors(depth=depth) for name, depth in DEPTHS.items()}
    if options.own:
        cases["errors as given"] = Errors(
            options.place_px, options.radius, options.ellipse, options.depth
        )
    print(f"{'pits':>6s}  {'method':30s} at {RATES[0]:g} false per tile | at {RATES[1]:g}")
    for density in options.densities:
        begin = time.perf_counter()
        truth = list_openings(
            simulate_foil(density, limit_tiles(options.tiles, density), FIRST_SEED + density, {})
        )
        training = simulate_training_foil(density, limit_tiles(options.taught_tiles, density))
        lost = ~(truth.is_known[truth.particles] & truth.is_known[truth.other[truth.particles]])
        print(
            f"{density:6d}  {len(truth.particles)} particles on {truth.exposure.sum():.1f} tiles, "
            f"{lost.sum()} with an opening too small; trained on {len(training.particles)}"
        )
        for name, errors in cases.items():
            shapes = measure(truth, errors, FIRST_SEED + density)
            if name not in DEPTHS or errors.depth is None:
                ranked = rank_by_likelihood(truth, shapes)
                rows.append(make_row(density, f"likelihood ratio, {name}", truth, ranked))
            own = measure(training, errors, TRAINING_SEED + density)
            trees = train(Pairing(training, own))
            ranked = rank_by_trees(trees, Pairing(truth, shapes))
            rows.append(make_row(density, f"trees, {name}", truth, ranked))
        print(f"{density:6d}  after {time.perf_counter() - begin:.0f} s", flush=True)
    return rows


def measure_by_zenith(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each way of pairing and each bin of zenith angle."""
    changes: dict[str, Any] = {
        "hips.direction": "isotropic",
        "hips.max_zenith_deg": float(ZENITH_DEG[-1]),
    }
    if options.ratio is not None:
        changes["hips.v"] = options.ratio
    rows = []
    for density in options.densities:
        truth = list_openings(simulate_foil(density, options.tiles, FIRST_SEED + density, changes))
        shapes = measure(truth, Errors(), FIRST_SEED + density)
        zenith = truth.zenith_deg[truth.particles]
        for known in (True, False):
            name = "thickness known" if known else f"within {HABIT_PX:g} px"
            candidates = rank_by_likelihood(truth, shapes, thickness_known=known)
            search = candidates.search(truth)
            (threshold,) = choose_thresholds(search, Requirement(false_per_tile=1.0))
            passed = candidates.entry[search.is_true & (search.score >= threshold)]
            found = np.isin(truth.particles, passed)
            overall = efficiency_at_rate(search, 1.0)
            print(f"{density} pits per tile, {name}: {percent(overall)} of {len(found)} particles")
            for low, high in pairwise(ZENITH_DEG.tolist()):
                rows.append(_of_bin(truth, found, (zenith >= low) & (zenith < high)))
                rows[-1] |= {"background_per_tile": density, "case": name}
                rows[-1] |= {"zenith_deg": (low, high), "all": overall}
                efficiency = (
                    percent(rows[-1]["efficiency"]) if rows[-1]["particles"] else "no particle"
                )
                print(f"  {low:2.0f}–{high:2.0f}°  {efficiency}  of {rows[-1]['particles']}")
    return rows


def _of_bin(truth: Truth, found: Bools, own: Bools) -> dict[str, Any]:
    tile, count = truth.tile[truth.particles], len(truth.exposure)
    if not own.any():
        return {"particles": 0, "efficiency": None}
    done = proportion_over_tiles(
        np.bincount(tile[own & found], minlength=count), np.bincount(tile[own], minlength=count)
    )
    return {"particles": int(own.sum()), "efficiency": (done.value, done.low, done.high)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, help="tiles per density, fewer if dense (160; 400)")
    parser.add_argument(
        "--taught-tiles", type=int, default=400, help="tiles per density for the training"
    )
    parser.add_argument("--densities", type=int, nargs="+", help="background fragments per tile")
    parser.add_argument("--isotropic", action="store_true", help="efficiency by zenith angle")
    parser.add_argument("--ratio", type=float, help="with --isotropic, the signal's etch ratio V")
    own = parser.add_argument_group("errors of one more case, one standard deviation")
    own.add_argument("--place-px", type=float)
    own.add_argument("--radius", type=float, help="relative")
    own.add_argument("--ellipse", type=float)
    own.add_argument("--depth", type=float, help="relative; none unless given")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    names = ("place_px", "radius", "ellipse")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    options.own = bool(given) or options.depth is not None
    vars(options).update({**{name: getattr(Errors(), name) for name in names}, **given})
    options.output.mkdir(parents=True, exist_ok=True)
    if options.isotropic:
        options.tiles = options.tiles or 400
        options.densities = options.densities or [100]
        rows, name = measure_by_zenith(options), "oracle-zenith"
        draw_by_zenith(rows, options.output / f"{name}.png")
    else:
        options.tiles = options.tiles or 160
        options.densities = options.densities or [10, 30, 100, 300, 1000, 3000]
        rows, name = measure_by_density(options), "oracle"
        draw_by_density(rows, options.output / f"{name}.png")
    record = {"options": {**vars(options), "output": str(options.output)}, "rows": rows}
    record["errors"] = asdict(Errors())
    (options.output / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
