"""Foil, stack, scan, channel and tile as validated records."""

from collections import Counter
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from etchscope.foil.storable import require_storable
from etchscope.foil.types import Floats, Ints

__all__ = ["Channel", "Foil", "Name", "Role", "Scan", "Side", "Stack", "Tile"]

Side = Literal["front", "back"]
Role = Literal["directional", "backlit", "halo"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A name that is safe as a folder: letters, digits, dot, dash, underscore."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    return require_storable(value)


Metadata = Annotated[dict[str, Any], AfterValidator(_storable)]
"""What a laboratory says of a stack, foil, scan or tile, in words of its own."""


class _Record(BaseModel):
    """A frozen record that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stack(_Record):
    """Foils that were exposed together."""

    name: Name
    metadata: Metadata = {}


class Foil(_Record):
    """One sheet of plastic; its thickness is that before etching, in micrometres.

    ``etch`` describes the etching in the laboratory's own words. Where it is a dictionary, its key
    ``removed_um`` is the bulk removed on each side, in micrometres.
    """

    name: Name
    stack: Name | None = None
    material: str | None = None
    thickness_um: Positive | None = None
    etch: Metadata | str | None = None
    metadata: Metadata = {}

    @property
    def removed_um(self) -> float | None:
        """Bulk removed on each side, µm; None where ``etch`` does not state it."""
        removed = self.etch.get("removed_um") if isinstance(self.etch, dict) else None
        if isinstance(removed, bool) or not isinstance(removed, int | float):
            return None
        return float(removed) if 0 < removed < np.inf else None


class Channel(_Record):
    """The light of one picture of each tile.

    ``azimuth_deg`` (directional lights only) is as the microscope states it; ``Scan.azimuths_deg``
    has the sense of the project. ``focus_um`` is the height of the focus.
    """

    step: Annotated[int, Field(ge=0)]
    role: Role
    azimuth_deg: Finite | None = None
    focus_um: Finite | None = None

    @model_validator(mode="after")
    def _directional_has_an_azimuth(self) -> "Channel":
        if self.role == "directional" and self.azimuth_deg is None:
            raise ValueError(f"channel of step {self.step} is directional but has no azimuth_deg")
        return self


class Tile(_Record):
    """One field of view: its number in the scan, and its centre on the stage in millimetres."""

    number: Annotated[int, Field(ge=0)]
    stage_x_mm: Finite | None = None
    stage_y_mm: Finite | None = None
    metadata: Metadata = {}
    excluded: bool = False
    excluded_why: str | None = None


class Scan(_Record):
    """One scan of one side of one foil: its optics and its tiles.

    Positions are millimetres on the stage (x right, y up); pictures are as the camera took them.
    ``image_size`` is (height, width) in pixels; ``pixel_size_um`` is None where it is unknown.
    ``datum`` holds (tile, x_px, y_px) of each datum hole. ``gradient_sign`` is +1, or −1 where the
    wall that faces the lamp is dark. ``layout`` is how the files lay when they were read; a plugin
    that read them is not needed afterwards.
    """

    name: Name
    foil: Name
    side: Side = "front"
    layout: Name
    pixel_size_um: Positive | None = None
    image_size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    dtype: Literal["uint8", "uint16"] = "uint8"
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    datum: tuple[tuple[int, Finite, Finite], ...] = ()
    azimuth_sense: Literal["ccw", "cw"] = "ccw"
    gradient_sign: Literal[-1, 1] = 1
    tiles: Annotated[tuple[Tile, ...], Field(min_length=1)]
    metadata: Metadata = {}

    @model_validator(mode="after")
    def _numbers_are_unique(self) -> "Scan":
        for what, numbers in (
            ("tile number", [t.number for t in self.tiles]),
            ("channel step", [c.step for c in self.channels]),
        ):
            double = [n for n, times in Counter(numbers).items() if times > 1]
            if double:
                raise ValueError(f"{what} {min(double)} is given twice")
        known = {t.number for t in self.tiles}
        for tile, _, _ in self.datum:
            if tile not in known:
                raise ValueError(f"datum hole lies in tile {tile}, which the scan does not have")
        return self

    def indices(self, role: Role) -> Ints:
        """Return the indices of the channels of one role, (n,) int64, in rising order."""
        return np.array([i for i, c in enumerate(self.channels) if c.role == role], np.int64)

    @cached_property
    def azimuths_deg(self) -> Floats:
        """Azimuth of each directional channel, (n,) float64 degrees ccw from +x, y up.

        Where ``azimuth_sense`` is ``cw``, the azimuths that the microscope states are negated.
        """
        sense = 1.0 if self.azimuth_sense == "ccw" else -1.0
        return sense * np.array(
            [c.azimuth_deg for c in self.channels if c.role == "directional"], np.float64
        )

    @property
    def included(self) -> tuple[Tile, ...]:
        """The tiles that are not excluded, in the order of their numbers."""
        return tuple(sorted((t for t in self.tiles if not t.excluded), key=lambda t: t.number))
