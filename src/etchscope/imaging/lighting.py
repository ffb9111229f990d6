"""The lighting of a scan: the role of each of its channels, and the azimuths of its lamps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from etchscope.foil import BadInput, Channel, Scan
from etchscope.foil.types import Floats, Ints
from etchscope.imaging.harmonics import harmonic_weights

__all__ = ["Lighting"]


@dataclass(frozen=True)
class Lighting:
    """The lighting of the channels of a scan.

    Attributes
    ----------
    directional, azimuths_deg : (n,) int64 indices of the directional channels, and float64 azimuths
        of their lamps, degrees ccw from +x, y up; both are empty without lamps.
    gradient_sign : +1, or −1 where the wall that faces the lamp is dark.
    dark, bright : int64 indices of the channels in which a pit is dark (backlit) or bright (halo).

    Raises
    ------
    BadInput : there is no channel, or there are too few different azimuths for the first harmonic.
    """

    directional: Ints
    azimuths_deg: Floats
    gradient_sign: int
    dark: Ints
    bright: Ints

    def __post_init__(self) -> None:
        if len(self.directional):
            harmonic_weights(self.azimuths_deg)
        elif not len(self.dark) + len(self.bright):
            raise BadInput("scan", "a directional, backlit or halo channel", "none")

    @classmethod
    def of_channels(
        cls, channels: tuple[Channel, ...], azimuths_deg: Floats, gradient_sign: int
    ) -> "Lighting":
        """Return the lighting of a list of channels.

        Parameters
        ----------
        channels : the channels of a scan.
        azimuths_deg : (n,) azimuths of the directional channels, in order.
        gradient_sign : +1 or −1.

        Raises
        ------
        BadInput : there are one or two directional azimuths, which give no harmonics.
        """
        role = np.array([c.role for c in channels])
        return cls(
            np.flatnonzero(role == "directional"),
            np.asarray(azimuths_deg, float),
            gradient_sign,
            np.flatnonzero(role == "backlit"),
            np.flatnonzero(role == "halo"),
        )

    def without(self, channels: Sequence[int]) -> "Lighting":
        """Return the lighting without some channels, as far as enough channels remain.

        All lamps stay if fewer than three different azimuths would remain, and all other lights
        stay if no channel would remain.
        """
        lamps = ~np.isin(self.directional, channels)
        out = self
        if len(self.directional) and _has_gradient(self.azimuths_deg[lamps]):
            kept = self.directional[lamps]
            out = replace(out, directional=kept, azimuths_deg=self.azimuths_deg[lamps])
        dark, bright = (c[~np.isin(c, channels)] for c in (self.dark, self.bright))
        if len(out.directional) + len(dark) + len(bright):
            out = replace(out, dark=dark, bright=bright)
        return out

    @classmethod
    def of_scan(cls, scan: Scan) -> "Lighting":
        """Return the lighting of a scan; raises as ``of_channels``."""
        return cls.of_channels(scan.channels, scan.azimuths_deg, scan.gradient_sign)


def _has_gradient(azimuths_deg: Floats) -> bool:
    """Return whether lamps at these azimuths determine the first harmonic."""
    try:
        harmonic_weights(azimuths_deg)
    except BadInput:
        return False
    return True
