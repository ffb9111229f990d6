"""The settings of the search, as one validated object, which is part of the identity of a run."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from etchscope.preselect.peaks import Cuts

__all__ = ["FindSettings"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FindSettings(BaseModel):
    """Settings of the search; the defaults suit pits about 14 px across.

    Settings with a description are also options of the command line.

    Attributes
    ----------
    finder : ``learned`` for a network, shipped or trained by the user, or ``classical`` for
        responses and thresholds. Only the latter uses ``threshold``, ``residual`` and ``binning``.
    smallest_radius_px, largest_radius_px : range of the radii of pits to be found.
    least_probability : least probability of a find of the learned finder. The F1 of recall and
        precision is greatest at half its own value (Lipton, Elkan & Naryanaswamy 2014, ECML,
        theorem 1), which is 0.8 here.
    threshold : least response in units of the noise of the bulk.
    residual : least response beside a stronger pit, relative to that of the stronger pit.
    max_zenith_deg : largest angle between a particle and the normal of the foil; with the thickness
        of the foil it limits the displacement of the exit pit.
    pair_reach_px : largest displacement where the thickness is not known. Pits nearer than that do
        not count in the density around a pit.
    merge_px : distance below which copies in overlaps of tiles are one pit.
    binning : number of pixels per side that are binned before responses are computed; 1 finds a few
        more pits in a crowd and takes twice as long.
    density_mm : scale of the local density.
    medium_per_mm2, high_per_mm2 : densities at which those regimes begin, which are 100 and 1,000
        pits per reference tile of 12.8 mm².
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    finder: Literal["learned", "classical"] = "learned"
    smallest_radius_px: Annotated[
        Positive, Field(description="Radius of the smallest pit that is looked for, in px.")
    ] = 3.0
    largest_radius_px: Annotated[
        Positive, Field(description="Radius of the largest pit that is looked for, in px.")
    ] = 12.0
    least_probability: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="Learned finder: probability from which a find counts; less finds more.",
        ),
    ] = 0.4
    threshold: Annotated[
        Positive, Field(description="Classical finder: least response in units of the noise.")
    ] = 5.5
    residual: Annotated[float, Field(ge=0, lt=1)] = 0.3
    max_zenith_deg: Annotated[float, Field(ge=1, le=80)] = 60.0
    pair_reach_px: Annotated[
        Positive,
        Field(
            description="Largest displacement from entry to exit pit, in px, "
            "where the thickness of the foil is not known."
        ),
    ] = 20.0
    merge_px: Positive = 6.0
    binning: Annotated[
        int,
        Field(
            ge=1,
            le=8,
            description="Classical finder: pixels per side that are binned; 1 is finer.",
        ),
    ] = 2
    density_mm: Positive = 0.5
    medium_per_mm2: Positive = 8.0
    high_per_mm2: Positive = 78.0

    @model_validator(mode="after")
    def _radii_in_order(self) -> "FindSettings":
        if self.largest_radius_px < 1.1 * self.smallest_radius_px:
            smallest = f"smallest_radius_px ({self.smallest_radius_px:g})"
            raise ValueError(f"largest_radius_px must exceed {smallest} by 10 % or more")
        if self.largest_radius_px > 100:
            raise ValueError("largest_radius_px must not exceed 100")
        if self.smallest_radius_px < self.binning:
            raise ValueError("smallest_radius_px must be at least one binned pixel")
        return self

    @property
    def least_log_odds(self) -> float:
        """Least log odds of a find of the learned finder."""
        return math.log(self.least_probability / (1 - self.least_probability))

    @property
    def cuts(self) -> "Cuts":
        """The criteria for a peak in a response."""
        from etchscope.preselect.peaks import Cuts  # here, since its import compiles loops

        return Cuts(threshold=self.threshold, residual=self.residual)

    @property
    def thin_px(self) -> int:
        """Width in pixels below which a dark feature of the backlit picture is no pit."""
        return int(self.smallest_radius_px)
