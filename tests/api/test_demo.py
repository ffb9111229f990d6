from dataclasses import replace

import pytest

from etchscope.api import run_demo
from etchscope.run import demonstration
from etchscope.simulation import Optics


@pytest.mark.slow
def test_a_demonstration_leads_to_its_pages(tmp_path, monkeypatch):
    drawn = demonstration.preset

    def smaller(*given, **changes):
        (foil,) = drawn(*given, **{**changes, "columns": 2, "rows": 1})
        return (replace(foil, optics=Optics(image_size=(96, 128))),)

    monkeypatch.setattr(demonstration, "preset", smaller)
    calls = []
    pages = run_demo(tmp_path / "demo", background=8, progress=lambda *c: calls.append(c))
    assert pages.report == tmp_path / "demo" / "report" / "report.html"
    assert pages.candidates.is_file()
    assert len(pages.done.pits) > 0
    assert {"Scoring the pits", "Drawing the report"} <= {what for what, _, _ in calls}
