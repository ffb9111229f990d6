import shutil
from pathlib import Path

import numpy as np
import pytest

from etchscope.foil import BadInput, as_pits
from etchscope.store import Finding, FindRecord, Store
from etchscope.store.fit_records import MaskFit


@pytest.fixture
def full(store: Store) -> Store:
    """A store with a run and a fit."""
    record = FindRecord(stage="find", version="0.1.0", scan="F1-front", tiles=(1,))
    store.runs.commit("r1", as_pits({"x_px": [1.0], "y_px": [2.0]}), record)
    store.fits.save("F1-front", "recipe", {"gain": np.ones(3)}, MaskFit(mask=None))
    return store


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(bytes(data))


def test_a_sound_store_has_no_finding_and_reports_every_tile(full, take_snapshot):
    before, done = take_snapshot(full.path), []
    assert full.check(progress=done.append) == []
    assert sum(done) == 11
    assert take_snapshot(full.path) == before


@pytest.mark.parametrize("where", [0.1, 0.5, 0.999])
def test_a_flipped_bit_in_a_shard_names_scan_and_tile(full, where):
    shard = full.path / "images/F1-front.zarr/0/c/1/0/0/0"
    flip(shard, int(where * shard.stat().st_size))
    findings = full.check()
    assert {f.severity for f in findings} == {"damaged"}
    # tiles 9 to 11 lie in the second shard; the index at its end is needed for all of them
    assert {f.what for f in findings} <= {f"scan F1-front, tile {n}" for n in (9, 10, 11)}
    assert len(findings) == (3 if where == 0.999 else 1)
    assert str(shard) in findings[0].detail


def test_other_pixels_behind_a_right_checksum_name_the_step(full, made):
    other = made.pixels[8:11].copy()
    other[1, 2, 0, 0] ^= 1
    full.scans._array("F1-front")[0].write(range(8, 11), other)
    what = "scan F1-front, tile 10, step 9"
    assert full.check() == [Finding("damaged", what, "pixels are not as they were added")]


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("images/F1-front.zarr/0/c/0/0/0/0", "scan F1-front, tile 1"),
        ("images/F1-front.zarr/zarr.json", "scan F1-front"),
        ("runs/r1/pits.parquet", "run r1"),
        ("runs/r1/record.json", "run r1"),
        ("fits", "fit of scan F1-front, recipe recipe"),
    ],
)
@pytest.mark.parametrize("how", ["missing", "flipped"])
def test_a_missing_or_changed_file_is_named(full, file, what, how):
    path = full.path / file
    path = next(path.iterdir()) if path.is_dir() else path
    if how == "missing":
        path.unlink()
    else:
        flip(path, path.stat().st_size // 20)
    findings = full.check()
    assert findings[0].severity == "damaged"
    assert findings[0].what == what
    assert "missing" in findings[0].detail or str(full.path) in findings[0].detail


def test_exclusion_is_no_damage(full):
    full.scans.exclude("tile < 4", "dust")
    assert full.check() == []


def test_missing_pictures_and_run_folders_are_named(full):
    shutil.rmtree(full.path / "images/F1-front.zarr")
    shutil.rmtree(full.path / "runs/r1")
    assert {f.what for f in full.check()} == {"scan F1-front", "run r1"}


def test_rows_that_were_changed_are_damage(full):
    with full._catalogue.writing() as session:
        session.connection().exec_driver_sql("UPDATE tile SET stage_x_mm = 7.0 WHERE number = 3")
    detail = "its rows do not match their digest"
    assert full.check() == [Finding("damaged", "catalogue: scan F1-front", detail)]


@pytest.mark.parametrize(
    "file",
    [
        "images/.F9-front.zarr.partial/zarr.json",
        "images/F9-front.zarr/zarr.json",
        "images/F1-front.zarr/0/c/0/notes",
        "runs/.r2.partial/part-00000.parquet",
        "runs/r1/notes.txt",
        "fits/F1-front-0.npz",
    ],
)
def test_what_does_not_belong_there_is_a_leftover(full, file):
    path = full.path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    findings = full.check()
    assert [f.severity for f in findings] == ["leftover"]


def test_the_next_addition_cleans_the_pictures(full, make_scan):
    for name in (".F9-front.zarr.partial", "F9-front.zarr"):
        (full.path / "images" / name).mkdir()
    assert len(full.check()) == 2
    other = make_scan("F2-front")
    full.scans.add(other.scan, other.foil, other.read)
    assert full.check() == []


@pytest.mark.sqlite
def test_a_destroyed_catalogue_is_a_finding(full):
    path = full.path / "catalogue.sqlite"
    path.write_bytes(path.read_bytes()[:8192] + b"\xff" * 60000)
    findings = full.check()
    assert findings[0].severity == "damaged"
    assert "catalogue" in findings[0].what


@pytest.mark.sqlite
def test_a_flipped_bit_in_the_catalogue_is_a_finding_or_nothing(full):
    path, rng = full.path / "catalogue.sqlite", np.random.default_rng(0)
    data, damaged = path.read_bytes(), 0
    used = np.flatnonzero(np.frombuffer(data, np.uint8))  # most of the file is empty
    for at in rng.choice(used, 150, replace=False):
        flip(path, int(at))
        try:
            findings = Store.open(full.path).check()
        except BadInput as error:
            damaged += "catalogue.sqlite" in str(error)
        else:
            damaged += any(f.severity == "damaged" for f in findings)
        path.write_bytes(data)
    assert damaged > 50
