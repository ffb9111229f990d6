import signal
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.processes import run_code
from tests.store.conftest import make

from etchscope.foil import BadInput, DamagedFile, NameTaken
from etchscope.store import Store, TilePictures, WhiteSpace
from etchscope.store.compressing import tile_digest

NAME = "F1-front"


def kept_of(number: int) -> np.ndarray:
    """The pixels of a tile that stay; all of tile 3."""
    kept = np.zeros((12, 16), bool)
    kept[:, : 16 if number == 3 else number % 5] = True
    return kept


def clear(number: int, raw: np.ndarray) -> tuple[np.ndarray, int]:
    kept = kept_of(number)
    return np.where(kept, raw, number).astype(raw.dtype), int(kept.sum())


HOW = WhiteSpace("find-1", 24.0, clear, workers=2)


class Stopped(BaseException):
    pass


def stop_after(calls: int):
    """The same, but it is killed at a call."""
    done = []

    def cleared(number: int, raw: np.ndarray) -> tuple[np.ndarray, int]:
        done.append(number)
        if len(done) > calls:
            raise Stopped
        return clear(number, raw)

    return replace(HOW, replace=cleared, workers=1)


def pixels_of(store: Store) -> dict[int, np.ndarray]:
    return {n: store.scans.read_tile(NAME, n) for n in range(1, 12)}


def shards_of(store: Store) -> dict[str, bytes]:
    root = store.path / "images"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_white_space_goes_and_the_rest_stays(store, made):
    before = shards_of(store)
    done = store.compressions.compress(NAME, HOW)
    kept_px = sum(int(kept_of(n).sum()) for n in range(1, 12))
    assert done.is_done
    assert done.tiles == 10  # not tile 3
    assert done.kept_share == pytest.approx(kept_px / (11 * 12 * 16))
    after = shards_of(store)
    sizes = [sum(len(v) for k, v in x.items() if "/c/" in k) for x in (before, after)]
    assert [done.compression.bytes_before, done.compression.bytes_after] == sizes
    assert sizes[1] < 0.7 * sizes[0]
    for number, pixels in pixels_of(store).items():
        kept = kept_of(number)
        np.testing.assert_array_equal(pixels[:, kept], made.pixels[number - 1][:, kept])
        assert (pixels[:, ~kept] == number).all()
    assert store.check() == []
    assert Store.migrate(store.path).scans == ()
    row = store.scans.table().iloc[0]
    assert (row["compressed"], row["saved_bytes"]) == (10, sizes[0] - sizes[1])
    assert row["kept_share"] == done.kept_share


def test_a_second_time_changes_nothing(store, take_snapshot):
    first = store.compressions.compress(NAME, HOW)
    before = take_snapshot(store.path)
    assert store.compressions.compress(NAME, HOW) == first
    assert take_snapshot(store.path) == before
    with pytest.raises(BadInput, match="run find-1 and a margin of 24 px, as before, found run f"):
        store.compressions.compress(NAME, replace(HOW, margin_px=8.0))
    assert take_snapshot(store.path) == before


def test_adding_the_scan_again_restores_every_byte(store, made, take_snapshot):
    before = take_snapshot(store.path)
    assert not store.scans.add(made.scan, made.foil, made.read).is_restored
    store.compressions.compress(NAME, HOW)
    assert take_snapshot(store.path) != before
    added = store.scans.add(made.scan, made.foil, made.read)
    assert (added.is_new, added.is_restored) == (False, True)
    assert take_snapshot(store.path) == before
    assert store.compressions.of(NAME) is None


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 30), st.sampled_from(["uint8", "uint16"]), st.sets(st.integers(1, 11)))
def test_any_scan_is_restored_after_any_kill(tmp_path_factory, calls, dtype, bad):
    store = Store.create(tmp_path_factory.mktemp("any") / "store")
    made = make(dtype=dtype, seed=calls)
    made = replace(made, scan=made.scan.model_copy(update={"datum": ()}))
    bad = set(sorted(bad)[:9])
    how = {"skip_bad": True}
    store.scans.add(made.scan, made.foil, made.read_but(*bad), **how)
    before = shards_of(store)
    if calls < 22 - 2 * len(bad):
        with pytest.raises(Stopped):
            store.compressions.compress(NAME, stop_after(calls))
    assert [f for f in store.check() if f.severity == "damaged"] == []
    store.compressions.compress(NAME, HOW)
    assert store.check() == []
    store.scans.add(made.scan, made.foil, made.read_but(*bad), **how)
    assert shards_of(store) == before
    assert store.check() == []


def test_a_kill_between_shards_leaves_both_forms_and_either_way_goes_on(store, made):
    before = pixels_of(store)
    with pytest.raises(Stopped):  # all tiles are surveyed, and then 8 of the first shard
        store.compressions.compress(NAME, stop_after(11 + 8))
    states = [np.array_equal(p, before[n]) for n, p in pixels_of(store).items()]
    assert states == [n in (3, 9, 10, 11) for n in range(1, 12)]
    (finding,) = store.check()
    assert (finding.severity, finding.what) == ("leftover", f"scan {NAME}")
    assert "of 10 tiles to compress 3 are as they were added" in finding.detail
    store.scans.add(made.scan, made.foil, made.read)
    assert all(np.array_equal(p, before[n]) for n, p in pixels_of(store).items())
    assert store.check() == []


KILLED = """
import os, signal
from tests.store.test_compression import HOW, NAME
from etchscope.store import Store
from etchscope.store.pictures import PictureArray

pack, calls = PictureArray.pack, []
def stop(array, file, tiles, **how):
    pack(array, file, tiles, **how)
    calls.append(file)
    if len(calls) == {at}:  # two shards are surveyed, then two are written
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
PictureArray.pack = stop
Store.open({path!r}).compressions.compress(NAME, HOW)
"""


@pytest.mark.parametrize("at", [3, 4])
def test_the_same_command_finishes_what_a_kill_interrupted(store, take_snapshot, tmp_path, at):
    twin = Store.create(tmp_path / "twin" / "store")
    made = make()
    twin.scans.add(made.scan, made.foil, made.read)
    twin.compressions.compress(NAME, HOW)
    assert run_code(KILLED.format(path=str(store.path), at=at)) == -signal.SIGKILL
    assert {f.severity for f in store.check()} == {"leftover"}
    store.compressions.compress(NAME, HOW)
    assert store.check() == []
    assert take_snapshot(store.path) == take_snapshot(twin.path)


def test_another_source_restores_nothing(store, made, take_snapshot):
    store.compressions.compress(NAME, HOW)
    before = take_snapshot(store.path)
    other = made.pixels.copy()
    other[4, 1, 2, 3] ^= 1
    with pytest.raises(NameTaken, match="another content"):
        store.scans.add(made.scan, made.foil, replace(made, pixels=other).read)
    assert take_snapshot(store.path) == before


def test_a_source_that_changes_while_it_is_read_restores_no_wrong_tile(store, made):
    store.compressions.compress(NAME, HOW)
    reads: dict[int, int] = {}

    def read(number: int) -> TilePictures:
        reads[number] = reads.get(number, 0) + 1
        tile = made.read(number)
        return replace(tile, pixels=tile.pixels ^ 1) if reads[number] > 1 and number > 8 else tile

    with pytest.raises(DamagedFile, match="tile 9: expected pictures as they were added"):
        store.scans.add(made.scan, made.foil, read, workers=1)
    assert {f.severity for f in store.check()} == {"leftover"}
    store.scans.add(made.scan, made.foil, made.read)
    assert store.check() == []


def test_pixels_that_are_neither_are_damage(store, made):
    store.compressions.compress(NAME, HOW)
    array = store.scans._array(NAME)[0]
    tiles = [array.read(place) for place in array.shards[1]]
    tiles[0] = tiles[0] ^ 1
    array.replace(array.shards[1], tiles)
    found = store.check()
    assert {(f.severity, f.what) for f in found} == {
        ("damaged", f"scan {NAME}, tile 9, step {s}") for s in (1, 2, 9)
    }
    with pytest.raises(DamagedFile, match="tile 9"):
        store.compressions.compress(NAME, HOW)


def test_damaged_pictures_are_not_compressed(store, take_snapshot):
    array = store.scans._array(NAME)[0]
    tiles = [array.read(place) for place in array.shards[1]]
    tiles[1] = tiles[1] ^ 1
    array.replace(array.shards[1], tiles)
    before = take_snapshot(store.path)
    with pytest.raises(DamagedFile, match="tile 10: expected pictures as they were added"):
        store.compressions.compress(NAME, HOW)
    assert take_snapshot(store.path) == before


def test_a_tile_that_was_flat_before_is_no_unfinished_work(empty, made):
    flat = made.pixels.copy()
    flat[4] = 5
    flat_made = replace(made, pixels=flat)
    empty.scans.add(made.scan, made.foil, flat_made.read)
    assert empty.compressions.compress(NAME, HOW).tiles == 9
    assert empty.check() == []


def test_too_little_to_save_changes_nothing(store, take_snapshot):
    before = take_snapshot(store.path)

    def little(number: int, raw: np.ndarray) -> tuple[np.ndarray, int]:
        out = raw.copy()
        out[:, :2] = number
        return out, 10 * 16

    done = store.compressions.compress(NAME, replace(HOW, replace=little))
    assert (done.is_done, done.tiles) == (False, 0)
    assert done.compression.bytes_after < done.compression.bytes_before
    assert take_snapshot(store.path) == before


def test_other_results_of_the_same_tile_are_refused(store):
    with pytest.raises(Stopped):
        store.compressions.compress(NAME, stop_after(11 + 8))

    def other(number: int, raw: np.ndarray) -> tuple[np.ndarray, int]:
        return clear(number + 5, raw)

    with pytest.raises(BadInput, match="tile 9: expected the compressed form of before"):
        store.compressions.compress(NAME, replace(HOW, replace=other))


def test_single_tiles_of_it_are_not_removed_but_all_of_it_is(store, take_snapshot):
    store.compressions.compress(NAME, HOW)
    before = take_snapshot(store.path)
    with pytest.raises(BadInput, match="Add the scan again first"):
        store.scans.remove("tile = 8")
    assert take_snapshot(store.path) == before
    store.scans.remove(f"scan = '{NAME}'")
    assert store.compressions.of(NAME) is None
    assert store.check() == []


def test_what_needs_noise_refuses_it_in_one_line(store):
    store.compressions.refuse(NAME, "injection")
    store.compressions.compress(NAME, HOW)
    with pytest.raises(BadInput, match=r"injection: expected pictures as they were added"):
        store.compressions.refuse(NAME, "injection")


def test_pictures_on_an_object_store_are_compressed_and_restored(tmp_path, made, s3):
    store = Store.create(tmp_path / "store", pictures="s3://foils/plate7")
    store.scans.add(made.scan, made.foil, made.read)
    before = {key: bytes(value) for key, value in s3.objects.items()}
    done = store.compressions.compress(NAME, HOW)
    sizes = {key: len(value) for key, value in s3.objects.items() if "/c/" in key}
    assert done.compression.bytes_after == sum(sizes.values())
    assert store.check() == []
    store.scans.add(made.scan, made.foil, made.read)
    assert {key: bytes(value) for key, value in s3.objects.items()} == before


def test_the_digest_of_a_tile_knows_its_lights_apart():
    tile = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert tile_digest(tile) != tile_digest(tile[::-1])
    assert tile_digest(tile) == tile_digest(tile.copy())
