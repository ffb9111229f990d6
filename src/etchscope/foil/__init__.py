"""The data dictionary: records, the pit table, units, frames and errors."""

from etchscope.foil.errors import BadInput, EtchscopeError, MachineFailed
from etchscope.foil.frames import (
    FoilFrame,
    foil_frame,
    in_polygon,
    stage_to_tile,
    tile_to_foil,
    tile_to_stage,
)
from etchscope.foil.pits import COLUMNS, PitColumn, PitFlag, as_pits, flag_legend, has_flag
from etchscope.foil.records import Channel, Foil, Layout, Role, Scan, Side, Stack, Tile

__all__ = [
    "COLUMNS",
    "BadInput",
    "Channel",
    "EtchscopeError",
    "Foil",
    "FoilFrame",
    "Layout",
    "MachineFailed",
    "PitColumn",
    "PitFlag",
    "Role",
    "Scan",
    "Side",
    "Stack",
    "Tile",
    "as_pits",
    "flag_legend",
    "foil_frame",
    "has_flag",
    "in_polygon",
    "stage_to_tile",
    "tile_to_foil",
    "tile_to_stage",
]
