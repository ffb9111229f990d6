"""Frames that are known from each other, brought into one."""

from collections.abc import Iterable

from etchscope.geometry.transforms import Similarity

__all__ = ["linked_frames"]


def linked_frames(names: Iterable[str], links: Iterable[Similarity]) -> dict[str, Similarity]:
    """Return of each frame the way into the one that it shares with all that links reach.

    Links count in their order: where two frames know each other already, be it over others, a
    further link between them changes nothing. A frame that no link reaches stays as it is.

    Parameters
    ----------
    names : of the frames.
    links : from ``source`` to ``target``, both among the names.

    Examples
    --------
    >>> back = Similarity(shift_x=2.0, source="back", target="front")
    >>> other = Similarity(shift_x=0.5, source="other", target="back")
    >>> ways = linked_frames(["front", "back", "other", "alone"], [back, other])
    >>> [(way.target, way.shift_x) for way in ways.values()]
    [('front', 0.0), ('front', 2.0), ('front', 2.5), ('alone', 0.0)]
    """
    ways = {name: Similarity().named(name, name) for name in names}
    for link in links:
        first, second = ways[link.source], ways[link.target]
        if first.target == second.target:
            continue
        bridge = first.inverse().then(link).then(second)
        for name, way in ways.items():
            if way.target == first.target:
                ways[name] = way.then(bridge)
    return ways
