"""Limits in the formats of others: workspaces of pyhf, and tables of HEPData."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from etchscope.background.counting import Counting
from etchscope.background.limits import POINT_COLUMNS, is_blind, quantities_of, relative_error
from etchscope.foil import BadInput

__all__ = ["hepdata_documents", "pyhf_workspace"]

_ABOUT = "Upper limits on highly ionising particles from etched plastic track detectors."


def pyhf_workspace(point: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the workspace of one point: the same count, background and efficiency as here.

    The parameter of interest, ``particles``, is the number of particles that crossed the foils;
    where only an effective area is known, it is ``selected_particles``, those that are selected.
    The efficiency's error is a ``normsys`` that is log-normal. The background's error is a
    ``shapesys``, whose constraint is the Poisson count of an off-region. Where the error is larger
    than the background, a ``shapesys`` would have another off-region than here, and the workspace
    has the off-region as a channel of its own. pyhf fixes a background of 0 without error.

    Parameters
    ----------
    point : one row of ``as_points``.

    Raises
    ------
    BadInput : an efficiency or an effective area of 0, for which there is no model.
    """
    if is_blind(point):
        raise BadInput("efficiency", "more than 0 for a workspace", "0")
    efficiency, poi = float(point["efficiency"]), "particles"
    if math.isnan(efficiency):
        efficiency, poi = 1.0, "selected_particles"
    width = math.sqrt(math.log1p(relative_error(point) ** 2))
    signal: list[dict[str, Any]] = [{"name": poi, "type": "normfactor", "data": None}]
    if width > 0:
        bounds = {"hi": math.exp(width), "lo": math.exp(-width)}
        signal.append({"name": "efficiency", "type": "normsys", "data": bounds})
    background, error = float(point["background"]), float(point["background_error"])
    observed = float(point["observed"])
    top = 20 * (observed + background + error + 10)
    parameters = [{"name": poi, "bounds": [[0.0, top / efficiency]], "inits": [1.0]}]
    expected, observations = [background], {"candidates": observed}
    off: list[dict[str, Any]] = []
    counting = Counting(int(observed), background, error)
    if error > background:
        expected, off = [1.0], [{"name": "background", "type": "normfactor", "data": None}]
        parameters.append({"name": "background", "bounds": [[0.0, top]], "inits": [error]})
        observations["off_region"] = counting.off_count
    elif error > 0:
        off = [{"name": "background", "type": "shapesys", "data": [error]}]
    samples = [
        {"name": "signal", "data": [efficiency], "modifiers": signal},
        {"name": "background", "data": expected, "modifiers": off},
    ]
    channels = [{"name": "candidates", "samples": samples}]
    if "off_region" in observations:
        beside = {"name": "background", "data": [counting.off_ratio], "modifiers": off}
        channels.append({"name": "off_region", "samples": [beside]})
    return {
        "version": "1.0.0",
        "channels": channels,
        "observations": [{"name": name, "data": [n]} for name, n in observations.items()],
        "measurements": [{"name": "limit", "config": {"poi": poi, "parameters": parameters}}],
    }


def hepdata_documents(limits: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return the YAML documents of a HEPData submission, by the name of their file.

    There is one table for each confidence: rows are points, with their labels (or their number) as
    independent variables and one dependent variable for each method and quantity.

    Parameters
    ----------
    limits : what ``limit_points`` returned.
    """
    documents: dict[str, list[dict[str, Any]]] = {"submission.yaml": [{"comment": _ABOUT}]}
    for confidence, rows in limits.groupby("confidence", sort=True):
        percent = f"{100 * float(str(confidence)):g}"
        name = f"limits-{percent}.yaml"
        documents["submission.yaml"].append(
            {
                "name": f"Limits at {percent} %",
                "location": "From etchscope limit",
                "description": f"{_ABOUT} Confidence {percent} %, by three methods side by side.",
                "keywords": [
                    {"name": "observables", "values": ["N", "FLUX"]},
                    {"name": "phrases", "values": ["Upper limit", "Etched track detector"]},
                ],
                "data_file": name,
            }
        )
        documents[name] = [_hepdata_table(rows, percent)]
    return documents


def _hepdata_table(rows: pd.DataFrame, percent: str) -> dict[str, Any]:
    known = {"point", "confidence", "method", *quantities_of(rows), *POINT_COLUMNS}
    quantities = [name for name in quantities_of(rows) if rows[name].notna().any()]
    first = rows[rows["method"] == rows["method"].iloc[0]]
    labels = [name for name in rows.columns if name not in known] or ["point"]
    stated = ["observed", "background", "efficiency", "effective_area_cm2_sr"]
    dependent = [
        _variable(name, first[name], [{"name": "of", "value": "the input"}])
        for name in stated
        if first[name].notna().any()
    ]
    for method, of_method in rows.groupby("method", sort=False):
        qualifiers = [
            {"name": "METHOD", "value": str(method)},
            {"name": "CONFIDENCE", "value": f"{percent} %"},
        ]
        for quantity in quantities:
            dependent.append(_variable(quantity, of_method[quantity], qualifiers))
    return {
        "independent_variables": [_variable(str(name), first[name]) for name in labels],
        "dependent_variables": dependent,
    }


def _variable(
    name: str, values: "pd.Series[Any]", qualifiers: Sequence[Mapping[str, str]] | None = None
) -> dict[str, Any]:
    shown, _, per = name.partition("_per_")
    header = {"name": shown}
    if per:
        header["units"] = " ".join(f"{unit}^-1" for unit in per.replace("cm2", "cm^2").split("_"))
        header["units"] = header["units"].replace("cm^2^-1", "cm^-2")
    out: dict[str, Any] = {"header": header}
    if qualifiers is not None:
        out["qualifiers"] = [dict(one) for one in qualifiers]
    out["values"] = [{"value": _plain(value)} for value in values]
    return out


def _plain(value: Any) -> float | int | str:
    """Return a value as YAML of HEPData has it: a finite number, or text."""
    if isinstance(value, str):
        return value
    number = float(value)
    if not math.isfinite(number):
        return "infinite" if number > 0 else "-"
    return int(number) if number == int(number) and abs(number) < 1e15 else number
