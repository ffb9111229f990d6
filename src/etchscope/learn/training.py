"""How an expert is trained: settings, all of them checked."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from etchscope.foil import BadInput
from etchscope.learn.losses import LOSSES
from etchscope.learn.networks import find_network
from etchscope.learn.patches import LightChoice

__all__ = ["Augmentation", "Training"]

Augmentation = Literal["none", "C4", "D4", "C8"]
"""none; turns by 90°; these and mirrors; turns from lamp to lamp, interpolated unless by 90°.
Of C4 and D4 what the lamps have; planes have both, and no C8.
"""


@dataclass(frozen=True)
class Training:
    """How an expert is trained.

    ``network``: its name in ``NETWORKS`` or a plugin's, with ``width`` and ``depth``. ``lights``:
    which of the patches' lights it sees. ``augmentation``: how each batch is moved at random; exact
    moves are left out for a network that has them built in. ``loss``: its name in ``LOSSES``.
    ``optimiser``: Adam or stochastic gradient descent, at the one-cycle schedule's highest
    ``rate``. ``epochs`` at most; it stops once the validation loss has not fallen for ``patience``
    of them. ``learnt``: balanced accuracy on validation below which a training counts as failed and
    starts anew, at most ``restarts`` times, with other weights; for more than two classes, that
    much of the way from chance to 1. ``left_out``: share of each batch from which lights are left
    out at random; of planes only.
    """

    network: str = "equivariant"
    lights: LightChoice = "all"
    augmentation: Augmentation = "D4"
    loss: str = "balanced"
    optimiser: Literal["adam", "sgd"] = "adam"
    epochs: int = 16
    patience: int = 10
    batch: int = 32
    rate: float = 4e-3
    decay: float = 1e-3
    width: float = 1.0
    depth: int = 3
    learnt: float = 0.75
    restarts: int = 3
    left_out: float = 0.5

    def __post_init__(self) -> None:
        find_network(self.network, where="training: network")
        for name, known in (
            ("lights", get_args(LightChoice)),
            ("augmentation", get_args(Augmentation)),
            ("loss", tuple(LOSSES)),
            ("optimiser", ("adam", "sgd")),
        ):
            if getattr(self, name) not in known:
                raise BadInput(f"training: {name}", " or ".join(known), repr(getattr(self, name)))
        for name in ("epochs", "patience", "batch", "rate"):
            if not getattr(self, name) > 0:
                raise BadInput(f"training: {name}", "above 0", repr(getattr(self, name)))
        if not 0 <= self.left_out <= 1:
            raise BadInput("training: left_out", "0 to 1", repr(self.left_out))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Training":
        """Return the training of a record.

        Raises
        ------
        BadInput : a key that is none of a training's, or a value that cannot be.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise BadInput("training", ", ".join(f.name for f in fields(cls)), unknown[0])
        return cls(**values)
