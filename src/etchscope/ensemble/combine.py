"""From the experts' logits to calibrated probabilities of the classes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from etchscope.ensemble.kinds import ExpertKind
from etchscope.foil import BadInput
from etchscope.foil.types import Floats, Ints
from etchscope.plugins import bad_plugin, find_plugin

__all__ = ["METHODS", "Combiner", "Method", "find_method", "fit_combiner", "log_votes"]

FAR = 12.0
"""Logits beyond this are as good as certain, and would rule a regression."""


@runtime_checkable
class Method(Protocol):
    """A way to combine experts; it keeps nothing but the weights that ``fit`` returns.

    ``logits`` are of each expert (n,), or (n, groups) for more than two groups; ``kinds`` are the
    experts in the same order; k is the number of classes.
    """

    def fit(
        self,
        logits: Sequence[Floats],
        number: Ints,
        weight: Floats,
        kinds: Sequence[ExpertKind],
        classes: Sequence[str],
    ) -> Floats:
        """Return weights, of two dimensions, fitted on patches that the experts have not seen.

        Parameters
        ----------
        number : (n,) place of the true class in ``classes``; each class occurs.
        weight : (n,) by how much each patch counts. All classes are to count the same.
        """

    def combine(
        self,
        weights: Floats,
        logits: Sequence[Floats],
        kinds: Sequence[ExpertKind],
        classes: Sequence[str],
    ) -> Floats:
        """Return (n, k) logarithms of the classes' probabilities, each row up to a constant."""

    def shape(self, kinds: Sequence[ExpertKind], classes: Sequence[str]) -> tuple[int, int]:
        """Return the shape of the weights."""


@dataclass(frozen=True)
class Combiner:
    """How logits become probabilities at equal shares of all classes.

    ``method``: its name in ``METHODS`` or a plugin's. ``weights``: what its ``fit`` returned.
    ``kinds``: of the experts, in the order of the logits.
    """

    method: str
    classes: tuple[str, ...]
    kinds: tuple[ExpertKind, ...]
    weights: Floats

    def log_probabilities(self, logits: Sequence[Floats]) -> Floats:
        """Return (n, k) logarithms of the classes' probabilities at equal shares.

        Parameters
        ----------
        logits : of each expert (n,), or (n, groups) for more than two groups.

        Raises
        ------
        NoPlugin, BadPlugin : the method of another package is missing or cannot be used.
        """
        method = find_method(self.method)
        return _normalised(method.combine(self.weights, logits, self.kinds, self.classes))


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


class _Highest:
    """Multiplies the votes of all experts for the classes that each knows.

    One temperature calibrates: the only weight is its inverse.
    """

    def fit(
        self,
        logits: Sequence[Floats],
        number: Ints,
        weight: Floats,
        kinds: Sequence[ExpertKind],
        classes: Sequence[str],
    ) -> Floats:
        votes, each = (
            log_votes(logits, kinds, classes),
            weight / np.bincount(number, weight)[number],
        )

        def loss(log_scale: float) -> float:
            log_p = _normalised(np.exp(log_scale) * votes)
            return float(-(each * log_p[np.arange(len(number)), number]).sum())

        scale = np.exp(minimize_scalar(loss, bounds=(-4, 3), method="bounded").x)
        return np.array([[scale]])

    def combine(
        self,
        weights: Floats,
        logits: Sequence[Floats],
        kinds: Sequence[ExpertKind],
        classes: Sequence[str],
    ) -> Floats:
        return np.asarray(weights[0, 0] * log_votes(logits, kinds, classes))

    def shape(self, kinds: Sequence[ExpertKind], classes: Sequence[str]) -> tuple[int, int]:
        return 1, 1


class _Stacked:
    """Logistic regression on logits and their products, which learns when which expert is right.

    Of the weights the last column is a constant.
    """

    def fit(
        self,
        logits: Sequence[Floats],
        number: Ints,
        weight: Floats,
        kinds: Sequence[ExpertKind],
        classes: Sequence[str],
    ) -> Floats:
        regression = LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000)
        regression.fit(_features(logits), number, weight)
        coefficients, constant = regression.coef_, regression.intercept_
        if len(classes) == 2:  # one row, for the second class
            coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
            constant = np.concatenate([-constant / 2, constant / 2])
        return np.concatenate([coefficients, constant[:, None]], axis=1)

    def combine(
        self,
        weights: Floats,
        logits: Sequence[Floats],
        kinds: Sequence[ExpertKind],
        classes: Sequence[str],
    ) -> Floats:
        return np.asarray(_features(logits) @ weights[:, :-1].T + weights[:, -1])

    def shape(self, kinds: Sequence[ExpertKind], classes: Sequence[str]) -> tuple[int, int]:
        columns = sum(1 if len(k.groups) == 2 else len(k.groups) for k in kinds)
        return len(classes), columns + columns * (columns + 1) // 2 + 1


METHODS: dict[str, Method] = {"highest": _Highest(), "stacked": _Stacked()}
"""Name → way to combine experts. A plugin of ``etchscope.combiners`` adds more."""


def find_method(name: str, *, where: str = "method", known: Collection[str] = ()) -> Method:
    """Return the way to combine experts that a name stands for.

    Parameters
    ----------
    where : what gave the name, as the errors say it.
    known : names that are possible there besides ``METHODS``.

    Raises
    ------
    NoPlugin : no method of that name.
    BadPlugin : the method of another package cannot be loaded, or is none.
    """
    method = find_plugin("combiners", name, METHODS, where=where, known=known)
    if not isinstance(method, Method):
        raise bad_plugin("combiners", name, "an object with fit, combine and shape", method)
    return method


def fit_combiner(
    method: str,
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
    method : its name in ``METHODS`` or a plugin's.
    logits : of experts that were not trained on the patch, see ``Combiner.log_probabilities``.
    said : (n,) true class of each.
    weight : (n,) by how much each counts; alike unless given.

    Raises
    ------
    BadInput : an unknown method, or a class without labels.
    """
    how = find_method(method)
    number = np.array([classes.index(c) for c in said.tolist()])
    count = np.bincount(number, minlength=len(classes))
    if (count == 0).any():
        raise BadInput("labels", "some of each class", f"none of {classes[int(count.argmin())]}")
    each = np.ones(len(number)) if weight is None else weight
    weights = np.asarray(how.fit(logits, number, each, kinds, classes), np.float64)
    shape = how.shape(kinds, classes)
    if weights.shape != shape:
        raise BadInput(f"method {method}: weights", str(shape), str(weights.shape))
    return Combiner(method, tuple(classes), tuple(kinds), weights)


def combiner_of(
    record: Mapping[str, Any], weights: Floats, kinds: tuple[ExpertKind, ...]
) -> Combiner:
    """Return the combiner of a card.

    Raises
    ------
    BadInput : an unknown method, or weights of another shape than the method has.
    """
    classes, method = tuple(record["classes"]), record["method"]
    shape = find_method(method, where="model: method").shape(kinds, classes)
    if weights.shape != shape:
        raise BadInput("model: weights of the combiner", str(shape), str(weights.shape))
    return Combiner(method, classes, kinds, np.asarray(weights, np.float64))
