"""What a user's labels teach the finder: places and regions; all other ground is unknown."""

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
"""Radius of a labelled pit where no find is near to say it."""
_AROUND = (1.5, 5.0)
"""How far around a labelled place its label tells: radii, and pixels at least."""
_SURFACE = {"hip": "top", "top": "top", "bottom": "bottom"}
"""Class of a label → surface of the opening at its place, where it says one."""
_SHAPE = ("x_px", "y_px", "radius_px", "ellipticity", "angle_deg", "depth_px")


def labelled_samples(store: Store) -> list[list[Sample]]:
    """Return pictures of ``SIZE_PX`` a side that hold labels of a store, tile by tile.

    A label of signal says an entry and, where its find has a partner, an exit pit; one of a single
    pit says that, on a surface that nobody knows where the class is neither ``top`` nor ``bottom``;
    one of a class that is no pit, that none is there. Inside a region of a class everything is
    said. Sizes are those of the find at the label, and say how far around it its label tells.

    Raises
    ------
    BadInput : no labels, or a scan with labels that was never searched.
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
    """Return one row an opening that labels say, and one with surface "" for what is no pit."""
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
    """Return where labels tell what there is, and where they tell that there is no mark."""
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
    """Return the labelled regions in a tile's pixels, (m, 2) each."""
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
    """Return the windows of a tile in which anything is known, mirrored beyond small tiles."""
    known = whole.known
    height, width = whole.raw.shape[1:]
    more = [(0, max(SIZE_PX - height, 0)), (0, max(SIZE_PX - width, 0))]
    raw = np.pad(whole.raw, [(0, 0), *more], mode="symmetric")
    told = np.pad(known, more) if known is not None else np.ones(raw.shape[1:], bool)
    free = np.pad(unmarked, more)
    out = []
    for top in _starts(raw.shape[1]):
        for left in _starts(raw.shape[2]):
            box = (slice(top, top + SIZE_PX), slice(left, left + SIZE_PX))
            if not told[box].any():
                continue
            o = whole.openings
            moved = Openings(
                o.x_px - left, o.y_px - top, o.radius_px, o.ellipticity, o.angle_deg, o.depth_px,
                o.surface,
            )  # fmt: skip
            piece = np.ascontiguousarray(raw[:, box[0], box[1]])
            out.append(Sample(piece, whole.lighting, moved, None, told[box], free[box]))
    return out


def _starts(length: int) -> list[int]:
    """Return where windows begin so that they cover a length, evenly spread."""
    count = -(-length // SIZE_PX)
    return [round(v) for v in np.linspace(0, length - SIZE_PX, count).tolist()]
