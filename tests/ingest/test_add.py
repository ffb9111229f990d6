import hashlib
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.ingest import Overrides, add_scan
from etchscope.store import Store

TASL = Path(__file__).parents[3] / "shared/data/tasl/00000.bmp"
APATITE = Path(__file__).parents[3] / "shared/data/apatite"


def content(root: Path) -> dict[str, str]:
    files = {str(p): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    digests = {k: hashlib.sha256(v).hexdigest() for k, v in files.items()}
    connection = sqlite3.connect(root / "catalogue.sqlite")
    try:
        return digests | {"dump": "\n".join(connection.iterdump())}
    finally:
        connection.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store")


def test_a_scan_directory_goes_in_and_again_changes_nothing(store, write_scan, pixels):
    root = write_scan(tiles=10)
    done: list[int] = []
    totals: list[int] = []
    added = add_scan(store, root, progress=done.append, total=totals.append)
    assert (added.scan, added.tiles, added.is_new) == ("F1-front", 10, True)
    assert (sum(done), totals) == (10, [10])
    for tile in range(1, 11):
        expected = np.stack([pixels(tile, step) for step in (1, 2, 9)])
        np.testing.assert_array_equal(store.scans.read_tile("F1-front", tile), expected)
    before = content(store.path)
    assert not add_scan(store, root).is_new
    assert content(store.path) == before
    assert store.check() == []


def test_both_sides_of_a_foil(store, write_scan):
    add_scan(store, write_scan(name="a", thickness_um=500.0))
    add_scan(store, write_scan(name="b", side="back"))
    assert store.scans.names() == ["F1-back", "F1-front"]
    assert [f.thickness_um for f in store.scans.foils()] == [500.0]


def damage(root: Path, tile: int) -> Path:
    path = root / f"R1_{tile:04d}_x/Step_2_1.tga"
    path.write_bytes(path.read_bytes()[:60])
    return path


def test_a_damaged_picture_leaves_the_store_as_it_was(store, write_scan):
    add_scan(store, write_scan(name="good"))
    root = write_scan(tiles=10, name="bad", foil="F2")
    path = damage(root, 9)
    before = content(store.path)
    with pytest.raises(BadInput, match=re.escape(f"{path}: expected an intact picture")):
        add_scan(store, root, workers=2)
    assert content(store.path) == before
    assert store.check() == []


def test_bad_tiles_are_left_out_listed_and_the_rest_goes_in(store, write_scan, pixels):
    root = write_scan(tiles=10)
    path = damage(root, 9)
    (root / "R1_0005_x/Step_9_1.tga").unlink()
    added = add_scan(store, root, skip_bad=True)
    assert added.tiles == 8
    assert [(x.tile, x.file) for x in store.scans.left_out("F1-front")] == [
        (5, str(root / "R1_0005_x")),
        (9, str(path)),
    ]
    assert store.scans.left_out("F1-front") == list(added.left_out)
    assert [t.number for t in store.scans.get("F1-front").tiles] == [1, 2, 3, 4, 6, 7, 8, 10]
    expected = np.stack([pixels(10, step) for step in (1, 2, 9)])
    np.testing.assert_array_equal(store.scans.read_tile("F1-front", 10), expected)
    assert store.check() == []
    assert not add_scan(store, root, skip_bad=True).is_new


def test_all_tiles_bad_is_an_error(store, write_scan):
    root = write_scan(datum=None)
    for tile in range(1, 5):
        damage(root, tile)
        (root / f"R1_{tile:04d}_x/Step_1_1.tga").write_bytes(b"")
    before = content(store.path)
    with pytest.raises(BadInput, match="an empty file"):
        add_scan(store, root, skip_bad=True)
    assert content(store.path) == before


@pytest.mark.real_data
@pytest.mark.skipif(not TASL.is_file(), reason=f"no {TASL}")
def test_the_real_montage(store):
    added = add_scan(store, TASL, overrides=Overrides(layout="montage", rows=9, columns=12))
    assert (added.scan, added.tiles) == ("00000-front", 108)
    scan = store.scans.get("00000-front")
    assert scan.image_size == (63, 63)
    # each cell is centred on a dark disc that the scanner accepted
    centre = [store.scans.read_tile(scan.name, n)[0, 26:37, 26:37].mean() for n in range(1, 109)]
    whole = [store.scans.read_tile(scan.name, n)[0].mean() for n in range(1, 109)]
    assert np.mean(np.array(centre) < np.array(whole)) > 0.95
    assert store.check() == []


@pytest.mark.real_data
@pytest.mark.skipif(not APATITE.is_dir(), reason=f"no {APATITE}")
def test_real_plain_pictures(store):
    paths = sorted(APATITE.glob("BC-04*.jpg"))
    added = add_scan(store, paths, overrides=Overrides(foil="BC-04"))
    assert (added.scan, added.tiles) == ("BC-04-front", len(paths))
    assert store.scans.get("BC-04-front").image_size == (804, 804)
    assert store.scans.tiles()["file"].tolist() == [p.name for p in paths]
