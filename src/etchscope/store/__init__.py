"""Stores: scans with their pictures, runs, fits, labels, models and alignments on disk."""

from etchscope.store.adding import Added, TilePictures
from etchscope.store.check import Finding
from etchscope.store.compressing import WhiteSpace
from etchscope.store.compression import Compressed, Compression
from etchscope.store.labels import read_taxonomy
from etchscope.store.models import read_model, write_model
from etchscope.store.records import (
    FindRecord,
    FittedNormalisation,
    JudgingModel,
    RunRecord,
    ScoreRecord,
)
from etchscope.store.removal import Removal
from etchscope.store.rows import LeftOut
from etchscope.store.store import Store

__all__ = [
    "Added",
    "Compressed",
    "Compression",
    "FindRecord",
    "Finding",
    "FittedNormalisation",
    "JudgingModel",
    "LeftOut",
    "Removal",
    "RunRecord",
    "ScoreRecord",
    "Store",
    "TilePictures",
    "WhiteSpace",
    "read_model",
    "read_taxonomy",
    "write_model",
]
