"""The alignment of a stack: all its lists in one frame, their coincidences and efficiencies."""

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
"""Distance from the edge of its tile below which an opening of the reference scans is cut. Openings
are 14 px across, plus blur."""
HOLE_MM = 1.5
"""Greatest distance of the rim of a datum hole from its centre on the reference foils."""
MERGE_MM = 10 * 0.0064516
"""Greatest distance of copies of a pit in two tiles of the reference scans."""


@dataclass(frozen=True)
class Member:
    """A list of pits in the frame of the stack.

    Attributes
    ----------
    source : the list.
    mosaic : the corrections of its tiles; None without tiles.
    own_mm : (n, 2) float64 corrected places of its pits without copies, in its own frame.
    row : (n,) int64 rows of these pits in the list.
    registration : None for the first list, whose frame is that of the stack.
    against : name of the list with which it was registered; None for the first list.
    transform : the transform from its own frame to that of the stack.
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
    """The lists of a stack in one frame.

    Attributes
    ----------
    members : the lists with their transforms.
    tolerance_mm : distance within which pits of different surfaces belong together.
    spread_mm : largest standard deviation, over all registrations, of the distance of a true pair.
    """

    members: tuple[Member, ...]
    tolerance_mm: float
    spread_mm: float

    def member(self, name: str) -> Member:
        """Return the list of a name.

        Raises
        ------
        BadInput : no list has that name.
        """
        for m in self.members:
            if m.source.name == name:
                return m
        listed = ", ".join(m.source.name for m in self.members)
        raise BadInput("stack", f"one of {listed}", repr(name))

    def places(self, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the coincidences of some lists, or of all; see ``find_coincidences``."""
        chosen = [m.surface for m in self.members if names is None or m.source.name in names]
        return find_coincidences(chosen, self.tolerance_mm, spread_mm=self.spread_mm)

    def efficiencies(self) -> list[TagAndProbe]:
        """Return the efficiency of each surface; see ``tag_and_probe``.

        A tag needs two other surfaces, of two foils, as far as there are as many.
        """
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
        """Return the places where, according to the other foils, an ion crossed the foil of a list.

        Lists of the same foil are not used, so that the labels are independent of that foil.

        Parameters
        ----------
        target : name of a list.
        surfaces, foils : least number of surfaces, and of foils, that show a place.
        most_p : greatest probability that a place is accidental.

        Returns
        -------
        The table of ``find_coincidences``, with ``x_mm, y_mm`` in the frame of the list.

        Raises
        ------
        BadInput : no list has that name, or there are fewer lists of other foils than ``surfaces``.
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
    """Return the corrections of a list's tiles, and the places and rows of its pits without copies.

    The copy of a pit that is farther from the edge of its tile stays. Without tiles there are no
    copies. Pits near a datum hole are left out, because the drill leaves rims at the same place on
    all foils.

    Parameters
    ----------
    source : the list.
    merge_mm : greatest distance of copies of a pit.
    hole_mm : distance from the centre of a datum hole below which pits are left out.

    Returns
    -------
    The corrections, None without tiles; (n, 2) float64 places in mm; and (n,) int64 rows.
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
    """Return the lists of a stack in the frame of the first list.

    Each list is registered with the first one or, if these do not match, with another list that is
    already registered.

    Parameters
    ----------
    lists : two or more lists.
    tolerance_mm : distance within which pits of different surfaces belong together.
    mirrored : whether lists are mirrored relative to the first one. Frames of foils are seen from
        the front, so they are not mirrored. None tries both.
    max_angle_rad : greatest rotation in radians.
    merge_mm : greatest distance of copies of a pit in two tiles.
    hole_mm : distance from the centre of a datum hole below which pits are left out.

    Raises
    ------
    BadInput : there are fewer than two lists, two have one name, or one matches no other; see
        ``register``.
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
    """Return the first member with which a list matches, and the registration."""
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
