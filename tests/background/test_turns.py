import numpy as np
import pandas as pd

from etchscope.background.turns import average_turns, list_turns
from etchscope.foil import Channel, Scan
from etchscope.simulation import Optics, SimulatedScan, relative_light
from etchscope.simulation.scene import draw_scene

OPTICS = Optics(image_size=(49, 49))
SCAN = SimulatedScan(seed=1, optics=OPTICS).scan


def light(azimuth_deg):
    """The pictures of one tilted pit in the middle."""
    pit = pd.DataFrame(
        {
            "surface": ["top"],
            "x_px": 24.0,
            "y_px": 24.0,
            "v": 3.0,
            "dip_rad": np.deg2rad(70),
            "azimuth_rad": np.deg2rad(azimuth_deg),
            "removed_um": 50.0,
            "length_um": 200.0,
        }
    )
    scene = draw_scene(pit, pd.DataFrame(), OPTICS, thickness_um=384, refractive_index=1.585)
    return relative_light(scene, OPTICS)


def test_a_scene_and_its_turns_and_mirrors_have_the_same_average():
    turns = list_turns(SCAN)
    assert len(turns) == 8
    (kept,) = {tuple(t.kept.tolist()) for t in turns}
    assert kept == (0, 8, 9)  # one lamp stands for all
    one = average_turns(light(20), turns)
    for azimuth in (110, 160, -20):
        np.testing.assert_allclose(average_turns(light(azimuth), turns), one, atol=0.02)
    assert np.abs(average_turns(light(45), turns) - one).max() > 0.03  # of another azimuth
    assert np.abs(one[0] - one[0][::-1]).max() > 0.2  # a lamp's picture keeps its sides


def test_lamps_that_do_not_fall_on_lamps_are_left_alone():
    channels = [
        Channel(step=k, role="directional", azimuth_deg=a) for k, a in enumerate((0, 80, 200))
    ]
    (turn,) = list_turns(Scan(**SCAN.model_dump() | {"channels": channels}))
    assert turn.kept.tolist() == [0, 1, 2]
    (only,) = {
        len(list_turns(s)) for s in (Scan(**SCAN.model_dump() | {"channels": SCAN.channels[8:]}),)
    }
    assert only == 8
