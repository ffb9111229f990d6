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
"""none: no moves; C4: turns by 90°; D4: these and mirrors; C8: turns from lamp to lamp, which are
interpolated unless by 90°. C4 and D4 use the symmetries that the lamps have. Planes have both and
no C8.
"""


@dataclass(frozen=True)
class Training:
    """How an expert is trained.

    Attributes
    ----------
    network : name in ``NETWORKS`` or of a plugin.
    lights : which lights of the patches the network sees.
    augmentation : how each batch is moved at random; a network with a built-in symmetry is not
        moved.
    loss : name in ``LOSSES``.
    optimiser : Adam with weight decay, or stochastic gradient descent with momentum.
    epochs : greatest number of passes over the patches.
    patience : number of epochs without a smaller validation loss after which training stops.
    batch : patches per step.
    rate : highest learning rate of the one-cycle schedule.
    decay : of the weights.
    width, depth : of the network, see ``networks.network``.
    learnt : balanced accuracy on validation below which a training has failed; for more than two
        classes it is scaled to the same part of the way from chance to 1.
    restarts : greatest number of new starts with other weights after failed trainings.
    left_out : share of each batch of planes from which lights are left out at random.

    Raises
    ------
    BadInput : an unknown name, or a value out of range.
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
        """Return the training of a JSON object.

        Parameters
        ----------
        values : name → value; names that are missing have their defaults.

        Raises
        ------
        BadInput : an unknown key, an unknown name, or a value out of range.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise BadInput("training", ", ".join(f.name for f in fields(cls)), unknown[0])
        return cls(**values)
