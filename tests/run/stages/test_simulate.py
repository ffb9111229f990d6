import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from etchscope.files.tables import read_table
from etchscope.foil import BadInput
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
