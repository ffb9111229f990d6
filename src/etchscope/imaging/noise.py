"""The noise of a picture from pixel to pixel."""

import numpy as np

from etchscope.foil.types import Floats, RawStack

__all__ = ["measure_noise"]


def measure_noise(tile: RawStack) -> Floats:
    """Return the standard deviation of the noise from pixel to pixel of each channel, (channel,).

    It is the median absolute second difference along both axes, which slopes do not enter (J.
    Immerkær, Computer Vision and Image Understanding 64 (1996) 300, with a median for the mean).

    Parameters
    ----------
    tile : (channel, y, x) grey levels or contrasts; the noise has their unit.
    """
    out = []
    for picture in tile.astype(np.float32):
        across = picture[:, 2:] - 2 * picture[:, 1:-1] + picture[:, :-2]
        both = across[2:] - 2 * across[1:-1] + across[:-2]
        out.append(float(np.median(np.abs(both))) / 0.6745 / 6)
    return np.array(out)
