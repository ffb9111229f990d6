"""All scans of a stack in one frame: mosaics, copies, registrations, coincidences, efficiencies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from etchscope.align.coincidence import (
    Surface,
    TagAndProbe,
    find_coincidences,
    require_multiplicity,
    tag_and_probe,
)
from etchscope.align.mosaic import Mosaic, are_uncut, solve_mosaic
from etchscope.align.registration import TOLERANCE_MM, Registration, register
from etchscope.foil import BadInput, PitList
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import Similarity, merge_copies

__all__ = ["AlignedStack", "Member", "align_stack", "list_pits"]

_RADIUS_PX = 8.0
"""An opening of the reference scans nearer to its tile's edge is cut: 14 px across, and blur."""
HOLE_MM = 1.5
"""The rim of a datum hole of the reference foils is no farther from its middle."""
MERGE_MM = 10 * 0.0064516
"""Copies of a pit in two tiles of the reference scans are not farther apart."""


@dataclass(frozen=True)
class Member:
    """A list in the stack's frame.

    ``mosaic``: None without tiles. ``own_mm`` (n, 2): its pits, each once, corrected, in its own
    frame; ``row`` (n,) their rows in the list. ``registration``: None of the first list, whose
    frame is the stack's; ``against``: the list that it was registered with. ``transform``: from
    its own to the stack's frame.
    """

    source: PitList
    mosaic: Mosaic | None
    own_mm: Floats = field(repr=False, compare=False)
    row: Ints = field(repr=False, compare=False)
    registration: Registration | None
    against: str | None
    transform: Similarity

    @property
    def surface(self) -> Surface:
        """Its pits in the stack's frame."""
        at = self.transform.apply(self.own_mm)
        return Surface(self.source.name, self.source.foil, self.source.side, at, self.row)

    def to_dict(self, tolerance_mm: float) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "name": self.source.name,
            "foil": self.source.foil,
            "side": self.source.side,
            "pits": len(self.source.pits),
            "once": len(self.row),
            "mosaic": None if self.mosaic is None else self.mosaic.to_dict(),
            "against": self.against,
            "transform": self.transform.to_dict(),
            "registration": (
                None if self.registration is None else self.registration.to_dict(tolerance_mm)
            ),
        }


@dataclass(frozen=True)
class AlignedStack:
    """Lists in one frame, and what they say together.

    ``spread_mm``: largest standard deviation of a true pair's distance, of all registrations.
    """

    members: tuple[Member, ...]
    tolerance_mm: float
    spread_mm: float

    def member(self, name: str) -> Member:
        """Return one of the lists.

        Raises
        ------
        BadInput : none of that name.
        """
        for m in self.members:
            if m.source.name == name:
                return m
        listed = ", ".join(m.source.name for m in self.members)
        raise BadInput("stack", f"one of {listed}", repr(name))

    def places(self, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the coincidences of these lists, all unless named; see ``find_coincidences``."""
        chosen = [m.surface for m in self.members if names is None or m.source.name in names]
        return find_coincidences(chosen, self.tolerance_mm, spread_mm=self.spread_mm)

    def efficiencies(self) -> list[TagAndProbe]:
        """Return each surface's efficiency; tags of two others, and foils, where there are."""
        surfaces = [m.surface for m in self.members]
        tags = min(2, len(surfaces) - 1)
        out = []
        for s in surfaces:
            foils = min(2, len({other.foil for other in surfaces if other.name != s.name}))
            known = {"tag_surfaces": tags, "tag_foils": foils}
            out.append(
                tag_and_probe(
                    surfaces, s.name, self.tolerance_mm, spread_mm=self.spread_mm, **known
                )
            )
        return out

    def labels_for(
        self, target: str, *, surfaces: int = 2, foils: int = 1, most_p: float = 0.05
    ) -> pd.DataFrame:
        """Return where the other foils say that an ion went through a list's foil.

        No list of the target's own foil takes part: the labels owe nothing to what is judged.

        Parameters
        ----------
        target : name of a list.
        surfaces, foils : so many, and of so many foils, must show a place.
        most_p : places that are accidental with a greater probability are left out.

        Returns
        -------
        See ``find_coincidences``, with ``x_mm, y_mm`` in the target's own frame.

        Raises
        ------
        BadInput : no such list, or fewer lists of other foils than ``surfaces``.
        """
        member = self.member(target)
        others = [m.source for m in self.members if m.source.foil != member.source.foil]
        if len(others) < max(surfaces, 2):
            expected = f"{max(surfaces, 2)} or more lists of other foils than {member.source.foil}"
            raise BadInput("coincidence", expected, f"{len(others)}")
        places = self.places([s.name for s in others])
        places = require_multiplicity(places, surfaces=surfaces, foils=foils)
        places = places[places["p_accidental"] <= most_p].reset_index(drop=True)
        own = member.transform.inverse().apply(places[["x_mm", "y_mm"]].to_numpy())
        return places.assign(x_mm=own[:, 0], y_mm=own[:, 1])

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "tolerance_mm": self.tolerance_mm,
            "spread_mm": self.spread_mm,
            "members": [m.to_dict(self.tolerance_mm) for m in self.members],
            "efficiencies": [e.to_dict() for e in self.efficiencies()],
        }


def list_pits(
    source: PitList, merge_mm: float = MERGE_MM, hole_mm: float = HOLE_MM
) -> tuple[Mosaic | None, Floats, Ints]:
    """Return the stage's correction, and each pit of a list once: (n, 2) mm and its row.

    Of the copies that two tiles show, the one farther from its tile's edge stays. Without tiles
    every row is a pit. Pits nearer than ``hole_mm`` to a datum hole are left out: the drill leaves
    rims that all foils share, which are no ions.
    """
    pits = source.pits
    xy = pits[["x_mm", "y_mm"]].to_numpy(float)
    if source.image_size is None or not source.has_tiles:
        row = np.flatnonzero(_far_of_holes(source, xy, hole_mm))
        return None, xy[row], row
    tile = pits["tile"].to_numpy(np.int64)
    height, width = source.image_size
    x_px, y_px = pits["x_px"].to_numpy(float), pits["y_px"].to_numpy(float)
    mosaic = solve_mosaic(xy, tile, are_uncut(x_px, y_px, source.image_size, _RADIUS_PX))
    corrected = mosaic.correct(xy, tile)
    margin = np.minimum.reduce([x_px, width - 1 - x_px, y_px, height - 1 - y_px])
    surface = (
        np.unique(pits["surface"].astype("str").fillna(""), return_inverse=True)[1]
        if ("surface" in pits)
        else np.zeros(len(xy), np.int64)
    )
    stands = merge_copies(corrected, tile, surface.astype(np.int64), margin, merge_mm)
    row = np.flatnonzero((stands == np.arange(len(xy))) & _far_of_holes(source, xy, hole_mm))
    return mosaic, corrected[row], row


def _far_of_holes(source: PitList, xy: Floats, hole_mm: float) -> Bools:
    far = np.ones(len(xy), bool)
    for x, y in source.holes_mm:
        far &= np.hypot(xy[:, 0] - x, xy[:, 1] - y) >= hole_mm
    return far


def align_stack(
    lists: Sequence[PitList],
    *,
    tolerance_mm: float = TOLERANCE_MM,
    mirrored: bool | None = False,
    max_angle_rad: float = 0.175,
    merge_mm: float = MERGE_MM,
    hole_mm: float = HOLE_MM,
) -> AlignedStack:
    """Return the lists of a stack in the frame of the first.

    Each is registered with the first, or where they do not match with another that has its place
    already.

    Parameters
    ----------
    lists : two or more.
    tolerance_mm : within which pits of different surfaces belong together.
    mirrored : whether lists are mirrored against the first; frames of foils are seen from the
        front, so they are not. None to find out.

    Raises
    ------
    BadInput : fewer than two lists, two of one name, or one that matches none; see ``register``.
    """
    names = [given.name for given in lists]
    if len(lists) < 2 or len(set(names)) < len(names):
        raise BadInput("alignment", "two or more lists of different names", ", ".join(names))
    first = lists[0]
    members = [
        Member(
            first,
            *list_pits(first, merge_mm, hole_mm),
            None,
            None,
            Similarity().named(*[first.frame] * 2),
        )
    ]
    for given in lists[1:]:
        mosaic, xy, row = list_pits(given, merge_mm, hole_mm)
        against, found = _registered(given, xy, members, mirrored, max_angle_rad)
        there = found.transform.named(given.frame, against.source.frame).then(against.transform)
        members.append(Member(given, mosaic, xy, row, found, against.source.name, there))
    spread = max(m.registration.spread_mm for m in members if m.registration is not None)
    return AlignedStack(tuple(members), tolerance_mm, spread)


def _registered(
    given: PitList,
    xy: Floats,
    members: Sequence[Member],
    mirrored: bool | None,
    max_angle_rad: float,
) -> tuple[Member, Registration]:
    refused: BadInput | None = None
    for member in members:
        try:
            names = (member.source.name, given.name)
            found = register(
                member.own_mm, xy, mirrored=mirrored, max_angle_rad=max_angle_rad, names=names
            )
        except BadInput as error:
            refused = refused or error
        else:
            return member, found
    raise refused or BadInput("alignment", "a list that has its place", "none")
