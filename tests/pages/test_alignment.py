import numpy as np
import pandas as pd
import pytest

from etchscope.align import align_stack
from etchscope.draw.matches import draw_matches, draw_tolerance
from etchscope.draw.png import encode_figure
from etchscope.draw.residuals import draw_residual_map, draw_residuals
from etchscope.evaluate import evaluate, tolerance_curve
from etchscope.foil import BadInput, PitList
from etchscope.pages.alignment import write_alignment
from etchscope.pages.evaluation import write_evaluation


@pytest.fixture
def pairs():
    rng = np.random.default_rng(1)
    xy, d = rng.uniform(0, [40, 30], (500, 2)), rng.normal(0, 0.005, (500, 2))
    d[:5] = 0.07
    columns = {"x_mm": xy[:, 0], "y_mm": xy[:, 1], "dx_mm": d[:, 0] + 0.002, "dy_mm": d[:, 1]}
    return pd.DataFrame(columns)


def test_residuals_stand_against_both_coordinates(pairs):
    made = draw_residuals(pairs)
    labels = {(ax.get_xlabel(), ax.get_ylabel()) for ax in made.axes}
    assert ("x (mm)", "dy (µm)") in labels
    medians = made.axes[0].lines[-1].get_ydata()
    assert np.nanmean(medians) == pytest.approx(2, abs=0.5)  # µm
    assert "500 matches, half of them nearer than" in made.get_suptitle()
    assert any("5 matches lie beyond" in text.get_text() for text in made.texts)
    with pytest.raises(BadInput, match="matches: expected one row or more to draw"):
        draw_residuals(pairs.iloc[:0])


def test_the_map_adapts_its_cells_to_the_matches(pairs):
    few, many = draw_residual_map(pairs.iloc[:12]), draw_residual_map(pairs)
    sizes = [made.axes[0].collections[0].get_array().size for made in (few, many)]
    assert sizes[0] < sizes[1]
    assert "The mosaics agree within" in many.get_suptitle()
    with pytest.raises(BadInput, match="3 or more in a cell of the map"):
        draw_residual_map(pairs.iloc[:2])


def test_the_match_map_counts_what_it_shows():
    xy = np.array([[0.0, 0.0], [1, 1]])
    made = draw_matches(xy, xy[:1] + 1, xy[:0], names=("missed", "false"), title="t", unit="px")
    told = [text.get_text() for text in made.legends[0].get_texts()]
    assert told == ["in both (2)", "missed (1)", "false (0)"]
    assert made.axes[0].get_xlabel() == "x (px)"
    with pytest.raises(BadInput, match="one point or more to draw"):
        draw_matches(xy[:0], xy[:0], xy[:0], names=("a", "b"), title="t")


def test_curves_and_maps_of_an_evaluation(tmp_path):
    rng = np.random.default_rng(1)
    xy = rng.uniform(0, 10, (50, 2))
    truth = pd.DataFrame(xy, columns=["x_px", "y_px"])
    e = evaluate(truth, truth.iloc[:40] + 0.1, rule="one-to-one", tolerance_px=1)
    curve = tolerance_curve(e, [0.05, 0.5, 1])
    made = draw_tolerance({"found": curve})
    assert made.axes[0].lines[0].get_ydata().tolist() == [0, 0.8, 0.8]
    told = [text.get_text() for text in made.legends[0].get_texts()]
    assert told == ["found", "chance by local shifts, in the colour of its list"]
    assert [ax.get_ylabel() for ax in made.axes[:2]] == ["efficiency", "purity"]
    paths = write_evaluation(e, {"found": curve}, tmp_path / "made")
    assert [p.name for p in paths] == ["map.png", "curve.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in paths)


def test_the_page_tells_registrations_and_efficiencies(tmp_path):
    rng = np.random.default_rng(3)
    xy = rng.uniform(0, [20, 15], (200, 2))
    lists = [
        PitList(n, n, "front", pd.DataFrame(xy + k * 0.02, columns=["x_mm", "y_mm"]))
        for k, n in enumerate("abc")
    ]
    stack = align_stack(lists, max_angle_rad=0.02)
    page = write_alignment(stack, tmp_path).read_text()
    for text in ("Alignment of a, b, c", "by chance", "Residual map: c-a", "200 of 200"):
        assert text in page
    first = (tmp_path / "residuals-b-a.png").read_bytes()
    write_alignment(stack, tmp_path)
    assert (tmp_path / "residuals-b-a.png").read_bytes() == first
    assert encode_figure(draw_residuals(stack.members[1].registration.pairs()))
