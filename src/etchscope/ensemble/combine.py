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
"""Greatest logit that counts; greater ones are as certain, and would dominate a regression."""


@runtime_checkable
class Method(Protocol):
    """A way to combine experts. Its only state are the weights that ``fit`` returns.

    In all methods ``logits`` holds one array per expert: (n,) log odds of its first group, or
    (n, groups) for more than two groups. ``kinds`` are the experts in the same order; k is the
    number of ``classes``.
    """

    def fit(
        self,
        logits: Sequence[Floats],
        number: Ints,
        weight: Floats,
        kinds: Sequence[ExpertKind],
        classes: Sequence[str],
    ) -> Floats:
        """Return weights, a float64 array of two dimensions with the shape that ``shape`` returns.

        All classes should count the same, however many patches each has.

        Parameters
        ----------
        logits : of patches that the experts were not trained on.
        number : (n,) int64, place of the true class in ``classes``; each class occurs.
        weight : (n,) weight of each patch.
        kinds, classes : the experts, and the classes in the order of ``number``.
        """

    def combine(
        self,
        weights: Floats,
        logits: Sequence[Floats],
        kinds: Sequence[ExpertKind],
        classes: Sequence[str],
    ) -> Floats:
        """Return (n, k) logarithms of the classes' probabilities, each row up to a constant.

        Parameters
        ----------
        weights : see ``fit``.
        logits, kinds, classes : see ``fit``.
        """

    def shape(self, kinds: Sequence[ExpertKind], classes: Sequence[str]) -> tuple[int, int]:
        """Return the shape of the weights.

        Parameters
        ----------
        kinds, classes : see ``fit``.
        """


@dataclass(frozen=True)
class Combiner:
    """A fitted way to make probabilities, at equal shares of all classes, of logits.

    Attributes
    ----------
    method : name in ``METHODS`` or of a plugin.
    classes : the k classes, in the order of the probabilities.
    kinds : the experts, in the order of the logits.
    weights : what ``fit`` of the method returned.
    """

    method: str
    classes: tuple[str, ...]
    kinds: tuple[ExpertKind, ...]
    weights: Floats

    def log_probabilities(self, logits: Sequence[Floats]) -> Floats:
        """Return (n, k) logarithms of the classes' probabilities at equal shares.

        Parameters
        ----------
        logits : one array per expert: (n,), or (n, groups) for more than two groups.

        Raises
        ------
        NoPlugin, BadPlugin : the method is of a package that is missing, or cannot be used.
        """
        method = find_method(self.method)
        return _normalised(method.combine(self.weights, logits, self.kinds, self.classes))


def _normalised(raw: Floats) -> Floats:
    out: Floats = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
    return out


def log_votes(
    logits: Sequence[Floats], kinds: Sequence[ExpertKind], classes: Sequence[str]
) -> Floats:
    """Return (n, k) sums over the experts of log P(group of the class), normalised over classes.

    An expert that was not trained on a class is neutral: it gives the class the mean of the votes
    for its groups.

    Parameters
    ----------
    logits : one array per expert: (n,), or (n, groups) for more than two groups.
    kinds : the experts, in the same order.
    classes : the k classes.
    """
    total = np.zeros((len(logits[0]), len(classes)))
    for some, kind in zip(logits, kinds, strict=True):
        raw = np.stack([some / 2, -some / 2], 1) if some.ndim == 1 else some
        vote = _normalised(raw)
        neutral = vote.mean(1)
        for k, name in enumerate(classes):
            places = [g for g, group in enumerate(kind.groups) if name in group]
            total[:, k] += vote[:, places[0]] if places else neutral
    return _normalised(total)


def _features(logits: Sequence[Floats]) -> Floats:
    """Return (n, f): the logits, held within bounds, and the products of each two."""
    columns = []
    for some in logits:
        centred = some[:, None] if some.ndim == 1 else some - some.mean(1, keepdims=True)
        columns.append(np.clip(centred, -FAR, FAR) / 4)
    x = np.concatenate(columns, axis=1)
    first, second = np.triu_indices(x.shape[1])
    return np.concatenate([x, x[:, first] * x[:, second]], axis=1)


class _Highest:
    """The product of all experts' probabilities for the classes that each knows.

    The only weight is the inverse of a temperature that calibrates the product (C. Guo et al., ICML
    2017).
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
    """Logistic regression on logits and their products, which learns which expert to trust when.

    The last column of the weights is the constant.
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
    """Return the way to combine experts that has a name.

    Parameters
    ----------
    where : the setting that gave the name, for errors.
    known : further names that the setting accepts.

    Raises
    ------
    NoPlugin : no method has that name.
    BadPlugin : the method of another package cannot be loaded, or is not a ``Method``.
    """
    method = find_plugin("combiners", name, METHODS, where=where, known=known)
    if not isinstance(method, Method):
        raise bad_plugin("combiners", name, "an object with fit, combine and shape", method)
    return method


def fit_combiner(
    method: str,
    logits: Sequence[Floats],
    label: NDArray[np.str_],
    classes: Sequence[str],
    kinds: Sequence[ExpertKind],
    weight: Floats | None = None,
) -> Combiner:
    """Return the combiner that is fitted to logits of patches whose class is known.

    All classes count the same, so the probabilities are those at equal shares.

    Parameters
    ----------
    method : name in ``METHODS`` or of a plugin.
    logits : of experts that were not trained on the patch, see ``Combiner.log_probabilities``.
    label : (n,) true class of each patch.
    classes : the k classes.
    kinds : the experts, in the order of the logits.
    weight : (n,) weight of each patch; by default all count alike.

    Raises
    ------
    BadInput : a class without labels, or weights of another shape than the method states.
    NoPlugin, BadPlugin : see ``find_method``.
    """
    how = find_method(method)
    number = np.array([classes.index(c) for c in label.tolist()])
    count = np.bincount(number, minlength=len(classes))
    if (count == 0).any():
        raise BadInput("labels", "some of each class", f"none of {classes[int(count.argmin())]}")
    each = np.ones(len(number)) if weight is None else weight
    weights = np.asarray(how.fit(logits, number, each, kinds, classes), np.float64)
    shape = how.shape(kinds, classes)
    if weights.shape != shape:
        raise BadInput(f"method {method}: weights", str(shape), str(weights.shape))
    return Combiner(method, tuple(classes), tuple(kinds), weights)


def read_combiner(
    record: Mapping[str, Any], weights: Floats, kinds: tuple[ExpertKind, ...]
) -> Combiner:
    """Return the combiner of a card.

    Parameters
    ----------
    record : the card, whose ``classes`` and ``method`` are read.
    weights : see ``Combiner``.
    kinds : the experts, in the order of the logits.

    Raises
    ------
    BadInput : weights of another shape than the method states.
    NoPlugin, BadPlugin : see ``find_method``.
    """
    classes, method = tuple(record["classes"]), record["method"]
    shape = find_method(method, where="model: method").shape(kinds, classes)
    if weights.shape != shape:
        raise BadInput("model: weights of the combiner", str(shape), str(weights.shape))
    return Combiner(method, classes, kinds, np.asarray(weights, np.float64))
