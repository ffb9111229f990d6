import math

import pandas as pd
import pyhf
import pytest

from etchscope.background.counting import Counting
from etchscope.background.exports import hepdata_documents, pyhf_workspace
from etchscope.background.flux import Exposure
from etchscope.background.limits import as_points, limit_points
from etchscope.files.yaml_files import write_yaml_files
from etchscope.foil import BadInput

pytestmark = [
    pytest.mark.filterwarnings("ignore:jsonschema:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
"""Both validators use what jsonschema deprecates; that of HEPData leaves files open."""


def point(**values):
    return as_points(pd.DataFrame([{"efficiency": 0.9, **values}])).to_dict("records")[0]


def read(workspace):
    """A workspace as pyhf reads it, its schema checked."""
    opened = pyhf.Workspace(workspace)
    return opened.model(), opened.data(opened.model())


def test_pyhf_expects_the_same_and_has_the_same_constraints():
    model, data = read(
        pyhf_workspace(
            point(observed=7, background=4.0, background_error=1.0, efficiency_error=0.18)
        )
    )
    assert model.config.poi_name == "particles"
    at = {"particles": [10.0], "efficiency": [0.0], "background": [1.0]}
    values = [value for name in model.config.par_order for value in at[name]]
    assert model.expected_actualdata(values) == pytest.approx([13.0])
    # The off-region of 4 ± 1 has 16 counts.
    assert sorted(data) == pytest.approx([0.0, 7.0, 16.0])
    up = {**at, "efficiency": [2.0]}
    values = [value for name in model.config.par_order for value in up[name]]
    width = math.sqrt(math.log1p(0.2**2))
    assert model.expected_actualdata(values) == pytest.approx([9 * math.exp(2 * width) + 4])


def test_cls_agrees_with_pyhf_where_counts_are_large():
    """The asymptotic limit of pyhf is a few percent low with 50 counts, and nearer with 800."""
    for count, error, tolerance in ((50, 5.0, 0.04), (800, 20.0, 0.02)):
        given = point(observed=count, background=float(count), background_error=error)
        model, data = read(pyhf_workspace(given))
        limits = limit_points(pd.DataFrame([given]), confidences=(0.95,))
        high = float(limits.loc[limits["method"] == "CLs", "high"].iloc[0])
        # CLs at our limit, by the asymptotic formulas: 5 % if they agree.
        cls = [
            float(pyhf.infer.hypotest(high * factor, data, model, test_stat="qtilde"))
            for factor in (1 - tolerance, 1)
        ]
        assert cls[0] > 0.05 > cls[1]


def test_an_effective_area_gives_the_error_of_the_efficiency():
    given = point(observed=0, effective_area_cm2_sr=100.0, effective_area_error_cm2_sr=20.0)
    signal = pyhf_workspace(given)["channels"][0]["samples"][0]
    (_, efficiency) = signal["modifiers"]
    assert efficiency["data"]["hi"] == pytest.approx(math.exp(math.sqrt(math.log1p(0.04))))


def test_no_workspace_without_efficiency():
    for blind in ({"efficiency": 0.0}, {"effective_area_cm2_sr": 0.0}):
        with pytest.raises(BadInput, match="efficiency: expected more than 0 for a workspace"):
            pyhf_workspace(point(observed=0, **blind))


def test_hepdata_accepts_the_submission(tmp_path):
    # It warns while it is imported, where no test could ignore it.
    from hepdata_validator.full_submission_validator import FullSubmissionValidator

    points = pd.DataFrame(
        {"z_over_beta": [20, 40.5], "observed": 0, "efficiency": [0.0, 0.5], "kind": ["a", "b"]}
    )
    limits = limit_points(points, Exposure(427, math.pi, 4.22))
    documents = hepdata_documents(limits)
    write_yaml_files(tmp_path, documents)
    validator = FullSubmissionValidator()
    assert validator.validate(directory=str(tmp_path)), validator.get_messages()
    (table,) = documents["limits-90.yaml"]
    independent, dependent = table["independent_variables"], table["dependent_variables"]
    assert [v["header"]["name"] for v in independent] == ["z_over_beta", "kind"]
    assert independent[0]["values"] == [{"value": 20}, {"value": 40.5}]
    fluxes = [v for v in dependent if v["header"]["name"] == "flux_high"]
    assert len(fluxes) == 3
    assert fluxes[0]["header"]["units"] == "cm^-2 s^-1 sr^-1"
    assert fluxes[0]["qualifiers"][0] == {"name": "METHOD", "value": "Feldman-Cousins"}
    blind, seeing = (v["value"] for v in fluxes[0]["values"])
    assert blind == "infinite"
    assert seeing == pytest.approx(2 * 1.3634e-15, rel=1e-3)


def test_a_submission_without_labels_counts_its_points():
    limits = limit_points(pd.DataFrame({"observed": [1], "efficiency": [0.5]}))
    (table,) = hepdata_documents(limits)["limits-95.yaml"]
    assert [v["header"]["name"] for v in table["independent_variables"]] == ["point"]


def test_an_error_above_the_background_is_the_same_off_region_in_pyhf():
    """With b = 0 ± 0.4 nothing was seen in an off-region of 2.5 times the search."""
    for background, error in ((0.0, 0.4), (0.2, 0.4)):
        given = point(observed=2, background=background, background_error=error)
        model, data = read(pyhf_workspace(given))
        counting = Counting(2, background, error)
        assert data == pytest.approx([2, counting.off_count])
        at = {"particles": [10.0], "background": [3.0]}
        values = [value for name in model.config.par_order for value in at[name]]
        expected = [0.9 * 10 + 3, 3 * counting.off_ratio]
        assert model.expected_actualdata(values) == pytest.approx(expected)


def test_the_bounds_hold_the_limit_whatever_the_efficiency():
    given = point(observed=1000, efficiency=1e-4)
    ((_, high),) = pyhf_workspace(given)["measurements"][0]["config"]["parameters"][0]["bounds"]
    assert high > 1.1e7  # the limit at 95 %


def test_from_an_effective_area_alone_only_selected_particles_are_known():
    given = as_points(pd.DataFrame({"observed": [0], "effective_area_cm2_sr": [9.0]}))
    workspace = pyhf_workspace(given.to_dict("records")[0])
    assert read(workspace)[0].config.poi_name == "selected_particles"
    (table,) = hepdata_documents(limit_points(given))["limits-90.yaml"]
    names = {v["header"]["name"] for v in table["dependent_variables"]}
    assert not names & {"efficiency", "low", "high", "expected_high"}
    assert {"observed", "effective_area_cm2_sr", "fluence_high"} <= names


def test_a_label_that_begins_like_a_limit_is_no_result():
    points = pd.DataFrame({"high_z": [20, 40], "observed": 0, "efficiency": 0.5})
    (table,) = hepdata_documents(limit_points(points))["limits-90.yaml"]
    assert [v["header"]["name"] for v in table["independent_variables"]] == ["high_z"]
    assert "high_z" not in {v["header"]["name"] for v in table["dependent_variables"]}
