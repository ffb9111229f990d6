"""Readers of scan directories, montages, pictures, masks, labels and lists of pits."""

from etchscope.files.foreign_pictures import read_picture
from etchscope.ingest.add import add_scan
from etchscope.ingest.labels import (
    ImportedLabels,
    LabelDefaults,
    import_labels,
    read_class_map,
)
from etchscope.ingest.layouts import Index, Problem, picture_files
from etchscope.ingest.masks import read_mask
from etchscope.ingest.pit_lists import OfSurface, read_pit_list
from etchscope.ingest.source import Overrides, Source, group_paths, open_source

__all__ = [
    "ImportedLabels",
    "Index",
    "LabelDefaults",
    "OfSurface",
    "Overrides",
    "Problem",
    "Source",
    "add_scan",
    "group_paths",
    "import_labels",
    "open_source",
    "picture_files",
    "read_class_map",
    "read_mask",
    "read_picture",
    "read_pit_list",
]
