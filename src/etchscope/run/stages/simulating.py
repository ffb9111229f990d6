"""Photograph simulated foils: into a microscope's folders or a store, with their truth."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path

from etchscope.files.atomic import delete, make_folder, write_aside, write_folder_aside
from etchscope.files.locks import Lock, hold_lock
from etchscope.files.tables import write_table
from etchscope.foil import BadInput
from etchscope.ingest import open_source
from etchscope.ingest.write import tile_folder, write_description, write_tile
from etchscope.run.executors import choose_executor
from etchscope.run.stage import Piece, Progress, carry_out
from etchscope.simulation import SimulatedScan, drop_overlap_copies, list_parameters
from etchscope.store import Store, TilePictures

__all__ = ["simulate"]

_OTHER = "Choose another folder or another name of the foil."


def simulate(
    scans: Sequence[SimulatedScan],
    directory: Path,
    *,
    store: Store | None = None,
    workers: int | None = None,
    executor: str = "threads",
    progress: Progress | None = None,
    write_more: Callable[[SimulatedScan], object] | None = None,
) -> list[Path]:
    """Write simulated scans with their truth; return the files of the truth.

    For each scan ``directory`` gets ``{scan}-truth.parquet`` (the openings, each once),
    ``{scan}-marks.parquet`` (dust, scratches and the like), ``{scan}-parameters.json``, and the
    scan directory ``{scan}`` in the smartscope layout, unless the pictures go into a store. A
    simulation that was killed goes on with the missing tiles when it is repeated with the same
    parameters.

    Parameters
    ----------
    scans : scans with different names.
    directory : folder that is made if it is absent.
    store : gets the pictures, which are then not written to ``directory``.
    workers : threads or processes; the pictures do not depend on their number.
    executor : name of an executor, see ``run.executors``.
    progress : called with the number of tiles just done.
    write_more : writes what else belongs to a scan, before the last file with which it is complete.

    Raises
    ------
    NoPlugin : there is no such executor.
    BadInput : two scans have one name, or a file or scan of that name exists; nothing is written.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    chosen = choose_executor(executor)
    stages = [_Photographs(scan, directory, store, write_more) for scan in scans]
    _require_free(stages, directory, store)
    make_folder(directory)
    with ExitStack() as locks:
        # In the order of their names, so that no two simulations wait for each other.
        held = [locks.enter_context(stage.lock()) for stage in sorted(stages, key=lambda s: s.name)]
        _require_free(stages, directory, store, goes_on=any(lock.has_waited for lock in held))
        for stage in stages:  # all before the first tile, so that a repetition recognises each
            stage.begin()
        return [carry_out(stage, chosen, workers=workers, progress=progress) for stage in stages]


def _require_free(
    stages: Sequence["_Photographs"],
    directory: Path,
    store: Store | None,
    *,
    goes_on: bool = False,
) -> None:
    """Refuse names that are taken, unless by a simulation of the same scans.

    ``goes_on`` : one is known that was finished while this one waited; one that was interrupted is
    seen here.
    """
    if directory.exists() and not directory.is_dir():
        raise BadInput(directory, "a folder, new or not", "a file")
    names = [stage.name for stage in stages]
    goes_on |= any(stage.is_begun() for stage in stages)
    for stage in stages:
        if names.count(stage.name) > 1:
            raise BadInput("simulation", "scans of different names", f"{stage.name} twice")
        if stage.is_begun() or (goes_on and stage.is_committed()):
            continue
        for path in (directory / stage.name, *stage.records):
            if path.exists():
                raise BadInput(path, "nothing of that name yet", "it exists", _OTHER)
        if store is not None and stage.name in store.scans.names():
            where = f"{store.path}: scan {stage.name}"
            raise BadInput(where, "no scan of that name yet", "one", _OTHER)


@dataclass(frozen=True)
class _Photographs:
    """The pictures of a simulated scan and their truth: its pieces are tiles.

    Until the scan is complete, its tiles lie in ``.{scan}.partial/scan`` beside the parameters,
    which are its identity.
    """

    simulated: SimulatedScan
    directory: Path
    store: Store | None
    write_more: Callable[[SimulatedScan], object] | None

    @property
    def name(self) -> str:
        return self.simulated.scan.name

    @property
    def aside(self) -> Path:
        return self.directory / f".{self.name}.partial"

    @property
    def pictures(self) -> Path:
        """The scan directory: the final one if it exists, otherwise that of the parts."""
        final = self.directory / self.name
        return final if final.exists() else self.aside / "scan"

    @property
    def records(self) -> tuple[Path, Path, Path]:
        """The files of truth, marks and parameters; the last is written last."""
        ends = ("truth.parquet", "marks.parquet", "parameters.json")
        truth, marks, parameters = (self.directory / f"{self.name}-{end}" for end in ends)
        return truth, marks, parameters

    @cached_property
    def identity(self) -> str:
        """The text of the file of parameters: everything that decides the pictures."""
        record = {"etchscope": version("etchscope"), **list_parameters(self.simulated)}
        return json.dumps(record, indent=1) + "\n"

    def lock(self) -> AbstractContextManager[Lock]:
        """Keep other processes from a scan of this name in the folder."""
        return hold_lock(
            self.directory / f".{self.name}.lock", f"{self.directory}: simulating {self.name}"
        )

    def hold(self) -> AbstractContextManager[object]:
        """Return what keeps nobody out: ``lock`` does, for all scans before the first begins."""
        return nullcontext()

    def is_begun(self) -> bool:
        """Return whether there are parts of an interrupted simulation of the same scan."""
        return _says(self.aside / "parameters.json", self.identity)

    def begin(self) -> None:
        """Make the folder of parts, and delete those of another simulation."""
        if not self.is_begun() and not self.is_committed():
            delete(self.aside)
            (self.aside / "scan").mkdir(parents=True, exist_ok=True)
            (self.aside / "parameters.json").write_text(self.identity)

    @property
    def pieces(self) -> list[Piece]:
        numbers = [tile.number for tile in self.simulated.scan.tiles]
        return [Piece(index, number, 1) for index, number in enumerate(numbers)]

    @property
    def work(self) -> partial[None]:
        return partial(_photograph, self.simulated, self.aside)

    def parts(self) -> dict[int, int]:
        scan, there = self.simulated.scan, self.pictures
        numbers = {p.index: p.covers for p in self.pieces}
        return {i: n for i, n in numbers.items() if (there / tile_folder(scan, n)).is_dir()}

    def is_committed(self) -> bool:
        return _says(self.records[-1], self.identity)

    def commit(self) -> Path:
        """Write the description of the scan, move it to its place, and write its truth."""
        scan, size = self.simulated.scan, self.simulated.optics.image_size
        truth, marks, parameters = self.records
        if self.store is not None:
            write_description(self.pictures, scan, self.simulated.foil_record)
            self._add(self.store)  # changes nothing if a killed simulation got as far as this
        elif self.pictures != self.directory / self.name:
            write_description(self.pictures, scan, self.simulated.foil_record)
            self.pictures.replace(self.directory / self.name)
        write_table(marks, drop_overlap_copies(self.simulated.marks(), size))
        write_table(truth, drop_overlap_copies(self.simulated.truth(), size))
        if self.write_more is not None:
            self.write_more(self.simulated)
        with write_aside(parameters) as aside:
            aside.write_text(self.identity)
        return self.renew()

    def _add(self, store: Store) -> None:
        source = open_source(self.pictures)
        sources = tuple(f"step {c.step}" for c in self.simulated.optics.channels)

        def read_tile(number: int) -> TilePictures:
            return TilePictures(source.read_tile(number).pixels, sources)

        store.scans.add(self.simulated.scan, self.simulated.foil_record, read_tile)

    def renew(self) -> Path:
        delete(self.aside)
        return self.records[0]


def _says(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def _photograph(simulated: SimulatedScan, aside: Path, piece: Piece) -> None:
    """Write the pictures of one tile, all or none."""
    folder = aside / "scan" / tile_folder(simulated.scan, piece.covers)
    with write_folder_aside(folder, within=aside) as unfinished:
        write_tile(unfinished, simulated.scan, simulated.read_tile(piece.covers))
