"""Search the tiles of a scan for pits, and commit the pit table as a run."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
import pandas as pd

from etchscope.foil import Device, Foil, Scan
from etchscope.foil.types import Floats
from etchscope.preselect import Detector, FindSettings, Ground, complete, detect_tiles
from etchscope.run.constants import detector_of, normalisation_of
from etchscope.run.executors import choose_executor
from etchscope.run.finder import SHIPPED, finder_of
from etchscope.run.run_stage import RunStage
from etchscope.run.shares import PartReport, joiner, require_shares
from etchscope.run.stage import Piece, Progress, carry_out
from etchscope.run.tiles import choose_tiles, ground_of
from etchscope.store import FindRecord, Store

if TYPE_CHECKING:
    from distributed import Client

__all__ = [
    "FindReport",
    "Search",
    "SearchSettings",
    "find",
    "find_part",
    "plan_search",
    "require_parts",
    "require_searchable",
]

_KNOWN_OF_FOIL = {"name", "material", "thickness_um", "etch"}


@dataclass(frozen=True)
class FindReport:
    """The report of a search.

    Parameters
    ----------
    run, scan : names; that of the run is its identity.
    tiles, pits : numbers of searched tiles and of pits.
    was_done : whether the run had been finished before.
    counts : of the raw finds and of those taken away, see ``preselect.complete``.
    """

    run: str
    scan: str
    tiles: int
    pits: int
    was_done: bool
    counts: dict[str, int]


class SearchSettings(TypedDict, total=False):
    """What decides a search, beside the store and the scan; see ``find``."""

    settings: FindSettings | None
    weights: Path | None
    region: Floats | None
    device: Device


def find(
    store: Store,
    scan: str,
    *,
    workers: int | None = None,
    executor: "str | Client" = "threads",
    join: bool = False,
    progress: Progress | None = None,
    total: Progress | None = None,
    **search: Unpack[SearchSettings],
) -> FindReport:
    """Search a scan of a store for pits and commit the pit table as a run.

    The run's identity is made of the scan, the tiles, the settings, the normalisation and the
    version: the same identity gives the same bytes for any number of workers, and a search that was
    killed goes on where it stopped.

    Parameters
    ----------
    settings : of the search; the default ones unless given.
    weights : folder of a learned finder; that of the package unless given.
    region : (m, 2) polygon in foil mm to restrict the search to, or None.
    workers : threads or processes; as many as there are cores unless given.
    executor : name of an executor, or client of a cluster, see ``run.executors``.
    join : search nothing, but commit what ``find_part`` has searched.
    device : where the learned finder computes; auto means the processor. On a GPU figures differ
        in the last digits, so its runs have an identity of their own.
    progress : called with the number of tiles just done.
    total : called once with the number of tiles, before the first.

    Raises
    ------
    UnknownScan : the store has no such scan.
    NoPlugin, NoGpu : no such executor or device.
    PartMissing : the parts that are to be joined are not all there.
    BadInput : there is nothing to search, the lights do not suffice, or a picture is damaged.
    MissingExtra : the finder is a learned one, and PyTorch is not installed.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    chosen = choose_executor(executor)
    stage = plan_search(store, scan, **search)
    if join:
        chosen = joiner(stage)
    with _one_thread_each(stage.settings):
        return carry_out(stage, chosen, workers=workers, progress=progress, total=total)


def find_part(
    store: Store,
    scan: str,
    part: str,
    *,
    workers: int | None = None,
    executor: "str | Client" = "threads",
    progress: Progress | None = None,
    total: Progress | None = None,
    **search: Unpack[SearchSettings],
) -> PartReport:
    """Search a part of a scan, such as 17/1000; ``find`` joins all parts, and commits them.

    Parts may be searched at once, on any machines that see the store, in any order and again.

    Parameters
    ----------
    part : number of the part from 1, and how many parts there are.
    workers, executor, progress, total, search : see ``find``.

    Raises
    ------
    BadInput, MachineFailed : see ``find``.
    """
    chosen = choose_executor(executor)
    stage = plan_search(store, scan, **search)
    with _one_thread_each(stage.settings):
        return stage.do_share(part, chosen, workers=workers, progress=progress, total=total)


def require_parts(store: Store, scans: Iterable[str], **search: Unpack[SearchSettings]) -> None:
    """Refuse to join searches (see ``find``) of scans where a part of one is missing.

    Raises
    ------
    PartMissing : names the parts of the first such scan.
    UnknownScan, NoGpu, BadInput, MissingExtra : see ``find``.
    """
    for scan in scans:
        require_shares(plan_search(store, scan, **search))


def plan_search(
    store: Store,
    scan: str,
    *,
    settings: FindSettings | None = None,
    weights: Path | None = None,
    region: Floats | None = None,
    device: Device = "auto",
) -> "Search":
    """Return a search of a scan; constants of the scan that are missing are fitted now.

    Parameters
    ----------
    settings, weights, region, device : see ``find``.

    Raises
    ------
    BadInput : see ``find``.
    """
    described, settings = store.scans.get(scan), settings or FindSettings()
    weights, device = (weights or SHIPPED).absolute(), _device_of(settings, device)
    tiles, mask = choose_tiles(store, described, region)
    _, constants = detector_of(store, described, settings, weights)
    foil = next(foil for foil in store.scans.foils() if foil.name == described.foil)
    record = FindRecord(
        stage="find",
        version=version("etchscope"),
        scan=described.name,
        scan_digest=store.scans.digest(described.name),
        tiles=tiles,
        settings=settings.model_dump(),
        foil=Foil(**foil.model_dump(include=_KNOWN_OF_FOIL)),
        region_mm=None if region is None else np.asarray(region, np.float64).tolist(),
        mask=None if mask is None else mask.digest,
        **constants,
    )
    if device == "cuda" and settings.finder == "learned":
        record = record.model_copy(update={"device": device})
    search = Search(store, described, "find", record, settings, weights, device)
    return search.on_kept_pictures()


def require_searchable(
    store: Store,
    scans: Iterable[str],
    *,
    settings: FindSettings | None = None,
    weights: Path | None = None,
    region: Floats | None = None,
    device: Device = "auto",
) -> None:
    """Refuse scans of which one cannot be searched, as far as that shows without its pictures.

    Parameters
    ----------
    settings, weights, region, device : see ``find``.

    Raises
    ------
    UnknownScan, NoGpu, BadInput, MissingExtra : see ``find``.
    """
    settings = settings or FindSettings()
    _device_of(settings, device)
    if settings.finder == "learned":
        finder_of((weights or SHIPPED).absolute())
    for name in scans:
        choose_tiles(store, store.scans.get(name), region)


# The classical finder needs no PyTorch, which may not be installed.


def _device_of(settings: FindSettings, device: Device) -> Device:
    """Return where the finder computes; the classical one, on the processor."""
    if settings.finder == "classical" and device != "cuda":
        return "cpu"
    from etchscope.learn import choose_device

    return choose_device(device)


def _one_thread_each(settings: FindSettings) -> AbstractContextManager[None]:
    """Return a context in which PyTorch leaves the cores to the workers that share them."""
    if settings.finder == "classical":
        return nullcontext()
    from etchscope.learn import use_one_torch_thread

    return use_one_torch_thread()


@dataclass(frozen=True)
class Search(RunStage[FindRecord, FindReport]):
    """A search: its pieces are tiles, its parts their openings before copies are merged."""

    settings: FindSettings
    weights: Path
    device: Device

    @property
    def work(self) -> partial[None]:
        """The function that searches some tiles."""
        given = (self.store.path.absolute(), self.run, self.scan.name, self.settings, self.weights)
        return partial(_search_piece, *given, self.record.mask, self.device)

    def report(self, record: FindRecord, *, pits: int, was_done: bool) -> FindReport:
        """Return the report of the finished search."""
        counts = dict(record.counts)
        return FindReport(self.run, self.scan.name, len(self.tiles), pits, was_done, counts)

    def joined(self) -> tuple[pd.DataFrame, FindRecord, None]:
        """Return the completed pit table and the record with its counts."""
        parts = [self.store.runs.read_part(self.run, piece.index) for piece in self.pieces]
        of_parts = self.store.runs.parts(self.run)
        records = [of_parts[piece.index] for piece in self.pieces]
        found = [part for part in parts if len(part)] or parts[:1]
        region = self.record.region_mm
        pits, counts = complete(
            pd.concat(found, ignore_index=True),
            _only(self.scan, self.tiles),
            self.settings,
            None if region is None else np.array(region),
            foil=self.record.foil,
        )
        tally = {k: v for k, v in asdict(counts).items() if k != "rows"}
        off_foil = sum(r["off_foil"] for r in records)
        tally |= {"raw": tally["raw"] + off_foil, "off_foil": off_foil}
        found_of_tiles = {
            "counts": tally,
            "usable_px": tuple(n for r in records for n in r["usable_px"]),
            "left_out": tuple((n, why) for r in records for n, why in r["left_out"]),
        }
        return pits, self.record.model_copy(update=found_of_tiles), None


def _only(scan: Scan, tiles: tuple[int, ...]) -> Scan:
    """Return the scan with all other tiles excluded."""
    searched = set(tiles)
    kept = tuple(t.model_copy(update={"excluded": t.number not in searched}) for t in scan.tiles)
    return scan.model_copy(update={"tiles": kept})


@lru_cache(maxsize=1)
def _loaded(
    path: Path,
    run: str,
    scan_name: str,
    settings: FindSettings,
    weights: Path,
    mask: str | None,
    device: Device,
) -> tuple[Store, Detector, Ground]:
    """Return store, detector and ground of a run, which a worker makes once.

    ``run`` is its identity. The store knows the places of the scan's tiles from then on.
    """
    if settings.finder == "learned":
        from etchscope.learn import set_threads

        set_threads(1)  # of this process, if it is a worker of its own
    store = Store.open(path)
    scan = store.scans.get(scan_name)
    within = None if mask is None else store.fits.mask(scan.name, mask)
    ground = ground_of(scan, normalisation_of(store, scan), settings, within)
    return store, detector_of(store, scan, settings, weights, device)[0], ground


def _search_piece(
    path: Path,
    run: str,
    scan: str,
    settings: FindSettings,
    weights: Path,
    mask: str | None,
    device: Device,
    piece: Piece,
) -> None:
    """Search the tiles of one piece and write its part."""
    tiles = piece.covers
    store, detector, ground = _loaded(path, run, scan, settings, weights, mask, device)
    stacks = store.scans.read_tiles(scan, tiles)
    searched = detect_tiles(zip(tiles, stacks, strict=True), detector, ground)
    record = {
        "scan": scan,
        "tiles": tiles,
        "usable_px": [searched.usable_px[n] for n in tiles],
        "off_foil": searched.off_foil,
        "left_out": [[n, why] for n, why in sorted(searched.left_out.items())],
    }
    store.runs.write_part(run, piece.index, searched.table, record)
