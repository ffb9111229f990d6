import cv2
import numpy as np
import pytest

from etchscope.draw.channels import draw_channels
from etchscope.draw.png import encode_figure
from etchscope.foil import Channel
from etchscope.simulation import Optics, Population, SimulatedScan


def _decoded(figure):
    return cv2.imdecode(np.frombuffer(encode_figure(figure), np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture(scope="module")
def scan():
    optics = Optics(image_size=(96, 128))
    return SimulatedScan(1, 1, 1, Population.of(1500, 100), optics=optics)


def test_every_channel_and_the_truth_have_a_panel(scan):
    stack, truth = scan.read_tile(1), scan.truth()
    plain = _decoded(draw_channels(stack, scan.optics.channels, "tile 1"))
    with_truth = _decoded(draw_channels(stack, scan.optics.channels, "tile 1", truth))
    assert plain.shape == with_truth.shape  # ten or eleven panels in three rows of four
    changed = (plain != with_truth).any(axis=2)
    y, x = np.nonzero(changed)
    # Only the eleventh panel differs, and it has both surfaces' colours.
    assert y.min() > 0.6 * len(plain)
    assert 0.5 * plain.shape[1] < x.min() < x.max() < 0.76 * plain.shape[1]
    colours = {tuple(c) for c in with_truth[changed]}
    assert (178, 114, 0) in colours  # BGR of the top's blue
    assert (0, 94, 213) in colours
    drawn = [draw_channels(stack, scan.optics.channels, "tile 1", truth) for _ in range(2)]
    assert encode_figure(drawn[0]) == encode_figure(drawn[1])


def test_one_channel_of_twelve_bits_is_seen(scan):
    channels = (Channel(step=1, role="backlit", focus_um=-20.0),)
    stack = scan.read_tile(1)[8:9].astype(np.uint16) * 16
    picture = _decoded(draw_channels(stack, channels, "one", columns=1))
    assert np.ptp(picture) > 150
