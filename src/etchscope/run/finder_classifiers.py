"""Fit the classifiers of a finder, and its errors, on foils that its network has not seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
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
"""Every seventh cell is used to choose the threshold of marks."""
_MOST_OF_A_FOIL = 400
"""Largest number of finds of one foil that a classifier is fitted to."""
_ROUNDS = 2000
"""Rounds of the bootstrap that gives the intervals of the figures."""

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, the units just done, and the units of the step."""


def silent(what: str, done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class _Finds:
    """Finds on pictures whose openings are known, and the number of these openings.

    Parameters
    ----------
    foil : (find,) place of the find's picture.
    features, log_odds : (find, feature) and (find,), of the finder.
    is_known : (find,) whether the finder states the surface.
    is_true : (find,) whether the find is an opening.
    weight : (find,) weight of the picture, so that pictures with many finds do not dominate.
    openings : (picture,) number of openings, weighted alike.
    mark, is_marked : (cell,) heat of a sample of cells, and whether a mark is there.
    random : number of random foils, which are the first pictures; the others have a user's labels.
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
        """Whether a picture is kept for the figures, and no classifier is fitted to it, (foil,)."""
        place = np.arange(len(self.openings))
        return np.asarray((place % MEASURED == 0) & (place < self.random))


def _find_all(
    finder: Finder,
    foils: Samples,
    labelled: Sequence[Sample],
    which: str,
    progress: Callable[[int], None],
) -> _Finds:
    """Return what a finder finds under some lights; nothing on pictures without these lights.

    All pictures with labels weigh as much as all random foils.
    """
    random = len(foils)
    parts, cells, openings = [], [], []
    for place in range(random + len(labelled)):
        is_random = place < random
        sample = foils[place] if is_random else labelled[place - random]
        share = 1.0 if is_random else random / len(labelled)
        found = _find_on(finder, sample, which, share)
        openings.append(0.0 if found is None else found[1])
        if found is not None:
            columns, _, heat = found
            parts.append([np.full(len(columns[0]), place), *columns])
            if heat is not None:
                cells.append(heat[place % _EVERY :: _EVERY].astype(np.float64))
        progress(1)
    marks = np.concatenate([*cells, np.empty((0, 2))])
    foil, features, log_odds, is_known, is_true, weights = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    return _Finds(
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


def _find_on(
    finder: Finder, sample: Sample, which: str, share: float
) -> tuple[list[NDArray[Any]], float, NDArray[Any] | None] | None:
    """Return what a finder finds on one picture; None where the picture lacks the lights.

    Returns
    -------
    Columns of the finds (features, log odds, whether the surface is stated, whether the find is
    true, weight), the weighted number of openings, and the heat of the cells beside whether each
    is marked, (cell, 2), where that is known.
    """
    lighting = with_lights(sample.lighting, which)
    if not len(lighting.dark if which == "backlit" else lighting.directional):
        return None
    drawn = LightDraw(lighting, False, 1.0, 0.0)
    maps = finder.maps(make_planes(sample, drawn, 0).stacked)
    read = read_openings(maps, finder, has_lamps=which != "backlit")
    true, size = sample.openings, sample.raw.shape[1]
    counts, i, _ = matched(read, true, size)
    is_true = np.isin(np.arange(len(counts)), i)
    counts &= is_true | _is_labelled(sample, read["x"], read["y"])
    weight = share / np.sqrt(counts.sum() + 8)
    columns = (
        read["features"],
        read["log_odds"],
        read["surface"] != "unknown",
        is_true,
        np.full(len(counts), weight),
    )
    labelled = _is_labelled(sample, true.x_px, true.y_px)
    openings = (true.is_target & inside(true, size) & labelled).sum() * weight
    heat = None
    if sample.marked is not None:
        heat = np.column_stack([maps[-1].ravel(), sample.marked[::2, ::2].ravel()])
    return [column[counts] for column in columns], openings, heat


def _is_labelled(sample: Sample, x: Floats, y: Floats) -> Bools:
    """Return which places, (n,) each, lie where all openings of the picture are labelled, (n,)."""
    if sample.known is None:
        return np.ones(len(x), bool)
    height, width = sample.known.shape
    row, column = (v.round().astype(np.int64).clip(0, n - 1) for v, n in ((y, height), (x, width)))
    return np.asarray(sample.known[row, column])


def _fit_classifier(seen: _Finds, which: Bools) -> Trees:
    """Return the classifier of some finds, fitted to the pictures not kept for the figures."""
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


def _likely_mark(seen: _Finds) -> float:
    """Return the heat at which a cell is marked with a probability of ``_LEAST_P``.

    It is that of a logistic regression; 0 where there are too few cells to fit one.
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


def _figures(seen: _Finds, which: Bools) -> dict[str, list[float]]:
    """Return recall and precision of some finds on the foils that are kept for the figures.

    Each is (value, low, high) at 95 %, from a bootstrap over foils.
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
    """Return a finder with classifiers and errors, and its figures.

    Parameters
    ----------
    network : planes → maps, see ``preselect.finder.Finder``.
    foils : random foils that the network has not seen; errors and figures come from these alone.
    labelled : pictures with a user's labels; for the classifiers they weigh as much as the foils.
    progress : called with "Fitting classifiers", the pictures just done, and their number.
    """
    before = set_threads(2)
    try:
        return _fit(network, foils, labelled, progress)
    finally:
        set_threads(before)


def _fit(
    network: Callable[[FloatStack], FloatStack],
    foils: Samples,
    labelled: Sequence[Sample],
    progress: Progress,
) -> tuple[Finder, dict[str, Any]]:
    total = 6 * len(foils) + 3 * len(labelled)

    def advance(count: int) -> None:
        progress("Fitting classifiers", count, total)

    def find_with(classifiers: Mapping[str, Trees], which: str) -> _Finds:
        finder = Finder(network, classifiers, np.inf, Gauge.plain(), "")
        return _find_all(finder, foils, labelled, which, advance)

    every = dict.fromkeys(CLASSIFIED, Trees.constant(np.inf))
    peaks, dark = find_with(every, "all"), find_with(every, "backlit")
    lamps = _fit_classifier(peaks, peaks.is_known)
    seen = find_with({**every, "lamps": lamps}, "all")
    beside, alone = _fit_classifier(seen, ~seen.is_known), _fit_classifier(dark, ~dark.is_known)
    least = FindSettings().least_log_odds
    is_likely = seen.is_known | (beside(seen.features) >= least)
    figures: dict[str, Any] = {
        "all lights": _figures(seen, is_likely),
        "known surface": _figures(seen, seen.is_known),
        "backlit": _figures(dark, alone(dark.features) >= least),
    }
    classifiers = {"lamps": lamps, "beside": beside, "alone": alone}
    finder = Finder(network, classifiers, round(_likely_mark(peaks), 3), Gauge.plain(), "")
    gauge, figures["within one standard deviation"] = fitted_gauge(finder, foils, advance)
    return replace(finder, gauge=gauge), figures
