"""Alignment: registration of scans from their pits, coincidences, efficiencies from them."""

from etchscope.align.coincidence import (
    Surface,
    TagAndProbe,
    coincidences,
    require_multiplicity,
    tag_and_probe,
)
from etchscope.align.datum import find_holes
from etchscope.align.mosaic import Mosaic, copies, solve_mosaic, uncut
from etchscope.align.registration import TOLERANCE_MM, Evidence, Registration, register
from etchscope.align.stack import HOLE_MM, MERGE_MM, AlignedStack, Member, align_stack, once

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
    "coincidences",
    "copies",
    "find_holes",
    "once",
    "register",
    "require_multiplicity",
    "solve_mosaic",
    "tag_and_probe",
    "uncut",
]
