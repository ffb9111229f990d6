from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etchscope.foil import BadInput
from etchscope.ingest.layouts import Index, Problem
from etchscope.ingest.tile_pages import complete_tiles, read_files, relative_name


def _pages(tmp_path):
    for number in (1, 3):
        Image.fromarray(np.full((4, 5), number, np.uint8)).save(tmp_path / f"{number}.png")
    files = {n: (tmp_path / f"{n}.png",) for n in (1, 3)}
    return read_files(tmp_path, Index(files, ()))


def test_pages_are_read_from_the_files_of_a_tile(tmp_path):
    pages = _pages(tmp_path)
    (page,), (path,) = pages.read(3)
    assert (page.shape, page[0, 0], relative_name(tmp_path, path)) == ((4, 5), 3, "3.png")
    assert relative_name(tmp_path / "other", path) == "3.png"


def test_absent_tiles_are_problems(tmp_path):
    pages = complete_tiles(_pages(tmp_path), tmp_path / "scan.json", None)
    assert (pages.numbers, [p.tile for p in pages.problems]) == ((1, 3), [2])


def test_a_number_of_more_than_64_bits_is_refused_even_with_positions(tmp_path):
    files = {n: (tmp_path / f"{n}.png",) for n in (1, 99999999999999999999)}
    pages = read_files(tmp_path, Index(files, ()))
    with pytest.raises(BadInput, match="of at most 18 digits, found 99999999999999999999"):
        complete_tiles(pages, tmp_path / "scan.json", {1: (0.0, 0.0)})


def test_with_positions_numbers_may_be_far_apart(tmp_path):
    files = {n: (tmp_path / f"{n}.png",) for n in (1, 500_000)}
    at = dict.fromkeys(files, (0.0, 0.0))
    pages = complete_tiles(read_files(tmp_path, Index(files, ())), tmp_path / "scan.json", at)
    assert (pages.numbers, pages.problems) == ((1, 500_000), ())


def test_tiles_without_a_position_are_problems(tmp_path):
    pages = complete_tiles(_pages(tmp_path), tmp_path / "scan.json", {1: (0.0, 0.0)})
    assert (pages.numbers, [p.tile for p in pages.problems]) == ((1,), [3])
    assert "a position" in str(pages.problems[0].error)
    assert isinstance(pages.problems[0], Problem)


def test_two_files_of_one_tile_have_one_page_each(tmp_path):
    path = tmp_path / "1.tif"
    two = Image.fromarray(np.zeros((4, 5), np.uint8))
    two.save(path, save_all=True, append_images=[two])
    pages = read_files(Path(tmp_path), Index({1: (path, path)}, ()))
    with pytest.raises(BadInput, match="expected one page, found 2 pages"):
        pages.read(1)


def test_a_number_that_leaves_too_many_tiles_absent_is_refused_at_once(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    for number in (10**20 - 1, 150_000):
        files = dict.fromkeys((1, number), (tmp_path / "1.png",))
        with pytest.raises(BadInput, match=f"at most 100,000 of them absent, found tile {number}"):
            complete_tiles(read_files(tmp_path, Index(files, ())), tmp_path / "scan.json", None)
    files = dict.fromkeys((1, 9_000), (tmp_path / "1.png",))
    few = complete_tiles(read_files(tmp_path, Index(files, ())), tmp_path / "scan.json", None)
    assert len(few.problems) == 8_998
