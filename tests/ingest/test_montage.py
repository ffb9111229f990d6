from pathlib import Path

import numpy as np
import pytest

from etchscope.files.foreign_pictures import read_picture
from etchscope.foil import BadInput
from etchscope.ingest.montage import find_cells

TASL = Path(__file__).parents[3] / "shared/data/tasl/00000.bmp"


def montage(rows: int, columns: int, size: int, lines: list[int]) -> np.ndarray:
    """Cells of value 100 + number, between black lines of these widths (both ways)."""
    height = rows * size + sum(lines[: rows + 1])
    width = columns * size + sum(lines[: columns + 1])
    page = np.zeros((height, width), np.uint8)
    y = lines[0]
    for row in range(rows):
        x = lines[0]
        for column in range(columns):
            page[y : y + size, x : x + size] = 100 + row * columns + column
            x += size + lines[column + 1]
        y += size + lines[row + 1]
    return page


@pytest.mark.parametrize("lines", [[1] * 6, [2, 1, 2, 1, 2, 1], [0, 1, 1, 2, 1, 0]])
def test_cells_are_found_row_by_row(lines):
    page = montage(3, 5, 9, lines)
    if lines[0] == 0:  # no frame: the last used line width is that of the last column
        page = page[: 3 * 9 + 2, :]
    cells = find_cells("m.bmp", page, 3, 5)
    assert [int(np.unique(page[cell])[0]) for cell in cells] == list(range(100, 115))
    assert {page[cell].shape for cell in cells} == {(9, 9)}
    assert find_cells("m.bmp", page, None, None) == cells


def test_a_black_bar_in_some_cells_and_a_dark_first_line_do_not_matter():
    page = montage(4, 5, 20, [2] * 6)
    page[2:14, 24:44] = 0  # a bar over most of a cell
    page[:, 24] = 0  # the second column begins with a dark line
    cells = find_cells("m.bmp", page, 4, 5)
    assert {page[cell].shape for cell in cells} == {(20, 20)}


@pytest.mark.parametrize("dark", [11, 19])
def test_a_cell_whose_first_or_last_line_is_dark_grows_back_over_it(dark):
    page = montage(3, 5, 9, [1] * 6)  # the second column is 11 to 19
    expected = find_cells("m.bmp", page, 3, 5)
    assert expected[1][1] == slice(11, 20)
    page[:, dark] = 0
    assert find_cells("m.bmp", page, 3, 5) == expected


@pytest.mark.parametrize(("rows", "columns"), [(4, 5), (3, 4)])
def test_another_number_of_cells_is_refused(rows, columns):
    page = montage(3, 5, 9, [1] * 6)
    with pytest.raises(BadInput, match=r"m\.bmp: (rows|columns): expected 4 between dark lines"):
        find_cells("m.bmp", page, rows, columns)


def test_uneven_cells_and_black_pictures_are_refused():
    page = montage(3, 5, 9, [1] * 6)
    page[:, 5:8] = 0
    with pytest.raises(BadInput, match=r"m\.bmp: columns: expected"):
        find_cells("m.bmp", page, None, None)
    with pytest.raises(BadInput, match=r"m\.bmp: rows: expected 9 between dark lines, found 1"):
        find_cells("m.bmp", np.zeros((30, 30), "u1"), 9, 12)


@pytest.mark.real_data
@pytest.mark.skipif(not TASL.is_file(), reason=f"no {TASL}")
def test_the_real_montage_has_108_cells_of_63_pixels():
    (page,) = read_picture(TASL)
    cells = find_cells("00000.bmp", page, 9, 12)
    assert len(cells) == 108
    assert {page[cell].shape for cell in cells} == {(63, 63)}
    # no cell contains a separator: at most its own outermost line is dark
    for cell in cells:
        assert np.quantile(page[cell][1:-1, 1:-1], 0.9, axis=0).min() > 0
