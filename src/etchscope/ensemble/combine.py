"""From the experts' logits to calibrated probabilities of the classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from etchscope.ensemble.kinds import ExpertKind
from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["Combiner", "Method", "fit_combiner", "log_votes"]

Method = Literal["highest", "stacked"]
"""highest: every expert votes for the classes it knows, the votes are multiplied, and one
temperature calibrates. stacked: logistic regression on logits and their products, a second network
so to speak, that learns when which expert is right.
"""
FAR = 12.0
"""Logits beyond this are as good as certain, and would rule a regression."""


@dataclass(frozen=True)
class Combiner:
    """How logits become probabilities at equal shares of all classes.

    ``weights``: (k, features + 1), the last for a constant; for ``highest`` (1, 1), the inverse
    temperature. ``kinds``: of the experts, in the order of the logits.
    """

    method: Method
    classes: tuple[str, ...]
    kinds: tuple[ExpertKind, ...]
    weights: Floats

    def log_probabilities(self, logits: Sequence[Floats]) -> Floats:
        """Return (n, k) logarithms of the classes' probabilities at equal shares.

        Parameters
        ----------
        logits : of each expert (n,), or (n, groups) for more than two groups.
        """
        if self.method == "highest":
            raw = self.weights[0, 0] * log_votes(logits, self.kinds, self.classes)
        else:
            raw = _features(logits) @ self.weights[:, :-1].T + self.weights[:, -1]
        return _normalised(raw)


def _normalised(raw: Floats) -> Floats:
    out: Floats = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
    return out


def log_votes(
    logits: Sequence[Floats], kinds: Sequence[ExpertKind], classes: Sequence[str]
) -> Floats:
    """Return (n, k): per class the sum over its experts of log P(its group), normalised.

    An expert that was not taught a class says nothing of it: it gives each of its own groups'
    mean vote.
    """
    total = np.zeros((len(logits[0]), len(classes)))
    for said, kind in zip(logits, kinds, strict=True):
        raw = np.stack([said / 2, -said / 2], 1) if said.ndim == 1 else said
        vote = _normalised(raw)
        neutral = vote.mean(1)
        for k, name in enumerate(classes):
            places = [g for g, group in enumerate(kind.groups) if name in group]
            total[:, k] += vote[:, places[0]] if places else neutral
    return _normalised(total)


def _features(logits: Sequence[Floats]) -> Floats:
    """Return (n, f): the logits, held within bounds, and the products of each two."""
    columns = []
    for said in logits:
        centred = said[:, None] if said.ndim == 1 else said - said.mean(1, keepdims=True)
        columns.append(np.clip(centred, -FAR, FAR) / 4)
    x = np.concatenate(columns, axis=1)
    first, second = np.triu_indices(x.shape[1])
    return np.concatenate([x, x[:, first] * x[:, second]], axis=1)


def fit_combiner(
    method: Method,
    logits: Sequence[Floats],
    said: NDArray[np.str_],
    classes: Sequence[str],
    kinds: Sequence[ExpertKind],
    weight: Floats | None = None,
) -> Combiner:
    """Return the combiner that makes the best probabilities of logits of unseen patches.

    All classes count the same, so the probabilities are those at equal shares.

    Parameters
    ----------
    logits : of experts that were not trained on the patch, see ``Combiner.log_probabilities``.
    said : (n,) true class of each.
    weight : (n,) by how much each counts; alike unless given.

    Raises
    ------
    BadInput : an unknown method, or a class without labels.
    """
    if method not in get_args(Method):
        raise BadInput("method", " or ".join(get_args(Method)), repr(method))
    number = np.array([classes.index(c) for c in said.tolist()])
    count = np.bincount(number, minlength=len(classes))
    if (count == 0).any():
        raise BadInput("labels", "some of each class", f"none of {classes[int(count.argmin())]}")
    if method == "stacked":
        features = _features(logits)
        regression = LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000)
        regression.fit(features, number, weight)
        coefficients, constant = regression.coef_, regression.intercept_
        if len(classes) == 2:  # one row, for the second class
            coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
            constant = np.concatenate([-constant / 2, constant / 2])
        weights = np.concatenate([coefficients, constant[:, None]], axis=1)
        return Combiner(method, tuple(classes), tuple(kinds), weights)
    each = np.ones(len(number)) if weight is None else weight
    votes, each = log_votes(logits, kinds, classes), each / np.bincount(number, each)[number]

    def loss(log_scale: float) -> float:
        told = _normalised(np.exp(log_scale) * votes)
        return float(-(each * told[np.arange(len(number)), number]).sum())

    scale = np.exp(minimize_scalar(loss, bounds=(-4, 3), method="bounded").x)
    return Combiner(method, tuple(classes), tuple(kinds), np.array([[scale]]))


def combiner_of(
    record: Mapping[str, Any], weights: Floats, kinds: tuple[ExpertKind, ...]
) -> Combiner:
    """Return the combiner of a card.

    Raises
    ------
    BadInput : weights of another shape than the method has.
    """
    classes, method = tuple(record["classes"]), record["method"]
    if method not in get_args(Method):
        raise BadInput("model: method", " or ".join(get_args(Method)), repr(method))
    columns = sum(1 if len(k.groups) == 2 else len(k.groups) for k in kinds)
    width = columns + columns * (columns + 1) // 2 + 1
    shape = (1, 1) if method == "highest" else (len(classes), width)
    if weights.shape != shape:
        raise BadInput("model: weights of the combiner", str(shape), str(weights.shape))
    return Combiner(method, classes, kinds, np.asarray(weights, np.float64))
