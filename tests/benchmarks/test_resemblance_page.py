import re

import numpy as np
import pandas as pd
import pytest

from etchscope.foil import BadInput
from resemblance_cells import CELL_PX, MEASURES
from resemblance_page import write_resemblance


def _cells(n, seed, radius_px=7.0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:CELL_PX, :CELL_PX]
    out = []
    for _ in range(n):
        cell = 245 - 60 * (rng.random((CELL_PX, CELL_PX)) < 0.05) + rng.normal(0, 2, x.shape)
        dx, dy = rng.normal(0, 2, 2)
        cell[np.hypot(x - 31 - dx, y - 31 - dy) < radius_px + rng.normal(0, 0.5)] = 30
        out.append(np.clip(cell, 0, 255))
    return np.array(out).astype(np.uint8)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a") / "deep" / "report"
    untuned = _cells(9, 3, radius_px=10)
    return write_resemblance(_cells(14, 1), _cells(18, 2), folder, untuned=untuned, rounds=10)


def test_the_page_stands_alone_with_its_figures(written):
    names = {"sheet", "quiz", "profile", "texture", "numbers"}
    assert {p.stem for p in written.parent.glob("*.png")} == names
    for png in written.parent.glob("*.png"):
        assert png.read_bytes().startswith(b"\x89PNG")
        assert png.stat().st_size > 4000
    text = written.read_text(encoding="utf-8")
    outside = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(", outside)
    assert text.count("<img ") == len(names)
    assert "14 / 18" in text


def test_the_table_of_the_page_is_the_table_beside_it(written):
    t = pd.read_csv(written.with_name("distances.csv"), index_col="measure")
    assert t.index.tolist() == list(MEASURES)
    assert t.loc["diameter_px", "ceiling"] > 3 * t.loc["diameter_px", "distance"]
    row = t.loc["diameter_px"]
    assert f"{row['distance']:.2f} ({row['low']:.2f} to {row['high']:.2f})" in written.read_text()


def test_the_solution_follows_the_quiz_and_names_half_of_the_cells(written):
    text = written.read_text(encoding="utf-8")
    assert text.index("Which is which?</h2>") < text.index("Solution</h2>")
    solution = re.search(r"<details>.*?</details>", text, re.DOTALL).group()
    assert solution.count("<td>real</td>") == solution.count("<td>simulated</td>") == 14
    assert len(re.findall(r"<td>(?:real|simulated)</td>", solution)) == 28


def test_the_same_cells_and_seed_give_the_same_bytes(tmp_path):
    given = (_cells(5, 1), _cells(6, 2))
    a, b = (write_resemblance(*given, tmp_path / n, rounds=3).parent for n in "ab")
    for file in a.iterdir():
        assert file.read_bytes() == (b / file.name).read_bytes(), file.name
    # Without untuned cells there is no ceiling.
    assert '<td class="n">–</td>' in (a / "resemblance.html").read_text(encoding="utf-8")


def test_what_cannot_be_reported_is_refused(tmp_path):
    cells = _cells(4, 1)
    with pytest.raises(BadInput, match="expected 4 or more of each kind, found 3 real"):
        write_resemblance(cells[:3], cells, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="a folder for the report"):
        write_resemblance(cells, cells, tmp_path / "file")
