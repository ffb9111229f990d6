"""Fit the gauge of a finder: corrections and errors, on foils whose openings are known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

from etchscope.foil.types import Floats, Ints
from etchscope.learn import LightDraw, Samples, make_planes
from etchscope.preselect.finder import Finder
from etchscope.preselect.gauge import ERROR_OF, GAUGED, Gauge
from etchscope.preselect.learned import apply_finder, compute_gauge_features
from etchscope.run.known import (
    ENOUGH,
    MEASURED,
    SMALLEST_LEAF,
    TREES,
    grown_trees,
    matched,
    with_lights,
)

__all__ = ["fitted_gauge"]

_COVERED = 0.6827
"""The content of a normal distribution within one standard deviation."""
_GAUGE_TREES = {**TREES, "n_estimators": 120, "learning_rate": 0.1, "max_features": 0.5}
_GAUGED_OF_A_FOIL = 80
"""Largest number of finds of one foil that the gauge is fitted to."""
_FARTHEST = {"log_radius": 0.8, "ellipticity": 0.5, "log_depth": 2.0}
"""Larger errors are cut to these."""


@dataclass(frozen=True)
class _Measured:
    """True finds and the errors of the network.

    Parameters
    ----------
    foil : (n,) place of the find's picture.
    around : (n, feature) of ``GAUGE_FEATURES``.
    error : for each of ``ERROR_OF``, (n,) true value minus that of the network.
    log_sigma : for each of ``ERROR_OF``, (n,) logarithm of the error that the network states.
    """

    foil: Ints
    around: Floats
    error: Mapping[str, Floats]
    log_sigma: Mapping[str, Floats]


def _measure(
    finder: Finder, foils: Samples, which: str, progress: Callable[[int], None]
) -> _Measured:
    """Return the true finds of random foils under some lights, a limited number of each foil."""
    parts = []
    for place in range(len(foils)):
        sample = foils[place]
        drawn = LightDraw(with_lights(sample.lighting, which), False, 1.0, 0.0)
        seen = make_planes(sample, drawn, 0)
        said, _ = apply_finder(seen, finder)
        true = sample.openings
        _, i, j = matched(said, true, sample.raw.shape[1])
        chosen = np.random.default_rng(place).permutation(len(i))[:_GAUGED_OF_A_FOIL]
        i, j = i[chosen], j[chosen]
        theta = 2 * np.deg2rad(true.angle_deg[j]) - np.arctan2(said["e_sin"][i], said["e_cos"][i])
        long = np.hypot(said["e_cos"][i], said["e_sin"][i])
        errors = (
            true.x_px[j] - said["x"][i],
            np.log(true.radius_px[j]) - said["log_radius"][i],
            true.ellipticity[j] * np.cos(theta) - long,
            np.log(np.maximum(true.depth_px[j], 0.05)) - said["log_depth"][i],
        )
        sigma = (said[name][i].clip(-5, 3) for name in ERROR_OF.values())
        parts.append(
            (np.full(len(i), place), compute_gauge_features(seen, said)[i], *errors, *sigma)
        )
        progress(1)
    foil, around, *rest = (np.concatenate(column) for column in zip(*parts, strict=True))
    count = len(ERROR_OF)
    return _Measured(
        foil,
        around,
        dict(zip(ERROR_OF, rest[:count], strict=True)),
        dict(zip(ERROR_OF, rest[count:], strict=True)),
    )


def fitted_gauge(
    finder: Finder, foils: Samples, progress: Callable[[int], None] = lambda _: None
) -> tuple[Gauge, dict[str, float]]:
    """Return the gauge of a finder, and the share of errors that are below the stated error.

    The correction is fitted to half of the foils, the remaining error (the quantile that holds
    68 %) to a quarter, and the share is measured on the last quarter.

    Parameters
    ----------
    finder : with a gauge that corrects nothing.
    foils : random foils that the network has not seen.
    progress : called with 1 after each picture.

    Returns
    -------
    The gauge, and the share for each of ``ERROR_OF``; no share if there are too few true finds.
    """
    looks = [_measure(finder, foils, which, progress) for which in ("all", "lamps", "backlit")]
    foil, around = (np.concatenate([getattr(m, k) for m in looks]) for k in ("foil", "around"))
    weight = 1 / np.sqrt(np.bincount(foil, minlength=len(foils))[foil] + 8)
    corrected, sized = np.isin(foil % MEASURED, (1, 2)), foil % MEASURED == 3
    if min(corrected.sum(), sized.sum()) < 4 * ENOUGH:  # the finder finds next to nothing
        return Gauge.plain(), {}
    leaf = {"min_samples_leaf": min(SMALLEST_LEAF, int(sized.sum()) // 8), "random_state": 0}
    correction, log_error, covered = {}, {}, {}
    for name in ERROR_OF:
        error, log_sigma = (
            np.concatenate([getattr(m, kind)[name] for m in looks])
            for kind in ("error", "log_sigma")
        )
        known = np.isfinite(error)
        if name in GAUGED:
            far, rows = _FARTHEST[name], corrected & known
            grown = GradientBoostingRegressor(init="zero", **_GAUGE_TREES, **leaf)
            grown.fit(around[rows], error[rows].clip(-far, far), weight[rows])
            correction[name] = grown_trees(grown)
            error = error - correction[name](around)
        size = np.log(np.maximum(np.abs(error), 1e-4)) - log_sigma
        rows = sized & known
        grown = GradientBoostingRegressor(
            init="zero", loss="quantile", alpha=_COVERED, **_GAUGE_TREES, **leaf
        )
        grown.fit(around[rows], size[rows], weight[rows])
        log_error[name] = grown_trees(grown)
        rows = known & (foil % MEASURED == 0)
        inside = size[rows] < log_error[name](around[rows])
        covered[name] = round(float(np.average(inside, weights=weight[rows])), 4)
    return Gauge(correction, log_error), covered
