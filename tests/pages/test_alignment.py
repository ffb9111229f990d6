import numpy as np
import pandas as pd

from etchscope.align import align_stack
from etchscope.draw.png import encode_figure
from etchscope.draw.residuals import draw_residuals
from etchscope.foil import PitList
from etchscope.pages.alignment import write_alignment


def test_the_page_shows_registrations_and_efficiencies(tmp_path):
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
