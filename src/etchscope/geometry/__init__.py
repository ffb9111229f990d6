"""Geometry: frames, tiles and their areas, overlaps, masks, places on the foil."""

from typing import TYPE_CHECKING

from etchscope.foil.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.geometry.areas import area_cm2, part_of_tile
    from etchscope.geometry.frames import (
        FoilFrame,
        datum_holes_mm,
        foil_frame,
        foil_to_tile,
        in_polygon,
        stage_to_tile,
        tile_to_foil,
        tile_to_stage,
    )
    from etchscope.geometry.links import (
        link_frames,
    )
    from etchscope.geometry.masks import (
        Mask,
        mask_unit,
    )
    from etchscope.geometry.overlaps import (
        merge_copies,
    )
    from etchscope.geometry.places import (
        number_places,
        number_regions,
    )
    from etchscope.geometry.tiles import edge_distance_px, in_tile
    from etchscope.geometry.transforms import (
        LengthUnit,
        Similarity,
        fit_similarity,
        mm_per,
    )

__all__ = [
    "FoilFrame",
    "LengthUnit",
    "Mask",
    "Similarity",
    "area_cm2",
    "datum_holes_mm",
    "edge_distance_px",
    "fit_similarity",
    "foil_frame",
    "foil_to_tile",
    "in_polygon",
    "in_tile",
    "link_frames",
    "mask_unit",
    "merge_copies",
    "mm_per",
    "number_places",
    "number_regions",
    "part_of_tile",
    "stage_to_tile",
    "tile_to_foil",
    "tile_to_stage",
]

__getattr__ = load_on_use(
    __name__, ("transforms", "tiles", "frames", "masks", "links", "overlaps", "places", "areas")
)
