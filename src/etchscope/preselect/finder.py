"""The learned finder as the pre-selection uses it: a callable network with its constants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from etchscope.foil.types import FloatStack
from etchscope.preselect.classifier import Trees
from etchscope.preselect.gauge import Gauge

__all__ = ["CLASSIFIED", "Finder"]

CLASSIFIED = ("lamps", "beside", "alone")
"""Kinds of finds that have a classifier of their own; see ``Finder``."""


@dataclass(frozen=True)
class Finder:
    """A network, and the constants that were fitted on foils that it was not trained on.

    Attributes
    ----------
    maps : callable that takes (13, y, x) float32 planes and returns (map, y, x) float32 maps, in
        the order of ``MAPS``, at half the size.
    classifiers : for each of ``CLASSIFIED`` the trees that give the log odds that a find is an
        opening. "lamps" is for finds of a known surface, "beside" for finds of either surface in
        the same tile, "alone" for finds of either surface in a tile without lamps.
    least_mark : heat from which a cell is part of a mark, such as dust or a scratch.
    gauge : corrections of the shapes and errors that the network states.
    digest : identity of the weights and of these constants.
    """

    maps: Callable[[FloatStack], FloatStack] = field(repr=False)
    classifiers: Mapping[str, Trees] = field(repr=False)
    least_mark: float
    gauge: Gauge = field(repr=False)
    digest: str
