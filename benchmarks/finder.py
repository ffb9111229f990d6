"""The finders on foils of the preset `experiment`, with 10 to 3,000 background pits per tile.

    python benchmarks/finder.py --tiles 40 --finders learned classical

The script prints recall by radius and depth, precision with an interval over tiles (bootstrap), the
χ²/ndf of the number of false finds per tile, the errors of centre and radius, how often an error is
within one stated σ (68 % if σ is right), the measured density over the true one, and the number of
pairs with p ≤ 0.01. Openings with a radius of less than 3 px or a depth of less than half a pixel,
and finds with a smaller stated radius, do not count. Openings and finds are matched one to one
within 6 px. Chance is the same list shifted by 60 and 120 px within each tile.
"""

import argparse
import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.evaluation import (
    chance_matches,
    format_chi2,
    in_box,
    match_one_to_one,
    overdispersion,
    proportion_over_tiles,
)
from etchscope.foil import Foil
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.simulation import SimulatedScan, preset, with_parameters
from etchscope.simulation.populations import REFERENCE_TILE_MM2
from etchscope.store import Store, TilePictures

TOLERANCE_PX, LEAST_PX, LEAST_DEPTH_PX, MARGIN_PX = 6.0, 3.0, 0.5, 14.0
RADII, DEPTHS = [3, 4, 6, 9, 20], [0.5, 2, 4, 8, 100]


def make_foil(options: argparse.Namespace, density: float, changes: dict) -> SimulatedScan:
    columns = max(round(np.sqrt(options.tiles * 1.25)), 1)
    size = {"columns": columns, "rows": -(-options.tiles // columns)}
    seed = options.seed + int(density)
    (foil,) = preset(options.preset, seed=seed, **size)
    if options.population:
        foil = replace(foil, population=preset(options.population, seed=seed, **size)[0].population)
    if density:
        changes = {"fragments.per_tile": float(density), **changes}
    return with_parameters(foil, changes)


def make_store(foil: SimulatedScan, folder: Path) -> Store:
    store = Store.create(folder / "store")
    sources = tuple(f"step {c.step}" for c in foil.scan.channels)
    record = Foil(name=foil.foil)
    store.scans.add(foil.scan, record, lambda n: TilePictures(foil.read_tile(n), sources))
    return store


def match_tile(truth: pd.DataFrame, found: pd.DataFrame, foil: SimulatedScan) -> dict:
    """Return the openings and finds of one tile that count, and their matched pairs."""
    height, width = foil.optics.image_size

    def inside(t: pd.DataFrame) -> np.ndarray:
        x = t["x_px"].between(MARGIN_PX, width - 1 - MARGIN_PX)
        return (x & t["y_px"].between(MARGIN_PX, height - 1 - MARGIN_PX)).to_numpy()

    depth = truth["depth_um"].to_numpy() / foil.optics.pixel_size_um
    counts = (truth["radius_px"].to_numpy() >= LEAST_PX) & (depth >= LEAST_DEPTH_PX) & inside(truth)
    places, at = truth[["x_px", "y_px"]].to_numpy(), found[["x_px", "y_px"]].to_numpy()
    hit = match_one_to_one(places[counts], at, TOLERANCE_PX)
    rest = np.setdiff1d(np.arange(len(at)), hit.found_index)
    spare = match_one_to_one(places[~counts], at[rest], TOLERANCE_PX)
    false = np.setdiff1d(rest, rest[spare.found_index])
    ok = inside(found)[false] & (found["radius_px"].to_numpy()[false] >= LEAST_PX)
    tile = in_box((-0.5, -0.5), (width - 0.5, height - 0.5))
    chance = chance_matches(places[counts], at, TOLERANCE_PX, rule="one-to-one", inside=tile)
    return {
        "truth": truth[counts].assign(depth_px=depth[counts]).reset_index(drop=True),
        "i": hit.truth_index,
        "j": hit.found_index,
        "found": found.reset_index(drop=True),
        "false": int(ok.sum()),
        "chance": float(chance.truth.sum()),
    }


def coverage(error: np.ndarray, sigma: np.ndarray) -> str:
    known = np.isfinite(sigma) & (sigma > 0)
    return f"{(np.abs(error[known]) < sigma[known]).mean():.3f}" if known.any() else "-"


def report(foil: SimulatedScan, settings: FindSettings, density: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(foil, Path(folder))
        pits = store.runs.pits(find(store, foil.scan.name, settings=settings).run)
    is_mark = (pits["class"] == "misc").fillna(value=False).astype(bool)
    print_figures(foil, pits[~is_mark], density, settings.finder)
    pairs = pits[pits["pair_p"].notna() & (pits["surface"] == "top")]
    print(f"    pairs with p <= 0.01: {(pairs['pair_p'] <= 0.01).sum()}, of {len(pairs)} pairs")


def print_figures(foil: SimulatedScan, pits: pd.DataFrame, density: float, name: str) -> None:
    tiles = []
    for number, found in pits.groupby("tile"):
        truth = foil.openings(int(number))
        # A pit in an overlap is one row, in the tile that shows it best.
        tiles.append(match_tile(truth, found, foil))
    hits = np.array([len(t["i"]) for t in tiles])
    false, truths = (
        np.array([t["false"] for t in tiles]),
        np.array([len(t["truth"]) for t in tiles]),
    )
    true = pd.concat([t["truth"].iloc[t["i"]] for t in tiles], ignore_index=True)
    got = pd.concat([t["found"].iloc[t["j"]] for t in tiles], ignore_index=True)
    everything = pd.concat([t["truth"] for t in tiles], ignore_index=True)
    chance = sum(t["chance"] for t in tiles) / max(truths.sum(), 1)
    print(
        f"{name:10s} {density:6g}  recall {proportion_over_tiles(hits, truths)}  precision "
        f"{proportion_over_tiles(hits, hits + false)}, {format_chi2(overdispersion(false))}  "
        f"chance of recall {chance:.3f}  n {truths.sum()}"
    )
    for column, bins in (("radius_px", RADII), ("depth_px", DEPTHS)):
        parts = []
        for low, high in itertools.pairwise(bins):
            n = everything[column].between(low, high, inclusive="left").sum()
            k = true[column].between(low, high, inclusive="left").sum()
            parts.append(f"{low:g}-{high:g} {k / max(n, 1):.2f} ({n})")
        print(f"    recall by {column}: " + ", ".join(parts))
    dx = (got["x_px"] - true["x_px"]).to_numpy()
    dy = (got["y_px"] - true["y_px"]).to_numpy()
    dr = (got["radius_px"] - true["radius_px"]).to_numpy()
    relative = dr / true["radius_px"].to_numpy()
    dd = (got["depth_um"] - true["depth_um"]).to_numpy()
    de = (got["ellipticity"] - true["ellipticity"]).to_numpy()
    same = (got["surface"].to_numpy() == true["surface"].to_numpy()).mean()
    errors = (("x", dx, "x_px"), ("radius", dr, "radius_px"), ("ellipticity", de, "ellipticity"))
    within = ", ".join(
        f"{word} {coverage(error, got[f'{column}_err'].to_numpy())}"
        for word, error, column in (*errors, ("depth", dd, "depth_um"))
    )
    print(
        f"    centre {np.median(np.hypot(dx, dy)):.2f} px in the median, radius "
        f"{np.median(relative):+.3f} ± {1.4826 * np.median(np.abs(relative)):.3f}, surface right "
        f"{same:.3f}; within 1 σ: {within}"
    )
    height, width = foil.optics.image_size
    inner = (height - 1 - 2 * MARGIN_PX) * (width - 1 - 2 * MARGIN_PX) / (height * width)
    true_density = truths.sum() / len(tiles) / (inner * REFERENCE_TILE_MM2)
    if pits["density_per_mm2"].notna().any():
        print(f"    density found over true {pits['density_per_mm2'].mean() / true_density:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="experiment")
    parser.add_argument("--population", help="The populations of another preset.")
    parser.add_argument("--tiles", type=int, default=40)
    parser.add_argument("--finders", nargs="+", default=["learned", "classical"])
    parser.add_argument(
        "--densities",
        type=float,
        nargs="+",
        default=[10, 100, 300, 1000, 2000, 3000],
        help="Background pits per tile; 0 for those of the preset.",
    )
    parser.add_argument("--seed", type=int, default=4000)
    parser.add_argument("--no-signal", action="store_true", help="Background alone, no marks.")
    options = parser.parse_args()
    changes = {"hips.per_tile": 0.0} if options.no_signal else {}
    for density in options.densities:
        foil = make_foil(options, density, changes)
        for name in options.finders:
            report(foil, FindSettings(finder=name), density)


if __name__ == "__main__":
    main()
