"""Sides and foils of a stack in one frame, from their pits alone."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from etchscope.api.given import File, require_name
from etchscope.api.kept import OfStore
from etchscope.foil import BadInput
from etchscope.progress import Progress, watch

if TYPE_CHECKING:
    from etchscope.align import AlignedStack

__all__ = ["align"]


def align(
    lists: Sequence[File],
    folder: File | None = None,
    *,
    store: OfStore | None = None,
    name: str | None = None,
    tolerance_um: float | None = None,
    merge_um: float | None = None,
    hole_um: float | None = None,
    find_holes: bool = False,
    mirrored: bool | None = False,
    max_rotation_deg: float = 10.0,
    surface: Literal["top", "bottom", "any"] = "top",
    progress: Progress = False,
) -> "AlignedStack":
    """Return sides and foils of a stack in the frame of the first.

    Parameters
    ----------
    lists : files of pits, or scans of the store.
    folder : gets the alignment, the places that several surfaces show, figures, and a page.
    store : whose scans are meant by names that are no files; it keeps how they lie to each other.
    name : under which the store keeps the alignment; that of the folder unless given.
    tolerance_um : pits of two surfaces closer than this match.
    merge_um : pits of overlapping tiles closer than this are one pit.
    hole_um : pits closer than this to a datum hole are left out.
    find_holes : look for datum holes that a scan does not state.
    mirrored : whether lists are mirrored against the first; None finds out.
    max_rotation_deg : largest rotation that is tried.
    surface : which openings of pit tables are used; top faces the camera.

    Raises
    ------
    NotSearched : a scan that has no pits yet.
    BadInput : a name that is neither a file nor a scan, lists that do not match, a store without a
        name for the alignment, or a folder that is a file.
    MachineFailed : the disk is full.
    """
    from etchscope.align import align_stack
    from etchscope.run.alignments import keep_alignment, save_alignment
    from etchscope.run.pit_lists import gather_pit_lists, scans_among

    kept = None if store is None else store.kept
    if kept is not None:
        if name is None and folder is None:
            raise BadInput("name of the alignment", "a name, or a folder that has one", "neither")
        name = name if name is not None or folder is None else Path(folder).absolute().name
        require_name(str(name), "name of the alignment")
    names = [str(one) for one in lists]
    given = gather_pit_lists(names, kept, surface=surface, look_for_holes=find_holes)
    limits = {"tolerance_mm": tolerance_um, "merge_mm": merge_um, "hole_mm": hole_um}
    with watch(progress, "Aligning", 2) as bar:
        stack = align_stack(
            given,
            **{key: value / 1000 for key, value in limits.items() if value is not None},
            mirrored=mirrored,
            max_angle_rad=math.radians(max_rotation_deg),
        )
        bar.advance()
        if folder is not None:
            from etchscope.pages.alignment import write_alignment

            save_alignment(Path(folder), stack)
            write_alignment(stack, Path(folder))
        if kept is not None:
            keep_alignment(kept, str(name), stack, scans_among(names))
        bar.advance()
    return stack
