"""Cut the patches of a scan and of its labels from its tiles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from etchscope.ensemble import MISC, Labelled
from etchscope.foil import BadInput, Scan
from etchscope.foil.types import Ints
from etchscope.geometry import Similarity, number_places, number_regions, tile_to_foil
from etchscope.imaging import Lighting, Normalisation, light_planes
from etchscope.learn import Lights, Patches, cut_patches, cut_planes, join_patches, plane_scale
from etchscope.run.constants import normalisation_of, recipe_of
from etchscope.run.labelled import SNAP_PX, LabelledPits, search_of
from etchscope.store import Store

__all__ = [
    "PLANES_RECIPE",
    "context_patches",
    "cut_scan",
    "labelled_patches",
    "scale_of",
    "shared_recipe",
]

PLANES_RECIPE = "planes-1"
"""Name and version of the recipe of normalisation of patches of planes."""
_CONTEXT = 2000
"""Largest number of finds of a scan that are drawn as context of its labels."""


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
    """Yield, tile by tile, the (n,) int64 rows of a table and the n patches around its places.

    The channels are those of ``Lights.of_scan``; the region of a patch is its tile. An opening that
    the edge of a tile cuts may have its centre outside; its patch lies at most half its size
    outside.

    Parameters
    ----------
    table : has the columns ``tile, x_px, y_px``.
    size : side of the patches, px.
    scale : scale of the planes that patches are cut from, see ``scale_of``; without it patches are
        cut from the pictures.
    progress : called with 1 after each tile.

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
    """Return the scale of the planes of a scan, from the pits of its search."""
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
    """Return the patches of labels; their regions are cells of the frame that the scans share.

    Parameters
    ----------
    size : side of the patches, px.
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
    labels = pd.concat(rows, ignore_index=True)
    sizes = labels["pixel_size_um"].dropna()
    of_place = number_places(labels, SNAP_PX * float(sizes.max()) / 1000 if len(sizes) else 0.0)
    patches = join_patches(parts)
    return Labelled(
        replace(patches, region=number_regions(labels, of_place, _tile_mm(pits))),
        labels["said"].to_numpy(str),
        labels["density_per_mm2"].to_numpy(np.float64),
        recipe,
        labels["pixel_size_um"].to_numpy(np.float64, na_value=np.nan),
        labels[["scan", "tile", "x_px", "y_px", "id"]],
        labels["evidence"].to_numpy(np.float64),
        1 / labels.groupby([labels["id"], of_place])["scan"].transform("nunique").to_numpy(float),
    )


def shared_recipe(scans: Sequence[Scan], *, planes: bool) -> str:
    """Return the digest of the recipe that normalised the scans; for planes ``PLANES_RECIPE``.

    Raises
    ------
    BadInput : the scans have different recipes, and patches are not of planes.
    """
    recipes = {PLANES_RECIPE if planes else recipe_of(scan).digest for scan in scans}
    if len(recipes) > 1:
        raise BadInput("scans to train on", "normalised by one recipe", f"{len(recipes)} recipes")
    return recipes.pop()


def _tile_mm(pits: Sequence[LabelledPits]) -> tuple[float, float]:
    """Return width and height of the largest tile, mm; 1 where no scale is known."""
    sizes = [
        [n * one.scan.pixel_size_um / 1000 for n in one.scan.image_size[::-1]]
        for one in pits
        if one.scan.pixel_size_um is not None
    ]
    width, height = np.max(sizes, axis=0).tolist() if sizes else (1.0, 1.0)
    return width, height


def _on_foil(table: pd.DataFrame, scan: Scan, way: Similarity) -> pd.DataFrame:
    """Return labels with their scan, and their place (mm) in the frame that the scans share."""
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
    """Return patches of finds on the labels' tiles, labelled or not, at most 2000 per scan.

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
    return join_patches(parts)
