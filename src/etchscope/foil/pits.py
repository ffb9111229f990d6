"""The pit table: its columns, its flags, and how to make one.

The table has one row per opening. A through-going particle has two rows, its entry and its exit
pit, which name each other in ``partner``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil.cells import cast_column
from etchscope.foil.errors import BadInput

__all__ = ["COLUMNS", "PitColumn", "PitFlag", "as_pits", "flag_legend", "has_flag"]


class PitFlag(IntFlag):
    """Why a pit was not selected or is doubtful (the bit field ``flags``)."""

    EDGE = 1
    """The opening reaches the edge of its tile."""
    SATURATED = 2
    """Grey levels inside the opening are at the camera's limit."""
    MERGED_DUPLICATE = 4
    """The pit is in two or more tiles; this is the copy farthest from its tile's edge."""
    TOO_CLOSE = 8
    """Another pit of the same surface lies within its radius."""
    STEEP_PAIR = 16
    """Gradients of entry and exit pit cancel here; the pair was found in the sign-free pictures."""
    SCRATCH = 32
    """The pit lies on a line that was taken for a scratch."""
    INJECTED = 64
    """The pit was put into the picture on purpose; it is never used in a calibration."""
    REGION = 128
    """A dark region as a whole: a long opening, or several that one light cannot separate."""
    SIZE_LIMIT = 256
    """The fit ended at the smallest or largest radius that is looked for."""
    TOO_CROWDED = 512
    """The pits found here cannot explain how much of the picture pits cover."""
    UNLIKELY_PAIR = 1024
    """The partner is more likely an unrelated pit, so the two have no common track."""
    NO_THICKNESS = 2048
    """The foil's thickness or the scale is not known, so a pair has no direction and no V."""
    NO_TRACK = 4096
    """No track fits the openings of this pair: one is cut, or its etch ratio has no upper limit."""
    POOR_TRACK = 8192
    """The openings of this pair fit no track well (p < 0.001); the thickness may be wrong."""
    NO_RESPONSE = 16384
    """The material is not known or has no response curve, so V gives no energy loss."""


@dataclass(frozen=True)
class PitColumn:
    """One column of the pit table: pandas dtype, unit ("" if none) and meaning."""

    name: str
    dtype: str
    unit: str
    meaning: str


COLUMNS: tuple[PitColumn, ...] = (
    PitColumn("foil", "str", "", "foil"),
    PitColumn("side", "str", "", "side of the foil that faced the camera: front or back"),
    PitColumn("scan", "str", "", "scan"),
    PitColumn("tile", "int64", "", "number of the tile in the scan"),
    PitColumn("run", "str", "", "run of the pre-selection that made the row"),
    PitColumn("pit", "int64", "", "number of the row in its run, from 0"),
    PitColumn("surface", "str", "", "top (faces the camera), bottom or unknown"),
    PitColumn("partner", "Int64", "", "the partner's pit, null without one"),
    PitColumn("x_px", "float64", "px", "centre in the tile, 0 = centre of the first pixel"),
    PitColumn("y_px", "float64", "px", "centre in the tile, y down"),
    PitColumn("x_mm", "float64", "mm", "centre in the foil frame, null where the scale is unknown"),
    PitColumn("y_mm", "float64", "mm", "centre in the foil frame, y up"),
    PitColumn("radius_px", "float64", "px", "half the geometric mean of the full axes"),
    PitColumn("ellipticity", "float64", "", "1 - minor / major axis"),
    PitColumn("angle_deg", "float64", "deg", "long axis, ccw from +x, y up, [0, 180)"),
    PitColumn(
        "contrast",
        "float64",
        "",
        "mean shading of the walls, or log of the bulk's light over the pit's",
    ),
    PitColumn("x_px_err", "float64", "px", "one standard deviation of x_px"),
    PitColumn("y_px_err", "float64", "px", "one standard deviation of y_px"),
    PitColumn("radius_px_err", "float64", "px", "one standard deviation of radius_px"),
    PitColumn("ellipticity_err", "float64", "", "one standard deviation of ellipticity"),
    PitColumn("depth_um", "float64", "um", "depth of the opening, null where nothing tells it"),
    PitColumn("depth_um_err", "float64", "um", "one standard deviation of depth_um"),
    PitColumn("wall_slope", "float64", "", "depth over radius of the opening"),
    PitColumn("wall_slope_err", "float64", "", "one standard deviation of wall_slope"),
    PitColumn("v", "float64", "", "etch ratio V_T / V_B at this opening of a pair"),
    PitColumn("v_err", "float64", "", "one standard deviation of v"),
    PitColumn("dip_deg", "float64", "deg", "of a pair's track to the surface, 90 along the normal"),
    PitColumn("dip_deg_err", "float64", "deg", "one standard deviation of dip_deg"),
    PitColumn(
        "azimuth_deg", "float64", "deg", "of a pair, entry to exit, ccw from +x, y up, [0, 360)"
    ),
    PitColumn("azimuth_deg_err", "float64", "deg", "one standard deviation of azimuth_deg"),
    PitColumn("rel_kev_per_um", "float64", "keV/um", "restricted energy loss of a pair"),
    PitColumn("rel_kev_per_um_err", "float64", "keV/um", "one standard deviation of it"),
    PitColumn("z_over_beta", "float64", "", "charge over velocity of a pair"),
    PitColumn("z_over_beta_err", "float64", "", "one standard deviation of z_over_beta"),
    PitColumn("length_px", "float64", "px", "length of a long thing, class misc"),
    PitColumn("width_px", "float64", "px", "width of a long thing, class misc"),
    PitColumn("entry", "float64", "", "log odds of a top (entry) pit; classically sigmas"),
    PitColumn("exit", "float64", "", "the same of a bottom (exit) pit"),
    PitColumn("hip", "float64", "", "the same of an in-out pair, or without lamps of a pit"),
    PitColumn("pair_dx_px", "float64", "px", "exit minus entry, x"),
    PitColumn("pair_dy_px", "float64", "px", "exit minus entry, y down"),
    PitColumn("pair_p", "float64", "", "probability that density alone makes so good a pair"),
    PitColumn("density_per_mm2", "float64", "1/mm2", "local density of pits"),
    PitColumn("density_low", "float64", "1/mm2", "95 % interval of density_per_mm2, lower end"),
    PitColumn("density_high", "float64", "1/mm2", "95 % interval of density_per_mm2, upper end"),
    PitColumn("regime", "str", "", "low, medium or high density; unknown without a scale"),
    PitColumn("p_hip", "float64", "", "calibrated probability: signal"),
    PitColumn("p_top", "float64", "", "calibrated probability: single top pit"),
    PitColumn("p_bottom", "float64", "", "calibrated probability: single bottom pit"),
    PitColumn("p_misc", "float64", "", "calibrated probability: no pit"),
    PitColumn("class", "str", "", "the ensemble's decision, null before a model has run"),
    PitColumn("score", "float64", "", "ranking score, greater = more signal-like"),
    PitColumn("selected", "boolean", "", "the working point's verdict"),
    PitColumn("valid", "boolean", "", "false where the model says nothing"),
    PitColumn("flags", "int64", "", "bit field, legend in the metadata"),
)


def flag_legend() -> dict[str, int]:
    """Return flag name → bit, as the metadata of a table hold it.

    >>> flag_legend()["edge"]
    1
    """
    return {flag.name.lower(): int(flag) for flag in PitFlag if flag.name}


def has_flag(pits: pd.DataFrame, flag: PitFlag) -> "pd.Series[bool]":
    """Return for each row whether a flag is set, (n,) bool.

    Parameters
    ----------
    pits : n rows with ``flags``.
    """
    return (pits["flags"].astype("int64") & int(flag)) != 0


def _absent(dtype: str) -> Any:
    if dtype.startswith("float"):
        return np.nan
    return 0 if dtype == "int64" else pd.NA


def _with_probabilities(names: list[str]) -> list[PitColumn]:
    """Return the columns of the pit table with those of further classes after ``p_misc``."""
    place = [c.name for c in COLUMNS].index("p_misc") + 1
    further = [PitColumn(n, "float64", "", f"calibrated probability: {n[2:]}") for n in names]
    return [*COLUMNS[:place], *further, *COLUMNS[place:]]


def as_pits(columns: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with exactly the pit table's columns, in order and dtype.

    Columns that are absent are filled with null, or with 0 for ``tile``, ``pit`` and ``flags``.
    Further columns ``p_{class}``, of classes of another taxonomy, stand after ``p_misc``.

    Parameters
    ----------
    columns : the columns that are known, one value per pit.

    Raises
    ------
    BadInput : the pit table has no such column, or it cannot be read as its dtype.

    Examples
    --------
    >>> pits = as_pits({"x_px": [3.0], "y_px": [4.5], "surface": ["top"]})
    >>> print(pits[["x_px", "surface", "flags"]])
       x_px surface  flags
    0   3.0     top      0
    """
    given = pd.DataFrame(columns)
    known = {k.name for k in COLUMNS}
    further = [str(c) for c in given.columns if c not in known and str(c).startswith("p_")]
    unknown = [c for c in given.columns if c not in {*known, *further}]
    if unknown:
        raise BadInput("pit table", "the columns of the pit table only", f"{unknown[0]!r}")
    out: dict[str, Any] = {}
    for column in _with_probabilities(further):
        values: Any = given.get(column.name)
        if values is None:
            values = pd.Series([_absent(column.dtype)] * len(given), index=given.index)
        try:
            out[column.name] = cast_column(values, column.dtype).array
        except ValueError as error:
            where = f"pit table: column {column.name}"
            raise BadInput(where, column.dtype, str(error)) from error
    return pd.DataFrame(out)
