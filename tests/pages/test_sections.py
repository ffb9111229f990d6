import numpy as np
import pytest

from etchscope.pages.sections import render_identity, render_left_out


def test_what_was_left_out_is_listed_with_its_reason(make):
    content = make()
    tile = content.scan.tiles[1].model_copy(update={"excluded": True, "excluded_why": "blurred"})
    tiles = (content.scan.tiles[0], tile, *content.scan.tiles[2:])
    scan = content.scan.model_copy(update={"tiles": tiles})
    bad = [{"tile": 9, "file": "R_9/Step_1_1.tga", "why": "truncated"}]
    html = render_left_out(make(scan=scan, left_out=bad))
    assert "<h3>Tiles: 1 excluded, 1 left out when added</h3>" in html
    assert "blurred" in html
    assert "R_9/Step_1_1.tga: truncated" in html


def test_a_long_list_of_tiles_is_cut_and_says_so(make):
    bad = [{"tile": n, "file": "f", "why": "w"} for n in range(250)]
    assert "50 more tiles are not listed." in render_left_out(make(left_out=bad))


def test_regimes_are_counted_by_surface(make):
    pits = make().pits
    pits["regime"] = np.where(pits["pit"] < 60, "low", "high")
    html = render_left_out(make(pits=pits))
    assert "<td>high</td><td>0</td><td>60</td><td>0</td>" in html


@pytest.mark.parametrize("counts", [{}, {"counts": {"raw": 5}}])
def test_the_identity_shows_nested_keys_and_cuts_long_lists(make, counts):
    record = {"config": {"a": {"b": "<1>"}}, "tiles": list(range(20))} | counts
    html = render_identity(make().scan, record)
    assert "config.a.b" in html
    assert "<code>&lt;1&gt;</code>" in html
    assert "(20 in all)" in html
    assert "6 of 64 × 48 px" in html
    assert "raw" not in html
