import pandas as pd
import pytest

from etchscope import api
from etchscope.foil import BadInput


def test_points_are_a_table_or_a_file_and_figures_come_with_them(tmp_path):
    points = pd.DataFrame({"charge": [10, 20], "efficiency": [0.4, 0.8]})
    points.to_csv(tmp_path / "points.csv", index=False)
    one = api.limit(points=points, observed=1, background=0.5, area_m2=1)
    other = api.limit(points=tmp_path / "points.csv", observed=1, background=0.5, area_m2=1)
    pd.testing.assert_frame_equal(one.limits, other.limits)
    files = api.write_limits(one, tmp_path / "out")
    assert files[-1] == tmp_path / "out" / "limits.png"
    assert all(path.is_file() for path in files)
    assert {"pyhf-1.json", "pyhf-2.json"} <= {path.name for path in files}


def test_what_is_missing_or_stated_twice_is_named(tmp_path):
    with pytest.raises(BadInput, match="observed: expected the number of observed candidates"):
        api.limit(efficiency=1)
    with pytest.raises(BadInput, match="efficiency: expected a column of the table or one value"):
        api.limit(points=pd.DataFrame({"efficiency": [1.0]}), efficiency=1, observed=0)
    with pytest.raises(BadInput, match="expected false candidates: expected a store with candid"):
        api.limit(observed=0, efficiency=1, false_above=tmp_path / "false.csv")
    with pytest.raises(BadInput, match=r"absent\.csv"):
        api.limit(points=tmp_path / "absent.csv", observed=0)
