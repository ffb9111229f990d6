import numpy as np
import pandas as pd
import pytest

from etchscope.draw.limits import draw_limits
from etchscope.draw.png import encode_figure
from etchscope.foil import BadInput

LIMITS = pd.DataFrame(
    [
        {"beta": beta, "confidence": c, "method": m, "valid": beta < 0.5, "flux_high_per_cm2_s": h}
        for c in (0.9, 0.95)
        for m in ("CLs", "Bayesian")
        for beta, h in ((0.5, 2e-15), (0.1, np.inf), (0.3, 1e-15))
    ]
)


def test_each_method_has_a_line_with_a_gap_where_the_limit_is_infinite():
    figure = draw_limits(LIMITS, "beta", "flux_high_per_cm2_s")
    (ax,) = figure.axes
    lines = [line for line in ax.lines if line.get_marker() == "None"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "CLs, 90 %",
        "Bayesian, 90 %",
        "CLs, 95 %",
        "Bayesian, 95 %",
    ]
    assert lines[0].get_xdata() == pytest.approx([0.1, 0.3, 0.5])
    assert lines[0].get_ydata() == pytest.approx([np.nan, 1e-15, 2e-15], nan_ok=True)
    assert lines[0].get_color() == lines[2].get_color() != lines[1].get_color()
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    hollow = [line for line in hollow if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in hollow] == [[0.5]] * 4
    (endless,) = [line for line in ax.lines if line.get_marker() == "^"]
    assert endless.get_xdata().tolist() == [0.1]
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "flux (cm⁻² s⁻¹)")
    assert encode_figure(figure).startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_refused():
    for table, message in (
        (LIMITS.drop(columns="valid"), "no valid"),
        (LIMITS.iloc[:0], "one row or more"),
        (LIMITS.assign(beta="slow"), "limits: beta: expected numbers"),
        (LIMITS.assign(flux_high_per_cm2_s=np.inf), "expected one finite limit or more"),
    ):
        with pytest.raises(BadInput, match=message):
            draw_limits(table, "beta", "flux_high_per_cm2_s")
