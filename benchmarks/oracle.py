"""How much signal a search could keep that were told every opening, by density and by angle.

    python benchmarks/oracle.py -o results
    python benchmarks/oracle.py --isotropic -o results

No picture is made: the true openings of foils of preset `experiment` are smeared by the errors of a
measurement, and each entry pit is given its best partner. Best is what Etchscope's likelihood ratio
says, which leaves depths out, or what boosted trees say that learnt from other foils of the same
density which pairs are particles. They stand for the likelihood that knows everything, are shown
Etchscope's of one particle too, and are told no depth, or depths to 15 or 5 %. What they reach is
no bound: of the few unrelated pairs that are as good as particles they have seen few. Of entry pits
with the same partner only the best is a candidate. A candidate is true if its openings are those of
one particle of the signal, and false otherwise. A particle counts if the pictures show both its
openings, even where one is too small or too shallow for a pit, which nobody is told of. Judged by
place, as a list of places to look at would be, the first candidate with an opening of a particle is
true even if the other one is not that particle's.

Efficiencies are at exactly 1 and 0.1 false candidates a tile, with 95 % intervals by drawing tiles
anew. Candidates are known by their openings and not by their places, so that none is true by a
chance match; chance is what the same candidates keep at that rate in random order, which is much
only where false ones are few.

With `--isotropic` the signal comes from everywhere up to 60° of zenith, and the efficiency of the
likelihood ratio at 1 false candidate a tile is told by zenith angle: with the foil's thickness
known, and for openings within 20 px of each other only. The preset's signal, of V = 1.6, opens no
pits beyond 49°: `--ratio 3` has some at all angles.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from scipy.spatial import cKDTree
from sklearn.ensemble import HistGradientBoostingClassifier

from etchscope.draw.figures import make_figure
from etchscope.draw.png import encode_figure
from etchscope.draw.style import INK, RC, SERIES_COLOURS
from etchscope.evaluation import (
    Figure,
    Requirement,
    Search,
    choose_thresholds,
    efficiency_at_rate,
    proportion_over_tiles,
)
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import area_cm2, tile_to_stage
from etchscope.pages.writing import write_picture
from etchscope.preselect import FindSettings
from etchscope.preselect.density import local_density
from etchscope.preselect.likelihood import log_ratios
from etchscope.preselect.openings import Shapes
from etchscope.preselect.pairs import pair_openings
from etchscope.preselect.track_model import tabulate_tracks
from etchscope.simulation import SimulatedScan, drop_overlap_copies, preset, with_parameters

RATES = (1.0, 0.1)
"""False candidates a tile."""
LEAST_PX, LEAST_DEPTH_PX = 2.0, 0.5
"""Radius and depth from which the finder is asked for an opening."""
BEAM_DEG = 25.0
"""Zenith angle to which trees pair: four times the beam's spread."""
DEPTHS = {"no depths": None, "depths to 15 %": 0.15, "depths to 5 %": 0.05}
FIRST_SEED, TAUGHT_SEED = 21_000, 31_000
HABIT_PX = 20.0
"""Displacement to which openings are paired where the foil's thickness is not known."""
ZENITH_DEG = np.arange(0.0, 61.0, 10.0)
RICH_TILES = 800
"""Tiles' worth of signal that the foils hold which trees learn from, on however many tiles: of 500
particles they learn little."""
CHUNK = 200_000
"""Pairs that are looked at together."""
MOST_DRAWN, MOST_LIKELY = 300_000, 200_000
"""Unrelated pairs that trees learn from: drawn ones, and those that look most like particles."""


@dataclass(frozen=True)
class Errors:
    """One standard deviation of what is measured of an opening.

    ``place_px`` along an axis, ``radius`` and ``depth`` relative, ``ellipse`` of ellipticity times
    cos and sin of twice its angle; without ``depth`` none is measured.
    """

    place_px: float = 0.8
    radius: float = 0.06
    ellipse: float = 0.06
    depth: float | None = None


@dataclass(frozen=True)
class Truth:
    """The openings of a foil, (n,) rows, and its tiles, (t,).

    ``shapes``: exact, the depth too. ``is_entry``. ``is_told``: large and deep enough.
    ``is_hip``: of the signal. ``other``: row of the particle's other opening where the pictures
    show that, else −1.
    ``of_entries, of_exits``: local density of those told, 1/px². ``tile``: from 0 on.
    ``exposure``: what of each tile no other one shows, on average. ``times``: by how much more
    signal there is than a search would meet.
    """

    shapes: Shapes
    is_entry: Bools
    is_told: Bools
    is_hip: Bools
    other: Ints
    zenith_deg: Floats
    of_entries: Floats
    of_exits: Floats
    tile: Ints
    exposure: Floats
    thickness_px: float
    removed_px: float
    times: float

    @property
    def entries(self) -> Ints:
        return np.flatnonzero(self.is_told & self.is_entry)

    @property
    def exits(self) -> Ints:
        return np.flatnonzero(self.is_told & ~self.is_entry)

    @property
    def particles(self) -> Ints:
        """Entry rows of the particles both of whose openings are in the pictures."""
        return np.flatnonzero((self.other >= 0) & self.is_entry)

    @property
    def reach_px(self) -> float:
        """Displacement to which trees pair."""
        return float(self.thickness_px * np.tan(np.deg2rad(BEAM_DEG)))

    @property
    def near(self) -> int:
        """How many pairs trees are shown, about."""
        place = np.column_stack([self.shapes.x, self.shapes.y])
        trees = (cKDTree(place[rows]) for rows in (self.entries, self.exits))
        return int(next(trees).count_neighbors(next(trees), self.reach_px))

    def are_true(self, entry: Ints, exit_: Ints) -> Bools:
        return np.asarray(self.other[entry] == exit_)

    def weights(self, entry: Ints, exit_: Ints) -> Floats:
        """Return how many pairs of a foil with no more signal than usual each stands for."""
        each = np.where(self.is_hip, 1 / self.times, 1.0)
        both = each[entry] * each[exit_]
        return np.where(self.are_true(entry, exit_), each[entry], both)


@dataclass(frozen=True)
class Candidates:
    """Pairs of openings and how likely they are particles, each (n,), the best first."""

    entry: Ints
    exit: Ints
    score: Floats

    @classmethod
    def of(cls, entry: Ints, exit_: Ints, score: Floats) -> "Candidates":
        """Return the best pair of each entry pit, and of those the best of each exit pit."""
        order = np.argsort(-score, kind="stable")
        for rows in (entry, exit_):
            order = order[np.sort(np.unique(rows[order], return_index=True)[1])]
        return cls(entry[order], exit_[order], score[order])

    def search(self, truth: Truth, *, by_place: bool = False) -> Search:
        """Return the search whose candidates these are; true by pair, or by place."""
        particles = truth.particles
        is_true = truth.are_true(self.entry, self.exit)
        if by_place:
            number = np.full(len(truth.tile), -1)
            number[particles] = number[truth.other[particles]] = np.arange(len(particles))
            which = np.where(number[self.entry] >= 0, number[self.entry], number[self.exit])
            first = np.unique(which, return_index=True)[1]
            is_true = (which >= 0) & np.isin(np.arange(len(which)), first)
        return Search(
            score=self.score,
            is_true=is_true,
            by_chance=np.zeros(len(self.score)),
            particles=len(particles),
            tiles=float(truth.exposure.sum()),
            area_cm2=np.nan,
            tile=truth.tile[self.entry],
            particle_tile=truth.tile[particles],
            exposure=truth.exposure,
        )


def foil_of(density: int, tiles: int, seed: int, changes: dict[str, Any]) -> SimulatedScan:
    columns = max(round(np.sqrt(tiles * 0.8)), 1)
    (foil,) = preset("experiment", seed=seed, columns=columns, rows=-(-tiles // columns))
    return with_parameters(foil, {"fragments.per_tile": float(density), **changes})


def truth_of(foil: SimulatedScan, times: float = 1.0) -> Truth:
    """Return the openings that a foil's pictures would show; its signal counts 1 / ``times``."""
    scan, pixel_um = foil.scan, foil.optics.pixel_size_um
    height, width = scan.image_size
    table = drop_overlap_copies(foil.truth(), scan.image_size)
    middle = np.array([(t.stage_x_mm, t.stage_y_mm) for t in scan.tiles], np.float64)
    tile = np.searchsorted([t.number for t in scan.tiles], table["tile"])
    columns = table["x_px"].to_numpy(), table["y_px"].to_numpy()
    stage = tile_to_stage(*columns, middle[tile, 0], middle[tile, 1], scan)
    mm = pixel_um / 1000
    place = np.column_stack([stage[0], -stage[1]]) / mm
    corner = np.column_stack([middle[:, 0], -middle[:, 1]]) / mm - [width / 2, height / 2]
    rectangles = np.column_stack(
        [corner[:, 0], corner[:, 0] + width, corner[:, 1], corner[:, 1] + height]
    )
    shapes = Shapes.of(table, place, pixel_um)
    is_entry = (table["surface"] == "top").to_numpy()
    is_told = (shapes.log_radius >= np.log(LEAST_PX)) & (shapes.log_depth >= np.log(LEAST_DEPTH_PX))
    scale = FindSettings().density_mm / mm
    is_hip = (table["class"] == "hip").to_numpy()

    def density(of: Bools) -> Floats:
        kinds = ((is_told & of & ~is_hip, 1.0), (is_told & of & is_hip, times))
        every = [
            local_density(place[own], place, rectangles, scale, own=own * 1.0) / rarer
            for own, rarer in kinds
        ]
        return np.asarray(every[0] + every[1])

    whole_cm2 = width * height * mm**2 / 100
    alone = area_cm2(scan, [t.number for t in scan.tiles]) / whole_cm2 / len(scan.tiles)
    return Truth(
        shapes,
        is_entry,
        is_told,
        is_hip,
        table["partner"].fillna(-1).to_numpy(np.int64),
        90 - table["dip_deg"].to_numpy(np.float64),
        density(is_entry),
        density(~is_entry),
        tile,
        np.full(len(scan.tiles), alone),
        foil.sheet.thickness_um / pixel_um,
        foil.sheet.removed_um / pixel_um,
        times,
    )


def lessons_of(density: int, tiles: int) -> Truth:
    """Return a foil with much more signal, which counts so much less, for trees to learn from."""
    foil = foil_of(density, tiles, TAUGHT_SEED + density, {})
    times = max(RICH_TILES / tiles, 1.0)
    rich = with_parameters(foil, {"hips.per_tile": times * foil.population.hips.per_tile})
    return truth_of(rich, times)


def fewer(most: int, density: int) -> int:
    """Return as many tiles, or in a dense foil so many as hold 120,000 fragments, 40 at least."""
    return int(np.clip(120_000 // density, min(40, most), most))


def measured(truth: Truth, errors: Errors, seed: int) -> Shapes:
    """Return the openings as they are measured; the same seed errs alike in all it measures."""
    exact, n = truth.shapes, len(truth.tile)
    x, y, radius, e_cos, e_sin, depth = np.random.default_rng(seed).normal(size=(6, n))
    log_depth = np.full(n, np.nan)
    if errors.depth is not None:
        log_depth = exact.log_depth + errors.depth * depth
    return Shapes(
        exact.x + errors.place_px * x,
        exact.y + errors.place_px * y,
        exact.log_radius + errors.radius * radius,
        exact.e_cos + errors.ellipse * e_cos,
        exact.e_sin + errors.ellipse * e_sin,
        log_depth,
        np.full(n, errors.radius),
        np.full(n, errors.ellipse),
        np.full(n, errors.place_px),
        np.full(n, errors.depth or np.nan),
        np.ones(n),
    )


def by_likelihood(truth: Truth, shapes: Shapes, *, thickness_known: bool = True) -> Candidates:
    """Return candidates by Etchscope's own likelihood ratio."""
    pairs = pair_openings(
        shapes,
        truth.entries,
        truth.exits,
        truth.of_exits,
        np.empty((0, 2), np.int64),
        thickness_px=truth.thickness_px if thickness_known else None,
        reach_px=HABIT_PX,
        max_zenith_deg=FindSettings().max_zenith_deg,
    )
    return Candidates.of(pairs.entry, pairs.exit, pairs.log_ratio[pairs.entry])


@dataclass(frozen=True)
class Pairing:
    """All pairs of openings near each other, part by part, as trees see them."""

    truth: Truth
    shapes: Shapes

    def parts(self) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Yield entry rows, exit rows and features, (n, k), of some entry pits at a time."""
        truth, s = self.truth, self.shapes
        place = np.column_stack([s.x, s.y])
        exits = cKDTree(place[truth.exits])
        tracks = tabulate_tracks(
            np.array([truth.thickness_px]), truth.removed_px, truth.reach_px, BEAM_DEG
        )
        for some in np.array_split(truth.entries, int(truth.near / CHUNK) + 1):
            near = cKDTree(place[some]).sparse_distance_matrix(
                exits, truth.reach_px, output_type="ndarray"
            )
            i, j = some[near["i"]], truth.exits[near["j"]]
            like = np.maximum(log_ratios(s, i, j, tracks, np.zeros(len(i))), -30.0)
            yield i, j, np.column_stack([self._features(i, j), like]).astype(np.float32)

    def _features(self, i: Ints, j: Ints) -> Floats:
        s, truth = self.shapes, self.truth
        dx, dy = s.x[j] - s.x[i], s.y[i] - s.y[j]
        apart = np.hypot(dx, dy)
        twice = 2 * np.arctan2(dy, dx)
        cos2, sin2 = np.cos(twice), np.sin(twice)
        along, across = (
            [s.e_cos[k] * c + s.e_sin[k] * d for k in (i, j)]
            for c, d in ((cos2, sin2), (-sin2, cos2))
        )
        columns = [
            apart,
            s.log_radius[i],
            s.log_radius[j],
            s.log_radius[j] - s.log_radius[i],
            *along,
            *across,
            s.ellipticity[i],
            s.ellipticity[j],
            np.hypot(s.e_cos[j] - s.e_cos[i], s.e_sin[j] - s.e_sin[i]),
            truth.of_entries[i],
            truth.of_exits[i],
        ]
        if np.isfinite(s.log_depth).any():
            columns += [s.log_depth[i], s.log_depth[j], s.log_depth[j] - s.log_depth[i]]
            # Of half the minor axis r² = h² d / (d + 2 h), h the bulk removed, if the track is not
            # etched to its end: a particle that goes through is not.
            for k in (i, j):
                r = np.exp(s.log_radius[k]) * np.sqrt(1 - np.minimum(s.ellipticity[k], 0.9))
                d = np.exp(s.log_depth[k])
                columns.append(np.log((r**2 + r * np.hypot(r, d)) / d))
        return np.column_stack(columns)


def _trees() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=200,
        learning_rate=0.06,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    )


def taught(pairing: Pairing) -> HistGradientBoostingClassifier:
    """Return trees that tell particles from unrelated pairs.

    They learn twice, each time with the weights that make up for what was left out: from unrelated
    pairs drawn at random, then from fewer of these and from all that look most like particles,
    which are those that a search is about.
    """
    share = min(MOST_DRAWN / max(pairing.truth.near, 1), 1.0)
    features, target, _ = drawn = _drawn(pairing, share, None, np.inf)
    first = _trees().fit(*drawn)
    if share == 1:
        return first
    said = first.decision_function(features[~target])
    level = float(np.quantile(said, max(1 - MOST_LIKELY * share / len(said), 0.0)))
    return _trees().fit(*_drawn(pairing, share / 3, first, level))


def _drawn(
    pairing: Pairing,
    share: float,
    trees: HistGradientBoostingClassifier | None,
    level: float,
) -> tuple[Floats, Bools, Floats]:
    """Return features, truth and weight of all particles and a share of the unrelated pairs.

    Of those that ``trees`` put above a level there are all.
    """
    rng = np.random.default_rng(0)
    parts = []
    for i, j, features in pairing.parts():
        is_true = pairing.truth.are_true(i, j)
        sure = is_true if trees is None else is_true | (trees.decision_function(features) > level)
        use = sure | (rng.random(len(i)) < share)
        weight = pairing.truth.weights(i, j) * np.where(sure, 1.0, 1 / share)
        parts.append((features[use], is_true[use], weight[use]))
    features, is_true, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    return features, is_true, weight


def by_trees(trees: HistGradientBoostingClassifier, pairing: Pairing) -> Candidates:
    """Return candidates by what trees say."""
    parts = [
        Candidates.of(i, j, trees.decision_function(features))
        for i, j, features in pairing.parts()
        if len(i)
    ]
    columns = (np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0]))
    return Candidates.of(*columns)


def in_random_order(search: Search, rate: float) -> float:
    """Return the efficiency at a rate if the same candidates were in random order."""
    true = int(search.is_true.sum())
    false = len(search.is_true) - true
    passed = min(rate * search.tiles / false, 1.0) if false else 1.0
    return passed * true / max(search.particles, 1)


def percent(figure: Figure) -> str:
    value, low, high = (100 * v for v in figure)
    return f"{value:5.1f} % [{low:.1f}, {high:.1f}]"


def row_of(density: int, case: str, truth: Truth, candidates: Candidates) -> dict[str, Any]:
    search, places = candidates.search(truth), candidates.search(truth, by_place=True)
    row: dict[str, Any] = {
        "background_per_tile": density,
        "case": case,
        "particles": search.particles,
        "tiles": search.tiles,
        "with_a_candidate": int(search.is_true.sum()),
        "candidates": len(search.score),
    }
    told = []
    for rate in RATES:
        row[f"at_{rate:g}"] = efficiency_at_rate(search, rate)
        row[f"by_place_at_{rate:g}"] = efficiency_at_rate(places, rate)
        row[f"chance_at_{rate:g}"] = in_random_order(search, rate)
        chance = f"chance {100 * row[f'chance_at_{rate:g}']:4.1f}"
        figures = (percent(row[f"{kind}at_{rate:g}"]) for kind in ("", "by_place_"))
        told.append(f"{', by place '.join(figures)}, {chance}")
    print(f"{density:6d}  {case:30s} {' | '.join(told)}", flush=True)
    return row


def by_density(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each density and judge."""
    rows = []
    cases = {name: Errors(depth=depth) for name, depth in DEPTHS.items()}
    if options.own:
        cases["errors as given"] = Errors(
            options.place_px, options.radius, options.ellipse, options.depth
        )
    print(f"{'pits':>6s}  {'judge':30s} at {RATES[0]:g} false a tile | at {RATES[1]:g}")
    for density in options.densities:
        begin = time.perf_counter()
        truth = truth_of(foil_of(density, fewer(options.tiles, density), FIRST_SEED + density, {}))
        lessons = lessons_of(density, fewer(options.taught_tiles, density))
        lost = ~(truth.is_told[truth.particles] & truth.is_told[truth.other[truth.particles]])
        print(
            f"{density:6d}  {len(truth.particles)} particles on {truth.exposure.sum():.1f} tiles, "
            f"{lost.sum()} with an opening too small; taught on {len(lessons.particles)}"
        )
        for name, errors in cases.items():
            shapes = measured(truth, errors, FIRST_SEED + density)
            if name not in DEPTHS or errors.depth is None:
                told = by_likelihood(truth, shapes)
                rows.append(row_of(density, f"likelihood ratio, {name}", truth, told))
            own = measured(lessons, errors, TAUGHT_SEED + density)
            trees = taught(Pairing(lessons, own))
            told = by_trees(trees, Pairing(truth, shapes))
            rows.append(row_of(density, f"trees, {name}", truth, told))
        print(f"{density:6d}  after {time.perf_counter() - begin:.0f} s", flush=True)
    return rows


def draw_by_density(rows: list[dict[str, Any]], path: Path) -> None:
    with mpl.rc_context(RC):
        made = make_figure(10.5, 5.2, "Signal that a search could keep that is told every opening")
        axes = made.subplots(1, len(RATES), sharey=True)
        names = list(dict.fromkeys(row["case"] for row in rows))
        for ax, rate in zip(axes, RATES, strict=True):
            for k, name in enumerate(names):
                own = [row for row in rows if row["case"] == name]
                x = np.array([row["background_per_tile"] for row in own], np.float64)
                told = np.array([row[f"at_{rate:g}"] for row in own])
                _bars(ax, x * 1.03 ** (k - len(names) / 2), told, name, SERIES_COLOURS[k])
                places = np.array([row[f"by_place_at_{rate:g}"][0] for row in own])
                ax.plot(x, 100 * places, "--", lw=0.9, color=SERIES_COLOURS[k])
            at = sorted({row["background_per_tile"] for row in rows})
            key = f"chance_at_{rate:g}"
            chance = [max(r[key] for r in rows if r["background_per_tile"] == d) for d in at]
            ax.plot(at, 100 * np.array(chance), ":", color="#8A8A8A", label="chance, at most")
            ax.set_xscale("log")
            ax.set_xticks(at, [f"{d:,}" for d in at])
            ax.minorticks_off()
            ax.set_ylim(0, 102)
            ax.grid(axis="y")
            ax.set_xlabel("background fragments a tile")
            ax.set_title(f"at {rate:g} false candidate{'s' if rate != 1 else ''} a tile")
        axes[0].set_ylabel("signal efficiency (%)")
        axes[0].plot([], [], "--", lw=0.9, color=INK, label="the same, judged by place")
        made.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    write_picture(encode_figure(made), path)


def _bars(ax: Axes, x: Floats, told: Floats, name: str, colour: str) -> None:
    value, low, high = 100 * told.T
    ax.errorbar(
        x, value, [value - low, high - value], label=name, color=colour, marker="o", ms=4, capsize=2
    )


def by_zenith(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each way to pair and bin of zenith angle."""
    changes: dict[str, Any] = {
        "hips.direction": "isotropic",
        "hips.max_zenith_deg": float(ZENITH_DEG[-1]),
    }
    if options.ratio is not None:
        changes["hips.v"] = options.ratio
    rows = []
    for density in options.densities:
        truth = truth_of(foil_of(density, options.tiles, FIRST_SEED + density, changes))
        shapes = measured(truth, Errors(), FIRST_SEED + density)
        zenith = truth.zenith_deg[truth.particles]
        for known in (True, False):
            name = "thickness known" if known else f"within {HABIT_PX:g} px"
            candidates = by_likelihood(truth, shapes, thickness_known=known)
            search = candidates.search(truth)
            (threshold,) = choose_thresholds(search, Requirement(false_per_tile=1.0))
            passed = candidates.entry[search.is_true & (search.score >= threshold)]
            found = np.isin(truth.particles, passed)
            told = efficiency_at_rate(search, 1.0)
            print(f"{density} pits a tile, {name}: {percent(told)} of {len(found)} particles")
            for low, high in pairwise(ZENITH_DEG.tolist()):
                rows.append(_of_bin(truth, found, (zenith >= low) & (zenith < high)))
                rows[-1] |= {"background_per_tile": density, "case": name}
                rows[-1] |= {"zenith_deg": (low, high), "all": told}
                said = percent(rows[-1]["efficiency"]) if rows[-1]["particles"] else "no particle"
                print(f"  {low:2.0f}–{high:2.0f}°  {said}  of {rows[-1]['particles']}")
    return rows


def _of_bin(truth: Truth, found: Bools, own: Bools) -> dict[str, Any]:
    tile, count = truth.tile[truth.particles], len(truth.exposure)
    if not own.any():
        return {"particles": 0, "efficiency": None}
    done = proportion_over_tiles(
        np.bincount(tile[own & found], minlength=count), np.bincount(tile[own], minlength=count)
    )
    return {"particles": int(own.sum()), "efficiency": (done.value, done.low, done.high)}


def draw_by_zenith(rows: list[dict[str, Any]], path: Path) -> None:
    with mpl.rc_context(RC):
        made = make_figure(6.5, 4.4, "Signal from everywhere, at 1 false candidate a tile")
        ax = made.subplots()
        names = list(dict.fromkeys((r["background_per_tile"], r["case"]) for r in rows))
        for k, (density, name) in enumerate(names):
            own = [
                r
                for r in rows
                if (r["background_per_tile"], r["case"]) == (density, name) and r["particles"]
            ]
            x = np.array([np.mean(r["zenith_deg"]) for r in own]) + 0.4 * (k - len(names) / 2)
            told = np.array([r["efficiency"] for r in own])
            _bars(ax, x, told, f"{name}, {density:,} fragments a tile", SERIES_COLOURS[k])
        ax.set(xlim=(ZENITH_DEG[0], ZENITH_DEG[-1]), ylim=(-2, 102), xticks=ZENITH_DEG)
        ax.set(xlabel="zenith angle (°)", ylabel="signal efficiency (%)")
        ax.grid(axis="y")
        ax.legend(loc="best")
    write_picture(encode_figure(made), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, help="a density, fewer if dense (160; 400)")
    parser.add_argument("--taught-tiles", type=int, default=400, help="of other foils")
    parser.add_argument("--densities", type=int, nargs="+", help="background fragments a tile")
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
        rows, name = by_zenith(options), "oracle-zenith"
        draw_by_zenith(rows, options.output / f"{name}.png")
    else:
        options.tiles = options.tiles or 160
        options.densities = options.densities or [10, 30, 100, 300, 1000, 3000]
        rows, name = by_density(options), "oracle"
        draw_by_density(rows, options.output / f"{name}.png")
    said = {"options": {**vars(options), "output": str(options.output)}, "rows": rows}
    said["errors"] = asdict(Errors())
    (options.output / f"{name}.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
