"""One frame for several scans of a foil, of its sides, or of the foils of a stack."""

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
"""Number of datum holes that fix a frame."""
_STILL = Similarity().to_dict()


@dataclass(frozen=True)
class JointFrames:
    """Ways from the foil frames of scans into frames that several of them share.

    Parameters
    ----------
    ways : scan → way, whose ``target`` is the name of the frame.
    homes : (foil, side) → the scan whose frame holds labels without a scan of the store.
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
        """Return labels, each moved by the way of the scan whose frame it is given in."""
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

    Alignments of scans come first, the newest before others; then datum holes, which fix the frame
    of scans of one foil or stack. The frames of the other scans of a foil or stack are assumed to
    agree. An alignment is not used for a scan whose frame has changed since then.

    Parameters
    ----------
    alignment : name of the only alignment that is used; all of the store unless given.

    Raises
    ------
    UnknownAlignment : the store has no alignment of that name.
    BadInput : the alignment holds fewer than two scans whose frames are unchanged.
    """
    # An injected scan has the frame of its source, which stands for it.
    scans = {name: store.scans.get(name) for name in store.injections.original_names()}
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
    """Return scan → transform of the scans whose foil frame is unchanged."""
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
    """Yield ways that make the frames of all scans that of the first."""
    for scan in group[1:]:
        yield Similarity().named(scan.name, group[0].name)
