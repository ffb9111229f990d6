"""How likely finds are: judges and errors set on foils that the network has not seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from etchscope.foil.types import Bools, Floats, FloatStack, Ints
from etchscope.learn import LightDraw, Sample, Samples, make_planes, set_threads
from etchscope.preselect.classifier import Trees
from etchscope.preselect.finder import CLASSIFIED, Finder
from etchscope.preselect.gauge import Gauge
from etchscope.preselect.heat import read_openings
from etchscope.preselect.settings import FindSettings
from etchscope.run.gauge import fitted_gauge
from etchscope.run.known import (
    ENOUGH,
    MEASURED,
    SMALLEST_LEAF,
    TREES,
    grown_trees,
    inside,
    matched,
    with_lights,
)

__all__ = ["Progress", "fit_classifiers", "silent"]

_LEAST_P = 0.4
"""Probability from which a cell counts as marked."""
_LOWEST_MARK = -5.0
_EVERY = 7
"""One in so many cells is looked at when the threshold of marks is chosen."""
_MOST_OF_A_FOIL = 400
"""Finds of one foil that a judge learns from."""
_ROUNDS = 2000
"""Of the bootstrap that gives the figures' intervals."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much was just done, and how much there is."""


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class _Seen:
    """Finds on pictures whose openings are known, and how many openings there are.

    ``foil``: of each find; ``features, log_odds``: of each; ``is_known``: of which the surface is
    told. ``weight``: of each find, that of its foil, so
    that those with many finds do not decide alone; ``openings``: (foil,) so weighted. ``mark,
    is_marked``: a sample of the cells. ``random``: how many of the pictures, the first, are random
    foils; the others have a user's labels.
    """

    foil: Ints
    features: Floats
    log_odds: Floats
    is_known: Bools
    is_true: Bools
    weight: Floats
    openings: Floats
    mark: Floats
    is_marked: Bools
    random: int

    @property
    def is_measured(self) -> Bools:
        """Return which pictures teach the judges nothing, (foil,)."""
        place = np.arange(len(self.openings))
        return np.asarray((place % MEASURED == 0) & (place < self.random))


def _look(
    finder: Finder,
    foils: Samples,
    labelled: Sequence[Sample],
    which: str,
    progress: Callable[[int], None],
) -> _Seen:
    """Return what a finder finds under some lights; nothing on pictures without these.

    Pictures with labels weigh as much as the random foils together.
    """
    random = len(foils)
    parts, cells, openings = [], [], []
    for place in range(random + len(labelled)):
        sample = foils[place] if place < random else labelled[place - random]
        lighting = with_lights(sample.lighting, which)
        if not len(lighting.dark if which == "backlit" else lighting.directional):
            openings.append(0.0)
            progress(1)
            continue
        drawn = LightDraw(lighting, False, 1.0, 0.0)
        maps = finder.maps(make_planes(sample, drawn, 0).stacked)
        said = read_openings(maps, finder, has_lamps=which != "backlit")
        true, size = sample.openings, sample.raw.shape[1]
        counts, i, _ = matched(said, true, size)
        is_true = np.isin(np.arange(len(counts)), i)
        told = _told(sample, true.x_px, true.y_px)
        counts &= is_true | _told(sample, said["x"], said["y"])
        n = len(counts)
        share = 1.0 if place < random else random / len(labelled)
        weight = share / np.sqrt(counts.sum() + 8)
        columns = (
            np.full(n, place),
            said["features"],
            said["log_odds"],
            said["surface"] != "unknown",
            is_true,
            np.full(n, weight),
        )
        parts.append([column[counts] for column in columns])
        openings.append((true.is_target & inside(true, size) & told).sum() * weight)
        if sample.marked is not None:
            heat = np.column_stack([maps[-1].ravel(), sample.marked[::2, ::2].ravel()])
            cells.append(heat[place % _EVERY :: _EVERY].astype(np.float64))
        progress(1)
    marks = np.concatenate([*cells, np.empty((0, 2))])
    foil, features, log_odds, is_known, is_true, weights = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    return _Seen(
        foil,
        features,
        log_odds,
        is_known,
        is_true,
        weights,
        np.array(openings),
        marks[:, 0],
        marks[:, 1] > 0,
        random,
    )


def _told(sample: Sample, x: Floats, y: Floats) -> Bools:
    """Return which places lie where everything is said that is there."""
    if sample.known is None:
        return np.ones(len(x), bool)
    height, width = sample.known.shape
    row, column = (v.round().astype(np.int64).clip(0, n - 1) for v, n in ((y, height), (x, width)))
    return np.asarray(sample.known[row, column])


def _fitted(seen: _Seen, which: Bools) -> Trees:
    """Return the judge of some finds, from those pictures on which nothing is measured."""
    which = which & ~seen.is_measured[seen.foil]
    is_true = seen.is_true[which]
    if len(is_true) < ENOUGH or is_true.all() or not is_true.any():
        return Trees.constant(np.log((is_true.sum() + 0.5) / ((~is_true).sum() + 0.5)))
    rows = pd.DataFrame({"foil": seen.foil[which], "row": np.flatnonzero(which)})
    some = rows.sample(frac=1, random_state=0).groupby("foil").head(_MOST_OF_A_FOIL)
    share = rows.groupby("foil").size() / some.groupby("foil").size()
    row = some["row"].to_numpy()
    weight = seen.weight[row] * share.loc[some["foil"]].to_numpy()
    leaf = min(SMALLEST_LEAF, len(row) // 4)
    grown = GradientBoostingClassifier(
        init="zero", min_samples_leaf=leaf, random_state=0, **TREES
    ).fit(seen.features[row], seen.is_true[row], weight)
    return grown_trees(grown)


def _likely_mark(seen: _Seen) -> float:
    """Return the heat at which a cell is marked with a probability of ``_LEAST_P``.

    A logistic regression; 0 where there is nothing to tell it from.
    """
    which = seen.mark > _LOWEST_MARK
    heat, is_marked = seen.mark[which], seen.is_marked[which]
    if len(heat) < ENOUGH or is_marked.all() or not is_marked.any():
        return 0.0
    fit = LogisticRegression(C=1e6).fit(heat[:, None], is_marked)
    slope, offset = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    if slope <= 0:
        return 0.0
    return float(np.clip((logit(_LEAST_P) - offset) / slope, heat.min(), heat.max()))


def _figures(seen: _Seen, which: Bools) -> dict[str, list[float]]:
    """Return recall and precision of some finds on the foils that taught the judges nothing.

    Each as value, low, high: 95 % over foils, by drawing these again with replacement.
    """
    foils, measured = len(seen.openings), seen.is_measured
    good, found = (
        np.bincount(seen.foil[w], seen.weight[w], foils)[measured]
        for w in (which & seen.is_true, which)
    )
    openings = seen.openings[measured]
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(openings), (_ROUNDS, len(openings)))
    out = {}
    for name, of in (("recall", openings), ("precision", found)):
        again = good[drawn].sum(1) / of[drawn].sum(1).clip(1e-9)
        low, high = np.quantile(again, [0.025, 0.975])
        out[name] = [float(good.sum() / max(of.sum(), 1e-9)), float(low), float(high)]
    return out


def fit_classifiers(
    network: Callable[[FloatStack], FloatStack],
    foils: Samples,
    labelled: Sequence[Sample] = (),
    progress: Progress = silent,
) -> tuple[Finder, dict[str, Any]]:
    """Return a finder with judges and errors set on pictures it has not seen, and its figures.

    Parameters
    ----------
    foils : random ones; errors are set and figures measured on these alone.
    labelled : pictures with a user's labels; what they say counts for the judges as much as what
        the foils say.
    """
    before = set_threads(2)
    try:
        return _judged(network, foils, labelled, progress)
    finally:
        set_threads(before)


def _judged(
    network: Callable[[FloatStack], FloatStack],
    foils: Samples,
    labelled: Sequence[Sample],
    progress: Progress,
) -> tuple[Finder, dict[str, Any]]:
    total = 6 * len(foils) + 3 * len(labelled)

    def told(count: int) -> None:
        progress("Judging", count, total)

    def finds_of(judges: Mapping[str, Trees], which: str) -> _Seen:
        finder = Finder(network, judges, np.inf, Gauge.plain(), "")
        return _look(finder, foils, labelled, which, told)

    every = dict.fromkeys(CLASSIFIED, Trees.constant(np.inf))
    peaks, dark = finds_of(every, "all"), finds_of(every, "backlit")
    lamps = _fitted(peaks, peaks.is_known)
    seen = finds_of({**every, "lamps": lamps}, "all")
    beside, alone = _fitted(seen, ~seen.is_known), _fitted(dark, ~dark.is_known)
    least = FindSettings().least_log_odds
    is_likely = seen.is_known | (beside(seen.features) >= least)
    figures: dict[str, Any] = {
        "all lights": _figures(seen, is_likely),
        "known surface": _figures(seen, seen.is_known),
        "backlit": _figures(dark, alone(dark.features) >= least),
    }
    judges = {"lamps": lamps, "beside": beside, "alone": alone}
    finder = Finder(network, judges, round(_likely_mark(peaks), 3), Gauge.plain(), "")
    gauge, figures["within one standard deviation"] = fitted_gauge(finder, foils, told)
    return replace(finder, gauge=gauge), figures
