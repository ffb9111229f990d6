"""Efficiency and purity of `find` on simulated foils, against density and displacement.

    python benchmarks/efficiency.py --tiles 20 --densities 10 100 300 1000

Every figure is beside its 95 % interval and the chance level (the found list turned by 180°). One
foil a density; the settings are the defaults, fixed before.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.evaluate import evaluate, proportion
from etchscope.foil import Foil
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.simulate import Population, SimulatedScan, isolated
from etchscope.store import Store, TilePictures

TOLERANCE_PX = 6.0
PIXEL_MM = 0.0064516
BINS = [0, 2, 4, 6, 8, 12, 18]


def searched(foil: SimulatedScan, folder: Path, settings: FindSettings) -> pd.DataFrame:
    """Return the pit table that `find` makes of a simulated foil, through a store."""
    store = Store.create(folder / "store")
    sources = tuple(f"step {c.step}" for c in foil.scan.channels)

    def read_tile(number: int) -> TilePictures:
        return TilePictures(foil.read_tile(number), sources)

    store.add_scan(foil.scan, Foil(name=foil.foil), read_tile)
    return store.read_pits(find(store, foil.scan.name, settings=settings).run)


def inside(table: pd.DataFrame, foil: SimulatedScan, margin_px: float) -> pd.Series:
    """Return which rows keep clear of the scan's outer edge, where openings are cut."""
    height, width = foil.optics.image_size
    margin = margin_px * PIXEL_MM
    right = (foil.columns - 1) * 4.0 + width / 2 * PIXEL_MM - margin
    left, top = margin - width / 2 * PIXEL_MM, height / 2 * PIXEL_MM - margin
    bottom = -(foil.rows - 1) * 3.0 - height / 2 * PIXEL_MM + margin
    return table["x_mm"].between(left, right) & table["y_mm"].between(bottom, top)


def pairs_found(truth: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return one row a signal pair: its displacement, and whether either, both, or a pair."""
    signal = truth[truth["class"] == "hip"].set_index("pit")
    entry = signal[(signal["surface"] == "top") & signal["partner"].notna()]
    exit_ = signal.reindex(entry["partner"].astype(int))
    entry, exit_ = entry[exit_["x_mm"].notna().to_numpy()], exit_[exit_["x_mm"].notna()]
    tree = cKDTree(found[["x_mm", "y_mm"]])
    tolerance = TOLERANCE_PX * PIXEL_MM
    near = [tree.query(side[["x_mm", "y_mm"]])[0] < tolerance for side in (entry, exit_)]
    tops = found[(found["surface"] == "top") & found["partner"].notna()]
    linked = np.zeros(len(entry), bool)
    if len(tops):
        shift = found.set_index("pit").loc[tops["partner"].astype(int), ["x_mm", "y_mm"]]
        both = np.column_stack([tops[["x_mm", "y_mm"]], shift])
        wanted = np.column_stack([entry[["x_mm", "y_mm"]], exit_[["x_mm", "y_mm"]]])
        distance, which = cKDTree(both).query(wanted, k=1)
        linked = (distance < np.sqrt(2) * tolerance) & (which < len(both))
    apart = np.hypot(*(exit_[["x_mm", "y_mm"]].to_numpy() - entry[["x_mm", "y_mm"]].to_numpy()).T)
    return pd.DataFrame(
        {
            "displacement_px": apart / PIXEL_MM,
            "either": near[0] | near[1],
            "both": near[0] & near[1],
            "paired": linked,
        }
    )


def report(density: int, tiles: int, seed: int, settings: FindSettings) -> pd.DataFrame:
    """Print the figures of one density; return its signal pairs."""
    columns = max(round(np.sqrt(tiles * 1.25)), 1)
    foil = SimulatedScan(
        seed=seed,
        columns=columns,
        rows=-(-tiles // columns),
        population=Population.of(density, 5),
    )
    with tempfile.TemporaryDirectory() as folder:
        found = searched(foil, Path(folder), settings)
    truth = foil.truth().drop_duplicates("pit").reset_index(drop=True)
    truth["setting"] = np.where(isolated(truth, 6.4516), "isolated", "overlapped")
    score = evaluate(truth, found, rule="one-to-one", tolerance_mm=TOLERANCE_PX * PIXEL_MM)
    hit, found_hit = score.matching.truth_hit, score.matching.found_hit
    chance_hit = score.chance.truth_hit
    clear, clear_found = inside(truth, foil, 12).to_numpy(), inside(found, foil, 12).to_numpy()
    print(f"\n{density} background pits a tile, {len(foil.scan.tiles)} tiles, seed {seed}")
    surfaces = np.where(found["surface"].isin(["top", "bottom"]), found["surface"], "unknown")
    same = (
        surfaces[score.matching.found_index]
        == truth["surface"].to_numpy()[score.matching.truth_index]
    )
    print(f"  surface right where matched: {proportion(int(same.sum()), len(same))}")
    for setting in ("isolated", "overlapped", "all"):
        use = clear & ((truth["setting"] == setting).to_numpy() | (setting == "all"))
        chance = proportion(int(chance_hit[use].sum()), int(use.sum()))
        got = proportion(int(hit[use].sum()), int(use.sum()))
        print(f"  recall {setting:10s} {got}   chance {chance.value:.3f}   n={use.sum()}")
    pure = proportion(int(found_hit[clear_found].sum()), int(clear_found.sum()))
    by_chance = score.chance.found_hit[clear_found].mean()
    print(f"  precision         {pure}   chance {by_chance:.3f}   n={clear_found.sum()}")
    # A find is isolated if the nearest true opening is, or if it is near none.
    _, nearest = cKDTree(truth[["x_mm", "y_mm"]]).query(found[["x_mm", "y_mm"]])
    alone = (truth["setting"].to_numpy()[nearest] == "isolated") & clear_found
    pure = proportion(int(found_hit[alone].sum()), int(alone.sum()))
    print(f"  precision isolated {pure}   n={alone.sum()}")
    pairs = pairs_found(truth[clear], found)
    for name in ("either", "both", "paired"):
        print(f"  signal pairs, {name:7s} {proportion(int(pairs[name].sum()), len(pairs))}")
    return pairs.assign(density=density)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=20)
    parser.add_argument("--densities", type=int, nargs="+", default=[10, 100, 300, 1000])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--binning", type=int, default=2)
    options = parser.parse_args()
    settings = FindSettings(binning=options.binning)
    pairs = pd.concat(
        [report(d, options.tiles, options.seed + d, settings) for d in options.densities]
    )
    print("\nsignal pairs, either pit found, against the displacement in px")
    cut = pd.cut(pairs["displacement_px"], BINS)
    for (density, where), some in pairs.groupby(["density", cut], observed=True):
        got = proportion(int(some["either"].sum()), len(some))
        print(f"  {density:5d}  {where!s:8s} {got}   paired {some['paired'].mean():.2f}")


if __name__ == "__main__":
    main()
