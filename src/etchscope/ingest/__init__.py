"""Readers of other people's files: scan directories and pictures."""

from etchscope.ingest.add import add
from etchscope.ingest.pictures import read_picture
from etchscope.ingest.source import Overrides, Source, group_paths, open_source

__all__ = ["Overrides", "Source", "add", "group_paths", "open_source", "read_picture"]
