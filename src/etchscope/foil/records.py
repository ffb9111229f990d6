"""The data dictionary above the pit: foil, stack, scan, channel and tile as validated records."""

from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from etchscope.foil.types import Floats, Ints

__all__ = ["Channel", "Foil", "Layout", "Name", "Role", "Scan", "Side", "Stack", "Tile"]

Side = Literal["front", "back"]
Role = Literal["directional", "backlit", "halo"]
Layout = Literal["smartscope", "pictures", "montage", "plain"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A name that is safe as a folder: letters, digits, dot, dash, underscore."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Record(BaseModel):
    """Frozen, strict about what it knows; ``extra`` keeps the keys it does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stack(_Record):
    """Foils that were exposed together."""

    name: Name
    metadata: dict[str, Any] = {}


class Foil(_Record):
    """One sheet of plastic; thickness before etching in micrometres.

    ``etch`` is in the laboratory's own words; of a dictionary's keys, ``removed_um`` is the bulk
    removed on each side.
    """

    name: Name
    stack: Name | None = None
    material: str | None = None
    thickness_um: Positive | None = None
    etch: dict[str, Any] | str | None = None
    metadata: dict[str, Any] = {}

    @property
    def removed_um(self) -> float | None:
        """Bulk that etching removed on each side, None where ``etch`` does not say it."""
        said = self.etch.get("removed_um") if isinstance(self.etch, dict) else None
        if isinstance(said, bool) or not isinstance(said, int | float):
            return None
        return float(said) if 0 < said < np.inf else None


class Channel(_Record):
    """One picture of a tile: how it was lit.

    ``azimuth_deg`` (directional only) is as the microscope states it; see ``Scan.azimuths_deg``.
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
    """One field of view: its number in the scan and the stage position of its centre in mm."""

    number: Annotated[int, Field(ge=0)]
    stage_x_mm: Finite | None = None
    stage_y_mm: Finite | None = None
    metadata: dict[str, Any] = {}
    excluded: bool = False
    excluded_why: str | None = None


class Scan(_Record):
    """One scan of one side of one foil: its optics, its grid and its tiles.

    Positions are stage millimetres (x right, y up), pictures as the camera saw them.
    ``image_size`` is (height, width) in pixels; ``pixel_size_um`` is None where unknown.
    ``datum`` holds (tile, x_px, y_px) of each datum hole.
    """

    name: Name
    foil: Name
    side: Side = "front"
    layout: Layout
    pixel_size_um: Positive | None = None
    image_size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    dtype: Literal["uint8", "uint16"] = "uint8"
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    datum: tuple[tuple[int, Finite, Finite], ...] = ()
    azimuth_sense: Literal["ccw", "cw"] = "ccw"
    gradient_sign: Literal[-1, 1] = 1
    tiles: Annotated[tuple[Tile, ...], Field(min_length=1)]
    metadata: dict[str, Any] = {}

    @model_validator(mode="after")
    def _numbers_are_unique(self) -> "Scan":
        for what, numbers in (
            ("tile number", [t.number for t in self.tiles]),
            ("channel step", [c.step for c in self.channels]),
        ):
            double = (
                sorted({n for n in numbers if numbers.count(n) > 1})
                if (len(set(numbers)) < len(numbers))
                else []
            )
            if double:
                raise ValueError(f"{what} {double[0]} is given twice")
        known = {t.number for t in self.tiles}
        for tile, _, _ in self.datum:
            if tile not in known:
                raise ValueError(f"datum hole lies in tile {tile}, which the scan does not have")
        return self

    def indices(self, role: Role) -> Ints:
        """Return the channel indices of one role, in the order of the pictures."""
        return np.array([i for i, c in enumerate(self.channels) if c.role == role], np.int64)

    @cached_property
    def azimuths_deg(self) -> Floats:
        """Azimuth of each directional channel, degrees counter-clockwise from +x, y up.

        ``azimuth_sense: cw`` negates what the microscope states (conventions of the project).
        """
        sense = 1.0 if self.azimuth_sense == "ccw" else -1.0
        return sense * np.array(
            [c.azimuth_deg for c in self.channels if c.role == "directional"], np.float64
        )

    @property
    def included(self) -> tuple[Tile, ...]:
        """The tiles that are not excluded, in number order."""
        return tuple(sorted((t for t in self.tiles if not t.excluded), key=lambda t: t.number))
