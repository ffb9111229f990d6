"""Candidates from measured openings, by Etchscope's likelihood ratio or by trees, for oracle.py."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from sklearn.ensemble import HistGradientBoostingClassifier

from etchscope.evaluation import Search
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.preselect import FindSettings
from etchscope.preselect.likelihood import log_ratios
from etchscope.preselect.openings import Shapes
from etchscope.preselect.pairs import pair_openings
from etchscope.preselect.track_model import tabulate_tracks
from oracle_foils import BEAM_DEG, Truth

HABIT_PX = 20.0
"""Displacement up to which openings are paired where the thickness of the foil is not known."""
CHUNK = 200_000
"""Number of pairs that are processed together."""
MOST_DRAWN, MOST_LIKELY = 300_000, 200_000
"""Number of unrelated pairs in the training: random ones, and those most similar to particles."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of openings and their scores, each (n,), in descending order of score."""

    entry: Ints
    exit: Ints
    score: Floats

    @classmethod
    def of(cls, entry: Ints, exit_: Ints, score: Floats) -> "Candidates":
        """Return the best pair of each entry pit, and of these pairs the best of each exit pit."""
        order = np.argsort(-score, kind="stable")
        for rows in (entry, exit_):
            order = order[np.sort(np.unique(rows[order], return_index=True)[1])]
        return cls(entry[order], exit_[order], score[order])

    def search(self, truth: Truth, *, by_place: bool = False) -> Search:
        """Return the search with these candidates, which are true by pair or by place."""
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


def rank_by_likelihood(truth: Truth, shapes: Shapes, *, thickness_known: bool = True) -> Candidates:
    """Return the candidates of Etchscope's likelihood ratio."""
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
    """All pairs of openings near each other, with the features that trees use."""

    truth: Truth
    shapes: Shapes

    def parts(self) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Yield entry rows, exit rows and features, (n, k), for some entry pits at a time."""
        truth, s = self.truth, self.shapes
        place = np.column_stack([s.x, s.y])
        exits = cKDTree(place[truth.exits])
        tracks = tabulate_tracks(
            np.array([truth.thickness_px]), truth.removed_px, truth.reach_px, BEAM_DEG
        )
        for some in np.array_split(truth.entries, int(truth.pairs / CHUNK) + 1):
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
            # The removed bulk h follows from half the minor axis, r² = h² d / (d + 2 h), if the
            # track is not etched to its end, as that of a particle that crosses the foil.
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


def train(pairing: Pairing) -> HistGradientBoostingClassifier:
    """Return trees that distinguish particles from unrelated pairs.

    They are trained twice, with weights that compensate for pairs that were left out: first on
    random unrelated pairs, then on fewer of these and on all that are most similar to particles,
    which decide the result of a search.
    """
    share = min(MOST_DRAWN / max(pairing.truth.pairs, 1), 1.0)
    features, target, _ = drawn = _drawn(pairing, share, None, np.inf)
    first = _trees().fit(*drawn)
    if share == 1:
        return first
    scores = first.decision_function(features[~target])
    level = float(np.quantile(scores, max(1 - MOST_LIKELY * share / len(scores), 0.0)))
    return _trees().fit(*_drawn(pairing, share / 3, first, level))


def _drawn(
    pairing: Pairing,
    share: float,
    trees: HistGradientBoostingClassifier | None,
    level: float,
) -> tuple[Floats, Bools, Floats]:
    """Return features, truth and weight of all particles and of a share of the unrelated pairs.

    All unrelated pairs with a score of ``trees`` above ``level`` are included.
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


def rank_by_trees(trees: HistGradientBoostingClassifier, pairing: Pairing) -> Candidates:
    """Return the candidates with the scores of trees."""
    parts = [
        Candidates.of(i, j, trees.decision_function(features))
        for i, j, features in pairing.parts()
        if len(i)
    ]
    columns = (np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0]))
    return Candidates.of(*columns)
