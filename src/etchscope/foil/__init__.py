"""The data dictionary: records, pits, labels, units, frames and errors."""

from etchscope.foil.errors import BadInput, EtchscopeError, MachineFailed
from etchscope.foil.frames import (
    FoilFrame,
    foil_frame,
    in_polygon,
    stage_to_tile,
    tile_to_foil,
    tile_to_stage,
)
from etchscope.foil.labels import (
    LABEL_COLUMNS,
    TOLERANCE_PX,
    LabelColumn,
    LabelSource,
    as_labels,
    event_digests,
    latest,
    region_corners,
    region_text,
    succession,
    with_ids,
)
from etchscope.foil.pits import COLUMNS, PitColumn, PitFlag, as_pits, flag_legend, has_flag
from etchscope.foil.records import Channel, Foil, Layout, Role, Scan, Side, Stack, Tile
from etchscope.foil.taxonomy import DEFAULT_TAXONOMY, WITHDRAWN, Taxonomy, parent

__all__ = [
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
    "MachineFailed",
    "PitColumn",
    "PitFlag",
    "Role",
    "Scan",
    "Side",
    "Stack",
    "Taxonomy",
    "Tile",
    "as_labels",
    "as_pits",
    "event_digests",
    "flag_legend",
    "foil_frame",
    "has_flag",
    "in_polygon",
    "latest",
    "parent",
    "region_corners",
    "region_text",
    "stage_to_tile",
    "succession",
    "tile_to_foil",
    "tile_to_stage",
    "with_ids",
]
