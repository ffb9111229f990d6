"""What can be set in the pre-selection: one validated object, part of a run's identity."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from etchscope.preselect.peaks import Cuts

__all__ = ["FindSettings"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FindSettings(BaseModel):
    """Settings of the pre-selection; the defaults work for pits about 14 px across.

    Those that have a description are options of the command line, too.

    ``finder``: the network that comes with the package or was trained since (``learned``), or
    responses and thresholds (``classical``), to which alone ``threshold``, ``residual`` and
    ``binning`` belong. ``least_probability``: from which a find of the learned one counts; recall
    and precision together are best at half of what they then are (Lipton, Elkan & Naryanaswamy
    2014, ECML, theorem 1), here 0.8. ``smallest_radius_px, largest_radius_px``: the pits that are
    looked for.
    ``threshold``: least response in units of the bulk's noise. ``residual``: least response beside
    a stronger pit, relative to that pit's. ``binning``: responses are computed on pictures binned
    so many pixels a side; 1 finds a few more pits in a crowd and takes twice as long.
    ``max_zenith_deg``: particles are sought up to this angle from the foil's normal, as far as its
    known thickness displaces the exit pit. ``pair_reach_px``: largest displacement where the
    thickness is not known; what lies nearer is not counted as a pit's surroundings. ``merge_px``:
    copies in tile overlaps nearer than that are one pit. ``density_mm``: scale of the local
    density.
    ``medium_per_mm2, high_per_mm2``: where those regimes begin (100 and 1,000 pits a reference
    tile of 12.8 mm²).
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
            raise ValueError("largest_radius_px must exceed smallest_radius_px by 10 % or more")
        if self.largest_radius_px > 100:
            raise ValueError("largest_radius_px must not exceed 100")
        if self.smallest_radius_px < self.binning:
            raise ValueError("smallest_radius_px must be at least one binned pixel")
        return self

    @property
    def least_log_odds(self) -> float:
        """Log odds from which a find of the learned finder counts."""
        return math.log(self.least_probability / (1 - self.least_probability))

    @property
    def cuts(self) -> "Cuts":
        """What counts as a peak in a response."""
        from etchscope.preselect.peaks import Cuts  # here: it compiles loops, settings are light

        return Cuts(threshold=self.threshold, residual=self.residual)

    @property
    def thin_px(self) -> int:
        """Width under which a dark feature of the backlit picture is no pit."""
        return int(self.smallest_radius_px)
