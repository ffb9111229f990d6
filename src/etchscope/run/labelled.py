"""From the labels of a store to patches: which find each label speaks of, and its pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from etchscope.candidates import places_px
from etchscope.ensemble import MISC, Labelled, pair_evidence
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
    number_places,
    number_regions,
    stage_to_tile,
    tile_to_foil,
)
from etchscope.imaging import Lighting, Normalisation, light_planes
from etchscope.learn import Lights, Patches, cut_patches, cut_planes, joined, plane_scale
from etchscope.run.constants import normalisation_of, recipe_of
from etchscope.run.frames import JointFrames, joint_frames
from etchscope.store import Store

__all__ = [
    "PLANES_RECIPE",
    "LabelledPits",
    "LeftOut",
    "context_patches",
    "cut_scan",
    "labelled_patches",
    "labelled_pits",
    "scale_of",
    "shared_recipe",
]

PLANES_RECIPE = "planes-1"
"""What stands for the recipe of normalisation where patches are of planes, and its version."""
_CONTEXT = 2000
"""Finds that stand for all on the tiles of a scan's labels."""
_SNAP_PX = 6.0
"""A label belongs to the find that is closer than this."""


@dataclass(frozen=True)
class LabelledPits:
    """Labels of one scan, at the places where patches are cut.

    ``table``: one row a label, columns ``id`` (of the event), ``said`` (its class without
    subclass), ``tile, x_px, y_px``, ``density_per_mm2`` (nan where no find is near), ``evidence``
    of its partner, ``pit`` (of the find, null without). ``way``: from the scan's foil frame into
    the one in which places of several scans are compared.
    """

    scan: Scan
    table: pd.DataFrame
    way: Similarity


@dataclass(frozen=True)
class LeftOut:
    """How many labels teach nothing: on no included tile, and of places whose labels conflict."""

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
    """Return the decidable labels of each scan, one a place, and how many are left out.

    Of several labels of one place one stands, see ``reconcile_labels``. Scans of one side whose
    frames differ show each other's labels where an alignment says, see ``joint_frames``.

    A point belongs to the nearest find of the scan's latest search within 6 px, one to one; without
    a find it stands for itself. A search of the whole scan comes before one of a region. A region
    labels all finds in it that no point labels, even as undecidable. Only included tiles count.

    Parameters
    ----------
    scans : only these; all unless given.
    region : (m, 2) polygon in foil mm; only labels inside it, and of a label's region only the
        finds inside both.
    who, sources : labels of these people, and of these kinds (person, model, coincidence) only.
    alignment : see ``joint_frames``.

    Raises
    ------
    BadInput : no such scan, nobody of that name who labelled, a scan with labels that was never
        searched, or no labels at all; see ``joint_frames``.
    """
    names = store.scans.names() if scans is None else list(dict.fromkeys(scans))
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
    """Return one label a place, and one of each place whose labels conflict.

    Places are compared in the shared frames; those returned are as they were given.
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
    """Return the run whose finds labels belong to: the latest search of the whole scan."""
    return store.runs.latest(scan, stage="find", whole=True) or store.runs.latest(scan)


def _asked_for(labels: pd.DataFrame, scans: Sequence[Scan] | None, region: Floats | None) -> Bools:
    """Return which labels are of sides that the scans show, or of a scan's tile, and inside."""
    asked = np.ones(len(labels), bool)
    if scans is not None:
        sides = {(scan.foil, scan.side) for scan in scans}
        told = zip(labels["foil"], labels["side"], strict=True)
        of_side = np.array([key in sides for key in told], bool)
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
    """Return the labels inside an included tile, each in the one with the widest margin.

    An opening that its own tile's edge cuts may have its centre outside all of them.
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
    """Return a row a label of a decidable class, and a row a find in a region of one."""
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
    """Return the rows of points and of finds that belong together.

    On the foil where both have a place there: in an overlap they may be of two tiles.
    """
    on_foil = labels["x_mm"].notna().all() and finds["x_mm"].notna().all()
    scale = scan.pixel_size_um if on_foil else None
    matched = match_one_to_one(places_px(labels, scale), places_px(finds, scale), _SNAP_PX)
    return matched.truth_index, matched.found_index


def _inside(finds: pd.DataFrame, label: Any) -> Bools:
    if isinstance(label["region_mm"], str):
        x, y, corners = finds["x_mm"], finds["y_mm"], parse_region(label["region_mm"])
        return np.asarray(in_polygon(x.to_numpy(), y.to_numpy(), corners))
    x, y, corners = finds["x_px"], finds["y_px"], parse_region(str(label["region_px"]))
    same = (finds["tile"] == label["tile"]).to_numpy()
    return np.asarray(same & in_polygon(x.to_numpy(), y.to_numpy(), corners))


def cut_scan(
    store: Store,
    scan: Scan,
    normalisation: Normalisation,
    table: pd.DataFrame,
    *,
    size: int,
    scale: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[Ints, Patches]]:
    """Yield, tile by tile, rows of a table with ``tile, x_px, y_px`` and their patches.

    The channels are those of ``Lights.of_scan``; the region of a patch is its tile. An opening that
    the tile's edge cuts may have its centre beyond it, but no patch is moved by more than half its
    size.

    Parameters
    ----------
    scale : patches are of planes at this scale, see ``scale_of``; of the lights as they are unless
        given.

    Raises
    ------
    BadInput : pictures are damaged.
    """
    height, width = scan.image_size
    beyond = (size - 1) / 2
    lights, order = Lights.of_scan(scan)
    if scale is not None:
        lights, lighting = Lights.of_planes(), Lighting.of_scan(scan)
    tiles = table["tile"].to_numpy(np.int64)
    numbers = np.unique(tiles)
    stacks = store.scans.read_tiles(scan.name, numbers.tolist())
    for number, stack in zip(numbers.tolist(), stacks, strict=True):
        rows = np.flatnonzero(tiles == number)
        x = table["x_px"].to_numpy(np.float64)[rows].clip(-beyond, width - 1 + beyond)
        y = table["y_px"].to_numpy(np.float64)[rows].clip(-beyond, height - 1 + beyond)
        if scale is None:
            pixels = cut_patches(normalisation.apply(stack)[order], x, y, size)
        else:
            planes = light_planes(stack, normalisation, lighting, scale)
            pixels = cut_planes(planes, scan.image_size, x, y, size)
        yield rows, Patches(pixels, lights, np.full(len(rows), number), rows)
        if progress is not None:
            progress(1)


def scale_of(pits: pd.DataFrame) -> float:
    """Return at what scale the planes of a scan are looked at, from the pits of its search."""
    is_pit = (pits["class"] != MISC).fillna(value=True).to_numpy(bool)
    return plane_scale(pits["radius_px"].to_numpy(np.float64)[is_pit])


def labelled_patches(
    store: Store,
    pits: Sequence[LabelledPits],
    *,
    size: int = 28,
    planes: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Labelled:
    """Return the patches of labels, cut now; their regions are cells of the frame that scans share.

    Parameters
    ----------
    planes : whether patches are of planes, so that the scans may have any lights.
    progress : called with 1 after each tile.

    Raises
    ------
    BadInput : scans of different lights or recipes, and not of planes.
    """
    parts, rows = [], []
    recipe = shared_recipe([one.scan for one in pits], planes=planes)
    for one in pits:
        normalisation = normalisation_of(store, one.scan)
        scale = scale_of(store.runs.pits(_searched(store, one.scan))) if planes else None
        for which, patches in cut_scan(
            store, one.scan, normalisation, one.table, size=size, scale=scale, progress=progress
        ):
            parts.append(patches)
            rows.append(_on_foil(one.table.iloc[which], one.scan, one.way))
    told = pd.concat(rows, ignore_index=True)
    sizes = told["pixel_size_um"].dropna()
    of_place = number_places(told, _SNAP_PX * float(sizes.max()) / 1000 if len(sizes) else 0.0)
    patches = joined(parts)
    return Labelled(
        replace(patches, region=number_regions(told, of_place, _tile_mm(pits))),
        told["said"].to_numpy(str),
        told["density_per_mm2"].to_numpy(np.float64),
        recipe,
        told["pixel_size_um"].to_numpy(np.float64, na_value=np.nan),
        told[["scan", "tile", "x_px", "y_px", "id"]],
        told["evidence"].to_numpy(np.float64),
        1 / told.groupby([told["id"], of_place])["scan"].transform("nunique").to_numpy(np.float64),
    )


def shared_recipe(scans: Sequence[Scan], *, planes: bool) -> str:
    """Return the recipe by which the pictures of patches were normalised; of planes their version.

    Raises
    ------
    BadInput : scans of different recipes, whose patches are not of planes.
    """
    recipes = {PLANES_RECIPE if planes else recipe_of(scan).digest for scan in scans}
    if len(recipes) > 1:
        raise BadInput("scans to train on", "normalised by one recipe", f"{len(recipes)} recipes")
    return recipes.pop()


def _tile_mm(pits: Sequence[LabelledPits]) -> tuple[float, float]:
    """Return width and height of the largest tile; 1 where no scale is known."""
    sizes = [
        [n * one.scan.pixel_size_um / 1000 for n in one.scan.image_size[::-1]]
        for one in pits
        if one.scan.pixel_size_um is not None
    ]
    width, height = np.max(sizes, axis=0).tolist() if sizes else (1.0, 1.0)
    return width, height


def _on_foil(table: pd.DataFrame, scan: Scan, way: Similarity) -> pd.DataFrame:
    """Return labels with their scan, and their place in the frame that scans share."""
    x_px, y_px = (table[c].to_numpy(np.float64) for c in ("x_px", "y_px"))
    x_mm, y_mm = tile_to_foil(table["tile"].to_numpy(np.int64), x_px, y_px, scan)
    x, y = way.apply(np.column_stack([x_mm, y_mm])).T
    placed = table.assign(x_mm=x, y_mm=y, frame=way.target, scan=scan.name)
    return placed.assign(pixel_size_um=scan.pixel_size_um)


def _searched(store: Store, scan: Scan) -> str:
    """Return the search that the labels of a scan were matched with."""
    return str(search_of(store, scan.name))


def context_patches(
    store: Store, pits: Sequence[LabelledPits], *, size: int = 28, planes: bool = False
) -> Patches:
    """Return patches of finds on the labels' tiles, labelled or not, at most 2000 a scan.

    Raises
    ------
    BadInput : pictures are damaged.
    """
    parts = []
    for one in pits:
        found = store.runs.pits(_searched(store, one.scan))
        scale = scale_of(found) if planes else None
        near = found[found["tile"].isin(one.table["tile"])].reset_index(drop=True)
        chosen = np.random.default_rng(0).permutation(len(near))[:_CONTEXT]
        some = near.iloc[np.sort(chosen)]
        normalisation = normalisation_of(store, one.scan)
        cut = cut_scan(store, one.scan, normalisation, some, size=size, scale=scale)
        parts += [p for _, p in cut]
    return joined(parts)
