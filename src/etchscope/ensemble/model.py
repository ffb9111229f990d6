"""The model: experts, their combination and calibration, the domain, and the working point."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.ensemble.calibration import AS_TRAINED, Calibration
from etchscope.ensemble.card import find_used_plugins, pack_weights, read_experts, read_gaussians
from etchscope.ensemble.combine import Combiner, read_combiner
from etchscope.ensemble.domain import Domain
from etchscope.ensemble.gaussians import Gaussians
from etchscope.ensemble.kinds import read_kinds, require_known
from etchscope.ensemble.point import WorkingPoint
from etchscope.ensemble.prior import apply_prior, check_prior
from etchscope.foil import BadInput, Device, NoPlugin
from etchscope.foil.types import Floats
from etchscope.learn import Expert, Lights, Patches, feature_names, measure_features

__all__ = ["Model"]


@dataclass(frozen=True)
class Model:
    """Trained experts, and all that makes probabilities and a selection of their logits.

    Attributes
    ----------
    experts : name → experts of one kind, one for each fold; the mean of their logits counts.
    combiner : makes probabilities of the logits.
    signal : class that is searched for.
    prior : class → share that probabilities assume by default; the shares sum to 1.
    known, background : Gaussians of the features of all classes, and of all classes but signal.
    domain : where the model may be used.
    working_point : thresholds on the score.
    calibration : weights of the experts and of all other measures of an opening in the score.
    information : further content of the card: data, figures, version.
    """

    experts: dict[str, tuple[Expert, ...]] = field(repr=False)
    combiner: Combiner
    signal: str
    prior: dict[str, float]
    known: Gaussians = field(repr=False)
    background: Gaussians = field(repr=False)
    domain: Domain
    working_point: WorkingPoint
    calibration: Calibration = AS_TRAINED
    information: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """The k classes, in the order of probabilities."""
        return self.combiner.classes

    @property
    def lights(self) -> Lights:
        """The lights that patches must have."""
        return self._any.lights

    @property
    def size(self) -> int:
        """Pixels per side of patches."""
        return self._any.size

    @property
    def _any(self) -> Expert:
        return next(iter(self.experts.values()))[0]

    def votes(
        self,
        patches: Patches,
        *,
        device: Device = "cpu",
        progress: Callable[[int], None] | None = None,
    ) -> dict[str, Floats]:
        """Return expert → mean of the logits of its folds, float64.

        Logits are (n,), or (n, groups) for an expert that knows more than two groups.

        Parameters
        ----------
        patches : n patches.
        device : where the networks are computed.
        progress : called with the number of patches that one fold of an expert has just scored.

        Raises
        ------
        BadInput : patches of other lights or another size, or no such device.
        """
        out = {}
        for name, members in self.experts.items():
            logits = [e.scores(patches, device=device, progress=progress) for e in members]
            out[name] = np.mean(logits, axis=0)
        return out

    def log_probabilities(self, patches: Patches, *, device: Device = "cpu") -> Floats:
        """Return (n, k) logarithms of the classes' probabilities at equal shares.

        Raises
        ------
        BadInput : patches of other lights or another size, or no such device.
        """
        return self._combined(self.votes(patches, device=device), len(patches))

    def _combined(self, votes: Mapping[str, Floats], n: int) -> Floats:
        if not n:
            return np.empty((0, len(self.classes)))
        return self.combiner.log_probabilities(list(votes.values()))

    def score(self, log_probabilities: Floats) -> Floats:
        """Return the score by pictures alone, (n,): log odds of signal at equal shares of classes.

        It assumes no prior, so a threshold means the same on every foil. The score of a pit table
        is that of ``calibrate``.

        Parameters
        ----------
        log_probabilities : (n, k) at equal shares.
        """
        k = self.classes.index(self.signal)
        rest = np.delete(log_probabilities, k, axis=1)
        return np.asarray(log_probabilities[:, k] - np.logaddexp.reduce(rest, axis=1), np.float64)

    def score_patches(self, patches: Patches, *, device: Device = "cpu") -> pd.DataFrame:
        """Return scores by pictures alone, before a prior: one row per patch.

        Parameters
        ----------
        patches : n patches.
        device : where the networks are computed.

        Returns
        -------
        The float64 columns ``score_columns``: ``log_p_{class}``, logarithms of probabilities at
        equal shares; ``score``, see ``score``; ``distance`` from the training, see ``Domain``;
        ``anomaly``, the distance from all classes but signal; and the logits of the experts,
        ``logit_{expert}`` for the first group against the second, or ``logit_{expert}_{group}``
        for more than two groups.

        Raises
        ------
        BadInput : patches of other lights or another size, or no such device.
        """
        votes = self.votes(patches, device=device)
        log_p = self._combined(votes, len(patches))
        features = measure_features(patches)
        parts = [
            log_p,
            self.score(log_p),
            self.known.nearest(features),
            self.background.nearest(features),
            *votes.values(),
        ]
        return pd.DataFrame(np.column_stack(parts), columns=self.score_columns)

    @property
    def score_columns(self) -> list[str]:
        """The columns of ``score_patches``."""
        names = [f"log_p_{c}" for c in self.classes]
        names += ["score", "distance", "anomaly"]
        for kind in self.combiner.kinds:
            several = ["_" + "+".join(group) for group in kind.groups]
            of_kind = [""] if len(several) == 2 else several
            names += [f"logit_{kind.name}{group}" for group in of_kind]
        return names

    def calibrate(self, scores: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
        """Return scores in which all measures of the openings count.

        ``score`` becomes that of the calibration, and ``log_p_{signal}`` follows it. The ratios
        between the other classes stay.

        Parameters
        ----------
        scores : see ``score_patches``.
        measures : see ``gather_measures``, row by row. Where the measure ``experts`` is NaN, the
            score becomes NaN, and the probabilities stay.
        """
        names = [f"log_p_{c}" for c in self.classes]
        log_p = scores[names].to_numpy(np.float64, copy=True)
        score, k = self.calibration.score(measures), self.classes.index(self.signal)
        known = np.isfinite(score)
        rest = np.logaddexp.reduce(np.delete(log_p, k, axis=1), axis=1)
        log_p[known, k] = score[known] + rest[known]
        log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
        return scores.assign(**dict(zip(names, log_p.T, strict=True)), score=score)

    def classify(
        self, scores: pd.DataFrame, shares: Floats | None = None, *, p_signal: Floats | None = None
    ) -> pd.DataFrame:
        """Return the probabilities of the classes at a prior, and the class of each row.

        Parameters
        ----------
        scores : see ``score_patches``.
        shares : (k,) shares of the classes; by default the model's prior.
        p_signal : (n,) known probabilities of signal; the other classes share the rest.

        Returns
        -------
        Columns ``p_{class}``, float64, and ``class``, the most probable one.

        Raises
        ------
        BadInput : the model's prior is not one of its classes.
        """
        if shares is None:
            shares = check_prior(self.prior, self.classes)
        log_p = scores[[f"log_p_{c}" for c in self.classes]].to_numpy(np.float64, copy=True)
        if p_signal is not None:
            k = self.classes.index(self.signal)
            log_p[:, k] = -np.inf
        p = apply_prior(log_p, shares)
        if p_signal is not None:
            p *= (1 - p_signal)[:, None]
            p[:, k] = p_signal
        table = pd.DataFrame(p, columns=[f"p_{c}" for c in self.classes], index=scores.index)
        likeliest = np.nan_to_num(p).argmax(1) if len(p) else np.empty(0, np.int64)
        table["class"] = np.array(self.classes, object)[likeliest]
        return table

    def at(self, working_point: WorkingPoint) -> "Model":
        """Return the model with another working point."""
        return replace(self, working_point=working_point)

    def to_record(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return name → weights, see ``card.pack_weights``, and the card for JSON."""
        gaussians = {"known": self.known, "background": self.background}
        arrays = {"combiner": self.combiner.weights, **pack_weights(self.experts, gaussians)}
        card = {
            "classes": list(self.classes),
            "signal": self.signal,
            "prior": self.prior,
            "method": self.combiner.method,
            "kinds": [
                {"name": k.name, "groups": [list(g) for g in k.groups]} for k in self.combiner.kinds
            ],
            "experts": {n: [e.to_record() for e in m] for n, m in self.experts.items()},
            "domain": self.domain.to_record(),
            "working_point": self.working_point.to_record(),
            "calibration": self.calibration.to_record(),
            "information": self.information,
        }
        if plugins := find_used_plugins(self.experts, self.combiner.method):
            card["plugins"] = plugins
        return arrays, card

    @classmethod
    def from_record(cls, arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> "Model":
        """Return the model of weights and a card.

        Parameters
        ----------
        arrays : name → weights.
        card : the JSON of the card.

        Raises
        ------
        BadInput : a part is missing, or does not fit another one.
        NoPlugin : a network or the combiner is of a package that is not installed.
        """
        try:
            return cls._from_record(arrays, card)
        except NoPlugin as error:
            packages = sorted(set(card.get("plugins", {}).values()))
            if not packages:
                raise
            hint = f"{error.hint} The model was made with {', '.join(packages)}."
            raise NoPlugin(error.where, error.expected, error.found, hint) from error
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(
                "model", "a card and weights that fit each other", repr(error)
            ) from error

    @classmethod
    def _from_record(cls, arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> "Model":
        groups = {k["name"]: k["groups"] for k in card["kinds"]}
        kinds = read_kinds(groups, where="model: kinds")
        experts = {k.name: read_experts(k, arrays, card["experts"][k.name]) for k in kinds}
        combiner = read_combiner(card, arrays["combiner"], kinds)
        if card["signal"] not in combiner.classes:
            raise BadInput("model: signal", " or ".join(combiner.classes), repr(card["signal"]))
        check_prior(card["prior"], combiner.classes)
        require_known(kinds, combiner.classes)
        first = next(iter(experts.values()))[0]
        for expert in (e for members in experts.values() for e in members):
            first.require(expert.lights, expert.size)
        features, classes = len(feature_names(first.lights)), len(combiner.classes)
        return cls(
            experts,
            combiner,
            card["signal"],
            dict(card["prior"]),
            read_gaussians(arrays, "known", classes, features),
            read_gaussians(arrays, "background", classes - 1, features),
            Domain.from_record(card["domain"]),
            WorkingPoint.from_record(card["working_point"]),
            Calibration.from_record(card.get("calibration", AS_TRAINED.to_record())),
            dict(card["information"]),
        )
