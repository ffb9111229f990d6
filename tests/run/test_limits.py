import json
import math

import numpy as np
import pandas as pd
import pytest

from etchscope.background.flux import Exposure
from etchscope.foil import BadInput
from etchscope.run.limits import make_report, merge_points, write_report

SLIM = Exposure(427, math.pi, 4.22)
POINTS = pd.DataFrame({"beta": [0.1, 0.5], "observed": 0, "efficiency": [0.0, 0.5]})


def test_values_that_hold_for_all_points_are_added():
    merged = merge_points(POINTS, {"background": 0.3, "background_error": None})
    assert merged["background"].tolist() == [0.3, 0.3]
    assert "background_error" not in merged
    assert merge_points(None, {"observed": 1, "efficiency": None}).to_dict("records") == [
        {"observed": 1}
    ]
    with pytest.raises(BadInput, match="observed: expected a column of the table or one value"):
        merge_points(POINTS, {"observed": 0})


def test_a_report_is_written_whole(tmp_path):
    report = make_report(POINTS, SLIM, (0.9,))
    files = write_report(report, tmp_path / "out")
    names = [str(p.relative_to(tmp_path / "out")) for p in files]
    assert names == [
        "limits.csv",
        "limits.json",
        "pyhf-2.json",  # the first point has no efficiency
        "hepdata/submission.yaml",
        "hepdata/limits-90.yaml",
    ]
    table = pd.read_csv(files[0])
    assert np.isposinf(table["high"][:3]).all()
    assert table["high"][3] == pytest.approx(2 * 2.436, rel=1e-3)
    kept = json.loads(files[1].read_text("utf-8"))
    assert kept["limits"][0]["high"] is None
    assert kept["limits"][0]["valid"] is False
    assert kept["exposure"] == {"area_m2": 427, "solid_angle_sr": math.pi, "years": 4.22}
    assert kept["ranking"] is None


def test_candidates_with_an_expected_background_have_p_values(tmp_path):
    candidates = pd.DataFrame({"score": [3.0, 9.0]})
    background = pd.DataFrame({"score": [0.0, 10.0], "expected": [30.0, 0.001]})
    report = make_report(
        POINTS.iloc[1:], SLIM, (0.9,), candidates=candidates, false_above=background
    )
    assert report.ranking.table["score"].tolist() == [9.0, 3.0]
    assert report.ranking.p_global < 0.02
    write_report(report, tmp_path)
    assert pd.read_csv(tmp_path / "candidates.csv")["rank"].tolist() == [1, 2]
    assert report.to_dict()["ranking"]["candidates"][0]["score"] == 9
    none = make_report(
        POINTS.iloc[1:], SLIM, (0.9,), candidates=candidates.iloc[:0], false_above=background
    )
    assert none.ranking is None


def test_a_figure_needs_several_points_with_a_label_of_numbers():
    report = make_report(POINTS, SLIM, (0.9,))
    assert report.axes() == ("beta", "flux_high_per_cm2_s_sr")
    assert make_report(POINTS, Exposure(2), (0.9,)).axes() == ("beta", "fluence_high_per_cm2")
    assert make_report(POINTS, Exposure(), (0.9,)).axes() == ("beta", "high")
    assert make_report(POINTS.iloc[1:], SLIM, (0.9,)).axes() is None
    assert make_report(POINTS.assign(efficiency=0.0), SLIM, (0.9,)).axes() is None
    named = POINTS.assign(beta=["slow", "fast"])
    assert make_report(named, SLIM, (0.9,)).axes() is None


def test_a_point_without_effective_area_has_no_workspace(tmp_path):
    points = pd.DataFrame({"observed": 0, "effective_area_cm2_sr": [0.0, 5.0]})
    files = write_report(make_report(points, Exposure(), (0.9,)), tmp_path)
    assert [path.name for path in files if "pyhf" in path.name] == ["pyhf-2.json"]
