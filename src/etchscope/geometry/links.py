"""Frames that transforms link, brought into one."""

from collections.abc import Iterable

from etchscope.geometry.transforms import Similarity

__all__ = ["link_frames"]


def link_frames(names: Iterable[str], links: Iterable[Similarity]) -> dict[str, Similarity]:
    """Return for each frame the transform into a frame that all frames linked with it share.

    Links are used in their order. Where two frames are linked already, if only over others, a
    further link between them changes nothing. A frame without a link keeps its own frame.

    Parameters
    ----------
    names : names of the frames.
    links : transforms from ``source`` to ``target``, both among the names.

    Examples
    --------
    >>> back = Similarity(shift_x=2.0, source="back", target="front")
    >>> other = Similarity(shift_x=0.5, source="other", target="back")
    >>> linked = link_frames(["front", "back", "other", "alone"], [back, other])
    >>> [(transform.target, transform.shift_x) for transform in linked.values()]
    [('front', 0.0), ('front', 2.0), ('front', 2.5), ('alone', 0.0)]
    """
    linked = {name: Similarity().named(name, name) for name in names}
    for link in links:
        first, second = linked[link.source], linked[link.target]
        if first.target == second.target:
            continue
        bridge = first.inverse().then(link).then(second)
        for name, transform in linked.items():
            if transform.target == first.target:
                linked[name] = transform.then(bridge)
    return linked
