import json
from pathlib import Path

import numpy as np
import pytest

from etchscope.foil import BadInput, Channel, Scan, Tile
from etchscope.geometry import mm_per
from etchscope.geometry.stage_places import require_fitting_places

DATA = Path(__file__).parents[3] / "shared/data"
PIXEL_UM = 6.4516
SIDE_MM = 480 * PIXEL_UM / 1000
GRID = [(x * 3.9, y * 2.9) for y in range(3) for x in range(4)]


def scan_at(places, pixel_size_um=PIXEL_UM):
    return Scan(
        name="s",
        foil="F1",
        layout="plain",
        pixel_size_um=pixel_size_um,
        image_size=(480, 640),
        channels=(Channel(step=1, role="backlit"),),
        tiles=tuple(
            Tile(number=n, stage_x_mm=float(x), stage_y_mm=float(y))
            for n, (x, y) in enumerate(places)
        ),
    )


def scaled(factor, places=GRID):
    return [(factor * x, factor * y) for x, y in places]


@pytest.mark.parametrize(
    ("places", "pixel_size_um", "message"),
    [
        (GRID, 1000 * PIXEL_UM, "s: pixel_size_um: .* at most 500, found 6451.6. Is it given"),
        (scaled(0.05), 322.6, "s: positions: .* pictures of 155 mm, found most within"),
        (scaled(1000), PIXEL_UM, "s: position_unit: .* 300 mm of another one, found tile 11, 1.3"),
        (scaled(1000), None, "s: position_unit: .* 300 mm of another one, found tile 1"),
        (scaled(1e-3), PIXEL_UM, "s: positions: .* apart .*found most within 0.0039 mm"),
        ([(1, 2)] * 12, PIXEL_UM, "s: positions: .* tiles apart .*found most within 0 mm"),
        ([*GRID, (1e6, 1e6)], PIXEL_UM, "s: positions: .*, found tile 12, 1.414e.06 mm from"),
        ([*GRID, (2e3, 0), (2e3, 1)], PIXEL_UM, "s: positions: .*, found tile 13, 1,988 mm from"),
        ([*GRID, (1e300, 0)], PIXEL_UM, "s: positions: .*, found tile 12, 1e.09 mm from"),
    ],
)  # fmt: skip
def test_a_slip_of_a_unit_names_its_key(places, pixel_size_um, message):
    with pytest.raises(BadInput, match=message):
        require_fitting_places("s", scan_at(places, pixel_size_um))


@pytest.mark.parametrize(
    ("places", "pixel_size_um"),
    [
        (GRID, PIXEL_UM),
        (GRID, None),
        (GRID[:1], PIXEL_UM),
        ([p for p in GRID for _ in range(3)], PIXEL_UM),  # each place photographed three times
        ([*GRID, *((x + 0.001, y) for x, y in GRID)], PIXEL_UM),  # a second pass
        (scaled(0.5), PIXEL_UM),  # neighbours overlap by half
        (scaled(25), PIXEL_UM),  # a sparse sample of a large foil
        (scaled(1, [(0, 0), (90, 0), (0, 90), (90, 90)]), 0.1),  # four corners, small pictures
        ([(0.0, 0.0), (280.0, 0.0)], PIXEL_UM),
    ],
)
def test_scans_that_people_make_pass(places, pixel_size_um):
    require_fitting_places("s", scan_at(places, pixel_size_um))


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are absent")
def test_the_scans_at_hand_pass():
    checked = 0
    for path in sorted(DATA.glob("open_foils/*/scan.json")):
        says = json.loads(path.read_text())
        places = json.loads((path.parent / says["positions"]).read_text()).values()
        unit = mm_per(says["position_unit"])
        require_fitting_places("s", scan_at(np.array(list(places)) * unit, says["pixel_size_um"]))
        checked += 1
    for places in json.loads((DATA / "moedal_pb/stage_positions_inch.json").read_text()).values():
        require_fitting_places("s", scan_at(np.array(list(places.values())) * 25.4))
        checked += 1
    assert checked > 9
