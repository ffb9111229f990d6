"""The learned finder's network: from planes of any lights to maps of openings, at half the size.

A U-shaped network of group convolutions. Its answer moves with the scene under the eight exact
symmetries, by construction; nothing is normalised by what one picture holds, so crowds and empty
tiles are searched alike.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from etchscope.foil import BadInput, Device
from etchscope.foil.openings import MAPS, SURFACES, VALUES
from etchscope.foil.types import Floats, FloatStack
from etchscope.imaging import D4, Symmetry
from etchscope.imaging.planes import plane_representation
from etchscope.learn.devices import choose_device
from etchscope.learn.symmetric import FromGroup, GroupConvolution, ToGroup

__all__ = ["FIELD_PX", "STRIDE", "WIDTHS", "FinderNetwork", "PlainFinder", "move_maps"]

WIDTHS = (6, 16, 24, 32, 16)
"""Fields per layer of the package's own network, whose weights take 1.5 MB."""
STRIDE = 2
"""Pixels of the picture per cell of the maps, along each side."""
_MULTIPLE = 16
"""The picture's sides must be multiples of this; what is missing is reflected."""
FIELD_PX = 32
"""Pixels per side of the smallest picture that the network can search."""
_HALVED = ("amx_bf16", "avx512_bf16", "bf16")
"""Processors with one of these multiply two to four times as fast in half precision."""
_RARE = -4.6
"""Log odds that the untrained network gives everywhere: openings are rare."""

Step = Callable[[str, Tensor], Tensor]


def move_maps(symmetry: Symmetry) -> Floats:
    """Return what a symmetry of the scene does to the maps at a point, (map, map)."""
    planes = plane_representation(symmetry)
    out = np.eye(len(MAPS))
    names = [v.name for v in VALUES]
    for k in range(len(SURFACES)):
        first = k * len(VALUES)
        for name, block in (("dx", planes[1:3, 1:3]), ("e_cos", planes[3:5, 3:5])):
            at = first + names.index(name)
            out[at : at + 2, at : at + 2] = block
    return out


class _Normalised(nn.Module):
    """Batch normalisation with one mean and spread per field, over its maps and the batch."""

    mean: Tensor
    variance: Tensor

    def __init__(self, fields: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.scale, self.shift = nn.Parameter(torch.ones(fields)), nn.Parameter(torch.zeros(fields))
        self.register_buffer("mean", torch.zeros(fields))
        self.register_buffer("variance", torch.ones(fields))

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return factor and shift of each map, from the statistics of training."""
        factor = self.scale / torch.sqrt(self.variance + 1e-5)
        shift = self.shift - self.mean * factor
        return factor.repeat_interleave(self.order), shift.repeat_interleave(self.order)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, each field of mean 0 and spread 1 over the batch, scaled and shifted."""
        # A quarter of the places is enough, because neighbours are alike.
        values = x[:, :, ::2, ::2].float()
        mean = values.mean((0, 2, 3)).view(-1, self.order).mean(1)
        square = values.square().mean((0, 2, 3)).view(-1, self.order).mean(1)
        variance = (square - mean.square()).clamp_min(0)
        with torch.no_grad():
            self.mean.lerp_(mean, 0.02)
            self.variance.lerp_(variance, 0.02)
        factor = self.scale / torch.sqrt(variance + 1e-5)
        shift = self.shift - mean * factor
        factor, shift = (v.repeat_interleave(self.order).to(x.dtype) for v in (factor, shift))
        return torch.addcmul(shift[:, None, None], x, factor[:, None, None])


class FinderNetwork(nn.Module):
    """The network in training; ``plain`` returns it as ordinary convolutions for use.

    Parameters
    ----------
    widths : fields at a half, a quarter, an eighth and a sixteenth of the picture's size, and of
        the last layer before the maps. Of a field only its sum over the group goes into a map that
        no symmetry changes, so the last layer needs about as many as there are such maps.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.widths = tuple(widths)
        one, two, three, four, last = self.widths
        mixing = np.stack([plane_representation(g) for g in D4])
        layers: dict[str, ToGroup | GroupConvolution] = {"lift": ToGroup(D4, mixing, one, 4)}
        for name, before, after, size in (
            ("down1", one, one, 3),
            ("down2a", one, two, 3),
            ("down2b", two, two, 3),
            ("down3a", two, three, 3),
            ("down3b", three, three, 3),
            ("down4a", three, four, 3),
            ("down4b", four, four, 3),
            ("join3", four, three, 1),
            ("up3", three, three, 3),
            ("join2", three, two, 1),
            ("up2", two, two, 3),
            ("join1", two, one, 1),
            ("up1a", one, one, 3),
            ("up1b", one, one, 3),
            ("last", one, last, 1),
        ):
            layers[name] = GroupConvolution(D4, before, after, size)
        norms = {n: _Normalised(layer.weight.shape[0], len(D4)) for n, layer in layers.items()}
        self.layers, self.norms = nn.ModuleDict(layers), nn.ModuleDict(norms)
        self._layers, self._norms = layers, norms
        self.head = FromGroup(D4, last, np.stack([move_maps(g) for g in D4]))
        with torch.no_grad():
            for k, name in enumerate(MAPS):
                if name.endswith("heat") or name == "mark":
                    self.head.bias[k] = _RARE

    def _step(self, name: str, x: Tensor) -> Tensor:
        weight = self._layers[name].expanded().to(x.dtype)
        stride, padding = _geometry(name, weight)
        x = functional.conv2d(x, weight, None, stride, padding)
        return functional.relu(self._norms[name](x))

    def forward(self, planes: Tensor) -> Tensor:
        """Return (n, map, y / 2, x / 2) maps of (n, 13, y, x) planes."""
        weight, bias = self.head.expanded()
        return functional.conv2d(_body(planes, self._step).float(), weight, bias)

    def plain(self, dtype: torch.dtype | None = None, *, device: Device = "cpu") -> "PlainFinder":
        """Return the network for use: every layer one ordinary convolution.

        Parameters
        ----------
        dtype : of its arithmetic; what the device does fastest unless given. Training rounds
            to bfloat16 as well.
        device : where it computes.

        Raises
        ------
        BadInput : a GPU is asked for, and there is none.
        """
        device = choose_device(device)
        weights: dict[str, NDArray[np.float32]] = {}
        with torch.no_grad():
            for name, layer in self._layers.items():
                factor, shift = self._norms[name].affine()
                weight = layer.expanded() * factor[:, None, None, None]
                weights[f"{name}.weight"], weights[f"{name}.bias"] = weight.numpy(), shift.numpy()
            weight, bias = self.head.expanded()
            weights["head.weight"], weights["head.bias"] = weight.numpy(), bias.numpy()
        return PlainFinder(weights, dtype or _quick_dtype(device), device)

    @classmethod
    def seeded(cls, widths: Sequence[int], seed: int) -> "FinderNetwork":
        """Return a network with fresh weights; the same seed gives the same ones.

        Parameters
        ----------
        widths : see ``FinderNetwork``.
        seed : of the weights.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(widths)

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return name → weights, float32 arrays as in ``from_arrays``."""
        return {k: v.detach().numpy().copy() for k, v in self.state_dict().items()}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], widths: Sequence[int], *, where: str = "finder"
    ) -> "FinderNetwork":
        """Return the network of stored weights.

        Parameters
        ----------
        arrays : name → weights, see ``to_arrays``.
        widths : see ``FinderNetwork``.
        where : the file of the weights, for errors.

        Raises
        ------
        BadInput : no network has such widths, or the weights are not those of such a network.
        """
        what = f"the weights of a finder of widths {list(widths)}"
        try:
            with torch.device("meta"):  # shapes only, since a card can state any widths
                states = cls(widths).state_dict()
        except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError) as error:
            raise BadInput(where, "widths of a finder", f"{list(widths)}") from error
        expected = {k: tuple(v.shape) for k, v in states.items()}
        found = {k: tuple(v.shape) for k, v in arrays.items()}
        if found != expected:
            wrong = sorted(set(found.items()) ^ set(expected.items()))
            raise BadInput(where, what, f"{wrong[0]}")
        network = cls(widths)
        network.load_state_dict(
            {k: torch.from_numpy(np.ascontiguousarray(v, np.float32)) for k, v in arrays.items()}
        )
        return network


def _geometry(name: str, weight: Tensor) -> tuple[int, int]:
    """Return stride and padding of a layer."""
    return (2, 1) if name == "lift" else (1, weight.shape[-1] // 2)


def _body(x: Tensor, step: Step) -> Tensor:
    """Return the features at half the picture's size; ``step`` does a layer by its name."""
    one = step("down1", step("lift", x))
    two = step("down2b", step("down2a", functional.avg_pool2d(one, 2)))
    three = step("down3b", step("down3a", functional.avg_pool2d(two, 2)))
    four = step("down4b", step("down4a", functional.avg_pool2d(three, 2)))
    for name, fine in (("3", three), ("2", two)):
        four = step(f"up{name}", fine + _doubled(step(f"join{name}", four)))
    return step("last", step("up1b", step("up1a", one + _doubled(step("join1", four)))))


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _quick_dtype(device: Device) -> torch.dtype:
    if device == "cuda":
        return torch.bfloat16
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if any(able.get(name) for name in _HALVED) else torch.float32


class PlainFinder:
    """The trained network as ordinary convolutions; calling it gives the maps of one tile.

    The maps themselves are made in single precision, whatever the ``dtype`` of the layers.
    """

    def __init__(
        self,
        weights: Mapping[str, NDArray[np.float32]],
        dtype: torch.dtype = torch.float32,
        device: Device = "cpu",
    ) -> None:
        self._weights, self._dtype, self._device = dict(weights), dtype, choose_device(device)

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        out = {}
        for name, values in self._weights.items():
            tensor = torch.from_numpy(values).to(self._device)
            if not name.startswith("head."):
                tensor = tensor.to(self._dtype)
            is_filter = tensor.ndim == 4
            out[name] = tensor.to(memory_format=torch.channels_last) if is_filter else tensor
        return out

    def _step(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        stride, padding = _geometry(name, weight)
        return functional.relu_(functional.conv2d(x, weight, bias, stride, padding))

    def __call__(self, planes: FloatStack) -> FloatStack:
        """Return the maps of one tile.

        Parameters
        ----------
        planes : (13, y, x) float32, ``Planes.stacked``.

        Returns
        -------
        (map, ⌈y / 2⌉, ⌈x / 2⌉) float32, the maps of ``MAPS``.

        Raises
        ------
        BadInput : a picture smaller than the network's field.
        """
        rows, columns = planes.shape[1:]
        if min(rows, columns) < FIELD_PX:
            expected = f"pictures of at least {FIELD_PX} × {FIELD_PX} px"
            raise BadInput("finder", expected, f"{rows} × {columns}")
        more = [(0, 0), (0, -rows % _MULTIPLE), (0, -columns % _MULTIPLE)]
        padded = np.pad(planes, more, mode="symmetric") if more[1][1] or more[2][1] else planes
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(padded[None]))
            x = x.to(self._device, self._dtype, memory_format=torch.channels_last)
            x = _body(x, self._step).float()
            maps = functional.conv2d(x, self._tensors["head.weight"], self._tensors["head.bias"])
        out = maps[0].contiguous().cpu().numpy()
        return np.ascontiguousarray(out[:, : -(-rows // STRIDE), : -(-columns // STRIDE)])
