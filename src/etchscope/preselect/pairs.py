"""Entry and exit pits of one particle, and how likely chance makes so good a pair."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from etchscope.foil.types import Floats, Ints
from etchscope.preselect.background import log_background_density
from etchscope.preselect.likelihood import find_pairs, log_ratios
from etchscope.preselect.openings import Shapes, estimate_removed_bulk
from etchscope.preselect.population import fit_population
from etchscope.preselect.track_model import Tracks, tabulate_tracks

__all__ = ["Pairs", "pair_openings"]

_USUAL_BULK = 8.0
"""Thickness of a foil over the bulk removed on a side, where neither is known."""
_UNKNOWN = (0.6, 1.0, 1.7)
"""Of that, what an unknown thickness may be."""
_PAIRED, _WORST = -3.0, -300.0
"""Log ratio from which an entry and an exit pit that one picture does not show are partners, and
that of openings that cannot be one particle's."""
_LEAST = -5.0
"""Log ratio below which two openings have nothing to do with each other."""
_DRAWS, _MOST_DRAWS = 100, 100_000
"""Unrelated pairs that are drawn an entry pit, and in all, to tell how often chance makes one as
good; as many as 50 entry pits' at least."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of an entry and an exit row.

    ``chance``: that density alone gives an entry pit so good a partner; nan for a pair that was
    split from one find: no density of unrelated pits tells how often such a find is none.
    ``log_ratio``: (n,) of each opening, how much likelier it and its partner, or the best that it
    might have, are one particle than unrelated pits; nan for a pair that was split, and where no
    surface is known.
    """

    entry: Ints
    exit: Ints
    chance: Floats
    log_ratio: Floats


def _greedy(entry: Ints, exit_: Ints, order: Ints) -> Ints:
    """Return which candidate pairs are chosen, in an order: each pit once."""
    taken_entry, taken_exit, chosen = set(), set(), []
    for k in order.tolist():
        i, j = int(entry[k]), int(exit_[k])
        if i not in taken_entry and j not in taken_exit:
            taken_entry.add(i)
            taken_exit.add(j)
            chosen.append(k)
    return np.array(chosen, np.int64)


def pair_openings(
    shapes: Shapes,
    entries: Ints,
    exits: Ints,
    exit_density_per_px2: Floats,
    known: Ints,
    *,
    thickness_px: float | None,
    reach_px: float,
    max_zenith_deg: float,
) -> Pairs:
    """Return one-to-one pairs of entry and exit pits that may be one particle.

    Parameters
    ----------
    shapes : of all openings.
    entries, exits : rows of top and of bottom pits.
    exit_density_per_px2 : (n,) local density of exit pits at every row.
    known : (k, 2) rows (entry, exit) that are pairs whatever their neighbours.
    thickness_px : of the foil before etching, None where it is not known.
    reach_px : displacement up to which one picture shows both openings, which are partners then
        unless a better one is there; largest displacement where the thickness is not known.
    max_zenith_deg : particles are sought up to this angle from the normal.
    """
    entries, exits = np.setdiff1d(entries, known[:, 0]), np.setdiff1d(exits, known[:, 1])
    i, j, chance = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    log_ratio = np.full(len(shapes.x), np.nan)
    log_ratio[entries], log_ratio[exits] = _LEAST, _LEAST
    if len(entries) and len(exits):
        tracks = _tracks(shapes, entries, thickness_px, reach_px, max_zenith_deg)
        background = np.zeros(len(shapes.x))
        for rows in (entries, exits):
            background[rows] = log_background_density(shapes, rows)
        told = (shapes, entries, exits, tracks, background, exit_density_per_px2)
        i, j, ratio = find_pairs(*told, _LEAST)
        fitted = fit_population(
            tracks, shapes, i, j, _unrelated(background, exit_density_per_px2, i, j), len(entries)
        )
        if fitted is not tracks:
            tracks = fitted
            told = (shapes, entries, exits, tracks, background, exit_density_per_px2)
            i, j, ratio = find_pairs(*told, _LEAST)
        i, j, ratio = _with_near(told, i, j, ratio, reach_px)
        for rows in (i, j):
            np.maximum.at(log_ratio, rows, ratio)
        chosen = _greedy(i, j, np.lexsort((j, i, -ratio)))
        i, j, ratio = i[chosen], j[chosen], ratio[chosen]
        log_ratio[i], log_ratio[j] = np.maximum(ratio, _LEAST), np.maximum(ratio, _LEAST)
        chance = _chance(shapes, entries, exits, tracks, background, exit_density_per_px2, ratio)
    return Pairs(
        np.concatenate([known[:, 0], i]),
        np.concatenate([known[:, 1], j]),
        np.concatenate([np.full(len(known), np.nan), chance]),
        log_ratio,
    )


def _with_near(
    told: tuple[Shapes, Ints, Ints, Tracks, Floats, Floats],
    entry: Ints,
    exit_: Ints,
    ratio: Floats,
    reach_px: float,
) -> tuple[Ints, Ints, Floats]:
    """Return pairs farther apart than the reach from ``_PAIRED`` on, and all that are nearer.

    Where one picture shows both openings, experts say whether the pair is one particle; a shape
    that was measured badly must not make two candidates of it.

    Parameters
    ----------
    told : what ``find_pairs`` was told.
    entry, exit_, ratio : what it found.
    """
    shapes, entries, exits, tracks, background, density = told
    apart = np.hypot(shapes.x[entry] - shapes.x[exit_], shapes.y[entry] - shapes.y[exit_])
    far = (apart > reach_px) & (ratio > _PAIRED)
    place = np.column_stack([shapes.x, shapes.y])
    near = cKDTree(place[entries]).sparse_distance_matrix(
        cKDTree(place[exits]), min(reach_px, tracks.reach_px), output_type="ndarray"
    )
    i, j = entries[near["i"]], exits[near["j"]]
    nearer = log_ratios(shapes, i, j, tracks, _unrelated(background, density, i, j))
    return (
        np.concatenate([i, entry[far]]),
        np.concatenate([j, exit_[far]]),
        np.concatenate([np.maximum(nearer, _WORST), ratio[far]]),
    )


def _unrelated(background: Floats, density: Floats, entry: Ints, exit_: Ints) -> Floats:
    """Return the log density of two shapes and of exit pits a square pixel, (n,)."""
    rho = np.maximum(density[entry], 1e-9)
    return np.asarray(background[entry] + background[exit_] + np.log(rho))


def _tracks(
    shapes: Shapes,
    entries: Ints,
    thickness_px: float | None,
    reach_px: float,
    max_zenith_deg: float,
) -> Tracks:
    removed = estimate_removed_bulk(shapes, entries)
    if thickness_px is None:
        thickness = _USUAL_BULK * removed * np.array(_UNKNOWN)
        return tabulate_tracks(thickness, removed, reach_px, max_zenith_deg)
    removed = min(removed, 0.45 * thickness_px)
    reach = thickness_px * np.tan(np.deg2rad(max_zenith_deg))
    return tabulate_tracks(np.array([thickness_px]), removed, reach, max_zenith_deg)


def _chance(
    shapes: Shapes,
    entries: Ints,
    exits: Ints,
    tracks: Tracks,
    background: Floats,
    density: Floats,
    ratio: Floats,
) -> Floats:
    """Return 1 − exp(−μ) of pairs, μ an entry pit's expected unrelated partners at least as good.

    Unrelated pairs are drawn: an entry pit, any exit pit's shape, and a displacement, those nearby
    oftener than far ones, which their weights undo. One more draw counts as better than all.
    """
    rng = np.random.default_rng(0)
    reach = tracks.reach_px
    count = min(_DRAWS * max(len(entries), 50), _MOST_DRAWS)
    of = np.resize(rng.permutation(entries), count)
    like = rng.choice(exits, len(of))
    apart, phi = rng.uniform(0, reach, len(of)), rng.uniform(0, 2 * np.pi, len(of))
    moved = Shapes(*(v[like] for v in vars(shapes).values()))
    both = Shapes(
        *(
            np.concatenate([a, b])
            for a, b in zip(
                (v[of] for v in vars(shapes).values()), vars(moved).values(), strict=True
            )
        )
    )
    n = len(of)
    both.x[n:] = both.x[:n] + apart * np.cos(phi)
    both.y[n:] = both.y[:n] + apart * np.sin(phi)
    rho = np.maximum(density[of], 1e-9)
    unrelated = background[of] + background[like] + np.log(rho)
    drawn = log_ratios(both, np.arange(n), np.arange(n, 2 * n), tracks, unrelated)
    weight = rho * 2 * np.pi * apart * reach / n
    order = np.argsort(-drawn, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[order])]) + weight.mean() / reach
    better = np.searchsorted(-drawn[order], -ratio, side="right")
    return np.asarray(-np.expm1(-total[better]))
