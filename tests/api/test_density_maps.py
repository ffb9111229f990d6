import numpy as np
import pandas as pd
import pytest

import etchscope as es
from etchscope import api
from etchscope.cli.app import main
from etchscope.foil import BadInput

SHEET = [(0, 0), (4, 0), (4, 3), (0, 3)]


def test_the_store_maps_its_latest_run_and_the_maps_are_written(walked, tmp_path):
    done = walked.store.map(walked.name, by="surface")
    assert done.run == walked.found.run
    said = api.summarise_maps(done)
    assert said["maps"]["all"]["found"] == done.maps["all"].count.sum() > 0
    figures = api.write_density_maps(done, tmp_path / "maps")
    assert len(figures) == len(done.maps)
    assert all(f.stat().st_size > 5000 for f in figures)


def test_an_efficiency_raises_the_density(walked, tmp_path):
    curve = pd.DataFrame(
        {"density_per_mm2": [1.0, 5000.0], "efficiency": 0.5, "low": 0.45, "high": 0.55}
    )
    curve.to_csv(tmp_path / "curve.csv", index=False)
    done = walked.store.map(walked.name, efficiency=tmp_path / "curve.csv").maps["all"]
    np.testing.assert_allclose(done.all_pits.value[done.valid], 2 * done.found[done.valid])
    with pytest.raises(BadInput, match="no low"):
        walked.store.map(walked.name, efficiency=curve.drop(columns="low"))


def test_places_outside_the_polygons_do_not_count():
    table = es.map_density([1.0, 2.0, 9.0], [1.0, 2.0, 1.0], [SHEET], bandwidth_um=400)
    assert table["found"].sum() == 2
    assert table["seen_mm2"].sum() == pytest.approx(12)


@pytest.mark.parametrize(
    ("x", "window", "width", "found"),
    [
        ([1.0], [SHEET], None, "as many finite numbers"),
        ([1.0, np.nan], [SHEET], None, "as many finite numbers"),
        ([1.0, 2.0], [], None, "at least one polygon"),
        ([1.0, 2.0], [SHEET[:2]], None, "three or more corners"),
        ([1.0, 2.0], [SHEET], 0, "more than 0"),
    ],
)
def test_lists_that_cannot_be_mapped(x, window, width, found):
    with pytest.raises(BadInput, match=found):
        es.map_density(x, [1.0, 2.0], window, bandwidth_um=width)


def test_the_command_maps_a_store_and_names_the_option_of_an_error(walked, tmp_path, capsys):
    words = ["map", str(walked.store.path), "-o", str(tmp_path / "maps")]
    assert main([*words, "--scan", walked.name]) == 0
    assert f"{walked.name}, all: " in capsys.readouterr().out
    assert (tmp_path / "maps" / "density-all.csv").is_file()
    assert main([*words, "--bandwidth-um", "-1"]) == 2
    assert "--bandwidth-um: expected more than 0" in capsys.readouterr().err
    assert main([*words, "--run", "none"]) == 2
    assert main([*words, "--scan", "other"]) == 2
    assert "Error: " in capsys.readouterr().err
