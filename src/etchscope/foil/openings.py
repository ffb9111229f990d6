"""The maps that the network of a learned finder returns: their names, order and meaning.

The network that makes the maps and the code that reads openings from them share this list.
"""

from dataclasses import dataclass

__all__ = ["FINDER_VERSION", "MAPS", "SURFACES", "VALUES", "map_index"]

FINDER_VERSION = 4
"""Version of planes, network, maps, judges and gauge together; weights of another are refused."""

SURFACES = ("top", "bottom", "unknown")
"""The surface whose openings a group of maps describes; ``unknown`` stands for either surface, for
lights that cannot distinguish the two."""


@dataclass(frozen=True)
class _Value:
    """One map: its name and its meaning."""

    name: str
    meaning: str


VALUES: tuple[_Value, ...] = (
    _Value("heat", "log odds that an opening's centre lies in this cell"),
    _Value("dx", "from the cell's centre to the opening's, pixels, x to the right"),
    _Value("dy", "the same, y up"),
    _Value("log_radius", "natural logarithm of the radius in pixels"),
    _Value("e_cos", "ellipticity times cos 2θ, θ the long axis, ccw from +x, y up"),
    _Value("e_sin", "ellipticity times sin 2θ"),
    _Value("log_depth", "natural logarithm of the depth in pixels"),
    _Value("s_place", "natural logarithm of σ of dx and of dy, pixels"),
    _Value("s_radius", "natural logarithm of σ of log_radius"),
    _Value("s_ellipse", "natural logarithm of σ of e_cos and of e_sin"),
    _Value("s_depth", "natural logarithm of σ of log_depth"),
)
"""The maps of one surface, in order."""

MAPS: tuple[str, ...] = (
    *(f"{surface}.{value.name}" for surface in SURFACES for value in VALUES),
    "mark",
)
"""All maps in order; ``mark`` holds the log odds of dust, scratch, fibre, bubble, drop or hole."""


def map_index(surface: str, value: str) -> int:
    """Return the index of a map in ``MAPS``.

    >>> map_index("top", "heat"), map_index("bottom", "heat")
    (0, 11)
    """
    return MAPS.index(f"{surface}.{value}")
