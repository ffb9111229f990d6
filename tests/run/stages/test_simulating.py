import hashlib
import json
import signal
from dataclasses import replace

import numpy as np
import pytest
from tests.processes import run_code

from etchscope.files.tables import read_table
from etchscope.foil import BadInput
from etchscope.foil.debugging import DEBUG
from etchscope.ingest import add_scan, open_source
from etchscope.run import simulate
from etchscope.simulation import Optics, Population, SimulatedScan, list_parameters, preset
from etchscope.store import Store

FOIL = SimulatedScan(
    seed=2,
    columns=2,
    rows=2,
    population=Population.of(300, 50),
    optics=Optics(image_size=(96, 128)),
    foil="F7",
)
BOTH = [FOIL, replace(FOIL, side="back")]


def bytes_in(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).digest() for p in files}


def test_a_foil_becomes_a_microscope_s_folder_a_truth_and_its_parameters(tmp_path):
    told = []
    truths = simulate(BOTH, tmp_path / "twin", progress=told.append)
    assert sum(told) == 8
    assert {p.name for p in (tmp_path / "twin").iterdir()} == {
        f"F7-{side}{end}"
        for side in ("front", "back")
        for end in ("", "-truth.parquet", "-marks.parquet", "-parameters.json")
    }
    for scan, truth in zip(BOTH, truths, strict=True):
        source = open_source(tmp_path / "twin" / scan.scan.name)
        assert source.scan == scan.scan
        np.testing.assert_array_equal(source.read_tile(3).pixels, scan.read_tile(3))
        table = read_table(truth)
        everywhere = scan.truth()
        assert table["pit"].is_unique
        assert set(table["pit"]) == set(everywhere["pit"])
        assert len(table) < len(everywhere)  # those in overlaps have a row in each tile
        assert table["partner"].notna().any()
        parameters = (tmp_path / "twin" / f"{scan.scan.name}-parameters.json").read_text()
        told = json.loads(parameters)
        assert told.pop("etchscope")
        assert told == json.loads(json.dumps(list_parameters(scan)))


def test_any_number_of_workers_writes_the_same_bytes(tmp_path):
    for workers in (1, 2, 5):
        simulate(BOTH, tmp_path / str(workers), workers=workers)
    one = bytes_in(tmp_path / "1")
    assert len(one) == 2 * (4 * 10 + 2 + 3)
    assert bytes_in(tmp_path / "2") == one
    assert bytes_in(tmp_path / "5") == one


def test_straight_into_a_store_is_the_same_as_by_way_of_files(tmp_path):
    direct, store = Store.create(tmp_path / "direct"), Store.create(tmp_path / "by_files")
    simulate(BOTH, tmp_path / "truth", store=direct)
    simulate(BOTH, tmp_path / "twin")
    for name in ("F7-front", "F7-back"):
        add_scan(store, tmp_path / "twin" / name)
        assert direct.scans.get(name) == store.scans.get(name)
        np.testing.assert_array_equal(
            direct.scans.read_tile(name, 2), store.scans.read_tile(name, 2)
        )
    assert direct.scans.foils() == store.scans.foils()
    assert not (tmp_path / "truth" / "F7-front").exists()
    assert direct.check() == []


def test_more_than_eight_bits_come_back(tmp_path):
    deep = replace(FOIL, columns=1, rows=1, optics=replace(FOIL.optics, bit_depth=12))
    simulate([deep], tmp_path)
    source = open_source(tmp_path / "F7-front")
    assert source.scan.dtype == "uint16"
    np.testing.assert_array_equal(source.read_tile(1).pixels, deep.read_tile(1))


def test_a_stack_is_one_in_the_store(tmp_path):
    store = Store.create(tmp_path / "store")
    scans = preset("pb-stack", columns=1, rows=1)
    small = [replace(s, optics=Optics(image_size=(96, 128))) for s in scans]
    simulate(small, tmp_path / "truth", store=store)
    assert [s.name for s in store.scans.stacks()] == ["pb-stack"]
    assert {f.stack for f in store.scans.foils()} == {"pb-stack"}


def test_what_is_there_stays_and_nothing_is_written(tmp_path):
    simulate([FOIL], tmp_path)
    before = bytes_in(tmp_path)
    with pytest.raises(BadInput, match="F7-front: expected nothing of that name yet"):
        simulate([replace(FOIL, side="back"), FOIL], tmp_path)
    with pytest.raises(BadInput, match="scans of different names, found F7-back twice"):
        simulate([BOTH[1], BOTH[1]], tmp_path)
    assert bytes_in(tmp_path) == before
    store = Store.create(tmp_path / "store")
    simulate([FOIL], tmp_path / "other", store=store)
    with pytest.raises(BadInput, match="scan F7-front: expected no scan of that name yet"):
        simulate([FOIL], tmp_path / "third", store=store)
    assert not (tmp_path / "third").exists()
    with pytest.raises(BadInput, match="expected a folder, new or not, found a file"):
        simulate([FOIL], tmp_path / "F7-front-parameters.json")


def test_a_stopped_run_leaves_no_scan_and_can_be_repeated(tmp_path, monkeypatch):
    seen = []

    def stop(count):
        seen.append(count)
        if len(seen) == 2:
            raise InterruptedError("stopped")

    with pytest.raises(InterruptedError, match="stopped"):
        simulate([FOIL], tmp_path, workers=1, progress=stop)
    assert not (tmp_path / "F7-front").exists()
    assert [p.name for p in tmp_path.iterdir()] == [".F7-front.partial"]
    simulate([FOIL], tmp_path)
    simulate([FOIL], tmp_path.with_name("calm"))
    assert bytes_in(tmp_path) == bytes_in(tmp_path.with_name("calm"))


# Resuming -----------------------------------------------------------------------------------


def test_any_executor_writes_the_same_bytes(tmp_path, monkeypatch):
    simulate([FOIL], tmp_path / "threads")
    simulate([FOIL], tmp_path / "processes", executor="processes", workers=2)
    monkeypatch.setenv(DEBUG, "1")
    simulate([FOIL], tmp_path / "inline", executor="inline")
    one = bytes_in(tmp_path / "threads")
    assert bytes_in(tmp_path / "processes") == one
    assert bytes_in(tmp_path / "inline") == one


_KILLED = """
import itertools, os, signal
from dataclasses import replace
from pathlib import Path
from etchscope.run import simulate
from etchscope.run.stages import simulating as module
from etchscope.store import Store
from tests.run.stages.test_simulating import BOTH
moment, store = {moment!r}, {store!r}
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
def before(real, count, calls=itertools.count(1)):
    return lambda *a, **k: die() if next(calls) == count else real(*a, **k)
if moment == "first tile": module.write_tile = before(module.write_tile, 1)
if moment == "third tile": module.write_tile = before(module.write_tile, 3)
if moment == "second scan": module.write_tile = before(module.write_tile, 6)
if moment == "described": module.write_table = before(module.write_table, 1)
if moment == "marks": module.write_table = before(module.write_table, 2)
if moment == "dropping": module.delete = before(module.delete, 3)
simulate(
    BOTH,
    Path({folder!r}),
    store=Store.open(Path(store)) if store else None,
    executor="inline",
)
"""
# Moment → tiles that are there by then.
MOMENTS = {
    "first tile": 0,
    "third tile": 2,
    "second scan": 5,
    "described": 4,
    "marks": 4,
    "dropping": 4,
}


def _kill(moment, folder, store=None):
    code = _KILLED.format(moment=moment, folder=str(folder), store=store and str(store))
    assert run_code(code) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("into", ["files", "store"])
def test_kill_and_repeat_is_as_if_undisturbed(tmp_path, moment, into, monkeypatch, take_snapshot):
    stores = {name: Store.create(tmp_path / name) for name in ("calm-store", "store")}
    stores = stores if into == "store" else dict.fromkeys(stores)
    simulate(BOTH, tmp_path / "calm", store=stores["calm-store"])
    _kill(moment, tmp_path / "killed", stores["store"] and stores["store"].path)
    done = []
    real = SimulatedScan.read_tile
    monkeypatch.setattr(SimulatedScan, "read_tile", lambda s, n: (done.append(n), real(s, n))[1])
    simulate(BOTH, tmp_path / "killed", store=stores["store"])
    assert len(done) == 8 - MOMENTS[moment]
    assert bytes_in(tmp_path / "killed") == bytes_in(tmp_path / "calm")
    if into == "store":
        assert take_snapshot(stores["store"].path) == take_snapshot(stores["calm-store"].path)
        assert stores["store"].check() == []


def test_tiles_of_another_foil_are_not_gone_on_with(tmp_path):
    def stop(_):
        raise InterruptedError("stopped")

    with pytest.raises(InterruptedError, match="stopped"):
        simulate([replace(FOIL, seed=3)], tmp_path / "a", workers=1, progress=stop)
    simulate([FOIL], tmp_path / "a")
    simulate([FOIL], tmp_path / "calm")
    assert bytes_in(tmp_path / "a") == bytes_in(tmp_path / "calm")
