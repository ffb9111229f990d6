import numpy as np
import pytest

from etchscope.foil import (
    BadInput,
    Channel,
    Scan,
    Tile,
)
from etchscope.ingest import open_source
from etchscope.ingest.write import write_smartscope
from etchscope.simulation import Optics, Population, SimulatedScan


def read_back(directory):
    source = open_source(directory)
    return source.scan, {t.number: source.read_tile(t.number).pixels for t in source.scan.tiles}


def test_a_simulated_scan_comes_back_as_it_was(tmp_path):
    foil = SimulatedScan(
        seed=2,
        columns=2,
        rows=2,
        population=Population.of(50, 20),
        optics=Optics(image_size=(48, 64)),
    )
    counts: list[int] = []
    write_smartscope(tmp_path / "new" / "scan", foil.scan, foil.read_tile, progress=counts.append)
    scan, pixels = read_back(tmp_path / "new" / "scan")
    assert scan == foil.scan
    assert counts == [1] * 4
    for number, stack in pixels.items():
        np.testing.assert_array_equal(stack, foil.read_tile(number))


def described(**change) -> Scan:
    fields = {
        "name": "F_1-back",
        "foil": "F_1",
        "side": "back",
        "layout": "smartscope",
        "pixel_size_um": 5.5,
        "image_size": (12, 16),
        "channels": (
            Channel(step=3, role="directional", azimuth_deg=0.1, focus_um=-2.5),
            Channel(step=12, role="halo"),
        ),
        "datum": ((7, 3.5, 4.25), (30, 0.0, 1.0), (7, 9.0, 9.0)),
        "azimuth_sense": "cw",
        "gradient_sign": -1,
        "tiles": (
            Tile(number=7, stage_x_mm=0.1 + 0.2, stage_y_mm=-1 / 3, metadata={"exposure_ms": 3}),
            Tile(number=30, stage_x_mm=1e-9, stage_y_mm=45.678901),
        ),
        "metadata": {"operator": "x", "nested": {"a": [1, None]}},
    }
    return Scan(**(fields | change))


def picture(number):
    return np.random.default_rng(number).integers(0, 256, (2, 12, 16), np.uint8)


@pytest.mark.parametrize(
    "scan",
    [
        described(),
        described(pixel_size_um=None, datum=(), tiles=(Tile(number=1), Tile(number=2))),
    ],
)
def test_all_that_a_scan_record_says_comes_back(tmp_path, scan):
    write_smartscope(tmp_path, scan, picture)
    found, pixels = read_back(tmp_path)
    assert found == scan
    for number, stack in pixels.items():
        np.testing.assert_array_equal(stack, picture(number))


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BadInput, match="expected an empty folder, found files in it"):
        write_smartscope(tmp_path, described(), picture)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
