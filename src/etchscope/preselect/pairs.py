"""Pairs of an entry and an exit pit of one particle, and how likely they arise by chance."""

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
"""Assumed thickness of a foil over the bulk removed on each side, where neither is known."""
_UNKNOWN = (0.6, 1.0, 1.7)
"""Possible values of an unknown thickness, in units of the assumed one."""
_PAIRED, _WORST = -3.0, -300.0
"""Log ratio from which an entry and an exit pit that are farther apart than one picture shows are
partners, and log ratio of openings that cannot be of one particle."""
_LEAST = -5.0
"""Log ratio below which two openings are not considered as a pair."""
_DRAWS, _MOST_DRAWS = 100, 100_000
"""Number of unrelated pairs that are drawn for each entry pit, and at most in all, to estimate how
often chance makes as good a pair; it is at least that for 50 entry pits."""


@dataclass(frozen=True)
class Pairs:
    """The pairs among n openings.

    Attributes
    ----------
    entry, exit : (k,) int64 rows of the entry and of the exit pit of each pair.
    chance : (k,) probability that an entry pit has an unrelated partner that is at least as good.
        It is nan for a pair that was split from one find, since the density of unrelated pits does
        not determine how often such a find is no pair.
    log_ratio : (n,) for each opening ``log_ratios`` with its partner or, without a partner, with
        the best possible one; nan for a pair that was split, and where no surface is known.
    """

    entry: Ints
    exit: Ints
    chance: Floats
    log_ratio: Floats


def _greedy(entry: Ints, exit_: Ints, order: Ints) -> Ints:
    """Return which possible pairs are chosen, going through them in an order; each pit once."""
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
    """Return one-to-one pairs of entry and exit pits that may be of one particle.

    Parameters
    ----------
    shapes : all n openings.
    entries, exits : int64 rows of the top and of the bottom pits.
    exit_density_per_px2 : (n,) local density of exit pits at every opening.
    known : (k, 2) int64 rows (entry, exit) of pairs that are kept in any case.
    thickness_px : thickness of the foil before etching in pixels, None where it is not known.
    reach_px : displacement up to which one picture shows both openings; these are partners unless
        one of them has a better one. It is the largest displacement where the thickness is not
        known.
    max_zenith_deg : largest angle between a particle and the normal.
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
        given = (shapes, entries, exits, tracks, background, exit_density_per_px2)
        i, j, ratio = find_pairs(*given, _LEAST)
        fitted = fit_population(
            tracks, shapes, i, j, _unrelated(background, exit_density_per_px2, i, j), len(entries)
        )
        if fitted is not tracks:
            tracks = fitted
            given = (shapes, entries, exits, tracks, background, exit_density_per_px2)
            i, j, ratio = find_pairs(*given, _LEAST)
        i, j, ratio = _with_near(given, i, j, ratio, reach_px)
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
    given: tuple[Shapes, Ints, Ints, Tracks, Floats, Floats],
    entry: Ints,
    exit_: Ints,
    ratio: Floats,
    reach_px: float,
) -> tuple[Ints, Ints, Floats]:
    """Return all pairs within the reach, and those beyond it with a log ratio above ``_PAIRED``.

    Where one picture shows both openings, the experts decide whether the pair is one particle. A
    wrong shape must not turn the pair into two candidates.

    Parameters
    ----------
    given : the arguments of ``find_pairs`` without ``least``.
    entry, exit_, ratio : the pairs that it found.
    """
    shapes, entries, exits, tracks, background, density = given
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
    """Return the logarithm of the density of both shapes and of exit pits per px², (n,)."""
    rho = np.maximum(density[entry], 1e-9)
    return np.asarray(background[entry] + background[exit_] + np.log(rho))


def _tracks(
    shapes: Shapes,
    entries: Ints,
    thickness_px: float | None,
    reach_px: float,
    max_zenith_deg: float,
) -> Tracks:
    """Return the openings that particles would leave in a foil of that thickness."""
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
    """Return the probability 1 − exp(−μ) for each pair, (k,).

    μ is the expected number of unrelated partners of an entry pit that are at least as good. It is
    estimated with random pairs of an entry pit, the shape of any exit pit, and a displacement.
    Small displacements are drawn more often than large ones, and weights compensate for that. One
    further pair counts as better than all, so that no probability is 0.
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
