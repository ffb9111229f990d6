"""The learned finder from its weights: the shipped one, and others."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from etchscope.foil import BadInput, Device, NotAFinder, OldFinder
from etchscope.foil.openings import FINDER_VERSION
from etchscope.preselect.classifier import Trees
from etchscope.preselect.finder import CLASSIFIED, Finder
from etchscope.preselect.gauge import Gauge
from etchscope.store import read_model

__all__ = ["FINDER_KIND", "SHIPPED", "arrays_under", "finder_of"]

SHIPPED = Path(str(files("etchscope"))) / "weights" / "finder"
"""The folder of the weights that come with the package."""
FINDER_KIND = "finder"
"""What the card of a finder states as its kind."""


@lru_cache(maxsize=4)
def finder_of(folder: Path = SHIPPED, device: Device = "cpu") -> Finder:
    """Return the finder of a folder of weights; the shipped one unless given.

    Parameters
    ----------
    device : where its network computes.

    Raises
    ------
    BadInput : no such weights, damaged ones, a model of another kind, a finder of another version
        of planes and maps, or no such device.
    MissingExtra : PyTorch is not installed.
    """
    from etchscope.learn import FinderNetwork  # here, since the classical finder needs no PyTorch

    arrays, card = read_model(folder)
    where = folder / "card.json"
    if card.get("kind") != FINDER_KIND:
        raise NotAFinder(where, "the card of a finder", "a card of another kind")
    if card.get("finder_version") != FINDER_VERSION:
        found = f"version {card.get('finder_version')!r}"
        raise OldFinder(where, f"a finder of version {FINDER_VERSION}", found)
    try:
        widths = [int(w) for w in card["widths"]]
        least_mark = float(card["least_mark"])
        judges = {k: Trees.from_arrays(arrays_under(arrays, f"{k}.")) for k in CLASSIFIED}
        gauge = Gauge.from_arrays(arrays_under(arrays, "gauge."))
    except (KeyError, TypeError, ValueError) as error:
        expected = "widths, judges, least_mark and gauge of a finder"
        raise BadInput(where, expected, str(error)) from error
    network = FinderNetwork.from_arrays(arrays_under(arrays, "maps."), widths, where=str(folder))
    digest = f"{card['weights_sha256']}-{least_mark}"
    return Finder(network.plain(device=device), judges, least_mark, gauge, digest)


def arrays_under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names begin with a prefix, without it."""
    return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}
