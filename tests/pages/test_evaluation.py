import numpy as np
import pandas as pd

from etchscope.draw.matches import draw_tolerance
from etchscope.evaluation import evaluate, tolerance_curve
from etchscope.pages.evaluation import write_evaluation


def test_curves_and_maps_of_an_evaluation(tmp_path):
    rng = np.random.default_rng(1)
    xy = rng.uniform(0, 10, (50, 2))
    truth = pd.DataFrame(xy, columns=["x_px", "y_px"])
    e = evaluate(truth, truth.iloc[:40] + 0.1, rule="one-to-one", tolerance_px=1)
    curve = tolerance_curve(e, [0.05, 0.5, 1])
    made = draw_tolerance({"found": curve})
    assert made.axes[0].lines[0].get_ydata().tolist() == [0, 0.8, 0.8]
    labels = [text.get_text() for text in made.legends[0].get_texts()]
    assert labels == ["found", "chance by local shifts, in the colour of its list"]
    assert [ax.get_ylabel() for ax in made.axes[:2]] == ["efficiency", "purity"]
    paths = write_evaluation(e, {"found": curve}, tmp_path / "made")
    assert [p.name for p in paths] == ["map.png", "curve.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in paths)
