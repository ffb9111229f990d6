"""Limits of many points of a table: number of particles, fluence and flux, by three methods."""

import math
from collections.abc import Iterable, Sequence
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
    "limit_points",
    "unit_of",
]

CONFIDENCES = (0.9, 0.95)
METHODS = ("Feldman-Cousins", "CLs", "Bayesian")
POINT_COLUMNS = (
    "observed",
    "background",
    "background_error",
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


def as_points(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of points with all of ``POINT_COLUMNS``, its labels first.

    What is absent becomes: no background, errors of 0, no effective area, valid. An efficiency that
    is absent is 1 where there is an effective area, which contains it. Columns of effective areas
    may be empty.

    Parameters
    ----------
    table : one row per point, with ``observed`` and with ``efficiency``, in [0, 1], or
        ``effective_area_cm2_sr``, or both; errors are standard deviations in the same units.

    Raises
    ------
    BadInput : no row or over 1,000; an observed number, an efficiency and an effective area that
        are absent; a value that is no number, negative, infinite or NaN; an efficiency above 1.
    """
    if not 1 <= len(table) <= _MOST_POINTS:
        raise BadInput("points", f"1 to {_MOST_POINTS:,} rows", f"{len(table)}")
    points = table.reset_index(drop=True).copy()
    empty = [n for n in POINT_COLUMNS if n.startswith("effective_area") and n in points]
    points = points.drop(columns=[name for name in empty if points[name].isna().all()])
    if "observed" not in points:
        raise BadInput("observed", "the number of observed candidates", "none")
    has_area = "effective_area_cm2_sr" in points
    if not (has_area or "efficiency" in points):
        raise BadInput("efficiency", "an efficiency or an effective area", "neither")
    absent: dict[str, Any] = {"efficiency": 1.0, "valid": True, "why": ""}
    for name in POINT_COLUMNS:
        is_no_area = name.startswith("effective_area") and not has_area
        if name not in points or is_no_area:
            points[name] = np.nan if is_no_area else absent.get(name, 0.0)
        elif name not in ("valid", "why"):
            points[name] = _numbers(points[name], name)
    if (points["efficiency"] > 1).any():
        raise BadInput("efficiency", "a share from 0 to 1", f"{points['efficiency'].max():g}")
    whole = points["observed"].astype(np.int64)
    if (whole != points["observed"]).any():
        found = points["observed"][whole != points["observed"]].iloc[0]
        raise BadInput("observed", "whole numbers", f"{found:g}")
    points["observed"] = whole
    points["valid"] = [str(value).lower() in ("true", "1", "1.0") for value in points["valid"]]
    points["why"] = points["why"].fillna("").astype(str)
    labels = [name for name in points.columns if name not in POINT_COLUMNS]
    return points[[*labels, *POINT_COLUMNS]]


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
    unit in the name. A point without efficiency has an infinite ``high``. ``valid`` is false where
    a limit rests on something that is not known, and ``why`` names it.

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


def _rows_of(
    number: int, point: dict[str, object], exposure: Exposure, confidences: Iterable[float]
) -> list[dict[str, object]]:
    """Return the rows of one point."""
    efficiency, error = float(str(point["efficiency"])), float(str(point["efficiency_error"]))
    area, area_error = (
        float(str(point[f"effective_area_{name}cm2_sr"])) for name in ("", "error_")
    )
    has_area = not math.isnan(area)
    if has_area and area_error > 0:
        relative = area_error / area if area > 0 else math.inf
    else:
        relative = error / efficiency if efficiency > 0 else math.inf
    is_blind = efficiency == 0 or (has_area and area == 0)
    why = [] if point["valid"] else [str(point["why"]) or "the point is not valid"]
    why += _doubts(is_blind=is_blind, relative=relative)
    counting = Counting(
        int(str(point["observed"])),
        float(str(point["background"])),
        float(str(point["background_error"])),
        0.0 if is_blind else relative,
    )
    usual = replace(counting, observed=int(poisson.median(counting.background)))
    aperture = area if has_area else exposure.aperture
    seen_per_aperture = 1.0 if has_area else efficiency
    rows = []
    for confidence in confidences:
        for method in METHODS:
            seen = (0.0, math.inf) if is_blind else _seen(method, counting, confidence)
            row = {"point": number, **point, "confidence": confidence, "method": method}
            row |= {"valid": not why, "why": "; ".join(why)}
            row["low"], row["high"] = (_divide(value, efficiency) for value in seen)
            row["expected_high"] = math.inf
            if not is_blind:
                row["expected_high"] = _seen(method, usual, confidence)[1] / efficiency
            if aperture is not None:
                row |= _per_area(seen, aperture * seen_per_aperture, exposure, has_area)
            rows.append(row)
    return rows


def _doubts(*, is_blind: bool, relative: float) -> list[str]:
    if is_blind:
        return ["the efficiency is 0, so nothing is excluded"]
    if relative > _VERIFIED:
        return [
            f"the efficiency has an error of {100 * relative:.0f} %, and coverage was measured up "
            f"to {100 * _VERIFIED:.0f} %"
        ]
    return []


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
        "Quote Feldman-Cousins: it contains the truth at least as often as it says, whatever "
        "background and efficiency are, and it becomes an interval by itself where there is signal."
    )
    if (points["observed"] < points["background"]).any():
        text += (
            " Less was observed than the background leads one to expect, which makes this limit "
            "lower than the search is sensitive; state the expected limit and CLs beside it."
        )
    return text
