"""A trained network with all that it needs to score patches."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from etchscope.foil import BadInput, Device
from etchscope.foil.types import Floats, Ints
from etchscope.learn.devices import choose_device
from etchscope.learn.networks import build_network
from etchscope.learn.patches import Lights, Patches
from etchscope.learn.training import Training

__all__ = ["Expert", "compute_logits", "make_network"]

_MOST_PX, _MOST_OUTPUTS, _MOST_LIGHTS = 1024, 1000, 256


@dataclass(frozen=True)
class Expert:
    """A trained network, and how its training went.

    Attributes
    ----------
    training : how it was trained.
    lights, size : of the patches that it takes; size in pixels per side.
    state : name → float32 weights of the network.
    history : (epoch, 3) training loss, validation loss and balanced accuracy on the validation set,
        of the training that was kept.
    failed : how many trainings did not learn, with this one if ``learnt`` is false.
    learnt : whether it is as much better than chance as the training requires.
    seed : of the training that was kept.
    outputs : logits per patch: 1 for two classes, otherwise one per class.
    """

    training: Training
    lights: Lights
    size: int
    state: dict[str, NDArray[np.float32]] = field(repr=False)
    history: Floats = field(repr=False)
    failed: int
    learnt: bool
    seed: int = 0
    outputs: int = 1

    def scores(
        self,
        patches: Patches,
        *,
        batch: int = 64,
        device: Device = "cpu",
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Return the logit of each patch, (n,) float64: positive where the first class is likelier.

        With more than two classes it is (n, classes), of which only differences mean something.

        Parameters
        ----------
        batch : patches at once.
        device : where they are scored.
        progress : called with the number of patches just scored.

        Raises
        ------
        BadInput : other lights or another size than it was trained on, or no such device.
        """
        self.require(patches.lights, patches.pixels.shape[2])
        if not len(patches):
            return np.empty(0 if self.outputs == 1 else (0, self.outputs))
        channels, _ = self.lights.used(self.training.lights)
        module, pixels = (
            self.module().to(choose_device(device)),
            _take_channels(patches.pixels, channels),
        )
        logits = compute_logits(module, pixels, batch, progress)
        return logits[:, 0] if self.outputs == 1 else logits

    def require(self, lights: Lights, size: int) -> None:
        """Refuse patches that the expert was not trained for.

        Raises
        ------
        BadInput : other lights or another size than it was trained on.
        """
        if lights != self.lights or size != self.size:
            raise BadInput("patches", f"{self.lights}, {self.size} px", f"{lights}, {size} px")

    def module(self) -> nn.Module:
        """Return the network, ready to use on the channels that ``training.lights`` chooses.

        Raises
        ------
        BadInput : the weights are not those of such a network.
        """
        made = make_network(self.training, self.lights, self.size, self.outputs, 0)
        state = {k: torch.from_numpy(np.array(v)) for k, v in self.state.items()}
        try:
            made.load_state_dict(state)
        except RuntimeError as error:
            text = str(error).splitlines()[-1].strip()
            name = self.training.network
            raise BadInput("expert", f"the weights of network {name}", text) from error
        return made.eval()

    def to_record(self) -> dict[str, Any]:
        """Return all of it but the weights, for JSON."""
        return {
            "training": asdict(self.training),
            "lights": {"azimuths_deg": self.lights.azimuths_deg, "others": self.lights.others},
            "size": self.size,
            "history": np.round(self.history, 6).tolist(),
            "failed": self.failed,
            "learnt": self.learnt,
            "seed": self.seed,
            "outputs": self.outputs,
        }

    @classmethod
    def from_record(
        cls, record: Mapping[str, Any], state: Mapping[str, NDArray[np.float32]]
    ) -> "Expert":
        """Return the expert of a record and its weights.

        Parameters
        ----------
        record : see ``to_record``.
        state : name → float32 weights.

        Raises
        ------
        BadInput : the record is not one of ``to_record``, or states a size, a number of outputs or
            of lights that no network has.
        """
        try:
            lights = record["lights"]
            expert = cls(
                Training.of(record["training"]),
                Lights(tuple(map(float, lights["azimuths_deg"])), tuple(lights["others"])),
                int(record["size"]),
                dict(state),
                np.asarray(record["history"], np.float64).reshape(-1, 3),
                int(record["failed"]),
                bool(record["learnt"]),
                int(record["seed"]),
                int(record["outputs"]),
            )
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput("expert", "the record of an expert", repr(error)) from error
        for name, value, most in (
            ("size", expert.size, _MOST_PX),
            ("outputs", expert.outputs, _MOST_OUTPUTS),
            ("lights", expert.lights.count, _MOST_LIGHTS),
        ):
            if not 1 <= value <= most:
                raise BadInput(f"expert: {name}", f"1 to {most}", str(value))
        return expert


def make_network(
    training: Training, lights: Lights, size: int, outputs: int, seed: int
) -> nn.Module:
    """Return the network of a training with fresh weights; the same seed gives the same ones.

    Parameters
    ----------
    lights, size : of the patches; the network takes the channels that ``training.lights`` chooses.
    outputs : see ``Expert``.

    Raises
    ------
    BadInput : lights or a size that do not allow the network.
    """
    _, used = lights.used(training.lights)
    return build_network(
        training.network,
        used,
        size,
        outputs,
        seed=seed,
        width=training.width,
        depth=training.depth,
    )


def _take_channels(pixels: NDArray[np.float32], channels: Ints) -> torch.Tensor:
    """Return some channels, without a copy where it is all of them."""
    return torch.from_numpy(pixels if len(channels) == pixels.shape[1] else pixels[:, channels])


def compute_logits(
    module: nn.Module,
    pixels: torch.Tensor,
    batch: int,
    progress: Callable[[int], None] | None = None,
) -> Floats:
    """Return the (n, outputs) logits of pixels, on whatever device the network is.

    Parameters
    ----------
    module : the network.
    pixels : (n, channel, size, size) float32, of the channels that the network takes.
    batch : patches at once.
    progress : called with the number of patches just scored.
    """
    device = next(module.parameters()).device
    module.eval()
    parts = []
    with torch.inference_mode():
        for some in torch.split(pixels, batch):
            parts.append(module(some.to(device)).cpu().numpy().astype(np.float64))
            if progress is not None:
                progress(len(some))
    return np.concatenate(parts)
