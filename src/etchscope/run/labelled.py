"""Match the labels of a store with the finds of its searches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from etchscope.candidates import places_px
from etchscope.ensemble import pair_evidence
from etchscope.evaluation import match_one_to_one
from etchscope.foil import (
    BadInput,
    NotLabelled,
    NotSearched,
    Scan,
    parent_class,
    parse_region,
    reconcile_labels,
    select_standing,
)
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import (
    Similarity,
    edge_distance_px,
    foil_frame,
    in_polygon,
    stage_to_tile,
)
from etchscope.run.frames import JointFrames, joint_frames
from etchscope.store import Store

__all__ = ["SNAP_PX", "LabelledPits", "LeftOut", "labelled_pits", "search_of"]

SNAP_PX = 6.0
"""Largest distance of a label from its find."""


@dataclass(frozen=True)
class LabelledPits:
    """Labels of one scan, at the places where patches are cut.

    Parameters
    ----------
    table : a row per label, with columns ``id`` (of the event), ``said`` (its class without
        subclass), ``tile, x_px, y_px``, ``density_per_mm2`` (NaN where no find is near),
        ``evidence`` of its partner, and ``pit`` (of the find, null without one).
    way : from the scan's foil frame into the frame in which several scans are compared.
    """

    scan: Scan
    table: pd.DataFrame
    way: Similarity


@dataclass(frozen=True)
class LeftOut:
    """Numbers of labels that are not used.

    Parameters
    ----------
    outside : labels that lie on no included tile.
    conflicts : labels of places whose labels conflict.
    """

    outside: int
    conflicts: int


def labelled_pits(
    store: Store,
    *,
    scans: Sequence[str] | None = None,
    region: Floats | None = None,
    who: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
    alignment: str | None = None,
) -> tuple[list[LabelledPits], LeftOut]:
    """Return the decidable labels of each scan, one per place, and the numbers left out.

    One of several labels of a place is used, see ``reconcile_labels``. Where an alignment relates
    the frames of two scans of one side, each shows the labels of the other, see ``joint_frames``.

    A point is matched one to one with the nearest find within 6 px of the scan's latest search;
    without a find it keeps its own place. A search of the whole scan is preferred to a later one
    of a region. A region labels every find in it that no point labels, even as undecidable. Only
    included tiles count.

    Parameters
    ----------
    scans : names of the scans to use; all but injected ones unless given.
    region : (m, 2) polygon in foil mm. Labels outside are left out, and so are finds of a labelled
        region that lie outside.
    who, sources : people, and kinds (person, model, coincidence), whose labels are used.
    alignment : see ``joint_frames``.

    Raises
    ------
    UnknownScan : the store has no such scan.
    NotLabelled : there is no label of a decidable class.
    NotSearched : a scan with labels was never searched.
    BadInput : an injected scan is named, nobody of that name labelled, or no label lies on an
        included tile; or see ``joint_frames``.
    """
    names = store.injections.original_names() if scans is None else list(dict.fromkeys(scans))
    for name in names:
        store.injections.refuse(name, "labels for training")
    chosen = [store.scans.get(name) for name in names]
    taxonomy = store.labels.taxonomy()
    frames = joint_frames(store, alignment=alignment)
    labels, disputed = _standing(store, frames, who, sources)
    decidable = np.array([taxonomy.is_decidable(c) for c in labels["class"]], bool)
    if not decidable.any():
        raise NotLabelled(store.path, "labels of decidable classes", "none")
    out, placed = [], np.zeros(len(labels), bool)
    for name, scan in zip(names, chosen, strict=True):
        here = _of_scan(frames.on(labels, name), scan, region)
        here = here.assign(is_target=decidable[here["row"].to_numpy(np.int64)])
        if not here["is_target"].any():
            continue
        store.compressions.refuse(name, "patches for training")
        run = search_of(store, name)
        if run is None:
            raise NotSearched(f"scan {name}", "a search before training", "none")
        table = _on_finds(here, store.runs.pits(run), scan, region)
        placed[here["row"].to_numpy()] = True
        if len(table):
            out.append(LabelledPits(scan, table, frames.ways[name]))
    if not out:
        raise BadInput("labels", f"some on included tiles of {', '.join(names) or 'scans'}", "none")
    # A foil scanned twice has two places for each label; one that has none is outside all tiles.
    only = None if scans is None else chosen
    missed = decidable & ~placed & _asked_for(labels, only, region)
    return out, LeftOut(int(missed.sum()), int(_asked_for(disputed, only, region).sum()))


def _standing(
    store: Store,
    frames: JointFrames,
    who: Sequence[str] | None,
    sources: Sequence[str] | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return one label per place, and one label of each place whose labels conflict.

    Places are compared in the shared frames; the places returned are the given ones.
    """
    events, near = store.labels.table(latest=False), store.labels.tolerances_mm()
    joined = _chosen(select_standing(frames.joined(events), tolerance_mm=near), who, sources)
    several = reconcile_labels(joined, tolerance_mm=near)
    given = events.set_index("id", drop=False)
    one, disputed = (given.loc[some["id"]].reset_index(drop=True) for some in several)
    return one, disputed


def _chosen(
    labels: pd.DataFrame, who: Sequence[str] | None, sources: Sequence[str] | None
) -> pd.DataFrame:
    """Return the labels of some people and of some kinds."""
    source = labels["source"].fillna("person")
    for what, column, wanted in (("who", labels["who"], who), ("source", source, sources)):
        known = sorted(set(column.dropna()))
        for name in wanted or ():
            if name not in known:
                raise BadInput(what, f"one of {', '.join(known) or 'nobody'}", repr(name))
    kept = np.ones(len(labels), bool)
    if who:
        kept &= labels["who"].isin(list(who)).to_numpy()
    if sources:
        kept &= source.isin(list(sources)).to_numpy()
    return labels[kept].reset_index(drop=True)


def search_of(store: Store, scan: str) -> str | None:
    """Return the run whose finds are matched with labels: the latest search of the whole scan."""
    return store.runs.latest(scan, stage="find", whole=True) or store.runs.latest(scan)


def _asked_for(labels: pd.DataFrame, scans: Sequence[Scan] | None, region: Floats | None) -> Bools:
    """Return which labels lie on a side or a tile that the scans show, and in the region, (n,)."""
    asked = np.ones(len(labels), bool)
    if scans is not None:
        sides = {(scan.foil, scan.side) for scan in scans}
        keys = zip(labels["foil"], labels["side"], strict=True)
        of_side = np.array([key in sides for key in keys], bool)
        of_scan = labels["scan"].isin([scan.name for scan in scans]).to_numpy()
        asked &= np.where(labels["x_mm"].notna(), of_side, of_scan)
    if region is not None:
        x, y = labels["x_mm"].to_numpy(), labels["y_mm"].to_numpy()
        asked &= in_polygon(np.nan_to_num(x), np.nan_to_num(y), region) & ~np.isnan(x)
    return asked


def _of_scan(labels: pd.DataFrame, scan: Scan, region: Floats | None) -> pd.DataFrame:
    """Return the labels that lie on the scan's included tiles, with ``row, tile, x_px, y_px``."""
    own = labels.assign(row=np.arange(len(labels)))
    own = own[(own["foil"] == scan.foil) & (own["side"] == scan.side)]
    on_foil = own["x_mm"].notna()
    numbers = {t.number for t in scan.included}
    parts = []
    in_tile = own[~on_foil & (own["scan"] == scan.name) & own["tile"].isin(numbers)]
    if len(in_tile) and region is None:
        parts.append(in_tile.astype({"tile": "int64"}))
    mm = own[on_foil]
    if region is not None and len(mm):
        mm = mm[in_polygon(mm["x_mm"].to_numpy(), mm["y_mm"].to_numpy(), region)]
    if len(mm) and scan.pixel_size_um is not None:
        parts.append(_in_tiles(mm, scan))
    return pd.concat(parts, ignore_index=True) if parts else own.iloc[:0]


def _in_tiles(labels: pd.DataFrame, scan: Scan) -> pd.DataFrame:
    """Return the labels inside included tiles, each in the tile whose edge is farthest away.

    An opening that the edge of its tile cuts may have its centre outside all tiles.
    """
    x, y = foil_frame(scan).to_stage(labels["x_mm"].to_numpy(), labels["y_mm"].to_numpy())
    best = np.full(len(labels), -np.inf)
    tile, x_px, y_px = np.zeros(len(labels), np.int64), np.zeros(len(x)), np.zeros(len(y))
    for one in scan.included:
        centre = np.array([one.stage_x_mm, one.stage_y_mm], float)
        u, v = stage_to_tile(x, y, centre[0], centre[1], scan)
        margin = edge_distance_px(u, v, scan.image_size)
        better = (margin > best) & (margin > 0)
        best[better], tile[better], x_px[better], y_px[better] = (
            margin[better],
            one.number,
            u[better],
            v[better],
        )
    inside = np.isfinite(best)
    placed = labels.assign(tile=tile, x_px=x_px, y_px=y_px)
    numbers = [t.number for t in scan.included]
    cut = ~inside & (labels["scan"] == scan.name) & labels["tile"].isin(numbers)
    cut &= labels["x_px"].notna()
    own = labels[cut].astype({"tile": "int64"})
    chosen: pd.DataFrame = pd.concat([placed[inside], own]) if cut.any() else placed[inside]
    return chosen


def _on_finds(
    labels: pd.DataFrame, pits: pd.DataFrame, scan: Scan, within: Floats | None
) -> pd.DataFrame:
    """Return a row per point label of a decidable class, and per find in a region of one."""
    is_point = (labels["region_mm"].isna() & labels["region_px"].isna()).to_numpy()
    is_target = labels["is_target"].to_numpy(bool)
    finds = pits[pits["tile"].isin([t.number for t in scan.included])].reset_index(drop=True)
    own = labels[is_point & is_target].reset_index(drop=True)
    rows, which = _matched(own, finds, scan)
    table = pd.DataFrame(
        {
            "id": own["id"],
            "said": own["class"].map(parent_class),
            "tile": own["tile"].astype("int64"),
            "x_px": own["x_px"],
            "y_px": own["y_px"],
            "density_per_mm2": np.nan,
            "evidence": 0.0,
            "pit": pd.array([pd.NA] * len(own), dtype="Int64"),
        }
    )
    finds = finds.assign(evidence=pair_evidence(finds))
    for column in ("tile", "x_px", "y_px", "density_per_mm2", "evidence", "pit"):
        table.loc[rows, column] = finds[column].to_numpy()[which]
    free = finds[~np.isin(np.arange(len(finds)), which)]
    undecided = labels[is_point & ~is_target].reset_index(drop=True)
    free = free.reset_index(drop=True)
    free = free[~np.isin(np.arange(len(free)), _matched(undecided, free, scan)[1])]
    if within is not None:
        free = free[in_polygon(free["x_mm"].to_numpy(), free["y_mm"].to_numpy(), within)]
    parts = [table]
    for _, region in labels[~is_point].iterrows():
        inside = free[_inside(free, region)]
        if region["is_target"]:
            parts.append(
                inside[["tile", "x_px", "y_px", "density_per_mm2", "evidence", "pit"]].assign(
                    id=region["id"], said=parent_class(region["class"])
                )
            )
        free = free[~free.index.isin(inside.index)]
    return pd.concat(parts, ignore_index=True)[list(table.columns)]


def _matched(labels: pd.DataFrame, finds: pd.DataFrame, scan: Scan) -> tuple[Ints, Ints]:
    """Return the rows of points and of finds that match, (k,) each.

    They are compared on the foil if both have a place there, since in an overlap they may be of
    two tiles.
    """
    on_foil = labels["x_mm"].notna().all() and finds["x_mm"].notna().all()
    scale = scan.pixel_size_um if on_foil else None
    matched = match_one_to_one(places_px(labels, scale), places_px(finds, scale), SNAP_PX)
    return matched.truth_index, matched.found_index


def _inside(finds: pd.DataFrame, label: Any) -> Bools:
    if isinstance(label["region_mm"], str):
        x, y, corners = finds["x_mm"], finds["y_mm"], parse_region(label["region_mm"])
        return np.asarray(in_polygon(x.to_numpy(), y.to_numpy(), corners))
    x, y, corners = finds["x_px"], finds["y_px"], parse_region(str(label["region_px"]))
    same = (finds["tile"] == label["tile"]).to_numpy()
    return np.asarray(same & in_polygon(x.to_numpy(), y.to_numpy(), corners))
