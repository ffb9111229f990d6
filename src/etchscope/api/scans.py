"""Scans of a store: add, list, exclude, remove, check."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from etchscope.api.given import File, Files, as_paths, condition_of, require_condition
from etchscope.api.kept import OfStore
from etchscope.foil import BadInput, NoTiles, Side
from etchscope.progress import Progress, watch
from etchscope.store import Added, Compressed, Finding, LeftOut, Removal

if TYPE_CHECKING:
    from etchscope.simulation import SimulatedScan

__all__ = ["ScanSteps"]


class ScanSteps(OfStore):
    """What is done with scans."""

    def add(
        self,
        paths: "Files | SimulatedScan",
        *,
        scan: str | None = None,
        foil: str | None = None,
        side: Side | None = None,
        pixel_size_um: float | None = None,
        layout: str | None = None,
        rows: int | None = None,
        columns: int | None = None,
        skip_bad: bool = False,
        mask: File | None = None,
        workers: int | None = None,
        each: Callable[[Added], None] | None = None,
        progress: Progress = False,
    ) -> list[str]:
        """Add scans, each of them whole or not at all, and return their names.

        Parameters
        ----------
        paths : scan directories, or pictures that make one scan, or a simulated scan.
        scan, foil, side, pixel_size_um : override the values of ``scan.json``.
        layout : smartscope, pictures, montage or plain, or the name of a plugin.
        rows, columns : of a montage.
        skip_bad : leave out tiles that cannot be read.
        mask : file of the area to search, JSON polygons or a picture; it is kept with the scan.
        workers : threads; as many as there are cores unless given.
        each : called with the result of each scan, when it is done.

        Raises
        ------
        BadInput : a bad file, a mask that does not fit, one name for several scans, or a scan of
            that name that is another.
        MachineFailed : the disk is full.
        """
        from etchscope.ingest import Overrides, add_scan, group_paths

        if not isinstance(paths, str | os.PathLike | Sequence):
            return [self._add_simulated(paths, workers, progress)]
        groups = group_paths(as_paths(paths))
        if scan is not None and len(groups) > 1:
            raise BadInput("name of a scan", "one scan to name", f"{len(groups)} scans")
        overrides = Overrides(layout, rows, columns, foil, side, pixel_size_um, scan)
        names = []
        for group in groups:
            what = "Reading pictures" if self._is_temporary else f"Adding {group[0].name}"
            with watch(progress, what) as bar:
                added = add_scan(
                    self.kept,
                    group,
                    overrides=overrides,
                    skip_bad=skip_bad,
                    mask=None if mask is None else Path(mask),
                    workers=workers,
                    progress=bar.advance,
                    total=bar.total,
                )
            names.append(added.scan)
            if each is not None:
                each(added)
        return names

    def _add_simulated(self, scan: "SimulatedScan", workers: int | None, progress: Progress) -> str:
        from etchscope.run.drawn import add_simulated

        with watch(progress, f"Adding {scan.scan.name}", len(scan.scan.tiles)) as bar:
            return add_simulated(scan, self.kept, workers=workers, progress=bar.advance).scan

    def scan_names(self) -> list[str]:
        """Return the names of the scans without the injected ones, sorted."""
        return self.kept.injections.original_names()

    def left_out(self, scan: str) -> list[LeftOut]:
        """Return the tiles that could not be read when the scan was added, with file and reason.

        Raises
        ------
        UnknownScan : the store has no such scan.
        """
        return self.kept.scans.left_out(scan)

    def scans(self, where: str | None = None, **tiles: Any) -> pd.DataFrame:
        """Return one row per scan; parameters are those of ``tiles``."""
        scans = self.kept.scans.table()
        if condition_of(where, **tiles) is None:
            return scans
        of = self.tiles(where, **tiles).groupby("scan")["excluded"].agg(["size", "sum"])
        some = scans[scans["scan"].isin(of.index)].reset_index(drop=True)
        counts = of.loc[some["scan"]].to_numpy(np.int64)
        return some.assign(tiles=counts[:, 0], excluded=counts[:, 1])

    def tiles(
        self,
        where: str | None = None,
        *,
        foil: str | None = None,
        scan: str | None = None,
        tile: int | None = None,
    ) -> pd.DataFrame:
        """Return one row per tile, with every metadata key as a column.

        Parameters
        ----------
        where : SQL condition on these columns, as ``"foil = 'F1' and exposure_ms > 3"``.
        foil, scan, tile : only these.

        Raises
        ------
        BadInput : the condition is wrong.
        """
        condition = condition_of(where, foil=foil, scan=scan, tile=tile)
        return self.kept.scans.tiles(condition)

    def exclude(self, where: str | None = None, *, why: str, **tiles: Any) -> pd.DataFrame:
        """Exclude tiles from all later steps, and return them; nothing is deleted.

        Parameters
        ----------
        why : the reason, which is kept with each tile.
        where, tiles : see ``tiles``; at least one of them.

        Raises
        ------
        BadInput : no condition, a wrong one, or one that no tile meets.
        """
        condition, query, of = _chosen(where, tiles)
        return _require_some(self.kept.scans.exclude(query, why, **of), condition)

    def include(self, where: str | None = None, **tiles: Any) -> pd.DataFrame:
        """Include tiles that were excluded, and return them; see ``exclude``."""
        condition, query, of = _chosen(where, tiles)
        return _require_some(self.kept.scans.include(query, **of), condition)

    def dependants(self, where: str | None = None, **tiles: Any) -> Removal:
        """Return what ``remove`` would remove; changes nothing.

        If no tile meets the condition, a removal of them that was killed is finished.

        Raises
        ------
        BadInput : no condition, a wrong one, or one that no tile meets; or a datum hole would lose
            its tile.
        """
        condition, query, of = _chosen(where, tiles)
        self._require_removable(condition, query, of)
        return self.kept.scans.dependants(query, **of)

    def _require_removable(self, condition: str, query: str | None, of: dict[str, Any]) -> None:
        """Refuse a condition that no tile meets, perhaps after a removal that was killed."""
        try:
            _require_some(self.kept.scans.tiles(query, **of), condition)
        except NoTiles:
            self.kept.scans.finish_removals()
            raise

    def remove(self, where: str | None = None, **tiles: Any) -> Removal:
        """Remove tiles, or whole scans if all their tiles are chosen, with all that came from them.

        Raises
        ------
        BadInput : see ``dependants``.
        MachineFailed : the disk is full, or another addition or removal is under way.
        """
        condition, query, of = _chosen(where, tiles)
        self._require_removable(condition, query, of)
        return self.kept.scans.remove(query, **of)

    def compress(
        self,
        scan: str | None = None,
        *,
        run: str | None = None,
        margin_px: float | None = None,
        workers: int | None = None,
        progress: Progress = False,
    ) -> list[Compressed]:
        """Replace what lies far from all found openings of scans by their background.

        Adding the scan again restores its pictures, bit by bit. A scan of which less than a quarter
        of the bytes would be saved is left as it is.

        Parameters
        ----------
        scan : that of the run, or all scans that were searched, unless given.
        run : search or scored run of all of the scan; by default its latest search.
        margin_px : distance from an opening within which pixels stay; 32 unless given.
        workers : threads; as many as there are cores unless given.

        Raises
        ------
        NotSearched : no scan, or not this one, was searched as a whole.
        UnknownScan, UnknownRun : the store has no such scan or run.
        BadInput : an injected scan, a run of another scan or of a region, a negative margin,
            damaged pictures, or a scan that is compressed in another way.
        MachineFailed : the disk is full, or the object store fails.
        """
        from etchscope.run.compression import compress, scans_to_compress

        how: dict[str, Any] = {"run": run, "margin_px": margin_px, "workers": workers}
        done = []
        for name in [scan] if scan is not None else scans_to_compress(self.kept, run):
            with watch(progress, f"Compressing {name}") as bar:
                shown: dict[str, Any] = {"progress": bar.advance, "total": bar.total}
                done.append(compress(self.kept, name, **how, **shown))
        return done

    def set_mask(self, mask: File | None, *, scan: str | None = None) -> None:
        """Set the mask of a scan, or of all scans, inside which it is searched; None removes it.

        Raises
        ------
        UnknownScan : the store has no such scan.
        BadInput : a mask that does not fit one of the scans; then none is changed.
        """
        from etchscope.ingest import read_mask

        names = self.kept.injections.original_names() if scan is None else [scan]
        scans = map(self.kept.scans.get, names)
        masks = [None if mask is None else read_mask(Path(mask), one) for one in scans]
        for name, one in zip(names, masks, strict=True):
            self.kept.fits.set_mask(name, one)

    def check(self, *, progress: Progress = False) -> list[Finding]:
        """Return what of the store is damaged or left over; empty if it is sound."""
        with watch(progress, "Checking", len(self.kept.scans.tiles())) as bar:
            return self.kept.check(progress=bar.advance)


def _chosen(where: str | None, tiles: dict[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    """Return what an error calls some tiles, and the two arguments that choose them in the store.

    Without a condition of its own, the catalogue finds them without reading other tiles.

    Raises
    ------
    BadInput : no condition.
    """
    condition = require_condition(condition_of(where, **tiles))
    return (condition, None, tiles) if where is None else (condition, condition, {})


def _require_some(tiles: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return tiles, of which there must be one."""
    if not len(tiles):
        raise NoTiles(condition, "tiles that match", "none")
    return tiles
