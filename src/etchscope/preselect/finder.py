"""The learned finder as the pre-selection knows it: a callable network with its constants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from etchscope.foil.types import FloatStack
from etchscope.preselect.gauge import Gauge
from etchscope.preselect.judge import Trees

__all__ = ["JUDGED", "Finder"]

JUDGED = ("lamps", "beside", "alone")
"""Finds that are judged by themselves, see ``Finder``."""


@dataclass(frozen=True)
class Finder:
    """A network with what was found on foils that it had not seen.

    Attributes
    ----------
    maps : (13, y, x) planes → maps of ``MAPS`` at half the size.
    judges : ``JUDGED`` → how likely finds are: of a known surface, of either surface beside them,
        and of either surface without lamps.
    least_mark : heat from which a cell is dust, scratch and the like.
    gauge : what corrects the shapes that the network states, and their errors.
    digest : of the weights and these constants.
    """

    maps: Callable[[FloatStack], FloatStack] = field(repr=False)
    judges: Mapping[str, Trees] = field(repr=False)
    least_mark: float
    gauge: Gauge = field(repr=False)
    digest: str
