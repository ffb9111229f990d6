"""The loss of the finder's training: heat, marks, and shapes with their own errors."""

import torch
from torch import Tensor
from torch.nn import functional

from etchscope.foil.openings import SURFACES, VALUES, map_index

__all__ = ["Parts", "compute_finder_loss"]

_HEATS = [map_index(s, "heat") for s in SURFACES]
_SHARES = {"place": 0.15, "radius": 0.3, "ellipse": 0.1, "depth": 0.15, "mark": 0.3}
"""Weight of each part of the loss relative to that of the heat."""

_FEW_CELLS = 32.0
"""Added to the number of marked cells of a picture, which divides its loss of marks, because many
pictures have none."""

Parts = dict[str, Tensor]


def _weights(heat: Tensor) -> Tensor:
    """Return the weight of one centre of each picture, (n,).

    With equal weights of all centres, crowded pictures alone would count. With equal weights of all
    pictures, a centre in a crowd would hardly count. These weights lie between the two.
    """
    centres = (heat == 1).sum((1, 2, 3)).float()
    return (centres + 8).rsqrt()


def _heat_loss(logits: Tensor, heat: Tensor, counts: Tensor) -> Tensor:
    """Return the penalty-reduced focal loss (Law & Deng 2018, CornerNet, eq. 1) per centre."""
    p = torch.sigmoid(logits).clamp(1e-5, 1 - 1e-5)
    centre = (heat == 1).float()
    hit = -centre * torch.log(p) * (1 - p).square()
    false = -(1 - centre) * torch.log(1 - p) * p.square() * (1 - heat).pow(4)
    weights = _weights(heat)
    each = ((hit + false) * counts).sum((1, 2, 3))
    return (weights * each).sum() / (1 / weights).sum()


def _normal_loss(error2: Tensor, log_sigma: Tensor, weight: Tensor, components: int) -> Tensor:
    """Return the β-weighted normal likelihood, β = 1/2 (Seitzer et al. 2022, eq. 5)."""
    log_sigma = log_sigma.clamp(-5, 3)
    each = 0.5 * error2 * torch.exp(-2 * log_sigma) + components * log_sigma
    return (weight * torch.exp(log_sigma).detach() * each).sum() / weight.sum().clamp_min(1e-9)


def compute_finder_loss(
    maps: Tensor,
    heat: Tensor,
    counts: Tensor,
    values: Tensor,
    near: Tensor,
    mark: Tensor,
    mark_counts: Tensor,
) -> tuple[Tensor, Parts]:
    """Return the loss of a batch, and name → part of it, which are scalars.

    Parameters
    ----------
    maps : (n, map, y, x) float32, what the network returns.
    heat, counts, near : (n, 3, y, x), see ``Targets``.
    values : (n, 3, 6, y, x), see ``Targets``.
    mark, mark_counts : (n, y, x), see ``Targets``.
    """
    parts = {"heat": _heat_loss(maps[:, _HEATS], heat, counts)}
    n, _, height, width = maps.shape
    of_surface = maps[:, :-1].view(n, len(SURFACES), len(VALUES), height, width)
    stated = of_surface.permute(0, 1, 3, 4, 2)[near]
    true = values.permute(0, 1, 3, 4, 2)[near]
    if len(stated):
        weight = _weights(heat)[torch.nonzero(near)[:, 0]]
        known = torch.isfinite(true)
        error2 = (stated[:, 1:7] - torch.where(known, true, stated[:, 1:7].detach())).square()
        sigma = dict(zip(("place", "radius", "ellipse", "depth"), stated[:, 7:].T, strict=True))
        for name, columns in (
            ("place", [0, 1]),
            ("radius", [2]),
            ("ellipse", [3, 4]),
            ("depth", [5]),
        ):
            squares = error2[:, columns].sum(1)
            counts = weight * known[:, columns].all(1)
            parts[name] = _normal_loss(squares, sigma[name], counts, len(columns))
    bce = functional.binary_cross_entropy_with_logits(maps[:, -1], mark, reduction="none")
    each = (bce * mark_counts).sum((1, 2)) / ((mark * mark_counts).sum((1, 2)) + _FEW_CELLS)
    parts["mark"] = each.mean()
    total = parts["heat"] + sum(_SHARES[k] * v for k, v in parts.items() if k != "heat")
    return total, {k: v.detach() for k, v in parts.items()}
