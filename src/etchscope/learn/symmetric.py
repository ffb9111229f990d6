"""Convolutions that respect the exact symmetries of the optics (Cohen & Welling 2016).

A field of features carries one map per element of the group. Under a symmetry h of the scene the
maps move in the plane and change places: y_g(p) becomes y_{h⁻¹g}(h⁻¹p). Filters are stored once and
turned for every element, so an expanded layer is an ordinary convolution.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from etchscope.foil.types import Floats
from etchscope.imaging import Symmetry

__all__ = ["FromGroup", "GroupConvolution", "ToGroup", "fill_glorot", "left_table", "move_filters"]


def fill_glorot(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fill a weight as Glorot & Bengio (2010) do, eq. 16.

    Parameters
    ----------
    weight : tensor that is filled in place.
    fan_in, fan_out : number of values that go into, and out of, each place.
    """
    bound = math.sqrt(6 / (fan_in + fan_out))
    nn.init.uniform_(weight, -bound, bound)


def move_filters(weight: Tensor, g: Symmetry) -> Tensor:
    """Return filters (…, y, x) as a symmetry moves them in the plane.

    Parameters
    ----------
    weight : (…, y, x) filters.
    g : the symmetry.
    """
    if g.mirrored:
        weight = weight.flip(-1)
    # As flips and transpositions, which ONNX knows, where it does not know rot90.
    for _ in range(g.quarter_turns):
        weight = weight.transpose(-2, -1).flip(-2)
    return weight


def left_table(elements: Sequence[Symmetry]) -> Tensor:
    """Return, for g and h, the place of g⁻¹h among the elements, (g, h)."""
    places = {g: i for i, g in enumerate(elements)}
    return torch.tensor([[places[g.inverse.after(h)] for h in elements] for g in elements])


class ToGroup(nn.Module):
    """From planes that mix under a symmetry to fields; ``expanded`` gives the filters.

    Parameters
    ----------
    mixing : (element, plane, plane) what each symmetry does to the planes at a point.
    fields : features that come out, each of them one map per element.
    size : pixels per side of the filters.
    """

    undo: Tensor

    def __init__(
        self, elements: Sequence[Symmetry], mixing: Floats, fields: int, size: int
    ) -> None:
        super().__init__()
        self.elements = tuple(elements)
        inverse = torch.as_tensor(np.linalg.inv(mixing), dtype=torch.float32)
        self.register_buffer("undo", inverse, persistent=False)
        self.weight = nn.Parameter(torch.empty(fields, mixing.shape[1], size, size))
        fill_glorot(self.weight, self.weight[0].numel(), fields * size * size)

    def expanded(self) -> Tensor:
        """Return (field · element, plane, size, size) filters."""
        banks = [
            torch.einsum("fcyx,cd->fdyx", move_filters(self.weight, g), self.undo[i])
            for i, g in enumerate(self.elements)
        ]
        return torch.stack(banks, 1).flatten(0, 1)


class GroupConvolution(nn.Module):
    """From fields to fields; ``expanded`` gives the filters."""

    places: Tensor | None

    def __init__(self, elements: Sequence[Symmetry], before: int, after: int, size: int) -> None:
        super().__init__()
        self.elements = tuple(elements)
        order = len(elements)
        self.weight = nn.Parameter(torch.empty(after, before, order, size, size))
        fill_glorot(self.weight, self.weight[0].numel(), after * order * size * size)
        self.register_buffer("places", None, persistent=False)

    def expanded(self) -> Tensor:
        """Return (field · element, field · element, size, size) filters."""
        if self.places is None:  # not before, because a network of shapes only needs none
            self.places = self._find_places()
        taken = self.weight.flatten().index_select(0, self.places.flatten())
        return taken.view_as(self.places)

    def _find_places(self) -> Tensor:
        """Return which weight stands where.

        Taking all weights at once is one operation; turning each bank of filters would be hundreds,
        which a GPU would wait for.
        """
        left = left_table(self.elements)
        whole = torch.arange(self.weight.numel(), device=self.weight.device).view_as(self.weight)
        banks = [
            move_filters(whole[:, :, left[i]], g).flatten(1, 2) for i, g in enumerate(self.elements)
        ]
        return torch.stack(banks, 1).flatten(0, 1)


class FromGroup(nn.Module):
    """From fields to maps that mix under a symmetry; ``expanded`` gives the filters.

    Parameters
    ----------
    mixing : (element, map, map) what each symmetry does to the maps at a point.
    """

    mix: Tensor

    def __init__(self, elements: Sequence[Symmetry], fields: int, mixing: Floats) -> None:
        super().__init__()
        mix = torch.as_tensor(mixing, dtype=torch.float32)
        self.register_buffer("mix", mix, persistent=False)
        self.weight = nn.Parameter(torch.empty(mixing.shape[1], fields))
        self.bias = nn.Parameter(torch.zeros(mixing.shape[1]))
        fill_glorot(self.weight, fields, mixing.shape[1])

    def expanded(self) -> tuple[Tensor, Tensor]:
        """Return (map, field · element, 1, 1) filters, and the (map,) bias."""
        order = len(self.mix)
        weight = torch.einsum("gij,jf->ifg", self.mix, self.weight) / order
        # What a symmetry changes has no bias: averaged over the group, it vanishes.
        return weight.flatten(1)[:, :, None, None], self.mix.mean(0) @ self.bias
