import re

import numpy as np
import pandas as pd
import pytest
from tests.run.conftest import SMALL

import etchscope as es
from etchscope.cli.app import main
from etchscope.foil import BadInput, NotSearched
from etchscope.geometry import Mask
from etchscope.imaging.whitespace import near_openings
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.run.compression import compress
from etchscope.run.stages.finding import plan_search

CLASSICAL = FindSettings(finder="classical")
NAME = SMALL.scan.name


@pytest.fixture(scope="session")
def _found(_small, tmp_path_factory):
    import shutil

    from etchscope.store import Store

    store = Store.open(shutil.copytree(_small.path, tmp_path_factory.mktemp("found") / "store"))
    find(store, NAME, settings=CLASSICAL)
    return store


@pytest.fixture
def found(_found, tmp_path):
    """A store of its own with the small scan and a search of it."""
    import shutil

    from etchscope.store import Store

    return Store.open(shutil.copytree(_found.path, tmp_path / "found"))


def test_pixels_near_openings_and_marks_stay(found):
    before = {t.number: found.scans.read_tile(NAME, t.number) for t in SMALL.scan.tiles}
    run = found.runs.latest(NAME)
    pits = found.runs.pits(run)
    done = compress(found, NAME, margin_px=4.0)
    assert done.is_done
    assert 0.05 < done.kept_share < 0.75
    kept_px = 0
    for number, raw in before.items():
        near = near_openings(pits[pits["tile"] == number], raw.shape[1:], 4.0)
        pixels = found.scans.read_tile(NAME, number)
        np.testing.assert_array_equal(pixels[:, near], raw[:, near])
        assert (pixels != raw)[:, ~near].mean() > 0.3
        kept_px += near.sum()
    assert done.kept_share == pytest.approx(kept_px / (10 * 96 * 128))
    assert found.check() == []


def test_the_same_search_is_not_done_again_but_another_one_says_what_it_read(found):
    run = found.runs.latest(NAME)
    compress(found, NAME, margin_px=4.0)
    again = find(found, NAME, settings=CLASSICAL)
    assert (again.run, again.was_done) == (run, True)
    found.runs.remove([run])
    other = find(found, NAME, settings=CLASSICAL)
    record = found.runs.record(other.run)
    assert other.run != run
    assert record.compressed == found.compressions.of(NAME).digest
    assert record.scan_digest == found.scans.digest(NAME)


def test_constants_are_not_fitted_to_compressed_pictures(found, take_snapshot):
    compress(found, NAME, margin_px=4.0)
    before = take_snapshot(found.path)
    expected = (
        "constants of scan .*: expected pictures as they were added, found scan .* compressed"
    )
    with pytest.raises(BadInput, match=expected) as error:
        find(found, NAME, settings=FindSettings(finder="classical", threshold=9.0))
    assert "Add the scan again with `etchscope add`" in str(error.value.hint)
    assert take_snapshot(found.path) == before


def test_a_search_that_was_planned_before_is_not_committed_after(found):
    run = found.runs.latest(NAME)
    stage = plan_search(found, NAME, settings=CLASSICAL)
    compress(found, NAME, margin_px=4.0)
    found.runs.remove([run])
    for piece in stage.pieces:
        stage.work(piece)
    with pytest.raises(BadInput, match="pictures that were compressed meanwhile"):
        stage.commit()
    assert found.runs.parts(stage.run) == {}


def test_tiles_and_ground_that_were_not_searched_stay(found):
    found.scans.exclude("tile in (2, 3)", "a fibre")
    width = SMALL.scan.image_size[1]
    inside = np.zeros((1, *SMALL.scan.image_size), bool)
    inside[:, :, : width // 2] = True
    found.fits.set_mask(NAME, Mask(pictures=inside))
    before = {t.number: found.scans.read_tile(NAME, t.number) for t in SMALL.scan.tiles}
    find(found, NAME, settings=CLASSICAL)
    es.open(found.path).compress(margin_px=2.0)
    for number, raw in before.items():
        pixels = found.scans.read_tile(NAME, number)
        if number in (2, 3):
            np.testing.assert_array_equal(pixels, raw)
        else:
            np.testing.assert_array_equal(
                pixels[:, :, width // 2 + 1 :], raw[:, :, width // 2 + 1 :]
            )
            assert (pixels != raw)[:, :, : width // 2].any()


def test_bad_input_is_one_line(found, small):
    (run,) = found.runs.names()
    for words, expected in (
        ({"margin_px": -1.0}, "margin: expected a number of pixels, 0 or more, found -1"),
        ({"margin_px": float("nan")}, "found nan"),
        ({"run": "find-0"}, "expected one of the store's finished runs"),
    ):
        with pytest.raises(BadInput, match=expected):
            compress(found, NAME, **words)
    with pytest.raises(NotSearched, match="a search of all of it"):
        compress(small, NAME)
    with pytest.raises(NotSearched):
        es.open(small.path).compress()
    assert found.compressions.of(NAME) is None
    assert run == found.runs.latest(NAME)


def test_the_command_states_the_bytes_and_ls_shows_them(found, capsys):
    path = str(found.path)
    assert main(["compress", path, "--margin-px", "4"]) == 0
    said = capsys.readouterr().out
    pattern = rf"{NAME}: ([\d,]+) bytes before, ([\d,]+) after, \d+\.\d % saved; \d+\.\d % of the"
    before, after = (int(n.replace(",", "")) for n in re.match(pattern, said).groups())
    row = es.open(path).scans().iloc[0]
    assert row["saved_bytes"] == before - after
    assert main(["ls", path]) == 0
    shown = capsys.readouterr().out
    assert str(before - after) in shown
    assert "kept_share" in shown
    assert main(["check", path]) == 0
    expected = f"scan {NAME}: the white space of 10 of 10 tiles is compressed\nsound\n"
    assert capsys.readouterr().out == expected
    assert main(["compress", path, "--margin-px", "5"]) == 2
    assert "a margin of 4 px, as before" in capsys.readouterr().err
    assert main(["inject", path, "--scan", NAME, "-o", f"{path}-injected"]) == 2
    assert "injection: expected pictures as they were added" in capsys.readouterr().err


def test_too_wide_a_margin_saves_nothing_and_says_so(found, capsys, take_snapshot):
    before = take_snapshot(found.path)
    assert main(["compress", str(found.path), "--margin-px", "60"]) == 0
    assert "which is less than a quarter; nothing changed" in capsys.readouterr().out
    assert take_snapshot(found.path) == before


def test_a_row_without_a_shape_is_a_point():
    names = ["radius_px", "ellipticity", "angle_deg", "length_px", "width_px"]
    pits = pd.DataFrame({"x_px": [10.0], "y_px": [5.0], **{n: [np.nan] for n in names}})
    near = near_openings(pits, (11, 21), 3.0)
    assert near[5].nonzero()[0].tolist() == [7, 8, 9, 10, 11, 12, 13]
