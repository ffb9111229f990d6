"""The records of fits: constants of a scan that are no arrays, as validated models."""

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = [
    "CalibrationFit",
    "DatumFit",
    "FitRecord",
    "InjectionFit",
    "LightsFit",
    "MaskFit",
    "NormalisationFit",
    "ScaleFit",
]


class FitRecord(BaseModel):
    """What is kept of a fit beside its arrays; keys of other versions are kept, too."""

    model_config = ConfigDict(frozen=True, extra="allow")


class MaskFit(FitRecord):
    """``mask``: digest of where a scan is to be searched; None for all of it."""

    mask: str | None


class NormalisationFit(FitRecord):
    """``limit``: saturated grey level, 0 where unknown; ``tiles``: those that were fitted."""

    limit: int
    tiles: tuple[int, ...] = ()
    recipe: dict[str, Any] = {}


class CalibrationFit(FitRecord):
    """Constants of the classical finder; ``ratio`` and ``level`` are None for infinity."""

    ratio: float | None
    level: float | None
    recipe: str
    tiles: tuple[int, ...] = ()


class LightsFit(FitRecord):
    """``left_out``: indices of lights that are not used; ``faults``: what is wrong, in words."""

    left_out: tuple[int, ...]
    faults: tuple[str, ...]
    tiles: tuple[int, ...] = ()


class ScaleFit(FitRecord):
    """``scale``: picture pixels per pixel of the learned finder's network."""

    scale: float
    tiles: tuple[int, ...] = ()


class InjectionFit(FitRecord):
    """What an injected scan was made of; the arrays beside it are the table of its true pits.

    ``source``: the scan whose tiles were copied; ``made_by``: seed, population, settings and
    version, which decide the pictures.
    """

    source: str
    made_by: dict[str, Any] = {}


class DatumFit(FitRecord):
    """``tiles``: those that were searched for datum holes."""

    tiles: tuple[int, ...]
