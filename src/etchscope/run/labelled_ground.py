"""Make training pictures of the finder from labels; ground without labels is unknown."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil import Scan, Taxonomy, parse_region
from etchscope.foil.openings import SURFACES
from etchscope.foil.types import Bools, Floats
from etchscope.geometry import foil_frame, stage_to_tile
from etchscope.geometry.masks import fill_polygon
from etchscope.imaging import Lighting
from etchscope.learn import Openings, Sample
from etchscope.run.frames import joint_frames
from etchscope.run.labelled import LabelledPits, labelled_pits, search_of
from etchscope.run.school import SIZE_PX
from etchscope.store import Store

__all__ = ["labelled_samples"]

_USUAL_PX = 7.0
"""Radius of a labelled pit that no find is near."""
_AROUND = (1.5, 5.0)
"""Distance around a labelled place that its label describes: in radii, and at least in px."""
_SURFACE = {"hip": "top", "top": "top", "bottom": "bottom"}
"""Class of a label → surface of the opening at its place, where the class implies one."""
_SHAPE = ("x_px", "y_px", "radius_px", "ellipticity", "angle_deg", "depth_px")


def labelled_samples(store: Store) -> list[list[Sample]]:
    """Return pictures of ``SIZE_PX`` a side with labels of a store, a list for each tile.

    A label of signal stands for an entry pit and, where its find has a partner, an exit pit. A
    label of a single pit stands for that pit; its surface is unknown unless the class is ``top`` or
    ``bottom``. A label of a class that is no pit states that no pit is there. A labelled region is
    described completely. Sizes are those of the find at the label; they set how much ground around
    it the label describes.

    Raises
    ------
    NotLabelled : there are no labels.
    NotSearched : a scan with labels was never searched.
    """
    several, _ = labelled_pits(store)
    frames = joint_frames(store)
    out = []
    for pits in several:
        scan = pits.scan
        finds = store.runs.pits(str(search_of(store, scan.name))).set_index("pit", drop=False)
        rows = _openings(pits, finds, scan, store.labels.taxonomy())
        labels = frames.on(store.labels.table(foil=scan.foil, side=scan.side), scan.name)
        for number in sorted({int(n) for n in pits.table["tile"]}):
            raw = store.scans.read_tile(scan.name, number)
            known, unmarked = _known(labels, scan, number, rows[rows["tile"] == number])
            of_tile = rows[(rows["tile"] == number) & (rows["surface"] != "")]
            lighting = Lighting.of_scan(scan)
            whole = Sample(raw, lighting, _as_openings(of_tile), None, known)
            out.append(_windows(whole, unmarked))
    return out


def _openings(
    pits: LabelledPits, finds: pd.DataFrame, scan: Scan, taxonomy: Taxonomy
) -> pd.DataFrame:
    """Return a row per labelled opening, and a row with surface "" per label that is no pit."""
    um = scan.pixel_size_um or np.nan
    usual = float(finds["radius_px"].median()) if len(finds) else _USUAL_PX
    rows_of = finds.assign(depth_px=finds["depth_um"] / um).set_index("pit").to_dict("index")
    unknown = dict.fromkeys(_SHAPE[3:], np.nan) | {"radius_px": usual, "partner": None}
    rows = []
    for label in pits.table.to_dict("records"):
        find: Mapping[Any, Any] = unknown if pd.isna(label["pit"]) else rows_of[label["pit"]]
        at = {k: label[k] for k in ("tile", "x_px", "y_px")}
        said = str(label["said"])
        surface = _SURFACE.get(said, "unknown") if taxonomy.is_pit(said) else ""
        rows.append({**at, **{k: find[k] for k in _SHAPE[2:]}, "surface": surface})
        partner = None if pd.isna(find["partner"]) else rows_of.get(int(find["partner"]))
        if label["said"] == "hip" and partner is not None and partner["tile"] == label["tile"]:
            other = {k: partner[k] for k in _SHAPE}
            rows.append({"tile": label["tile"], **other, "surface": "bottom"})
    return pd.DataFrame(rows)


def _as_openings(rows: pd.DataFrame) -> Openings:
    x, y, radius, ellipticity, angle, depth = (rows[k].to_numpy(np.float64) for k in _SHAPE)
    surface = rows["surface"].map(SURFACES.index).to_numpy(np.int64)
    return Openings(x, y, radius, ellipticity, angle, depth, surface)


def _known(
    labels: pd.DataFrame, scan: Scan, number: int, rows: pd.DataFrame
) -> tuple[Bools, Bools]:
    """Return which ground is labelled, and which is labelled as free of marks, (y, x) each."""
    height, width = scan.image_size
    y, x = np.mgrid[:height, :width]
    known = np.zeros((height, width), bool)
    other = np.zeros_like(known)
    for row in rows.to_dict("records"):
        reach = max(_AROUND[0] * row["radius_px"], _AROUND[1])
        near = np.hypot(x - row["x_px"], y - row["y_px"]) <= reach
        known |= near
        if row["surface"] == "":
            other |= near
    for polygon in _regions(labels, scan, number):
        known |= fill_polygon(polygon, scan.image_size)
    return known, known & ~other


def _regions(labels: pd.DataFrame, scan: Scan, number: int) -> list[Floats]:
    """Return the labelled regions on a tile, (m, 2) px each."""
    out = []
    at = next(t for t in scan.tiles if t.number == number)
    for label in labels.to_dict("records"):
        if isinstance(label["region_px"], str):
            if label["scan"] == scan.name and label["tile"] == number:
                out.append(parse_region(label["region_px"]))
        elif isinstance(label["region_mm"], str) and at.stage_x_mm is not None:
            corners = parse_region(label["region_mm"])
            stage = foil_frame(scan).to_stage(corners[:, 0], corners[:, 1])
            centre = np.array([at.stage_x_mm, at.stage_y_mm], np.float64)
            u, v = stage_to_tile(*stage, centre[0], centre[1], scan)
            out.append(np.column_stack([u, v]))
    return out


def _windows(whole: Sample, unmarked: Bools) -> list[Sample]:
    """Return the windows of a tile with labelled ground; a small tile is extended by mirroring."""
    known = whole.known
    height, width = whole.raw.shape[1:]
    more = [(0, max(SIZE_PX - height, 0)), (0, max(SIZE_PX - width, 0))]
    raw = np.pad(whole.raw, [(0, 0), *more], mode="symmetric")
    labelled = np.pad(known, more) if known is not None else np.ones(raw.shape[1:], bool)
    free = np.pad(unmarked, more)
    out = []
    for top in _starts(raw.shape[1]):
        for left in _starts(raw.shape[2]):
            box = (slice(top, top + SIZE_PX), slice(left, left + SIZE_PX))
            if not labelled[box].any():
                continue
            o = whole.openings
            moved = Openings(
                o.x_px - left, o.y_px - top, o.radius_px, o.ellipticity, o.angle_deg, o.depth_px,
                o.surface,
            )  # fmt: skip
            piece = np.ascontiguousarray(raw[:, box[0], box[1]])
            out.append(Sample(piece, whole.lighting, moved, None, labelled[box], free[box]))
    return out


def _starts(length: int) -> list[int]:
    """Return the beginnings of evenly spread windows that cover a length."""
    count = -(-length // SIZE_PX)
    return [round(v) for v in np.linspace(0, length - SIZE_PX, count).tolist()]
