"""The data dictionary: records, pits, labels, units, frames and errors."""

from etchscope.foil.errors import BadInput, EtchscopeError, MachineFailed
from etchscope.foil.frames import (
    FoilFrame,
    foil_frame,
    foil_to_tile,
    holes_of,
    in_polygon,
    stage_to_tile,
    tile_to_foil,
    tile_to_stage,
    tile_transform,
)
from etchscope.foil.labels import (
    BEYOND_PX,
    LABEL_COLUMNS,
    TOLERANCE_PX,
    LabelColumn,
    LabelSource,
    as_labels,
    event_digests,
    latest,
    one_of_each_place,
    region_corners,
    region_text,
    succession,
    with_ids,
)
from etchscope.foil.links import linked_frames
from etchscope.foil.lists import PitList
from etchscope.foil.masks import Mask, mask_unit
from etchscope.foil.overlaps import merge_copies
from etchscope.foil.pits import COLUMNS, PitColumn, PitFlag, as_pits, flag_legend, has_flag
from etchscope.foil.places import places_of, regions_of
from etchscope.foil.records import Channel, Foil, Layout, Role, Scan, Side, Stack, Tile
from etchscope.foil.taxonomy import DEFAULT_TAXONOMY, WITHDRAWN, Taxonomy, parent
from etchscope.foil.transforms import LengthUnit, Similarity, fit_similarity, mm_per

__all__ = [
    "BEYOND_PX",
    "COLUMNS",
    "DEFAULT_TAXONOMY",
    "LABEL_COLUMNS",
    "TOLERANCE_PX",
    "WITHDRAWN",
    "BadInput",
    "Channel",
    "EtchscopeError",
    "Foil",
    "FoilFrame",
    "LabelColumn",
    "LabelSource",
    "Layout",
    "LengthUnit",
    "MachineFailed",
    "Mask",
    "PitColumn",
    "PitFlag",
    "PitList",
    "Role",
    "Scan",
    "Side",
    "Similarity",
    "Stack",
    "Taxonomy",
    "Tile",
    "as_labels",
    "as_pits",
    "event_digests",
    "fit_similarity",
    "flag_legend",
    "foil_frame",
    "foil_to_tile",
    "has_flag",
    "holes_of",
    "in_polygon",
    "latest",
    "linked_frames",
    "mask_unit",
    "merge_copies",
    "mm_per",
    "one_of_each_place",
    "parent",
    "places_of",
    "region_corners",
    "region_text",
    "regions_of",
    "stage_to_tile",
    "succession",
    "tile_to_foil",
    "tile_to_stage",
    "tile_transform",
    "with_ids",
]
