import json

import numpy as np
import pandas as pd
import pytest
import zarr
from ome_zarr_models.v05 import Image
from PIL import Image as Picture

from etchscope.background.comparison import compare_densities
from etchscope.background.density_maps import PitPoints, Window, map_density
from etchscope.background.grid import grid_over
from etchscope.background.hidden import HiddenPits
from etchscope.background.map_tables import MapUnits
from etchscope.background.polygons import polygon_area
from etchscope.foil import BadInput
from etchscope.pages.density_maps import write_density_maps
from etchscope.run.density_maps import DensityMaps

SQUARE = np.array([[0, 0], [8, 0], [8, 6], [0, 6.0]])
GRID = grid_over((0, 8, 0, 6), 0.2)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Maps of a crowd beside a thin half, compared with another pattern, and their folder."""
    rng = np.random.default_rng(1)
    window = Window(polygon_area([SQUARE], GRID), GRID)
    x, y = np.concatenate([rng.uniform(0, [3, 6], (3000, 2)), rng.uniform(0, [8, 6], (300, 2))]).T
    crowd = PitPoints(x.copy(), y.copy(), np.hypot(x - 1, y - 1) < 0.8)
    u, v = rng.uniform(0, [8, 6], (500, 2)).T
    other = PitPoints(u.copy(), v.copy())
    one = map_density(crowd, window, bandwidth=0.8, hidden=HiddenPits(0.0025))
    both = compare_densities((crowd, window, None), (other, window, None), bandwidth=0.8)
    done = DensityMaps(
        "F1-front",
        "find-1",
        ("F1-back", "find-2"),
        MapUnits("mm", "mm2", 1.0),
        "foil",
        {"all": one, "radius below 30 µm": one},
        {"all": both},
    )
    folder = tmp_path_factory.mktemp("written") / "maps"
    return done, folder, write_density_maps(done, folder)


def test_every_map_has_a_table_an_image_and_a_figure(written):
    done, folder, figures = written
    stems = ["density-all", "density-radius-below-30-um", "comparison-all"]
    assert [f.name for f in figures] == [f"{s}.png" for s in stems]
    names = {f"{s}.{e}" for s in stems for e in ("csv", "zarr", "png")} | {"summary.json"}
    assert {p.name for p in folder.iterdir()} == names
    table = pd.read_csv(folder / "density-all.csv", keep_default_na=False)
    one = done.maps["all"]
    assert len(table) == one.count.size
    reasons = table["reason"].value_counts()
    assert set(reasons.index) >= {"", "not seen", "too crowded for the finder"}
    said = json.loads((folder / "summary.json").read_text())
    assert said["maps"]["all"]["found"] == 3300
    assert done.comparisons["all"].other.count.sum() == 500
    # The centres of some cells at the rim lie outside.
    assert said["comparisons"]["all"]["found"][1] == pytest.approx(500, abs=8)
    assert said["comparisons"]["all"]["share_beyond_3_sigma"] > 0.3


def test_another_program_reads_the_image_with_its_axes_in_millimetres(written):
    done, folder, _ = written
    one = done.maps["all"]
    group = zarr.open_group(folder / "density-all.zarr", mode="r", zarr_format=3)
    (multiscale,) = Image.from_zarr(group).ome_attributes.multiscales
    axes = [(a.name, a.type, a.unit) for a in multiscale.axes]
    assert axes == [
        ("channel", "channel", None),
        ("y", "space", "millimeter"),
        ("x", "space", "millimeter"),
    ]
    scale, translation = multiscale.datasets[0].coordinateTransformations
    assert scale.scale == [1, one.grid.step, one.grid.step]
    assert translation.translation == [0, one.grid.y0, one.grid.x0]
    labels = [c["label"] for c in group.attrs["ome"]["omero"]["channels"]]
    assert labels == ["density", "low", "high", "kernel", "seen", "valid"]
    np.testing.assert_allclose(group["0"][0], one.all_pits.value, rtol=1e-6)
    np.testing.assert_array_equal(group["0"][5] > 0, one.valid)
    assert group.attrs["etchscope"]["density_unit"] == "pits/mm²"


def test_the_figure_has_colours_where_the_density_is_known(written):
    _, folder, figures = written
    picture = np.asarray(Picture.open(folder / "density-all.png").convert("RGB")).astype(int)
    half = picture[:, : picture.shape[1] // 2]
    is_coloured = half.max(axis=2) - half.min(axis=2) > 40
    assert is_coloured.mean() > 0.08
    assert len(figures) == 3


def test_what_was_written_before_is_replaced_and_a_file_is_refused(written, tmp_path):
    done, folder, _ = written
    before = (folder / "density-all.csv").read_bytes()
    write_density_maps(done, folder)
    assert (folder / "density-all.csv").read_bytes() == before
    (tmp_path / "maps").write_text("")
    with pytest.raises(BadInput, match="a folder for the density maps"):
        write_density_maps(done, tmp_path / "maps")
