"""Photograph simulated foils: into a microscope's folders or a store, with their truth."""

import json
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from etchscope.files.tables import write_table
from etchscope.foil import BadInput
from etchscope.ingest.write import write_smartscope
from etchscope.run.threads import one_opencv_thread
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
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write simulated scans and what is true about them; return the truths' files.

    For each scan ``directory`` gets ``{scan}-truth.parquet`` (the openings, each once),
    ``{scan}-marks.parquet`` (dust, scratches and the like), ``{scan}-parameters.json``, and the
    scan directory ``{scan}`` in the smartscope layout, unless the pictures go into a store.

    Parameters
    ----------
    scans : their names must differ.
    directory : made if absent.
    store : add the pictures to this store and write none.
    workers : threads; the pictures are the same whatever their number.
    progress : called with the number of tiles just done, from any thread.

    Raises
    ------
    BadInput : two scans of one name, or a file or scan of that name is there already; nothing is
        written then.
    """
    names = [scan.scan.name for scan in scans]
    for name in names:
        if names.count(name) > 1:
            raise BadInput("simulation", "scans of different names", f"{name} twice")
        for path in (directory / name, *_records(directory, name)):
            if path.exists():
                raise BadInput(path, "nothing of that name yet", "it exists", _OTHER)
        if store is not None and name in store.scans.names():
            raise BadInput(f"{store.path}: scan {name}", "no scan of that name yet", "one", _OTHER)
    if directory.exists() and not directory.is_dir():
        raise BadInput(directory, "a folder, new or not", "a file")
    directory.mkdir(parents=True, exist_ok=True)
    truths = []
    for simulated in scans:
        with one_opencv_thread():
            if store is None:
                _photograph(simulated, directory / simulated.scan.name, workers, progress)
            else:
                _add(simulated, store, workers, progress)
        truth, marks, parameters = _records(directory, simulated.scan.name)
        told = {"etchscope": version("etchscope"), **list_parameters(simulated)}
        parameters.write_text(json.dumps(told, indent=1) + "\n")
        size = simulated.optics.image_size
        write_table(marks, drop_overlap_copies(simulated.marks(), size))
        write_table(truth, drop_overlap_copies(simulated.truth(), size))
        truths.append(truth)
    return truths


def _records(directory: Path, name: str) -> tuple[Path, Path, Path]:
    ends = ("truth.parquet", "marks.parquet", "parameters.json")
    truth, marks, parameters = (directory / f"{name}-{end}" for end in ends)
    return truth, marks, parameters


def _photograph(
    simulated: SimulatedScan,
    directory: Path,
    workers: int | None,
    progress: Callable[[int], None] | None,
) -> None:
    """Write a scan directory aside; it gets its name when it is whole."""
    aside = directory.with_name(f".{directory.name}.partial")
    if aside.exists():  # what a killed run of ours left
        shutil.rmtree(aside)
    write_smartscope(
        aside,
        simulated.scan,
        simulated.read_tile,
        foil=simulated.foil_record,
        progress=progress,
        workers=workers,
    )
    aside.replace(directory)


def _add(
    simulated: SimulatedScan,
    store: Store,
    workers: int | None,
    progress: Callable[[int], None] | None,
) -> None:
    sources = tuple(f"step {c.step}" for c in simulated.optics.channels)

    def read_tile(number: int) -> TilePictures:
        return TilePictures(simulated.read_tile(number), sources)

    store.scans.add(
        simulated.scan, simulated.foil_record, read_tile, workers=workers, progress=progress
    )
