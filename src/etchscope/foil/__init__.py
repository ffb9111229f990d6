"""The data dictionary: records, pits, labels, units and errors."""

from typing import TYPE_CHECKING

from etchscope.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.foil.errors import (
        BadInput,
        ClassMissing,
        DamagedFile,
        EtchscopeError,
        MachineFailed,
        NameTaken,
        NoClassMap,
        NoLabeller,
        NoPicture,
        NoPositions,
        NotAFinder,
        NotAStore,
        NotLabelled,
        NotScored,
        NotSearched,
        OldFinder,
        OldStore,
        OtherNormalisation,
        TwoPictures,
        UnknownAlignment,
        UnknownClass,
        UnknownModel,
        UnknownRun,
        UnknownScan,
        WrongLights,
    )
    from etchscope.foil.labels import (
        BEYOND_PX,
        LABEL_COLUMNS,
        LabelColumn,
        LabelSource,
        as_labels,
        digest_events,
        fill_ids,
        format_region,
        parse_region,
    )
    from etchscope.foil.lists import PitList
    from etchscope.foil.machine import count_usable_cores
    from etchscope.foil.pits import COLUMNS, PitColumn, PitFlag, as_pits, flag_legend, has_flag
    from etchscope.foil.records import Channel, Foil, Layout, Role, Scan, Side, Stack, Tile
    from etchscope.foil.standing_labels import (
        TOLERANCE_PX,
        find_replacements,
        reconcile_labels,
        select_standing,
    )
    from etchscope.foil.taxonomy import DEFAULT_TAXONOMY, WITHDRAWN, Taxonomy, parent_class

__all__ = [
    "BEYOND_PX",
    "COLUMNS",
    "DEFAULT_TAXONOMY",
    "LABEL_COLUMNS",
    "TOLERANCE_PX",
    "WITHDRAWN",
    "BadInput",
    "Channel",
    "ClassMissing",
    "DamagedFile",
    "EtchscopeError",
    "Foil",
    "LabelColumn",
    "LabelSource",
    "Layout",
    "MachineFailed",
    "NameTaken",
    "NoClassMap",
    "NoLabeller",
    "NoPicture",
    "NoPositions",
    "NotAFinder",
    "NotAStore",
    "NotLabelled",
    "NotScored",
    "NotSearched",
    "OldFinder",
    "OldStore",
    "OtherNormalisation",
    "PitColumn",
    "PitFlag",
    "PitList",
    "Role",
    "Scan",
    "Side",
    "Stack",
    "Taxonomy",
    "Tile",
    "TwoPictures",
    "UnknownAlignment",
    "UnknownClass",
    "UnknownModel",
    "UnknownRun",
    "UnknownScan",
    "WrongLights",
    "as_labels",
    "as_pits",
    "count_usable_cores",
    "digest_events",
    "fill_ids",
    "find_replacements",
    "flag_legend",
    "format_region",
    "has_flag",
    "parent_class",
    "parse_region",
    "reconcile_labels",
    "select_standing",
]

__getattr__ = load_on_use(
    __name__,
    ("errors", "machine", "taxonomy", "records", "pits", "lists", "labels", "standing_labels"),
)
