"""Export to ONNX: one file that computes probabilities from patches in other programs."""

import io
import json
import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from etchscope.ensemble.combine import FAR
from etchscope.ensemble.model import Model
from etchscope.foil import BadInput, require_package

__all__ = ["convert_to_onnx"]


class _Whole(nn.Module, ABC):
    """All experts and the combiner as one network, from patches to probabilities."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        groups = model.experts.values()
        self.groups = [[expert.module() for expert in group] for group in groups]
        self.members = nn.ModuleList(nn.ModuleList(group) for group in self.groups)
        self.channels = [e[0].lights.used(e[0].training.lights)[0].tolist() for e in groups]
        weights = torch.from_numpy(model.combiner.weights.astype(np.float32))
        self.register_buffer("weights", weights)
        self.signal = model.classes.index(model.signal)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return (n, k) probabilities at equal shares, and (n,) scores, see ``Model.score``."""
        logits = []
        for group, channels in zip(self.groups, self.channels, strict=True):
            seen = patches[:, channels]
            logits.append(torch.stack([member(seen) for member in group]).mean(0))
        raw = self._combined(logits)
        log_p = torch.log_softmax(raw, 1)
        rest = [k for k in range(log_p.shape[1]) if k != self.signal]
        score = log_p[:, self.signal] - torch.logsumexp(log_p[:, rest], 1)
        return torch.exp(log_p), score

    @abstractmethod
    def _combined(self, logits: list[Tensor]) -> Tensor:
        """Return (n, k) logits of the classes from each expert's (n, outputs)."""


class _Stacked(_Whole):
    def _combined(self, logits: list[Tensor]) -> Tensor:
        centred = [s if s.shape[1] == 1 else s - s.mean(1, keepdim=True) for s in logits]
        x = torch.clamp(torch.cat(centred, 1), -FAR, FAR) / 4
        first, second = np.triu_indices(x.shape[1])
        features = torch.cat([x, x[:, first.tolist()] * x[:, second.tolist()]], 1)
        weights: Tensor = self.get_buffer("weights")
        return features @ weights[:, :-1].T + weights[:, -1]


class _Highest(_Whole):
    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.places = [
            [[g for g, group in enumerate(kind.groups) if name in group] for name in model.classes]
            for kind in model.combiner.kinds
        ]

    def _combined(self, logits: list[Tensor]) -> Tensor:
        total: Tensor = torch.zeros(())
        for some, places in zip(logits, self.places, strict=True):
            raw = torch.cat([some / 2, -some / 2], 1) if some.shape[1] == 1 else some
            vote = torch.log_softmax(raw, 1)
            neutral = vote.mean(1)
            total = total + torch.stack([vote[:, p[0]] if p else neutral for p in places], 1)
        weights: Tensor = self.get_buffer("weights")
        return weights[0, 0] * torch.log_softmax(total, 1)


_WHOLE: dict[str, type[_Whole]] = {"stacked": _Stacked, "highest": _Highest}


def convert_to_onnx(model: Model) -> bytes:
    """Return the content of an ONNX file of a model.

    Its input is ``patches``, (n, channel, size, size) float32. Its outputs are ``probabilities``,
    (n, k) float32 at equal shares of the classes, and ``score``, (n,) float32. Its metadata state
    ``classes``, ``signal``, ``azimuths_deg``, ``others`` and ``size`` as JSON, but not the recipe
    of normalisation.

    Raises
    ------
    BadInput : a network that ONNX cannot express, or a combiner of another package.
    MissingExtra : the package onnx is not installed.
    """
    require_package("onnx")
    method = model.combiner.method
    if method not in _WHOLE:
        raise BadInput("ONNX export", f"a model combined by {' or '.join(_WHOLE)}", repr(method))
    module = _WHOLE[method](model).eval()
    example = torch.zeros(2, model.lights.count, model.size, model.size)
    buffer: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own age
        try:
            torch.onnx.export(
                module,
                (example,),
                buffer,
                input_names=["patches"],
                output_names=["probabilities", "score"],
                dynamic_axes={"patches": {0: "n"}, "probabilities": {0: "n"}, "score": {0: "n"}},
                opset_version=17,
                dynamo=False,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            text = str(error).splitlines()[0]
            raise BadInput("ONNX export", "a network that ONNX can express", text) from error
    return _with_properties(buffer.getvalue(), model)


def _with_properties(content: bytes, model: Model) -> bytes:
    """Return the content with metadata that explain its input and outputs, each as JSON."""
    import onnx  # slow to load, and scoring needs none of it

    metadata = {
        "classes": model.classes,
        "signal": model.signal,
        "azimuths_deg": model.lights.azimuths_deg,
        "others": model.lights.others,
        "size": model.size,
    }
    whole = onnx.load_model_from_string(content)
    onnx.helper.set_model_props(whole, {k: json.dumps(v) for k, v in metadata.items()})
    named: bytes = whole.SerializeToString()
    return named
