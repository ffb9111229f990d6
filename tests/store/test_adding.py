import errno
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.processes import run_code

from etchscope.foil import BadInput, MachineFailed, NameTaken
from etchscope.store import LeftOut, Store, TilePictures, adding
from etchscope.store.catalogue import Catalogue


def test_the_identical_scan_again_changes_nothing(store, made, take_snapshot):
    before = take_snapshot(store.path)
    added = store.scans.add(made.scan, made.foil, made.read)
    assert (added.is_new, added.tiles) == (False, 11)
    assert take_snapshot(store.path) == before
    store.scans.exclude("tile = 3", "dust")  # exclusion is not content
    assert not store.scans.add(made.scan, made.foil, made.read).is_new
    assert store.scans.tiles("excluded")["tile"].tolist() == [3]


def test_the_digest_is_that_of_the_rows(empty, made):
    tiles = tuple(t.model_copy(update={"stage_x_mm": -0.0}) for t in made.scan.tiles)
    scan = made.scan.model_copy(update={"tiles": tiles, "pixel_size_um": 6})
    empty.scans.add(scan, made.foil, made.read)
    assert empty.check() == []
    assert not empty.scans.add(scan, made.foil, made.read).is_new


@pytest.mark.parametrize("change", ["pixel", "optics", "tiles", "metadata"])
def test_another_content_under_the_name_is_refused(store, made, make_scan, take_snapshot, change):
    before = take_snapshot(store.path)
    other = make_scan()
    scan = other.scan
    if change == "pixel":
        other.pixels[10, 2, 11, 15] ^= 1
    elif change == "optics":
        scan = scan.model_copy(update={"gradient_sign": -1})
    elif change == "tiles":
        scan = scan.model_copy(update={"tiles": scan.tiles[:-1]})
    else:
        tile = scan.tiles[4].model_copy(update={"metadata": {"exposure_ms": 9.0}})
        scan = scan.model_copy(update={"tiles": (*scan.tiles[:4], tile, *scan.tiles[5:])})
    with pytest.raises(NameTaken, match=r"scan F1-front: .*another content"):
        store.scans.add(scan, other.foil, other.read)
    assert take_snapshot(store.path) == before


def test_a_refused_addition_changes_no_foil(empty, made, make_scan, take_snapshot):
    empty.scans.add(made.scan, made.foil.model_copy(update={"thickness_um": None}), made.read)
    before = take_snapshot(empty.path)
    other = make_scan(seed=2)
    with pytest.raises(NameTaken, match="another content"):
        empty.scans.add(other.scan, other.foil.model_copy(update={"thickness_um": 123}), other.read)
    assert take_snapshot(empty.path) == before
    thick = made.foil.model_copy(update={"thickness_um": 500})
    assert not empty.scans.add(made.scan, thick, made.read).is_new
    assert empty.scans.foils()[0].thickness_um == 500


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MachineFailed("no connection")])
def test_an_error_after_the_commit_leaves_the_pictures(empty, made, after_next_commit, error):
    def fail() -> None:
        raise error

    after_next_commit(fail)
    with pytest.raises(type(error)):
        empty.scans.add(made.scan, made.foil, made.read)
    assert empty.check() == []
    np.testing.assert_array_equal(empty.scans.read_tile("F1-front", 4), made.pixels[3])


def test_pictures_stay_while_nobody_knows_whether_they_were_committed(
    empty, made, make_scan, monkeypatch
):
    def fail(*_: object, **__: object) -> None:
        monkeypatch.setattr(Catalogue, "writing", fail)
        raise MachineFailed("no connection")

    with monkeypatch.context() as failing:
        failing.setattr(adding, "put_scan", fail)  # rolls back
        with pytest.raises(MachineFailed, match="no connection"):
            empty.scans.add(made.scan, made.foil, made.read)
    monkeypatch.undo()
    assert [f.severity for f in empty.check()] == ["leftover"]
    other = make_scan("F2-front")
    empty.scans.add(other.scan, other.foil, other.read)
    assert empty.check() == []


def test_any_number_of_workers_gives_the_same_bytes(tmp_path, made, take_snapshot):
    found = []
    for workers in (1, 3):
        store = Store.create(tmp_path / str(workers))
        store.scans.add(made.scan, made.foil, made.read, workers=workers)
        found.append(take_snapshot(store.path))
    assert found[0] == found[1]


def test_a_bad_tile_leaves_the_store_as_it_was(empty, made, take_snapshot):
    before = take_snapshot(empty.path)
    with pytest.raises(BadInput, match=r"4_1\.tga: .*damage"):
        empty.scans.add(made.scan, made.foil, made.read_but(10, 4), workers=3)
    assert take_snapshot(empty.path) == before
    assert empty.check() == []
    assert empty.scans.add(made.scan, made.foil, made.read).is_new


def test_skipped_tiles_are_listed_and_the_rest_goes_on(empty, made):
    before = LeftOut(99, "99_1.tga", "no picture")
    reads: list[int] = []
    added = empty.scans.add(
        made.scan,
        made.foil,
        made.read_but(4, 10),
        left_out=[before],
        skip_bad=True,
        progress=reads.append,
    )
    why = "expected an intact picture, found damage"
    listed = [LeftOut(4, "4_1.tga", why), LeftOut(10, "10_1.tga", why), before]
    assert list(added.left_out) == listed == empty.scans.left_out("F1-front")
    assert (added.tiles, sum(reads)) == (9, 11)
    numbers = [t.number for t in empty.scans.get("F1-front").tiles]
    assert numbers == [1, 2, 3, 5, 6, 7, 8, 9, 11]
    for number in numbers:
        np.testing.assert_array_equal(
            empty.scans.read_tile("F1-front", number), made.pixels[number - 1]
        )
    with pytest.raises(BadInput, match="found tile 4"):
        empty.scans.read_tile("F1-front", 4)
    assert empty.check() == []
    again = empty.scans.add(
        made.scan, made.foil, made.read_but(4, 10), left_out=[before], skip_bad=True
    )
    assert not again.is_new


def test_all_tiles_bad_is_an_error(empty, made, take_snapshot):
    before = take_snapshot(empty.path)
    with pytest.raises(BadInput, match="at least one good tile in the scan"):
        empty.scans.add(made.scan, made.foil, made.read_but(*range(1, 12)), skip_bad=True)
    assert take_snapshot(empty.path) == before


def test_a_tile_with_a_datum_hole_cannot_be_left_out(empty, made):
    with pytest.raises(BadInput, match="scan F1-front: tile 5: expected the tiles of all datum"):
        empty.scans.add(made.scan, made.foil, made.read_but(5), skip_bad=True)


@pytest.mark.parametrize("pixels", [np.zeros((3, 12, 15), "u1"), np.zeros((3, 12, 16), "u2")])
def test_a_tile_of_another_shape_or_depth_is_refused(empty, made, pixels):
    with pytest.raises(BadInput, match=r"x\.tga: expected \(3, 12, 16\) pictures of uint8"):
        empty.scans.add(made.scan, made.foil, lambda _: TilePictures(pixels, ("x.tga",) * 3))


def test_two_scans_of_a_foil_complete_it_but_may_not_contradict(store, make_scan, take_snapshot):
    back = make_scan("F1-back", seed=2)
    foil = back.foil.model_copy(update={"thickness_um": None, "material": "CR-39"})
    store.scans.add(back.scan, foil, back.read)
    known = store.scans.foils()[0]
    assert (known.thickness_um, known.material) == (500.0, "CR-39")
    before = take_snapshot(store.path)
    third = back.scan.model_copy(update={"name": "F1-third"})
    wrong = foil.model_copy(update={"thickness_um": 501.0})
    with pytest.raises(BadInput, match=r"foil F1: thickness_um: expected 500\.0 as before"):
        store.scans.add(third, wrong, back.read)
    assert take_snapshot(store.path) == before


def test_a_full_disk_while_pixels_are_written(empty, made, take_snapshot, monkeypatch):
    before = take_snapshot(empty.path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(adding.PictureArray, "write", full)
    with pytest.raises(MachineFailed, match="adding scan F1-front: No space left on device"):
        empty.scans.add(made.scan, made.foil, made.read)
    monkeypatch.undo()
    assert take_snapshot(empty.path) == before
    assert empty.check() == []


@pytest.mark.sqlite
def test_a_full_disk_while_the_catalogue_is_written(empty, made, take_snapshot, monkeypatch):
    before = take_snapshot(empty.path)
    real = adding.put_scan

    def full(session, *args: object, **kwargs: object) -> None:
        pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar()
        session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        real(session, *args, **kwargs)

    monkeypatch.setattr(adding, "put_scan", full)
    made.scan.metadata["long"] = "x" * 100_000
    with pytest.raises(MachineFailed, match="database or disk is full"):
        empty.scans.add(made.scan, made.foil, made.read)
    monkeypatch.undo()
    assert take_snapshot(empty.path) == before
    assert empty.check() == []


_LIMITED = """
import resource, sys
sys.path.insert(0, {here!r})
from conftest import make
from etchscope.foil import MachineFailed
from etchscope.store import Store
store, made = Store.open({path!r}), make()
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
try:
    store.scans.add(made.scan, made.foil, made.read, workers=2)
except MachineFailed as error:
    print("MachineFailed", error)
"""


@pytest.mark.slow
def test_a_real_write_error_of_the_system(empty, take_snapshot):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    before = take_snapshot(empty.path)
    code = _LIMITED.format(here=str(Path(__file__).parent), path=str(empty.path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MachineFailed adding scan F1-front: File too large"), done
    assert take_snapshot(empty.path) == before
    assert empty.check() == []


_KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from conftest import make
from etchscope.store import Store, adding, places
moment, made = {moment!r}, make()
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
def read(number):
    return die() if moment == "reading" and number == 10 else made.read(number)
if moment == "flushing": places.sync_tree = die
if moment == "renaming": places.sync_path = die
if moment == "catalogue":
    real = adding.put_scan
    adding.put_scan = lambda session, *a, **k: (real(session, *a, **k), session.flush(), die())
Store.open({path!r}).scans.add(made.scan, made.foil, read, workers=2)
if moment == "after": die()
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["reading", "flushing", "renaming", "catalogue", "after"])
def test_kill_and_repeat_is_as_if_undisturbed(tmp_path, made, take_snapshot, moment):
    calm, killed = Store.create(tmp_path / "calm"), Store.create(tmp_path / "killed")
    calm.scans.add(made.scan, made.foil, made.read)
    here = str(Path(__file__).parent)
    code = _KILLED.format(here=here, moment=moment, path=str(killed.path))
    assert run_code(code) == -signal.SIGKILL
    findings = killed.check()
    assert {f.severity for f in findings} <= {"leftover"}
    assert bool(findings) == (moment != "after")
    assert killed.scans.names() == (["F1-front"] if moment == "after" else [])
    killed.scans.add(made.scan, made.foil, made.read)
    assert killed.check() == []
    assert take_snapshot(killed.path) == take_snapshot(calm.path)
