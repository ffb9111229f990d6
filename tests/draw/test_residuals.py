import numpy as np
import pandas as pd
import pytest

from etchscope.draw.residuals import draw_residual_map, draw_residuals
from etchscope.foil import BadInput


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
