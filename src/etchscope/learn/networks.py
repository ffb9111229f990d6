"""The networks, chosen by name; each maps patches (n, channel, size, size) to (n, outputs) logits.

All are small, start from Glorot's initialisation, and normalise by groups of channels, which is the
same in training and in use.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from etchscope.foil import BadInput
from etchscope.foil.types import Floats
from etchscope.imaging import Symmetry
from etchscope.learn.layers import close_circle, halve, initialise, make_head, radius_map
from etchscope.learn.patches import Lights
from etchscope.learn.symmetric import GroupConvolution, ToGroup
from etchscope.plugins import bad_plugin, find_plugin

__all__ = [
    "NETWORKS",
    "AzimuthNetwork",
    "EachLampNetwork",
    "EquivariantNetwork",
    "Maker",
    "PlainNetwork",
    "build_network",
    "find_network",
]


class PlainNetwork(nn.Module):
    """A 2-D convolution over all channels at once: the reference architecture.

    Parameters
    ----------
    channels, size : of the patches.
    outputs : logits per patch.
    widths : channels of the three layers, each followed by pooling over 2 × 2 pixels.
    """

    radius: Tensor

    def __init__(
        self, channels: int, size: int, outputs: int, widths: Sequence[int] = (24, 48, 48)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels + 1
        for width in widths:
            convolution = initialise(nn.Conv2d(before, width, 3, padding=1))
            layers += [convolution, nn.GroupNorm(width // 4, width), nn.ReLU(), nn.AvgPool2d(2)]
            before = width
        self.body = nn.Sequential(*layers)
        self.head = make_head(before, outputs)
        self.register_buffer("radius", radius_map(size), persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, outputs) logits.

        Parameters
        ----------
        patches : (n, channel, size, size) float32.
        """
        radius = self.radius.expand(patches.shape[0], -1, -1, -1)
        logits: Tensor = self.head(self.body(torch.cat([patches, radius], 1)).mean((2, 3)))
        return logits


class EachLampNetwork(nn.Module):
    """One plain network for every lamp's picture, which also sees the lamp's azimuth.

    In training each lamp's picture is an example of its own: the answer is (lamps · n, outputs),
    lamp by lamp. In use a patch's answer is the mean over its lamps. Other lights are not seen.
    """

    direction: Tensor

    def __init__(
        self,
        azimuths_deg: Sequence[float],
        size: int,
        outputs: int,
        widths: Sequence[int] = (24, 48, 48),
    ) -> None:
        super().__init__()
        self.single = PlainNetwork(3, size, outputs, widths)
        angle = torch.deg2rad(torch.tensor(list(azimuths_deg)))
        direction = torch.stack([torch.cos(angle), torch.sin(angle)], 1)
        self.register_buffer("direction", direction, persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, outputs) logits in use, (lamps · n, outputs) in training.

        Parameters
        ----------
        patches : (n, channel, size, size) float32.
        """
        n, lamps, size = patches.shape[0], len(self.direction), patches.shape[-1]
        planes = self.direction[:, None, :, None, None].expand(-1, n, -1, size, size)
        pictures = patches[:, :lamps].transpose(0, 1)[:, :, None]
        seen = torch.cat([pictures, planes], 2).flatten(0, 1)
        logits: Tensor = self.single(seen)
        return logits if self.training else logits.view(lamps, n, -1).mean(0)


class AzimuthNetwork(nn.Module):
    """A 3-D convolution over place and azimuth, the azimuth closed to a circle.

    Lights that are no lamps join after the first layer, which sees the lamps only. The azimuths are
    kept apart to the end: their mean would be the same for a top pit and for a bottom pit, which is
    a top pit with the lamps half a circle on.
    """

    radius: Tensor

    def __init__(
        self, lamps: int, others: int, size: int, outputs: int, widths: Sequence[int] = (12, 24, 24)
    ) -> None:
        super().__init__()
        self.lamps = lamps
        self.lift = initialise(nn.Conv3d(1, widths[0], 3, padding=(0, 1, 1)))
        self.join = initialise(nn.Conv2d(others + 1, widths[0], 3, padding=1))
        self.following = nn.ModuleList(
            initialise(nn.Conv3d(before, after, 3, padding=(0, 1, 1)))
            for before, after in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList([nn.GroupNorm(w // 4, w) for w in widths])
        self.head = make_head(lamps * widths[-1], outputs)
        self.register_buffer("radius", radius_map(size), persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, outputs) logits.

        Parameters
        ----------
        patches : (n, channel, size, size) float32.
        """
        radius = self.radius.expand(patches.shape[0], -1, -1, -1)
        rest = self.join(torch.cat([patches[:, self.lamps :], radius], 1))
        x = self.lift(close_circle(patches[:, None, : self.lamps])) + rest[:, :, None]
        for norm, following in zip(self.norms, (*self.following, None), strict=True):
            x = functional.avg_pool3d(functional.relu(norm(x)), (1, 2, 2))
            if following is not None:
                x = following(close_circle(x))
        logits: Tensor = self.head(x.mean((3, 4)).flatten(1))
        return logits


class EquivariantNetwork(nn.Module):
    """A network whose answer does not change under the exact symmetries, by construction.

    Group convolutions (Cohen & Welling 2016) over turns by 90° and mirrors. A turn of the scene
    turns the pictures and permutes the lamps, or mixes the harmonics of planes, so the first
    layer's filters are turned and their channels mixed alike. Features carry one map per element of
    the group; the mean over the group and over the patch is what does not change. The patch's place
    is known from the distance to its middle, which every symmetry keeps. Constant planes, which
    stand for what lights there are, join at the head: a layer's normalisation would remove them.

    Parameters
    ----------
    lights, size : of the patches; size is even.
    outputs : logits per patch.
    fields : features per layer, each of them one map per element of the group.
    elements : the group; all exact symmetries that the lights have unless given.

    Raises
    ------
    BadInput : the lamps' azimuths do not have the symmetries, or the patches' size is odd.
    """

    radius: Tensor

    def __init__(
        self,
        lights: Lights,
        size: int,
        outputs: int,
        fields: Sequence[int] = (8, 12, 12),
        elements: tuple[Symmetry, ...] | None = None,
    ) -> None:
        super().__init__()
        elements = elements or lights.symmetries
        if len(elements) == 1:
            expected = "lamps that a turn by 90° or a mirror maps onto each other"
            found = f"azimuths {list(lights.azimuths_deg)}"
            raise BadInput("equivariant network", expected, found)
        if size % 2:
            raise BadInput("patch size", "an even number of pixels", str(size))
        self.elements = elements
        self.pictures = lights.pictures
        mixing = np.stack([_with_radius(lights.mixing(g), lights.pictures) for g in elements])
        self.lift = ToGroup(elements, mixing, fields[0], 6)
        self.group = nn.ModuleList(
            GroupConvolution(elements, before, after, 3)
            for before, after in itertools.pairwise(fields)
        )
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(f)) for f in fields])
        self.shifts = nn.ParameterList([nn.Parameter(torch.zeros(f)) for f in fields])
        self.head = make_head(2 * fields[-1] + lights.count - lights.pictures, outputs)
        self.register_buffer("radius", radius_map(size), persistent=False)

    def _normalised(self, x: Tensor, layer: int) -> Tensor:
        """Return each field with mean and spread, over group and patch, of its own choice."""
        order = len(self.elements)
        scale, shift = (p[layer].repeat_interleave(order) for p in (self.scales, self.shifts))
        return functional.relu(functional.group_norm(x, len(scale) // order, scale, shift, 1e-6))

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, outputs) logits.

        Parameters
        ----------
        patches : (n, channel, size, size) float32.
        """
        radius = self.radius.expand(patches.shape[0], -1, -1, -1)
        seen = torch.cat([patches[:, : self.pictures], radius], 1)
        # Six pixels wide, two apart and two beyond the edge: as symmetric as the patch is.
        x = functional.conv2d(seen, self.lift.expanded(), stride=2, padding=2)
        x = halve(self._normalised(x, 0))
        for layer, convolution in enumerate(self.group, 1):
            weight = convolution.expanded()  # type: ignore[operator]
            x = functional.conv2d(x, weight, padding=1)
            x = halve(self._normalised(x, layer))
        fields = x.view(x.shape[0], -1, len(self.elements), *x.shape[2:])
        given = patches[:, self.pictures :, 0, 0]
        pooled = torch.cat([fields.mean((2, 3, 4)), fields.amax((2, 3, 4)), given], 1)
        logits: Tensor = self.head(pooled)
        return logits


def _with_radius(mixing: Floats, pictures: int) -> Floats:
    """Return what a symmetry does to the pictures and to the distance from the middle."""
    out = np.eye(pictures + 1)
    out[:pictures, :pictures] = mixing[:pictures, :pictures]
    return out


Maker = Callable[[Lights, int, int, float, int], nn.Module]
"""From lights, patch size, number of outputs, width and depth to a network with fresh weights."""


def _widths(first: int, rest: int, width: float, depth: int) -> list[int]:
    """Return the channels of each layer, in whole groups of four."""
    return [max(round(n * width / 4), 1) * 4 for n in (first, *[rest] * (depth - 1))]


def _each_lamp(lights: Lights, size: int, outputs: int, width: float, depth: int) -> nn.Module:
    if not lights.azimuths_deg:
        raise BadInput("each-lamp network", "lamps", "no directional channel")
    return EachLampNetwork(lights.azimuths_deg, size, outputs, _widths(24, 48, width, depth))


def _azimuth(lights: Lights, size: int, outputs: int, width: float, depth: int) -> nn.Module:
    lamps, others = len(lights.azimuths_deg), len(lights.others)
    if lamps < 3:
        raise BadInput("azimuth network", "three lamps or more", str(lamps))
    return AzimuthNetwork(lamps, others, size, outputs, _widths(12, 24, width, depth))


NETWORKS: dict[str, Maker] = {
    "plain": lambda lights, size, outputs, width, depth: PlainNetwork(
        lights.count, size, outputs, _widths(24, 48, width, depth)
    ),
    "each-lamp": _each_lamp,
    "azimuth": _azimuth,
    "equivariant": lambda lights, size, outputs, width, depth: EquivariantNetwork(
        lights, size, outputs, _widths(8, 12, width, depth)
    ),
}
"""Name → what makes the network. A plugin of ``etchscope.networks`` adds more."""


def find_network(name: str, *, where: str = "network") -> Maker:
    """Return what makes a network of a name.

    Parameters
    ----------
    where : what gave the name, as the errors say it.

    Raises
    ------
    NoPlugin : no network of that name.
    BadPlugin : the network of another package cannot be loaded.
    """
    return find_plugin("networks", name, NETWORKS, where=where)


def build_network(
    name: str,
    lights: Lights,
    size: int,
    outputs: int = 1,
    *,
    seed: int = 0,
    width: float = 1.0,
    depth: int = 3,
) -> nn.Module:
    """Return a network with fresh weights; the same seed gives the same ones.

    Parameters
    ----------
    name : one of ``NETWORKS``, or of a plugin.
    width : times the usual number of features in each layer.
    depth : convolutions, 2 to 4.
    lights, size : of the patches; size in pixels per side.
    outputs : logits per patch.
    seed : of the weights.

    Raises
    ------
    BadInput : no network of that name, one that these lights do not allow, a width or a depth out
        of range, patches too small for the depth, or a plugin that makes no network.
    """
    make = find_network(name)
    if not 2 <= depth <= 4 or not 0.1 <= width <= 10:
        raise BadInput("network", "depth 2 to 4, width 0.1 to 10", f"{depth}, {width:g}")
    if size < 2**depth:
        raise BadInput("patch size", f"{2**depth} pixels or more for depth {depth}", str(size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = make(lights, size, outputs, width, depth)
    if not isinstance(made, nn.Module):
        raise bad_plugin("networks", name, "a function that returns a torch.nn.Module", made)
    return made
