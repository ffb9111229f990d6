"""One frame for what several scans show: of a foil, of its sides, of the foils of a stack."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from etchscope.foil import (
    BadInput,
    Scan,
    UnknownAlignment,
    format_region,
    parse_region,
)
from etchscope.geometry import Similarity, foil_frame, link_frames
from etchscope.store import Store
from etchscope.store.alignments import KeptAlignment
from etchscope.store.anchoring import is_placed

__all__ = ["JointFrames", "joint_frames"]

_HOLES = 3
"""So many datum holes fix a frame."""
_STILL = Similarity().to_dict()


@dataclass(frozen=True)
class JointFrames:
    """Ways from the foil frames of scans into frames that several of them share.

    ``ways``: scan → way; its ``target`` names the frame. ``homes``: (foil, side) → the scan in
    whose frame a label lies that names no scan of the store.
    """

    ways: Mapping[str, Similarity]
    homes: Mapping[tuple[str, str], str]

    def joined(self, labels: pd.DataFrame) -> pd.DataFrame:
        """Return labels with their places on the foil in the shared frames."""
        return self._moved(labels, self.ways)

    def on(self, labels: pd.DataFrame, scan: str) -> pd.DataFrame:
        """Return labels of a scan's foil with their places on it in the scan's own frame."""
        here = self.ways[scan]
        back = here.inverse()
        others = {n: w for n, w in self.ways.items() if n != scan and w.target == here.target}
        return self._moved(labels, {name: way.then(back) for name, way in others.items()})

    def _moved(self, labels: pd.DataFrame, ways: Mapping[str, Similarity]) -> pd.DataFrame:
        """Return labels, each moved by the way of the scan in whose frame it lies."""
        sides = zip(labels["foil"], labels["side"], strict=True)
        home = [
            scan if scan in self.ways else self.homes.get(side)
            for scan, side in zip(labels["scan"], sides, strict=True)
        ]
        xy = labels[["x_mm", "y_mm"]].to_numpy(np.float64, copy=True)
        regions = labels["region_mm"].to_list()
        for row, name in enumerate(home):
            way = None if name is None else ways.get(name)
            if way is None or _is_still(way):
                continue
            xy[row] = way.apply(xy[row])[0]
            if isinstance(regions[row], str):
                regions[row] = format_region(way.apply(parse_region(regions[row])))
        moved = pd.array(regions, dtype="str")
        return labels.assign(x_mm=xy[:, 0], y_mm=xy[:, 1], region_mm=moved)


def _is_still(way: Similarity) -> bool:
    return way.named("", "").to_dict() == _STILL


def joint_frames(store: Store, *, alignment: str | None = None) -> JointFrames:
    """Return how the foil frames of a store's scans lie to each other.

    An alignment of scans tells it, the newest first; then datum holes that scans of one foil or
    stack have, which fix the frame. Of the other scans of one foil or stack the frames are taken
    to agree. An alignment does not count for a scan whose frame is another since then.

    Parameters
    ----------
    alignment : only this one of the store's counts; all unless given.

    Raises
    ------
    BadInput : no alignment of that name, or none of two scans as they are.
    """
    scans = {name: store.scans.get(name) for name in store.scans.names()}
    kept = store.alignments.newest_first()
    if alignment is not None:
        kept = [_named(kept, alignment, scans)]
    names = {foil.name: foil.stack or foil.name for foil in store.scans.foils()}
    groups: dict[str, list[Scan]] = {}
    for scan in scans.values():
        groups.setdefault(names[scan.foil], []).append(scan)
    links = [link for one in kept for link in _links(_members(one, scans))]
    for group in groups.values():
        links += _agreeing(sorted(group, key=lambda scan: len(scan.datum) < _HOLES))
    ways = link_frames(scans, links)
    homes: dict[tuple[str, str], str] = {}
    for scan in sorted(scans.values(), key=lambda scan: len(scan.datum) < _HOLES):
        homes.setdefault((scan.foil, scan.side), scan.name)
    named = {n: way.named(n, names[scans[way.target].foil]) for n, way in ways.items()}
    return JointFrames(named, homes)


def _named(kept: Sequence[KeptAlignment], name: str, scans: Mapping[str, Scan]) -> KeptAlignment:
    found = {one.name: one for one in kept}
    if name not in found:
        listed = ", ".join(found) or "none yet"
        raise UnknownAlignment("alignment", f"one of the store's ({listed})", repr(name))
    members = _members(found[name], scans)
    if len(members) < 2:
        hint = "Align them again."
        raise BadInput(f"alignment {name}", "two scans as they were", f"{len(members)}", hint)
    return found[name]


def _members(kept: KeptAlignment, scans: Mapping[str, Scan]) -> dict[str, Similarity]:
    """Return scan → transform of those whose foil frame is what it was."""
    out = {}
    for member in kept.members:
        scan = scans.get(member.scan)
        if scan is not None and is_placed(scan) and foil_frame(scan) == member.frame:
            out[scan.name] = member.transform.named(scan.name, "")
    return out


def _links(members: Mapping[str, Similarity]) -> Iterator[Similarity]:
    """Yield the way of each aligned scan to the first one."""
    names = list(members)
    for name in names[1:]:
        yield members[name].then(members[names[0]].inverse()).named(name, names[0])


def _agreeing(group: Sequence[Scan]) -> Iterator[Similarity]:
    """Yield that the frames of scans are that of the first one."""
    for scan in group[1:]:
        yield Similarity().named(scan.name, group[0].name)
