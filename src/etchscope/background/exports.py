"""Limits in the formats of others: workspaces of pyhf, and tables of HEPData."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from etchscope.background.limits import POINT_COLUMNS
from etchscope.foil import BadInput

__all__ = ["hepdata_documents", "pyhf_workspace"]

_ABOUT = "Upper limits on highly ionising particles from etched plastic track detectors."
_MOST_PARTICLES = 1e6


def pyhf_workspace(point: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the workspace of one point: the same count, background and efficiency as here.

    The parameter of interest, ``particles``, is the number of particles that crossed the foils. The
    background's error is a ``shapesys``, whose constraint is the Poisson count of an off-region;
    the efficiency's is a ``normsys`` that is log-normal. pyhf fixes a background of 0.

    Parameters
    ----------
    point : one row of ``as_points``; its effective area must be absent or belong to its efficiency.

    Raises
    ------
    BadInput : an efficiency of 0, for which there is no model.
    """
    efficiency = float(point["efficiency"])
    if efficiency <= 0:
        raise BadInput("efficiency", "more than 0 for a workspace", f"{efficiency}")
    relative = _relative_error(point, efficiency)
    width = math.sqrt(math.log1p(relative**2))
    signal: list[dict[str, Any]] = [{"name": "particles", "type": "normfactor", "data": None}]
    if width > 0:
        bounds = {"hi": math.exp(width), "lo": math.exp(-width)}
        signal.append({"name": "efficiency", "type": "normsys", "data": bounds})
    background, error = float(point["background"]), float(point["background_error"])
    off = [{"name": "background", "type": "shapesys", "data": [error]}] if error > 0 else []
    observed = float(point["observed"])
    top = min(_MOST_PARTICLES, 20 * (observed + background + 10) / efficiency)
    samples = [
        {"name": "signal", "data": [efficiency], "modifiers": signal},
        {"name": "background", "data": [background], "modifiers": off},
    ]
    parameters = [{"name": "particles", "bounds": [[0.0, top]], "inits": [1.0]}]
    return {
        "version": "1.0.0",
        "channels": [{"name": "candidates", "samples": samples}],
        "observations": [{"name": "candidates", "data": [observed]}],
        "measurements": [
            {"name": "limit", "config": {"poi": "particles", "parameters": parameters}}
        ],
    }


def _relative_error(point: Mapping[Any, Any], efficiency: float) -> float:
    area, error = (float(point[f"effective_area_{name}cm2_sr"]) for name in ("", "error_"))
    if area > 0 and error > 0:
        return error / area
    return float(point["efficiency_error"]) / efficiency


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
    known = {"point", "confidence", "method", *_quantities(rows), *POINT_COLUMNS}
    first = rows[rows["method"] == rows["method"].iloc[0]]
    labels = [name for name in rows.columns if name not in known] or ["point"]
    stated = ["observed", "background", "efficiency"]
    dependent = [
        _variable(str(name), first[name], [{"name": "of", "value": "the input"}]) for name in stated
    ]
    for method, of_method in rows.groupby("method", sort=False):
        qualifiers = [
            {"name": "METHOD", "value": str(method)},
            {"name": "CONFIDENCE", "value": f"{percent} %"},
        ]
        for quantity in _quantities(rows):
            dependent.append(_variable(quantity, of_method[quantity], qualifiers))
    return {
        "independent_variables": [_variable(str(name), first[name]) for name in labels],
        "dependent_variables": dependent,
    }


def _quantities(rows: pd.DataFrame) -> list[str]:
    kinds = ("low", "high", "expected_high", "fluence_", "flux_")
    return [str(name) for name in rows.columns if str(name).startswith(kinds)]


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
