"""A small store that was walked through once, with the methods of the API alone."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import etchscope as es
from etchscope.ingest.write import write_smartscope
from etchscope.run.stages.finding import FindReport
from etchscope.simulation import Optics, Population, SimulatedScan, Stage


@dataclass(frozen=True)
class Walked:
    """``store`` has the scan ``name`` of ``folder``, searched as ``found`` says; read it only."""

    store: es.Store
    foil: SimulatedScan
    folder: Path
    name: str
    found: FindReport


@pytest.fixture(scope="session")
def walked(tmp_path_factory) -> Walked:
    root = tmp_path_factory.mktemp("api")
    foil = SimulatedScan(
        seed=5,
        columns=2,
        rows=2,
        population=Population.of(150, 40),
        optics=Optics(image_size=(96, 128)),
        stage=Stage(overlap_px=(-60, -60)),
    )
    write_smartscope(root / "front", foil.scan, foil.read_tile)
    store = es.open(root / "store", create=True)
    (name,) = store.add(root / "front")
    return Walked(store, foil, root / "front", name, store.find(name))
