"""Alignment: registration of scans from their pits, coincidences, efficiencies from them."""

from etchscope.align.coincidence import (
    Surface,
    TagAndProbe,
    find_coincidences,
    require_multiplicity,
    tag_and_probe,
)
from etchscope.align.datum import find_holes
from etchscope.align.mosaic import Mosaic, are_uncut, find_copies, solve_mosaic
from etchscope.align.registration import TOLERANCE_MM, Evidence, Registration, register
from etchscope.align.stack import HOLE_MM, MERGE_MM, AlignedStack, Member, align_stack, list_pits

__all__ = [
    "HOLE_MM",
    "MERGE_MM",
    "TOLERANCE_MM",
    "AlignedStack",
    "Evidence",
    "Member",
    "Mosaic",
    "Registration",
    "Surface",
    "TagAndProbe",
    "align_stack",
    "are_uncut",
    "find_coincidences",
    "find_copies",
    "find_holes",
    "list_pits",
    "register",
    "require_multiplicity",
    "solve_mosaic",
    "tag_and_probe",
]
