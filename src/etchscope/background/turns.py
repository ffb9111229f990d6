"""The turns and mirrors of a scene under which its lamps change places: all lamps become alike."""

from dataclasses import dataclass

import numpy as np

from etchscope.foil import Scan
from etchscope.foil.types import FloatStack, Ints

__all__ = ["Turn", "average_turns", "list_turns"]

_NEAR_DEG = 0.5


@dataclass(frozen=True)
class Turn:
    """A turn by quarters, counter-clockwise, after a mirror left to right.

    Parameters
    ----------
    quarters : number of quarter turns.
    is_mirrored : whether x is flipped first.
    source : (channel,) the channel that takes the place of each one.
    kept : (k,) channels that differ from each other after all turns.
    """

    quarters: int
    is_mirrored: bool
    source: Ints
    kept: Ints


def list_turns(scan: Scan) -> list[Turn]:
    """Return the eight turns and mirrors, or the identity alone where lamps do not fall on lamps.

    A turn by 90° takes a lamp of azimuth φ to φ + 90°, a mirror to 180° − φ.
    """
    azimuth, lamps = scan.azimuths_deg, scan.indices("directional")
    every = np.arange(len(scan.channels))
    turns: list[tuple[int, bool, Ints]] = []
    for mirrored in (False, True):
        for quarters in range(4):
            goes_to = (180 - azimuth if mirrored else azimuth) + 90 * quarters
            apart = np.abs((goes_to[:, None] - azimuth + 180) % 360 - 180)
            if len(lamps) and (apart.min(axis=1) > _NEAR_DEG).any():
                return [Turn(0, False, every, every)]
            source = every.copy()
            if len(lamps):
                source[lamps[apart.argmin(axis=1)]] = lamps
            turns.append((quarters, mirrored, source))
    kept = _representatives(every, [source for _, _, source in turns])
    return [Turn(quarters, mirrored, source, kept) for quarters, mirrored, source in turns]


def _representatives(every: Ints, sources: list[Ints]) -> Ints:
    """Return the first channel of each set of channels that take each other's place."""
    first = np.min(sources, axis=0)
    return np.asarray(every[first == every])


def average_turns(light: FloatStack, turns: list[Turn]) -> FloatStack:
    """Return the mean of pictures over turns, (kept channel, y, x), of channels that then differ.

    Parameters
    ----------
    light : (channel, y, x) with the centre of the turns in the middle; y and x are equal.
    """
    total = np.zeros_like(light[turns[0].kept])
    for turn in turns:
        flipped = light[:, :, ::-1] if turn.is_mirrored else light
        turned = np.rot90(flipped, turn.quarters, (1, 2))
        total += turned[turn.source][turn.kept]
    return np.asarray(total / len(turns), np.float32)
