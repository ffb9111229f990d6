import numpy as np
import pytest

from etchscope.foil import BadInput, Foil, Tile
from etchscope.pages.gather import gather_content, make_thumbnail
from etchscope.store import FindRecord, LeftOut, Store, TilePictures


@pytest.fixture
def store(tmp_path, scan):
    made = Store.create(tmp_path / "store")
    pixels = np.arange(48 * 64, dtype=np.uint8).reshape(1, 48, 64)
    made.scans.add(
        scan,
        Foil(name="F1"),
        lambda n: TilePictures(pixels + np.uint8(n), ("a.tga",)),
        left_out=[LeftOut(9, "R_9", "truncated")],
    )
    return made


def test_the_content_is_what_the_run_left(store, scan, pits_of):
    pits = pits_of(scan).assign(run="R1")
    known = {"version": "0.1.0", "scan": scan.name, "tiles": (1,), "counts": {"raw": 120}}
    record = FindRecord(stage="find", **known)
    store.runs.commit("R1", pits, record)
    content = gather_content(store, "R1")
    assert content.pits.equals(store.runs.pits("R1"))
    assert content.scan == store.scans.get(scan.name)
    assert content.record == {"run": "R1", **record.as_dict()}
    assert content.left_out == [{"tile": 9, "file": "R_9", "why": "truncated"}]
    np.testing.assert_array_equal(content.thumbnails(4), store.scans.read_tile(scan.name, 4)[0])


def test_an_unknown_run_is_named(store):
    with pytest.raises(BadInput, match=r"run: expected one of .* \(none\), found 'R9'"):
        gather_content(store, "R9")


def test_the_thumbnail_is_the_backlit_picture_or_the_mean(scan_of):
    stack = np.random.default_rng(0).integers(0, 255, (2, 48, 64)).astype(np.uint8)
    lamp = {"step": 1, "role": "directional", "azimuth_deg": 0.0}
    both = scan_of(channels=(lamp, {"step": 9, "role": "backlit"}), tiles=(Tile(number=1),))
    np.testing.assert_array_equal(make_thumbnail(both, stack), stack[1])
    dark = scan_of(channels=(lamp, lamp | {"step": 2}))
    np.testing.assert_allclose(make_thumbnail(dark, stack), stack.mean(axis=0), rtol=1e-6)
