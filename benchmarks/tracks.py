"""How well pairs determine direction, etch ratio, depth and charge over velocity of particles.

    python benchmarks/tracks.py --preset experiment --densities 10 30 100 300 --tiles 40
    python benchmarks/tracks.py --random 60
    python benchmarks/tracks.py --stack --tiles 20
    python benchmarks/tracks.py --isotropic --tiles 30 --seed 17500

A pull is the measured value minus the true value, over the stated error. Its mean should be 0 and
its width (half of the range of the central 68 %) should be 1. For true pairs that were linked and
have a track, the script prints pulls and residuals by surface, density and true radius, with the
standard error of the mean over tiles or foils. ``--random`` takes random foils of one tile each,
``--stack`` the six surfaces that a lead ion crosses in the preset `pb-stack`. ``--isotropic``
simulates signal with V = 3 from everywhere up to 60° of zenith and prints, by zenith angle, the
share of the particles whose two openings were linked, with the thickness of the foil and without.
"""

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope import find_pits
from etchscope.evaluation import proportion
from etchscope.files import read_table
from etchscope.foil import Foil
from etchscope.run import find, simulate
from etchscope.simulation import SimulatedScan, preset, randomise_scan, with_parameters
from etchscope.store import Store, TilePictures

NEAR_PX = 6.0
CHARGE_OVER_BETA = 82 / 0.99998
"""Z/β of the ions of the preset `pb-stack`."""


def make_foils(args: argparse.Namespace) -> Iterable[tuple[str, SimulatedScan]]:
    """Yield the foils, each with the name of its row in the table."""
    columns = max(round(np.sqrt(args.tiles * 0.8)), 1)
    rows = -(-args.tiles // columns)
    if args.random:
        for seed in range(args.random):
            (scan,) = preset("reference", seed=args.seed + seed, columns=1, rows=1)
            yield "random foils", with_parameters(randomise_scan(scan), {"hips.per_tile": 40.0})
    elif args.stack:
        yield from (
            ("stack", s) for s in preset("pb-stack", seed=args.seed, columns=columns, rows=rows)
        )
    else:
        for density in args.densities:
            (scan,) = preset(args.preset, seed=args.seed + int(density), columns=columns, rows=rows)
            drawn = with_parameters(scan, {"fragments.per_tile": density})
            yield f"{density:g} per tile", replace(drawn, foil=f"d{density:g}")


def search_foil(scan: SimulatedScan, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the pit table of a foil and its true openings."""
    store = Store.create(folder / "store")
    (truth,) = simulate([scan], folder, store=store)
    find(store, scan.scan.name)
    return store.runs.pits(store.runs.latest(scan.scan.name) or ""), read_table(truth)


def search_tile(scan: SimulatedScan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the pit table of a foil of one tile and its true openings."""
    sheet = scan.sheet
    pits = find_pits(
        scan.read_tile(1),
        azimuths_deg=scan.scan.azimuths_deg,
        pixel_size_um=scan.optics.pixel_size_um,
        thickness_um=sheet.thickness_um,
        removed_um=sheet.removed_um,
        material=str(sheet.material),
    )
    return pits.assign(tile=1), scan.truth()


def link_true_pairs(pits: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the openings of pairs of one true particle, with the true values of each."""
    names = ["particle", "class", "v", "dip_deg", "azimuth_deg", "depth_um", "radius_px"]
    true = pd.DataFrame(np.nan, index=pits.index, columns=names).astype({"class": object})
    for (tile, surface), mine in pits.groupby(["tile", "surface"]):
        there = truth[(truth["tile"] == tile) & (truth["surface"] == surface)]
        if not len(there):
            continue
        at = cKDTree(there[["x_px", "y_px"]].to_numpy())
        apart, near = at.query(mine[["x_px", "y_px"]].to_numpy())
        rows = mine.index[apart < NEAR_PX]
        true.loc[rows, names] = there[names].to_numpy()[near[apart < NEAR_PX]]
    by_pit = pd.Series(np.arange(len(pits)), index=pits["pit"])
    partner = pits["partner"].map(by_pit)
    has = partner.notna().to_numpy() & pits["v"].notna().to_numpy()
    other = partner[has].to_numpy(np.int64)
    particle = true["particle"].to_numpy(np.float64)
    same = particle[np.flatnonzero(has)] == particle[other]
    chosen = np.flatnonzero(has)[same & (true["class"].to_numpy()[np.flatnonzero(has)] == "hip")]
    right = true.iloc[chosen].drop(columns="class").astype(float).add_prefix("true_")
    return pits.iloc[chosen].join(right)


def add_pulls(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with residuals and pulls of the track parameters."""
    out = table.copy()
    over = np.log(out["v"] - 1)
    out["ln(V-1)"] = over - np.log(out["true_v"] - 1)
    out["pull ln(V-1)"] = out["ln(V-1)"] / (out["v_err"] / (out["v"] - 1))
    ratio = np.log(out["depth_um"] / out["true_depth_um"])
    out["ln(depth)"], out["pull ln(depth)"] = ratio, ratio / (out["depth_um_err"] / out["depth_um"])
    out["dip_deg residual"] = out["dip_deg"] - out["true_dip_deg"]
    slopes = []
    for prefix in ("", "true_"):
        tangent = 1 / np.tan(np.deg2rad(out[f"{prefix}dip_deg"]))
        azimuth = np.deg2rad(out[f"{prefix}azimuth_deg"])
        slopes.append((tangent * np.cos(azimuth), tangent * np.sin(azimuth)))
    tangent = np.hypot(*slopes[0])
    s_along = np.deg2rad(out["dip_deg_err"]) * (1 + tangent**2)
    s_across = np.deg2rad(out["azimuth_deg_err"]) * tangent
    azimuth = np.deg2rad(out["azimuth_deg"])
    for name, k in (("slope x", 0), ("slope y", 1)):
        c2 = (np.cos(azimuth) if k == 0 else np.sin(azimuth)) ** 2
        error = np.sqrt(c2 * s_along**2 + (1 - c2) * s_across**2)
        out[name] = slopes[0][k] - slopes[1][k]
        out[f"pull {name}"] = out[name] / error
    return out


def summarise(values: pd.Series, group: pd.Series) -> str:
    """Return the mean with its error over groups, and the width, as text."""
    x = values.replace([np.inf, -np.inf], np.nan).dropna()
    if len(x) < 20:
        return f"{'too few':>22}"
    means = x.groupby(group.loc[x.index]).agg(["sum", "size"])
    # The ratio of sums over groups and its variance (Cochran, Sampling Techniques, 1977, 6.3).
    mean = means["sum"].sum() / means["size"].sum()
    off = means["sum"] - mean * means["size"]
    error = np.sqrt((off**2).sum()) / means["size"].sum()
    width = np.diff(np.percentile(x, [16, 84]))[0] / 2
    return f"{mean:+.3f} ± {error:.3f}, {width:.2f}"


def print_pulls(name: str, table: pd.DataFrame) -> None:
    """Print pulls and residuals, by surface and by radius."""
    median = table["true_radius_px"].median()
    cells = {
        "top": table["surface"] == "top",
        "bottom": table["surface"] == "bottom",
        f"radius below {median:.1f} px": table["true_radius_px"] < median,
        "radius above": table["true_radius_px"] >= median,
    }
    print(f"\n{name}: {len(table) // 2} linked true pairs. Mean ± its error, width.")
    pulls = [f"pull {name}" for name in ("ln(V-1)", "ln(depth)", "slope x", "slope y")]
    head = [*pulls, "ln(V-1)", "ln(depth)"]
    print(f"{'':20}" + "".join(f"{h:>24}" for h in head))
    for cell, rows in cells.items():
        part = table[rows]
        print(f"{cell:20}" + "".join(f"{summarise(part[h], part['group']):>24}" for h in head))
    one = table[table["surface"] == "top"]
    dip = one["dip_deg residual"]
    print(
        f"dip: bias {summarise(dip, one['group'])}, r.m.s. {np.sqrt((dip**2).mean()):.2f} deg; "
        f"median stated error {one['dip_deg_err'].median():.2f} deg"
    )
    share = (one["z_over_beta_err"] / one["z_over_beta"]).median()
    print(f"Z/beta of one pair: {one['z_over_beta'].median():.1f}, stated error {share:.1%}")


def print_stack(tables: Sequence[pd.DataFrame]) -> None:
    """Print how well one pair, and the six surfaces of three foils, determine Z/β."""
    whole = pd.concat(tables)
    one = whole[whole["surface"] == "top"]
    ratio = np.log(one["z_over_beta"] / CHARGE_OVER_BETA)
    print(f"\none pair: ln(Z/beta) off by {ratio.mean():+.3f}, spread {ratio.std():.3f}", end="")
    print(f", stated {(one['z_over_beta_err'] / one['z_over_beta']).median():.3f}, n = {len(one)}")
    ions = one.assign(ln=ratio).groupby("true_particle")["ln"].agg(["mean", "size"])
    six = ions.loc[ions["size"] == 3, "mean"]
    print(f"six surfaces: off by {six.mean():+.3f}, spread {six.std():.3f}, n = {len(six)}")


def print_isotropic(args: argparse.Namespace) -> None:
    """Print the share of slanted particles whose openings were linked, by zenith angle."""
    columns = max(round(np.sqrt(args.tiles * 1.2)), 1)
    (scan,) = preset(args.preset, seed=args.seed, columns=columns, rows=-(-args.tiles // columns))
    direction = {"hips.direction": "isotropic", "hips.max_zenith_deg": 60.0, "hips.v": 3.0}
    scan = with_parameters(scan, {"fragments.per_tile": 30.0, **direction})
    truth, sheet = scan.truth(), scan.sheet
    hips = truth[truth["class"] == "hip"].drop_duplicates(["particle", "surface"])
    entries, exits = (hips[hips["surface"] == s].set_index("particle") for s in ("top", "bottom"))
    both = entries.index.intersection(exits.index)
    zenith = 90 - entries.loc[both, "dip_deg"]
    known = {"thickness_um": sheet.thickness_um, "material": sheet.material}
    known["etch"] = {"removed_um": sheet.removed_um}
    for name, facts in (("thickness known", known), ("unknown", {})):
        with tempfile.TemporaryDirectory() as folder:
            store = Store.create(Path(folder) / "store")
            store.scans.add(
                scan.scan,
                Foil(name=scan.scan.foil, **facts),
                lambda n: TilePictures(
                    scan.read_tile(n), tuple(str(c.step) for c in scan.scan.channels)
                ),
            )
            pits = store.runs.pits(find(store, scan.scan.name).run)
        right = link_true_pairs(
            pits.assign(v=np.where(pits["partner"].notna(), 2.0, np.nan)), truth
        )
        is_linked = both.isin(right["true_particle"].astype(int))
        print(f"{name}: {len(both)} particles")
        for low in range(0, 60, 10):
            mine = ((zenith >= low) & (zenith < low + 10)).to_numpy()
            if mine.any():
                share = proportion(int(is_linked[mine].sum()), int(mine.sum()))
                print(f"  {low} to {low + 10} deg: {share}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="experiment")
    parser.add_argument("--densities", type=float, nargs="+", default=[10, 30, 100, 300])
    parser.add_argument("--tiles", type=int, default=40)
    parser.add_argument("--random", type=int, default=0, metavar="FOILS")
    parser.add_argument("--stack", action="store_true")
    parser.add_argument("--isotropic", action="store_true")
    parser.add_argument("--seed", type=int, default=41_000)
    args = parser.parse_args()
    if args.isotropic:
        print_isotropic(args)
        return
    tables: dict[str, list[pd.DataFrame]] = {}
    for number, (name, scan) in enumerate(make_foils(args)):
        with tempfile.TemporaryDirectory() as folder:
            found = search_tile(scan) if args.random else search_foil(scan, Path(folder))
        table = add_pulls(link_true_pairs(*found))
        table["group"] = number if args.random else table["tile"]
        tables.setdefault(name, []).append(table.reset_index(drop=True))
    for name, parts in tables.items():
        print_pulls(name, pd.concat(parts, ignore_index=True))
    if args.stack:
        print_stack([part for parts in tables.values() for part in parts])


if __name__ == "__main__":
    main()
