import re

import numpy as np
import pytest

from etchscope.evaluation import evaluate
from etchscope.foil import BadInput, as_pits
from etchscope.pages.report import write_report

ALL = {"mosaic", "density", "closeups", "features", "shapes", "pairs"}


def _check(page, names):
    """The files are there, no other, none empty; the page stands alone."""
    folder = page.parent
    assert {p.stem for p in folder.glob("*.png")} == names
    assert {p.suffix for p in folder.iterdir()} == {".png", ".html"}
    for png in folder.glob("*.png"):
        assert png.read_bytes().startswith(b"\x89PNG")
        assert png.stat().st_size > 2000
    text = page.read_text(encoding="utf-8")
    outside = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(", outside)
    assert set(re.findall(r'src="([^"]*)"', outside)) <= {""}
    assert text.count("<img ") >= len(names)
    return text


def test_a_whole_report(make, tmp_path):
    pits = make().pits
    e = evaluate(pits, pits, rule="one-to-one", tolerance_px=2, image_size=(48, 64))
    record = {"version": "0.1.0", "counts": {"raw": len(pits) + 4, "merged": 4}}
    content = make(pits=pits, record=record, evaluation=e, breakdowns=("surface",))
    page = write_report(content, tmp_path / "deep" / "report")
    assert page == tmp_path / "deep" / "report" / "report.html"
    text = _check(page, ALL)
    for words in ("Against the truth", "adds up", "First 50 of 60 pairs", "Etchscope 0.1.0"):
        assert words in text


@pytest.fixture(scope="module")
def plain(make, scan_of, tmp_path_factory):
    """The folder of a report of two tiles, whose figures are PNG only."""
    content = make(scan=scan_of(2, 1))
    return write_report(content, tmp_path_factory.mktemp("reports") / "plain").parent


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_the_same_content_gives_the_same_bytes_with_vector_graphics_beside(
    make, scan_of, plain, tmp_path, form
):
    content = make(scan=scan_of(2, 1))
    one, again = (write_report(content, tmp_path / name, form=form).parent for name in "ab")
    for file in plain.iterdir():
        assert file.read_bytes() == (one / file.name).read_bytes(), file.name
    names = {p.stem for p in plain.glob("*.png")}
    assert {p.stem for p in one.glob(f"*.{form}")} == names
    for file in one.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name


def test_no_pit(make, tmp_path):
    text = _check(write_report(make(pits=as_pits({})), tmp_path), {"mosaic", "density"})
    assert "No pit on 6 tiles" in text


def test_one_tile_with_one_pit(make, scan_of, tmp_path):
    pits = as_pits({"tile": [1], "x_px": [5.0], "y_px": [6.0], "surface": ["top"]})
    pits[["entry", "hip"]] = 3.0
    _check(
        write_report(make(scan=scan_of(1, 1), pits=pits), tmp_path),
        {"mosaic", "density", "closeups", "shapes", "features"},
    )


def test_no_scale_and_no_positions_make_a_contact_sheet(make, scan, without_place, tmp_path):
    plain = without_place(scan)
    text = _check(write_report(make(scan=plain), tmp_path), (ALL - {"mosaic"}) | {"contact_sheet"})
    assert "pits per mm²" not in text


def test_a_large_picture_without_positions_has_a_mosaic(make, scan_of, without_place, tmp_path):
    big = without_place(scan_of(1, 1, image_size=(60, 3300)))
    pits = as_pits({"tile": [1, 1], "x_px": [5.0, 3000], "y_px": [6.0, 30]})
    grey = np.random.default_rng(0).integers(0, 255, (60, 3300)).astype(np.uint16)
    content = make(scan=big, pits=pits, thumbnails=lambda n: grey)
    _check(write_report(content, tmp_path), {"mosaic", "density", "closeups", "shapes"})


def test_every_tile_excluded(make, scan, tmp_path):
    tiles = tuple(t.model_copy(update={"excluded": True}) for t in scan.tiles)
    none = scan.model_copy(update={"tiles": tiles})
    text = _check(write_report(make(scan=none, pits=as_pits({})), tmp_path), {"mosaic", "density"})
    assert "6 excluded" in text


def test_a_single_channel_without_surfaces_or_shapes(make, scan, tmp_path):
    pits = as_pits({"tile": [1, 2], "x_px": [5.0, 9], "y_px": [6.0, 9], "surface": ["unknown"] * 2})
    text = _check(
        write_report(make(pits=pits), tmp_path),
        {"mosaic", "density", "closeups", "shapes"},
    )
    assert "2 unknown" in text


def test_a_name_cannot_break_the_page(make, tmp_path):
    bad = [{"tile": 1, "file": "<script>alert(1)</script>", "why": "&"}]
    _check(write_report(make(left_out=bad), tmp_path), ALL)


def test_a_file_in_the_way_is_named(make, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BadInput, match="out: expected a folder for the report, found a file"):
        write_report(make(), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
