from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etchscope.api.given import (
    as_paths,
    as_polygon,
    as_table,
    condition_of,
    name_of_table,
    require_name,
    require_table_file,
)
from etchscope.foil import BadInput


def test_one_path_or_several_are_a_list():
    assert as_paths("a") == as_paths(Path("a")) == as_paths(["a"]) == [Path("a")]


def test_a_table_may_lie_in_a_file(tmp_path):
    table = pd.DataFrame({"x_px": [1.5], "y_px": [2.5]})
    table.to_csv(tmp_path / "t.csv", index=False)
    assert as_table(table) is table
    assert as_table(tmp_path / "t.csv")["y_px"].tolist() == [2.5]
    assert name_of_table(table, "truth") == "truth"
    assert name_of_table(tmp_path / "t.csv", "truth") == str(tmp_path / "t.csv")


def test_a_polygon_may_lie_in_a_file(tmp_path):
    corners = [(0, 0), (1, 0), (0, 1)]
    (tmp_path / "r.json").write_text("[[0, 0], [1, 0], [0, 1]]")
    assert np.array_equal(as_polygon(tmp_path / "r.json"), as_polygon(corners))
    assert as_polygon(None) is None
    (tmp_path / "r.json").write_text("[[0, 0]]")
    with pytest.raises(BadInput, match=r"r\.json: expected \[\[x_mm, y_mm\], …\] with at least"):
        as_polygon(tmp_path / "r.json")


def test_conditions_add_up_and_quotes_are_kept():
    assert condition_of() is None
    assert condition_of("a or b", scan="F'1", tile=3) == "(a or b) and scan = 'F''1' and tile = 3"


def test_a_name_is_one_of_a_file():
    require_name("F1-front", "name of a model")
    with pytest.raises(BadInput, match=r"name of a model: expected letters, .* found 'a/b'"):
        require_name("a/b", "name of a model")


def test_a_table_that_could_not_be_written_is_refused(tmp_path):
    require_table_file(None)
    require_table_file(tmp_path / "a.root")
    with pytest.raises(BadInput, match="expected a name that ends in"):
        require_table_file(tmp_path / "a.xls")
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(BadInput, match="expected a file to write, found a folder"):
        require_table_file(tmp_path / "a.csv")
    with pytest.raises(BadInput, match="expected an existing folder that can be written to"):
        require_table_file(tmp_path / "none" / "a.csv")
