"""The truth of a simulated foil as tables: its openings, its marks, and each of them once."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.foil.types import Bools

__all__ = [
    "TRUTH_COLUMNS",
    "drop_overlap_copies",
    "find_isolated",
    "list_marks",
    "list_openings",
    "number_pits",
]

TRUTH_COLUMNS = ("particle", "removed_um", "length_um")
"""What the truth states beyond the pit table; NaN for marks. Azimuths are as the camera sees them.
"""


def list_openings(pits: pd.DataFrame, pixel_size_um: float) -> pd.DataFrame:
    """Return the openings of one tile, one row per opening, for ``number_pits``.

    Parameters
    ----------
    pits : of ``particles.etch``, with ``surface`` (top or bottom) and the centres
        ``centre_x_px, centre_y_px`` in pixels of the tile.
    pixel_size_um : of the tile's pictures.

    Returns
    -------
    Columns of the pit table and ``TRUTH_COLUMNS``; ``thing``, a number of the opening that no
    other opening of the foil has, and ``other``, that of its partner or −1. ``x_mm, y_mm`` are on
    the sheet.
    """
    hip = (pits["kind"] == "hip").to_numpy()
    # 2 · particle + surface names an opening (each prong of a star is a particle).
    thing = 2 * pits["particle"].to_numpy() + pits["front"].to_numpy()
    kind = pits["kind"].to_numpy()
    # A track is seen on its way down, whichever surface it was etched from.
    upwards = np.where(pits["surface"] == "bottom", 180.0, 0.0)
    spalled = np.where(kind == "spallation", ".spallation", "")
    plain = np.char.add(pits["surface"].to_numpy(str), spalled)
    return pd.DataFrame(
        {
            "x_px": pits["centre_x_px"],
            "y_px": pits["centre_y_px"],
            "x_mm": pits["x_mm"],
            "y_mm": pits["y_mm"],
            "surface": pits["surface"],
            "class": np.where((kind == "hip") | (kind == "maybe"), kind, plain),
            "radius_px": np.sqrt(pits["major_um"] * pits["minor_um"]) / 2 / pixel_size_um,
            "ellipticity": 1 - pits["minor_um"] / pits["major_um"],
            "angle_deg": np.rad2deg(pits["azimuth_rad"]) % 180,
            "thing": thing,
            "other": np.where(hip, thing ^ 1, -1),
            "particle": pits["particle"],
            "v": pits["v"],
            "dip_deg": np.rad2deg(pits["dip_rad"]),
            "azimuth_deg": (np.rad2deg(pits["azimuth_rad"]) + upwards) % 360,
            "depth_um": pits["depth_um"],
            "removed_um": pits["removed_um"],
            "length_um": pits["length_um"],
        }
    )


def list_marks(strokes: pd.DataFrame, pixel_size_um: float) -> pd.DataFrame:
    """Return the marks that strokes draw, one row per mark, for ``number_pits``.

    Parameters
    ----------
    strokes : in the columns of ``marks.MARK_COLUMNS``.
    pixel_size_um : of the tile's pictures.

    Returns
    -------
    As ``list_openings``, without ``x_px, y_px``; the place is the middle of the mark, and the
    radius that of its extent.
    """
    ends = pd.concat(
        [
            strokes[[f"x{e}_mm", f"y{e}_mm", "radius_mm", "kind", "mark"]].set_axis(
                ["x", "y", "radius_mm", "kind", "mark"], axis=1
            )
            for e in "01"
        ]
    )
    marks = ends.groupby("mark").agg(
        x0=("x", "min"),
        x1=("x", "max"),
        y0=("y", "min"),
        y1=("y", "max"),
        radius=("radius_mm", "max"),
        kind=("kind", "first"),
    )
    x, y = ((marks[f"{a}0"] + marks[f"{a}1"]).to_numpy() / 2 for a in "xy")
    extent = np.hypot(marks["x1"] - marks["x0"], marks["y1"] - marks["y0"]) / 2
    flat = marks["kind"].isin(["dust", "scratch", "fibre", "drop"]).to_numpy()
    return pd.DataFrame(
        {
            "x_mm": x,
            "y_mm": y,
            "surface": np.where(flat, "top", "unknown"),
            "class": "misc." + marks["kind"].to_numpy(),
            "radius_px": (extent + marks["radius"]).to_numpy() * 1000 / pixel_size_um,
            "thing": marks.index.to_numpy(),
            "other": -1,
            "particle": marks.index.to_numpy(),
            **dict.fromkeys(TRUTH_COLUMNS[1:], np.nan),
        }
    )


def number_pits(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with ``pit`` and ``partner`` in the place of ``thing`` and ``other``.

    Numbers count from 0 in the order of ``thing``; ``partner`` is null where the rows do not hold
    the partner.
    """
    things = np.sort(rows["thing"].unique())
    numbers = pd.Series(np.arange(len(things)), index=things)
    partner = rows["other"].map(numbers).astype("Int64").to_numpy()
    pit = numbers.loc[rows["thing"]].to_numpy()
    return rows.drop(columns=["thing", "other"]).assign(pit=pit, partner=partner)


def drop_overlap_copies(truth: pd.DataFrame, image_size: tuple[int, int]) -> pd.DataFrame:
    """Return a truth with one row per opening: from the tile whose edge is farthest from it.

    Parameters
    ----------
    truth : rows of several tiles; ``x_px, y_px, pit``.
    image_size : (height, width) of the tiles in pixels.
    """
    height, width = image_size
    x, y = truth["x_px"].to_numpy(), truth["y_px"].to_numpy()
    margin = np.minimum.reduce([x, width - 1 - x, y, height - 1 - y])
    order = np.argsort(-margin, kind="stable")
    unique = truth.iloc[order].drop_duplicates("pit").sort_values("pit")
    return unique.reset_index(drop=True)


def find_isolated(truth: pd.DataFrame, pixel_size_um: float) -> Bools:
    """Return for each opening whether it touches no other one of its foil, (n,) bool.

    Parameters
    ----------
    truth : one row per opening, ``x_mm, y_mm, radius_px``.
    pixel_size_um : of the scan.
    """
    place = truth[["x_mm", "y_mm"]].to_numpy() * 1000 / pixel_size_um
    radius = truth["radius_px"].to_numpy()
    touching = np.zeros(len(truth), bool)
    if len(truth) > 1:
        pairs = cKDTree(place).query_pairs(2 * radius.max(), output_type="ndarray")
        i, j = pairs[:, 0], pairs[:, 1]
        apart = np.hypot(*(place[i] - place[j]).T)
        near = apart < radius[i] + radius[j]
        touching[i[near]] = touching[j[near]] = True
    return ~touching
