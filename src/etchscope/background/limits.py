"""Limits of many points of a table: number of particles, fluence and flux, by three methods."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import poisson

from etchscope.background.construction import interval_exact, limit_cls
from etchscope.background.counting import Counting
from etchscope.background.flux import Exposure
from etchscope.background.marginal import limit_bayes
from etchscope.foil import BadInput

__all__ = [
    "CONFIDENCES",
    "METHODS",
    "POINT_COLUMNS",
    "advise",
    "as_points",
    "is_blind",
    "limit_points",
    "quantities_of",
    "relative_error",
    "unit_of",
]

CONFIDENCES = (0.9, 0.95)
METHODS = ("Feldman-Cousins", "CLs", "Bayesian")
POINT_COLUMNS = (
    "observed",
    "background",
    "background_error",
    "background_is_known",
    "efficiency",
    "efficiency_error",
    "effective_area_cm2_sr",
    "effective_area_error_cm2_sr",
    "valid",
    "why",
)
"""Columns of a table of points that mean something here; any other one is a label of its point."""
_VERIFIED = 0.3
"""Largest relative error of the efficiency with measured coverage (benchmarks/limits.py)."""
_MOST_POINTS = 1_000
_QUANTITY = re.compile("(expected_)?high|low|(fluence|flux)_(low|high)_per_cm2(_s)?(_sr)?")
_RESERVED = ("point", "confidence", "method", "limit on", *METHODS)
"""Columns of tables of limits that are no quantity, which no label may be named like."""


def as_points(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of points with all of ``POINT_COLUMNS``, its labels first.

    What is absent becomes: no background, which is known, errors of 0, no effective area, valid. An
    efficiency that is absent is NaN where there is an effective area, which contains it. Columns of
    effective areas may be empty, and that of efficiencies may be beside effective areas.

    Parameters
    ----------
    table : one row per point, with ``observed`` and with ``efficiency``, in [0, 1], or
        ``effective_area_cm2_sr``, or both; errors are standard deviations in the same units. Where
        ``background_is_known`` is false, ``background`` is the smallest one that is possible.

    Raises
    ------
    BadInput : no row or over 1,000; an observed number, an efficiency and an effective area that
        are absent; an error without its value; a value that is no number, negative, infinite or
        NaN; an efficiency above 1; or a label that is named like a column of limits.
    """
    if not 1 <= len(table) <= _MOST_POINTS:
        raise BadInput("points", f"1 to {_MOST_POINTS:,} rows", f"{len(table)}")
    points = table.reset_index(drop=True).copy()
    empty = [n for n in POINT_COLUMNS if n.startswith("effective_area") and n in points]
    points = points.drop(columns=[name for name in empty if points[name].isna().all()])
    has_area = "effective_area_cm2_sr" in points
    if has_area and "efficiency" in points and points["efficiency"].isna().all():
        points = points.drop(columns="efficiency")
    _require_columns(points)
    absent: dict[str, Any] = {"efficiency": math.nan, "why": ""} | dict.fromkeys(_CLAIMS, True)
    for name in POINT_COLUMNS:
        is_no_area = name.startswith("effective_area") and not has_area
        if name not in points or is_no_area:
            points[name] = np.nan if is_no_area else absent.get(name, 0.0)
        elif name not in (*_CLAIMS, "why"):
            points[name] = _numbers(points[name], name)
    if (points["efficiency"] > 1).any():
        raise BadInput("efficiency", "a share from 0 to 1", f"{points['efficiency'].max():g}")
    whole = points["observed"].astype(np.int64)
    if (whole != points["observed"]).any():
        found = points["observed"][whole != points["observed"]].iloc[0]
        raise BadInput("observed", "whole numbers", f"{found:g}")
    points["observed"] = whole
    for name in _CLAIMS:
        points[name] = [str(value).lower() in ("true", "1", "1.0") for value in points[name]]
    points["why"] = points["why"].fillna("").astype(str)
    labels = [name for name in points.columns if name not in POINT_COLUMNS]
    return points[[*labels, *POINT_COLUMNS]]


_CLAIMS = ("background_is_known", "valid")
"""Columns of points that are true or false."""


def _require_columns(points: pd.DataFrame) -> None:
    """Refuse points that lack a column, or that have a label which is a column of limits.

    Raises
    ------
    BadInput : see ``as_points``.
    """
    names = [str(name) for name in points.columns]
    taken = [name for name in names if name in _RESERVED or _QUANTITY.fullmatch(name)]
    if taken:
        expected = "labels that are not named like a column of limits"
        raise BadInput("points", expected, ", ".join(taken), hint="Name the label differently.")
    if "observed" not in names:
        raise BadInput("observed", "the number of observed candidates", "none")
    if not {"effective_area_cm2_sr", "efficiency"} & set(names):
        if "effective_area_error_cm2_sr" in names:
            expected = "the effective area that has the stated error"
            raise BadInput("effective_area_cm2_sr", expected, "none")
        raise BadInput("efficiency", "an efficiency or an effective area", "neither")
    for value, error in _WITH_ERROR.items():
        if error in names and value not in names and (_numbers(points[error], error) > 0).any():
            raise BadInput(value, "the value that has the stated error", "none")


_WITH_ERROR = {
    "efficiency": "efficiency_error",
    "effective_area_cm2_sr": "effective_area_error_cm2_sr",
}


def _numbers(values: "pd.Series[float]", name: str) -> "pd.Series[float]":
    numbers = pd.to_numeric(values, errors="coerce").astype(np.float64)
    bad = ~(np.isfinite(numbers) & (numbers >= 0))
    if bad.any():
        found = f"{values[bad].iloc[0]} in row {int(np.flatnonzero(bad)[0]) + 1}"
        raise BadInput(name, "numbers of 0 or more", found)
    return numbers


def unit_of(exposure: Exposure, *, is_flux: bool, has_effective_area: bool = False) -> str:
    """Return the unit of a fluence or flux as a part of a column name, such as ``per_cm2_sr``."""
    per_time = "_s" if is_flux else ""
    has_angle = has_effective_area or exposure.solid_angle_sr is not None
    return f"per_cm2{per_time}{'_sr' if has_angle else ''}"


def limit_points(
    points: pd.DataFrame,
    exposure: Exposure | None = None,
    confidences: Sequence[float] = CONFIDENCES,
) -> pd.DataFrame:
    """Return the limits: one row per point, confidence and method.

    Besides the columns of the points there are ``point`` (the number of its row from 1),
    ``confidence``, ``method``, ``low`` and ``high`` (particles that crossed the foils),
    ``expected_high`` (the limit from the median count without signal: the sensitivity of the
    search), and, as far as the exposure is known, ``fluence_low_per_cm2_sr`` and so on, with the
    unit in the name. These three are NaN where only an effective area is known, which does not
    say how many particles crossed the foils. A point without efficiency has an infinite ``high``.
    Where the background is not known, every ``low`` is 0 and ``expected_high`` is NaN. ``valid`` is
    false where a limit rests on something that is not known, and ``why`` names it; ``why`` also
    holds what was remarked about a valid point.

    Parameters
    ----------
    points : see ``as_points``.
    exposure : area, acceptance and duration; only numbers of particles unless given. The effective
        area of a point takes the place of area, acceptance and efficiency.
    confidences : each in (0, 1).

    Raises
    ------
    BadInput : see ``as_points`` and ``Counting``; or a confidence outside (0, 1).
    """
    for confidence in confidences:
        if not 0 < confidence < 1:
            raise BadInput("confidence", "a number between 0 and 1", f"{confidence}")
    checked, exposure = as_points(points), exposure or Exposure()
    rows = []
    for number, point in enumerate(checked.to_dict("records"), start=1):
        whole = {str(name): value for name, value in point.items()}
        rows += _rows_of(number, whole, exposure, confidences)
    return pd.DataFrame(rows)


def quantities_of(limits: pd.DataFrame) -> list[str]:
    """Return the columns of a table of limits that are limits, not labels or points."""
    return [str(name) for name in limits.columns if _QUANTITY.fullmatch(str(name))]


def is_blind(point: Mapping[Any, Any]) -> bool:
    """Return whether the efficiency or the effective area of a row of ``as_points`` is 0."""
    return bool(point["efficiency"] == 0 or point["effective_area_cm2_sr"] == 0)


def relative_error(point: Mapping[Any, Any]) -> float:
    """Return the relative error of the efficiency of a row of ``as_points``.

    It is that of the effective area, which contains the efficiency, where one is stated; infinite
    where the value is 0.
    """
    for value, error in reversed(_WITH_ERROR.items()):
        if point[error] > 0:
            return float(point[error] / point[value]) if point[value] > 0 else math.inf
    return 0.0


def _rows_of(
    number: int, point: Mapping[str, Any], exposure: Exposure, confidences: Iterable[float]
) -> list[dict[str, object]]:
    """Return the rows of one point."""
    blind, relative = is_blind(point), relative_error(point)
    efficiency, area = float(point["efficiency"]), float(point["effective_area_cm2_sr"])
    has_area = not math.isnan(area)
    counting = Counting(
        int(point["observed"]),
        float(point["background"]),
        float(point["background_error"]),
        0.0 if blind else relative,
    )
    usual = replace(counting, observed=int(poisson.median(counting.background)))
    aperture = area if has_area else exposure.aperture
    seen_per_aperture = 1.0 if has_area else efficiency
    rows = []
    for confidence in confidences:
        for method in METHODS:
            low, high = (0.0, math.inf) if blind else _seen(method, counting, confidence)
            seen = low if point["background_is_known"] else 0.0, high
            doubts = _doubts(is_blind=blind, relative=relative, high=high)
            row = {"point": number, **point, "confidence": confidence, "method": method}
            row |= {"valid": point["valid"] and not doubts}
            row |= {"why": "; ".join([*_remarks(point), *doubts])}
            row["low"], row["high"] = seen if blind else (value / efficiency for value in seen)
            row["expected_high"] = math.inf if blind else math.nan
            if point["background_is_known"] and efficiency > 0 and not blind:
                row["expected_high"] = _seen(method, usual, confidence)[1] / efficiency
            if aperture is not None:
                row |= _per_area(seen, aperture * seen_per_aperture, exposure, has_area)
            rows.append(row)
    return rows


def _remarks(point: Mapping[str, Any]) -> list[str]:
    """Return what a point says of itself."""
    if point["why"]:
        return [str(point["why"])]
    if not point["valid"]:
        return ["the point is not valid"]
    if not point["background_is_known"]:
        return ["the background is not known, so that there is no lower limit"]
    return []


def _doubts(*, is_blind: bool, relative: float, high: float) -> list[str]:
    if is_blind:
        return ["the efficiency is 0, so nothing is excluded"]
    out = []
    if relative > _VERIFIED:
        out = [
            f"the efficiency has an error of {100 * relative:.0f} %, and coverage was measured up "
            f"to {100 * _VERIFIED:.0f} %"
        ]
    return out if math.isfinite(high) else [*out, "no number of particles could be excluded"]


def _seen(method: str, counting: Counting, confidence: float) -> tuple[float, float]:
    if method == "Feldman-Cousins":
        return interval_exact(counting, confidence)
    limit = limit_cls if method == "CLs" else limit_bayes
    return 0.0, limit(counting, confidence)


def _divide(value: float, by: float) -> float:
    return value / by if by > 0 else (math.inf if value > 0 else 0.0)


def _per_area(
    seen: tuple[float, float], aperture: float, exposure: Exposure, has_area: bool
) -> dict[str, float]:
    """Return fluence and, with a duration, flux; ``aperture`` contains the efficiency."""
    out = {}
    for kind, seconds in (("fluence", 1.0), ("flux", exposure.seconds)):
        if seconds is None:
            continue
        unit = unit_of(exposure, is_flux=kind == "flux", has_effective_area=has_area)
        for bound, value in zip(("low", "high"), seen, strict=True):
            out[f"{kind}_{bound}_{unit}"] = _divide(value, aperture * seconds)
    return out


def advise(points: pd.DataFrame) -> str:
    """Return which of the methods to quote, and why, as sentences.

    Parameters
    ----------
    points : columns ``observed`` and ``background``.
    """
    text = (
        "Quote Feldman-Cousins: it contains the truth at least as often as it says where the error "
        "of the efficiency is log-normal, and it becomes an interval by itself where there is "
        "signal."
    )
    if (points["observed"] < points["background"]).any():
        text += (
            " Less was observed than the background leads one to expect, which makes this limit "
            "lower than the search is sensitive; state the expected limit and CLs beside it."
        )
    return text
