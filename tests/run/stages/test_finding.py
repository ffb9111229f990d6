import functools
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import KDTree
from tests.processes import run_code
from tests.s3 import serve_foils

import etchscope
from etchscope.evaluation import match
from etchscope.files.tables import read_record
from etchscope.foil import (
    BadInput,
    MachineFailed,
    NoGpu,
    PartMissing,
    PitFlag,
    has_flag,
)
from etchscope.geometry import foil_frame, in_polygon
from etchscope.geometry import stage_to_tile as to_tile
from etchscope.imaging import Normalisation
from etchscope.preselect import FindSettings
from etchscope.run import find, recipe_of, run_stage, stage
from etchscope.run import find as run_find
from etchscope.run.finder import finder_of
from etchscope.run.stages.finding import find_part
from etchscope.store import Store, scans, shards
from etchscope.store.fit_records import NormalisationFit
from etchscope.store.runs import Runs

find_module = sys.modules[run_find.__module__]
MM = 6.4516e-3
NAME = "simulated-front"


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(stage, "_BATCH", 3)


@pytest.fixture(scope="module")
def calm(_small, take_snapshot, tmp_path_factory):
    """The undisturbed search of the small scan: its report and what the store then is."""
    store = Store.open(shutil.copytree(_small.path, tmp_path_factory.mktemp("calm") / "store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "_BATCH", 3)
        report = find(store, NAME, executor="inline")
    assert report.pits > 0
    return report, take_snapshot(store.path), store.path


# Same bytes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("executor", "workers"),
    [("inline", 2), ("threads", 1), ("threads", 2), ("processes", 2), ("cluster", 4)],
)
def test_any_executor_gives_the_same_bytes(small, calm, take_snapshot, client, executor, workers):
    told: list[int] = []
    totals: list[int] = []
    report = find(
        small,
        NAME,
        executor=client if executor == "cluster" else executor,
        workers=workers,
        progress=told.append,
        total=totals.append,
    )
    assert report == calm[0]
    assert take_snapshot(small.path) == calm[1]
    assert (sum(told), totals) == (10, [10])
    assert small.check() == []


def test_pictures_on_an_object_store_give_the_same_bytes(
    calm, small_foil, add_scan, take_snapshot, client, tmp_path
):
    pytest.importorskip("obstore")
    with serve_foils():
        store = Store.create(tmp_path / "far", pictures="s3://foils/plate7")
        add_scan(store, small_foil)
        assert find(store, NAME, executor=client, workers=4) == calm[0]
        assert store.check() == []
    own = ("images", "store.json")
    near = {name: what for name, what in calm[1].items() if not name.startswith(own)}
    far = {name: what for name, what in take_snapshot(store.path).items() if name[:6] != "images"}
    assert far.pop("store.json")
    assert far == near


def test_eight_parts_at_once_and_joined_give_the_same_bytes(small, calm, take_snapshot):
    """Two jobs, which both begin at once, do the parts of two orders; some are done twice."""
    orders = ([3, 8, 1, 6, 2], [5, 2, 7, 4, 3])

    def do(order):
        store = Store.open(small.path)
        return [find_part(store, NAME, f"{n}/8", executor="inline") for n in order]

    with ThreadPoolExecutor(2) as pool:
        reports = [report for some in pool.map(do, orders) for report in some]
    assert {report.run for report in reports} == {calm[0].run}
    tiles = {report.part: report.tiles for report in reports}
    assert tiles == {f"{n}/8": [0, 3, 3, 3, 1, 0, 0, 0, 0][n] for n in range(1, 9)}
    assert not any(report.was_done for report in reports)
    assert calm[0].run not in small.runs
    assert find(small, NAME, join=True) == calm[0]
    assert take_snapshot(small.path) == calm[1]
    assert small.check() == []
    assert find_part(small, NAME, "4/8").was_done


def test_shards_and_pieces_of_another_size_give_the_same_table(
    calm, small_foil, tmp_path, add_scan
):
    """Shards of four tiles with a piece for each, instead of shards of eight, pieces of three."""
    store = Store.create(tmp_path / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "_SHARD_BYTES", 4 * small_foil.read_tile(1).nbytes)
        add_scan(store, small_foil)
        patch.setattr(run_stage, "_LARGE", 1)
        units: list[int] = []
        report = find(store, NAME, executor="inline", progress=units.append)
    assert units == [4, 4, 2]
    assert report == calm[0]
    for file in ("pits.parquet", "record.json"):
        expected = calm[2] / "runs" / report.run / file
        assert (store.path / "runs" / report.run / file).read_bytes() == expected.read_bytes()


def test_a_search_without_all_its_parts_is_not_joined(small):
    find_part(small, NAME, "1/3", executor="inline")
    find_part(small, NAME, "3/3", executor="inline")
    text = rf"^run find-\w+ of scan {NAME}: expected all 3 parts, found part 2/3 missing$"
    with pytest.raises(PartMissing, match=text):
        find(small, NAME, join=True)
    assert small.runs.names() == []


def test_the_size_of_a_batch_does_not_show(small, calm, take_snapshot, monkeypatch):
    monkeypatch.setattr(stage, "_BATCH", 16)
    find(small, NAME, executor="inline")
    assert take_snapshot(small.path) == calm[1]


def test_what_a_scan_has_in_common_is_read_once(small, monkeypatch):
    """Not for each piece: both take as long as the scan has tiles."""
    places, names = [], []
    of, named = scans.places_of, run_stage.run_name
    monkeypatch.setattr(scans, "places_of", lambda *given: places.append(1) or of(*given))
    monkeypatch.setattr(run_stage, "run_name", lambda *given: names.append(1) or named(*given))
    monkeypatch.setattr(stage, "_BATCH", 1)
    assert find(small, NAME, executor="inline").tiles == 10
    assert len(places) <= 5  # some are read to fit the constants of the scan
    assert len(names) == 1


def test_a_search_done_before_is_not_done_again(small, calm, take_snapshot, monkeypatch):
    find(small, NAME, executor="inline")
    monkeypatch.setattr(find_module, "detect_tiles", lambda *_: pytest.fail("searched again"))
    again = find(small, NAME)
    assert again.was_done
    assert (again.run, again.pits, again.tiles) == (calm[0].run, calm[0].pits, 10)
    assert again.counts == calm[0].counts
    assert take_snapshot(small.path) == calm[1]


def test_what_was_asked_for_last_is_the_latest(small, calm):
    find(small, NAME, executor="inline")
    small.scans.exclude("tile = 2", "a fibre")
    fewer = find(small, NAME, executor="inline")
    assert small.runs.latest(NAME) == fewer.run
    small.scans.include("tile = 2")
    assert find(small, NAME).was_done
    assert small.runs.latest(NAME) == calm[0].run
    assert small.runs.table(NAME)["run"].tolist() == [fewer.run, calm[0].run]
    assert small.check() == []


# Resuming -----------------------------------------------------------------------------------


def _stop_after(monkeypatch, tiles):
    """Let a search work through some tiles only; return the list that counts them."""
    real, done = find_module.detect_tiles, []

    def detect_tiles(stacks, *arguments):
        def counted():
            for stack in stacks:
                if len(done) == tiles:
                    raise InterruptedError("stopped")
                done.append(1)
                yield stack

        return real(counted(), *arguments)

    monkeypatch.setattr(find_module, "detect_tiles", detect_tiles)
    return done


def test_parts_written_before_are_reused(small, calm, take_snapshot, monkeypatch):
    _stop_after(monkeypatch, 7)
    with pytest.raises(InterruptedError, match="stopped"):
        find(small, NAME, executor="inline")
    left = sum(len(r["tiles"]) for r in small.runs.parts(calm[0].run).values())
    assert 4 <= left <= 7
    monkeypatch.undo()
    monkeypatch.setattr(stage, "_BATCH", 3)
    done = _stop_after(monkeypatch, 99)
    told: list[int] = []
    report = find(small, NAME, executor="inline", progress=told.append)
    assert len(done) == 10 - left
    assert sum(told) == 10
    assert report == calm[0]
    assert take_snapshot(small.path) == calm[1]


def test_a_part_of_other_tiles_is_made_anew(small, calm, take_snapshot):
    small.runs.write_part(
        calm[0].run, 0, pd.DataFrame({"x_px": [1.0]}), {"scan": NAME, "tiles": [1]}
    )
    small.runs.write_part(
        calm[0].run, 77, pd.DataFrame({"x_px": [1.0]}), {"scan": NAME, "tiles": [1]}
    )
    find(small, NAME, executor="inline")
    assert take_snapshot(small.path) == calm[1]


def test_a_half_written_part_is_never_read(small, calm, take_snapshot):
    folder = small.path / "runs" / f".{calm[0].run}.partial"
    folder.mkdir()
    (folder / ".part-00001.parquet.7-7.aside").write_bytes(b"PAR1 half of it")
    (folder / "part-00001.parquet.tmp").write_bytes(b"PAR1 half of it")
    find(small, NAME, executor="inline")
    assert take_snapshot(small.path) == calm[1]


def test_a_damaged_part_is_named(small, calm):
    folder = small.path / "runs" / f".{calm[0].run}.partial"
    folder.mkdir()
    (folder / "part-00001.parquet").write_bytes(b"PAR1 half of it")
    with pytest.raises(BadInput, match=r"part-00001\.parquet: .*Delete the file; the run will"):
        find(small, NAME, executor="inline")


_KILLED = """
import itertools, os, shutil, signal, sys
from etchscope.run import find
from etchscope.files import atomic
from etchscope.run import constants, stage
from etchscope.store import Store, run_files
from etchscope.store.runs import Runs
stage._BATCH = 3
moment, calls = {moment!r}, itertools.count(1)
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
def after(real, count):
    def do(*a, **k):
        number = next(calls)  # in one step: threads call this at once
        return real(*a, **k), number == count and die()
    return do
def at(real, place):
    return lambda a, b: die() if place in str(b) else real(a, b)
if moment == "parts": Runs.write_part = after(Runs.write_part, 2)
if moment == "half a part": atomic.os.replace = at(os.replace, "part-00001")
if moment == "half a fit": atomic.os.replace = at(os.replace, "/fits/")
if moment == "a fit": constants.fit_scale = die
if moment == "published": run_files.publish_run = after(run_files.publish_run, 1)
if moment == "committed": run_files.drop_partial = die
if moment == "dropping": shutil.rmtree = lambda p: (next(p.iterdir()).unlink(), die())
find(Store.open({path!r}), {scan!r}, executor="threads", workers=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", ["half a fit", "a fit", "parts", "half a part", "published", "committed", "dropping"]
)
def test_kill_and_repeat_is_as_if_undisturbed(small, calm, take_snapshot, moment):
    code = _KILLED.format(moment=moment, path=str(small.path), scan=NAME)
    assert run_code(code) == -signal.SIGKILL
    assert {f.severity for f in small.check()} <= {"leftover"}
    has_run = moment in ("committed", "dropping")
    assert (small.runs.latest(NAME) is not None) == has_run
    assert find(small, NAME).was_done == has_run
    assert small.check() == []
    assert take_snapshot(small.path) == calm[1]


@pytest.mark.slow
def test_kills_at_random_moments():
    script = Path(__file__).parents[3] / "benchmarks" / "kill.py"
    words = ["--kills", "3", "--only", "find", "--only", "rm", "--columns", "2", "--rows", "2"]
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^6 kills, [1-6] while a command ran: 0 bad$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("part", [0, 3])
def test_without_locks_two_searches_at_once_agree(
    small, calm, take_snapshot, monkeypatch, part, without_locks
):
    real = Runs.write_part

    def write(store, run, index, *rest):
        if index == part:  # meanwhile another process does all of it
            monkeypatch.setattr(Runs, "write_part", real)
            assert not find(Store.open(small.path), NAME, executor="inline").was_done
        real(store, run, index, *rest)

    monkeypatch.setattr(Runs, "write_part", write)
    report = find(small, NAME, executor="inline")
    assert (report.run, report.pits, report.counts) == (
        calm[0].run,
        calm[0].pits,
        calm[0].counts,
    )
    assert take_snapshot(small.path) == calm[1]


# A full disk --------------------------------------------------------------------------------

_LIMITED = """
import resource, sys
from etchscope.cli.app import main
from etchscope.run import stage
stage._BATCH = 3
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
    sys.exit(main(["find", {path!r}, "--executor", {executor!r}]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "executor"),
    [("fits/", "threads"), ("part-0000", "threads"), ("part-0000", "processes"), ("run", "inline")],
)
def test_a_full_disk_is_status_1_and_can_be_repeated(
    small, calm, take_snapshot, tmp_path, what, executor
):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    limit = {"fits/": 200_000, "part-0000": 2000, "run": 0}[what]
    if what != "fits/":  # another search of the scan, so that the fits are there
        corner = np.array([[-0.4, -0.3], [0.4, -0.3], [0.0, 0.3]])
        find(small, NAME, region=corner, executor="inline")
    calm_path = shutil.copytree(small.path, tmp_path / "calm")
    finished = find(Store.open(calm_path), NAME, executor="inline")
    limit = limit or (calm_path / "runs" / finished.run / "pits.parquet").stat().st_size - 1
    before = take_snapshot(small.path)
    script = tmp_path / "limited.py"
    script.write_text(_LIMITED.format(limit=limit, path=str(small.path), executor=executor))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    *progress, error = done.stderr.splitlines()
    assert all(line.startswith(f"Searching {NAME}: ") for line in progress)
    assert error.startswith("Error: writing ")
    assert what in error
    assert "File too large" in error
    assert {f.severity for f in small.check()} <= {"leftover"}
    kept = {k: v for k, v in take_snapshot(small.path).items() if ".partial/" not in k}
    assert kept == before
    assert find(small, NAME).run == finished.run
    assert take_snapshot(small.path) == take_snapshot(calm_path)
    assert small.check() == []


def test_a_full_disk_in_a_worker_is_told_by_find(small, monkeypatch):
    def full(*_):
        raise MachineFailed("writing part: No space left on device.")

    monkeypatch.setattr(Runs, "write_part", full)
    with pytest.raises(MachineFailed, match="No space left"):
        find(small, NAME, executor="threads")
    assert small.runs.latest(NAME) is None


# Identity and provenance --------------------------------------------------------------------


def test_excluding_a_tile_changes_the_run_and_not_the_fit(small, calm):
    first = find(small, NAME, executor="inline")
    record = small.runs.record(first.run)
    fits = {p.name: p.read_bytes() for p in (small.path / "fits").iterdir()}
    small.scans.exclude("tile = 4", "a fibre")
    second = find(small, NAME, executor="inline")
    assert not second.was_done
    assert second.run != first.run
    assert second.tiles == 9
    other = small.runs.record(second.run)
    assert other.tiles == (1, 2, 3, 5, 6, 7, 8, 9, 10)
    for same in ("normalisation", "finder", "scale", "scan_digest", "settings", "version"):
        assert getattr(other, same) == getattr(record, same)
    assert {p.name: p.read_bytes() for p in (small.path / "fits").iterdir()} == fits
    measured = ["tile", "surface", "x_px", "y_px", "radius_px", "contrast"]
    whole = small.runs.pits(first.run)[measured]
    rest = small.runs.pits(second.run)[measured]
    assert rest.equals(whole[whole["tile"] != 4].reset_index(drop=True))
    assert 4 in set(whole["tile"])
    small.scans.include("tile = 4")
    again = find(small, NAME, executor="inline")
    assert (again.run, again.was_done) == (first.run, True)


def test_a_fit_made_without_a_tile_is_kept_when_it_comes_back(small):
    small.scans.exclude("tile = 4", "a fibre")
    first = small.runs.record(find(small, NAME, executor="inline").run)
    small.scans.include("tile = 4")
    second = small.runs.record(find(small, NAME, executor="inline").run)
    assert second.tiles == tuple(range(1, 11))
    assert second.normalisation == first.normalisation
    assert second.scale == first.scale


def test_the_run_s_name_is_made_of_all_that_decides_its_bytes(
    small, calm, add_scan, small_foil, tmp_path, monkeypatch
):
    other = find(small, NAME, settings=FindSettings(threshold=6.5), executor="inline")
    square = np.array([[-9.0, -9], [30, -9], [30, 9], [-9, 9]])
    region = find(small, NAME, region=square, executor="inline")
    one_pixel = Store.create(tmp_path / "one-pixel")

    def pixels(stack):
        stack[0, 0, 0] ^= 1
        return stack

    add_scan(one_pixel, small_foil, pixels=pixels)
    changed = find(one_pixel, NAME, executor="inline")
    monkeypatch.setattr(find_module, "version", lambda _: "9.9.9")
    later = find(small, NAME, executor="inline")
    names = {calm[0].run, other.run, region.run, changed.run, later.run}
    assert len(names) == 5
    assert region.pits == calm[0].pits  # another run of the same tiles and pits


def test_a_search_on_a_gpu_is_a_run_of_its_own(small, calm, monkeypatch):
    asked = []

    def finder_on(weights, device="cpu"):
        asked.append(device)
        return finder_of(weights)

    monkeypatch.setattr("etchscope.learn.choose_device", lambda device: device)
    monkeypatch.setattr("etchscope.run.constants.finder_of", finder_on)
    done = find(small, NAME, executor="inline", device="cuda")
    assert done.run != calm[0].run
    assert done.pits == calm[0].pits
    assert small.runs.record(done.run).device == "cuda"
    assert "cuda" in asked


def test_a_gpu_that_is_not_there_leaves_the_store_as_it_was(small, take_snapshot, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = take_snapshot(small.path)
    with pytest.raises(NoGpu, match="device: expected a GPU that PyTorch can compute on, found n"):
        find(small, NAME, executor="inline", device="cuda")
    assert take_snapshot(small.path) == before


def test_the_record_is_read_back_from_a_worker_s_part_and_from_the_disk(
    small, calm, small_foil, monkeypatch
):
    def stop(*_, **__):
        raise InterruptedError("stopped")

    monkeypatch.setattr(Runs, "commit", stop)
    with pytest.raises(InterruptedError, match="stopped"):
        find(small, NAME, executor="processes")
    parts = Store.open(small.path).runs.parts(calm[0].run)
    height, width = small.scans.get(NAME).image_size
    assert parts == {
        i: {
            "scan": NAME,
            "tiles": tiles,
            "usable_px": [height * width] * len(tiles),
            "off_foil": 0,
            "left_out": [],
        }
        for i, tiles in enumerate([[1, 2, 3], [4, 5, 6], [7, 8, 9], [10]])
    }
    for index, record in parts.items():
        assert set(small.runs.read_part(calm[0].run, index)["tile"]) <= set(record["tiles"])
    monkeypatch.undo()
    report = find(small, NAME, executor="inline")
    folder = small.path / "runs" / report.run
    record = json.loads((folder / "record.json").read_text())
    arrays, fit = small.fits.load(NAME, recipe_of(small.scans.get(NAME)).digest, NormalisationFit)
    normalisation = Normalisation(
        recipe_of(small.scans.get(NAME)),
        arrays["average"],
        arrays["gain"],
        arrays["offset"],
        fit.limit,
    )
    assert record == {
        "stage": "find",
        "version": etchscope.__version__,
        "scan": NAME,
        "scan_digest": small.scans.digest(NAME),
        "tiles": list(range(1, 11)),
        "settings": FindSettings().model_dump(),
        "foil": {
            "name": record["foil"]["name"],
            "material": None,
            "thickness_um": None,
            "etch": None,
        },
        "region_mm": None,
        "normalisation": {
            "recipe": normalisation.recipe.digest,
            "fit": normalisation.digest,
        },
        "mask": None,
        "light_faults": [],
        "finder": record["finder"],
        "scale": 1.0,
        "usable_px": [height * width] * 10,
        "left_out": [],
        "counts": report.counts,
    }
    assert len(record["finder"]) == 16
    assert read_record(folder / "pits.parquet")["record"] == record
    pits = small.runs.pits(report.run)
    assert set(pits["run"]) == {report.run}
    assert (set(pits["scan"]), set(pits["foil"]), set(pits["side"])) == (
        {NAME},
        {"simulated"},
        {"front"},
    )
    assert pits["pit"].tolist() == list(range(report.pits))


# What comes out -----------------------------------------------------------------------------


def test_counts_add_up_and_copies_are_flagged(searched, full_foil):
    store, report = searched
    pits = store.runs.pits(report.run)
    counts = report.counts
    assert counts["raw"] == report.pits + counts["merged"] + counts["outside_region"]
    assert (report.pits, counts["outside_region"]) == (len(pits), 0)
    copied = pits[has_flag(pits, PitFlag.MERGED_DUPLICATE)]
    assert 0 < len(copied) <= counts["merged"]
    scan = full_foil.scan
    stage = foil_frame(scan).to_stage(copied["x_mm"].to_numpy(), copied["y_mm"].to_numpy())
    seen = np.zeros(len(copied), int)
    for tile in scan.tiles:
        x, y = to_tile(*stage, np.array(tile.stage_x_mm), np.array(tile.stage_y_mm), scan)
        seen += (x > -6) & (x < 646) & (y > -6) & (y < 486)
    assert (seen >= 2).all()


def test_no_pit_is_listed_by_two_tiles(searched):
    store, report = searched
    pits = store.runs.pits(report.run)
    for surface in ("top", "bottom"):
        of_surface = pits[pits["surface"] == surface]
        near = KDTree(of_surface[["x_mm", "y_mm"]]).query_pairs(3 * MM, output_type="ndarray")
        tile = of_surface["tile"].to_numpy()
        assert not (tile[near[:, 0]] != tile[near[:, 1]]).any()


def test_a_region_restricts_tiles_and_rows(searched, tmp_path):
    store, whole = Store.open(shutil.copytree(searched[0].path, tmp_path / "store")), searched[1]
    region = np.array([[-1.0, -1.5], [1.2, -1.5], [1.2, 0.2], [0.1, 0.2], [0.1, 1.0], [-1, 1]])
    report = find(store, NAME, region=region)
    record = store.runs.record(report.run)
    assert record.tiles == (1, 2)
    assert record.region_mm == tuple(map(tuple, region.tolist()))
    assert (report.tiles, report.run != whole.run) == (2, True)
    counts = report.counts
    assert counts["outside_region"] > 0
    assert counts["raw"] == report.pits + counts["merged"] + counts["outside_region"]
    pits, all_pits = store.runs.pits(report.run), store.runs.pits(whole.run)
    inside = all_pits[in_polygon(all_pits["x_mm"], all_pits["y_mm"], region)]
    measured = ["tile", "surface", "x_px", "y_px", "x_mm", "y_mm", "radius_px", "contrast"]
    assert len(pits) > 0
    assert pits[measured].equals(inside[measured].reset_index(drop=True))
    partner = pits["partner"].dropna().astype(int)
    assert pits["partner"].iloc[partner].tolist() == partner.index.tolist()


def test_density_is_that_of_the_searched_tiles(searched, tmp_path):
    store = Store.open(shutil.copytree(searched[0].path, tmp_path / "store"))
    wide = FindSettings(density_mm=2.0)
    region = np.array([[-2.0, -5], [1.4, -5], [1.4, 2], [-2, 2]])
    whole = store.runs.pits(find(store, NAME, settings=wide).run)
    report = find(store, NAME, settings=wide, region=region)
    assert store.runs.record(report.run).tiles == (1, 2)
    both = store.runs.pits(report.run).merge(
        whole, on=["tile", "x_px", "y_px", "surface"], suffixes=("", "_whole")
    )
    edge = both[both["x_mm"] > 0.8]
    assert len(edge) > 8
    ratio = edge["density_per_mm2"] / edge["density_per_mm2_whole"]
    assert 0.85 < ratio.median() < 1.15  # 0.7 where tiles that were not searched count as empty


def test_the_back_shows_the_same_pits_with_the_surfaces_exchanged(
    searched, add_scan, back_foil, tmp_path
):
    store = Store.create(tmp_path / "store")
    add_scan(store, back_foil)
    back = store.runs.pits(find(store, "simulated-back").run)
    front = searched[0].runs.pits(searched[1].run)
    assert set(back["side"]) == {"back"}

    def strong(pits):
        is_strong = pits[["entry", "exit"]].max(axis=1) > 0.5
        return pits[is_strong & ~has_flag(pits, PitFlag.EDGE)]

    def share(truth, found, exchange):
        matched = match(
            truth[["x_mm", "y_mm"]],
            found[["x_mm", "y_mm"]],
            6 * MM,
            rule="one-to-one",
            truth_group=truth["surface"].map(exchange),
            found_group=found["surface"].astype(object),
        )
        return matched.efficiency

    exchanged = {"top": "bottom", "bottom": "top", "unknown": "unknown"}
    same = {name: name for name in exchanged}
    for one, other in ((front, back), (back, front)):
        assert len(strong(one)) > 50
        assert share(strong(one), other, exchanged) > 0.9
        assert share(strong(one), other, same) < 0.3


@pytest.mark.parametrize(
    ("steps", "surfaces"),
    [
        (range(1, 9), {"top", "bottom"}),
        ((1, 4, 6), {"top", "bottom"}),
        ((9,), {"unknown"}),
        ((10,), {"unknown"}),
        ((9, 10), {"unknown"}),
    ],
)
def test_any_kind_of_light_will_do(tmp_path, add_scan, full_foil, steps, surfaces):
    store = Store.create(tmp_path / "store")
    channels = tuple(c for c in full_foil.scan.channels if c.step in steps)
    tiles = full_foil.scan.tiles[:1]
    add_scan(
        store, full_foil, full_foil.scan.model_copy(update={"channels": channels, "tiles": tiles})
    )
    report = find(store, NAME, executor="inline")
    pits = store.runs.pits(report.run)
    assert set(pits["surface"]) >= surfaces
    if surfaces == {"unknown"}:
        assert set(pits["surface"]) == surfaces
        assert pits["partner"].isna().all()
    truth = full_foil.truth()
    truth = truth[truth["tile"] == 1]
    found = match(
        truth[["x_mm", "y_mm"]], pits[["x_mm", "y_mm"]], 6 * MM, rule="nearest"
    ).efficiency
    assert found > 0.8


def test_sixteen_bits_give_the_pits_of_eight(tmp_path, add_scan, full_foil):
    scan = full_foil.scan.model_copy(update={"tiles": full_foil.scan.tiles[:1]})
    found = []
    for dtype, factor in (("uint8", 1), ("uint16", 257)):
        store = Store.create(tmp_path / dtype)
        add_scan(
            store,
            full_foil,
            scan.model_copy(update={"dtype": dtype}),
            lambda stack, d=dtype, f=factor: stack.astype(d) * f,
        )
        found.append(store.runs.pits(find(store, NAME, executor="inline").run))
    eight, sixteen = found
    assert len(eight) > 20
    both = match(eight[["x_px", "y_px"]], sixteen[["x_px", "y_px"]], 1, rule="one-to-one")
    assert both.efficiency > 0.95
    assert abs(len(eight) - len(sixteen)) <= 2


def test_tiles_without_a_place_are_searched_each_for_itself(tmp_path, add_scan, small_foil):
    scan = small_foil.scan
    tiles = tuple(t.model_copy(update={"stage_x_mm": None, "stage_y_mm": None}) for t in scan.tiles)
    store = Store.create(tmp_path / "store")
    montage = scan.model_copy(update={"tiles": tiles, "layout": "montage", "pixel_size_um": None})
    add_scan(store, small_foil, montage)
    report = find(store, NAME, executor="inline")
    pits = store.runs.pits(report.run)
    assert recipe_of(store.scans.get(NAME)).method == "level"
    assert recipe_of(scan).method == "average"
    assert report.counts["merged"] == 0
    assert set(pits["tile"]) == set(range(1, 11))
    assert pits["x_mm"].isna().all()
    assert pits["x_px"].between(-0.5, 127.5).all()
    assert pits["y_px"].between(-0.5, 95.5).all()
    with pytest.raises(BadInput, match="region of interest: expected a scan with positions"):
        find(store, NAME, region=np.eye(3, 2))


@pytest.mark.parametrize("level", [0, 100, 255])
def test_empty_pictures_have_no_pits(tmp_path, add_scan, small_foil, level):
    store = Store.create(tmp_path / "store")
    add_scan(store, small_foil, pixels=lambda stack: np.full_like(stack, level))
    report = find(store, NAME, executor="inline")
    assert (report.pits, report.tiles) == (0, 10)
    pits = store.runs.pits(report.run)
    assert (len(pits), str(pits["partner"].dtype), str(pits["x_px"].dtype)) == (
        0,
        "Int64",
        "float64",
    )
    assert store.check() == []


# What cannot be searched --------------------------------------------------------------------


def _no_position(scan):
    tiles = tuple(t.model_copy(update={"stage_x_mm": None, "stage_y_mm": None}) for t in scan.tiles)
    return scan.model_copy(update={"tiles": tiles})


TRIANGLE = np.array([[0.0, 0], [1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda s: s.model_copy(update={"channels": (*s.channels[:2], s.channels[8])}),
            {},
            "directional channels: expected at least 3 different azimuths, found 2",
        ),
        (_no_position, {"region": TRIANGLE}, "region of interest: expected a scan with positions"),
        (
            lambda s: s.model_copy(update={"pixel_size_um": None}),
            {"region": TRIANGLE},
            "region of interest: expected a scan with positions and a scale",
        ),
        (None, {"region": TRIANGLE[:2]}, "region of interest: expected at least three"),
        (None, {"region": TRIANGLE * np.nan}, "region of interest: expected corners in mm"),
        (None, {"region": TRIANGLE + 500}, "at least one tile.*or choose another region"),
        (None, {"scan": "F9"}, "scan: expected one of the store's scans"),
    ],
)
def test_bad_input_leaves_the_store_as_it_was(
    tmp_path, add_scan, small_foil, take_snapshot, change, options, message
):
    store = Store.create(tmp_path / "store")
    add_scan(store, small_foil, change and change(small_foil.scan))
    before = take_snapshot(store.path)
    with pytest.raises(BadInput, match=message) as caught:
        find(store, **{"scan": NAME, "executor": "inline"} | options)
    assert caught.value.exit_status == 2
    assert take_snapshot(store.path) == before
    assert store.check() == []


@pytest.mark.parametrize("region", [None, TRIANGLE])
def test_everything_excluded_is_refused(small, take_snapshot, region):
    small.scans.exclude("tile > 0", "all of it")
    before = take_snapshot(small.path)
    with pytest.raises(BadInput, match="at least one tile to search, found none"):
        find(small, NAME, region=region)
    assert take_snapshot(small.path) == before


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_damaged_picture_is_named(small, executor):
    find(small, NAME, region=TRIANGLE - 0.3, executor="inline")  # the fits are there already
    shard = small.path / "images" / f"{NAME}.zarr" / "0/c/1/0/0/0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 4] ^= 255
    shard.write_bytes(bytes(content))
    with pytest.raises(BadInput, match=r"c/1/0/0/0: expected an intact shard") as caught:
        find(small, NAME, executor=executor)
    assert "Traceback" not in str(caught.value)
    assert small.runs.latest(NAME) != find_name(small)


def find_name(store):
    """Return the run that a search of the whole scan would be, if it is finished."""
    whole = [r for r in store.runs.table(NAME)["run"] if store.runs.record(r).region_mm is None]
    return functools.reduce(lambda _, r: r, whole, "none")
