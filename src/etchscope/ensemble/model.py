"""The model: experts, what combines and calibrates them, where it is valid, where the line is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.ensemble.calibration import AS_TAUGHT, Calibration
from etchscope.ensemble.combine import Combiner, combiner_of
from etchscope.ensemble.gaussians import Gaussians
from etchscope.ensemble.kinds import ExpertKind, kinds_of, require_known
from etchscope.ensemble.point import WorkingPoint
from etchscope.ensemble.prior import at_prior, checked_prior
from etchscope.evaluation import proportion
from etchscope.foil import BadInput, Device, NoPlugin
from etchscope.foil.types import Bools, Floats
from etchscope.imaging import Lighting, given_lights
from etchscope.learn import Expert, Lights, Patches, feature_names, features_of
from etchscope.plugins import plugin_origin

__all__ = ["Domain", "Model"]

FOREIGN = 0.05
"""Share of pits beyond ``Domain.usual`` above which a whole scan is foreign; 0.01 is usual."""
_SURE = 0.99
LEAST_FINDS = 20
"""With fewer a scan is not called foreign."""


@dataclass(frozen=True)
class Domain:
    """Where a model may be used.

    ``recipe``: digest of the normalisation's recipe. ``pixel_size_um``: (low, high), or None where
    it was trained without a scale. ``density_per_mm2``: up to this local density of pits; fewer
    pits are the same pits with fewer neighbours. ``usual``: distance from the labels that 1 % of
    all finds on their tiles exceed; ``limit``: that none may, as far beyond what 0.1 % exceed as
    that lies beyond ``usual``.

    Of planes neither recipe nor pixel size matters: ``scale`` is (low, high) of the scales at which
    they are looked at, and ``limits`` gives ``usual`` and ``limit`` for the lights that were
    taught, each a word of 0 and 1 in the order of ``GIVEN``.
    """

    recipe: str
    pixel_size_um: tuple[float, float] | None
    density_per_mm2: float | None
    usual: float
    limit: float
    scale: tuple[float, float] | None = None
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def under(self, lighting: Lighting) -> "Domain":
        """Return the domain under some lights; of lights that were not taught nothing is inside."""
        if self.scale is None:
            return self
        word = "".join(f"{int(v)}" for v in given_lights(lighting))
        usual, limit = self.limits.get(word, (-np.inf, -np.inf))
        return replace(self, usual=usual, limit=limit)

    def holds(self, distance: Floats, density: Floats) -> Bools:
        """Return which pits lie inside, (n,); a density that is not known is no reason against."""
        inside = distance <= self.limit
        if self.density_per_mm2 is not None:
            inside = inside & ~(density > self.density_per_mm2)
        return np.asarray(inside, bool)

    def is_foreign(self, distance: Floats) -> bool:
        """Return whether so many pits are unusual that the scan as a whole is another kind.

        More than ``FOREIGN`` of them are, beyond what that number of pits has by chance.
        """
        if len(distance) < LEAST_FINDS:
            return False
        unusual = int((distance > self.usual).sum())
        return proportion(unusual, len(distance), confidence=_SURE).low > FOREIGN

    def knows_scale(self, pixel_size_um: float | None) -> bool:
        """Return whether a scan's pixel size is one that the model was trained with."""
        if self.scale is not None:
            return True
        if self.pixel_size_um is None or pixel_size_um is None:
            return self.pixel_size_um is None and pixel_size_um is None
        return self.pixel_size_um[0] <= pixel_size_um <= self.pixel_size_um[1]


@dataclass(frozen=True)
class Model:
    """Experts and their ensemble.

    Attributes
    ----------
    experts : name → trained experts of one kind, whose mean logit counts.
    combiner : makes probabilities of their logits.
    signal : the class that is searched for.
    prior : class → its share, which probabilities assume unless another is given.
    calibration : what experts and all else that was measured of an opening are worth together.
    known, background : how far a pit lies from what was trained with, and from background alone.
    information : anything else that the card says: data, figures, version.
    """

    experts: dict[str, tuple[Expert, ...]] = field(repr=False)
    combiner: Combiner
    signal: str
    prior: dict[str, float]
    known: Gaussians = field(repr=False)
    background: Gaussians = field(repr=False)
    domain: Domain
    working_point: WorkingPoint
    calibration: Calibration = AS_TAUGHT
    information: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes it decides between."""
        return self.combiner.classes

    @property
    def lights(self) -> Lights:
        """The lights that its patches must have."""
        return self._any.lights

    @property
    def size(self) -> int:
        """Pixels a side of its patches."""
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
        """Return expert → its mean logits, (n,) or (n, groups).

        Raises
        ------
        BadInput : patches of other lights or another size, or no such device.
        """
        out = {}
        for name, members in self.experts.items():
            said = [expert.scores(patches, device=device, progress=progress) for expert in members]
            out[name] = np.mean(said, axis=0)
        return out

    def log_probabilities(self, patches: Patches) -> Floats:
        """Return (n, k) logarithms of the classes' probabilities at equal shares."""
        return self._combined(self.votes(patches), len(patches))

    def _combined(self, votes: Mapping[str, Floats], n: int) -> Floats:
        if not n:
            return np.empty((0, len(self.classes)))
        return self.combiner.log_probabilities(list(votes.values()))

    def score(self, log_probabilities: Floats) -> Floats:
        """Return the ranking score, (n,): the log odds of signal at equal shares of all classes.

        It assumes no prior, so a threshold means the same on every foil. See ``calibrated`` for the
        score of a pit table.
        """
        k = self.classes.index(self.signal)
        rest = np.delete(log_probabilities, k, axis=1)
        return np.asarray(log_probabilities[:, k] - np.logaddexp.reduce(rest, axis=1), np.float64)

    def judge(self, patches: Patches, *, device: Device = "cpu") -> pd.DataFrame:
        """Return what is to be known of each patch before a prior: one row a patch.

        Columns of ``judged_columns``: ``log_p_{class}`` at equal shares, ``score``, ``distance``
        from the training (see ``Domain``), ``anomaly``: the distance from background alone, and
        what each expert says, ``logit_{expert}`` for its first group against the second, or
        ``logit_{expert}_{group}``.
        """
        votes = self.votes(patches, device=device)
        told = self._combined(votes, len(patches))
        features = features_of(patches)
        parts = [
            told,
            self.score(told),
            self.known.nearest(features),
            self.background.nearest(features),
            *votes.values(),
        ]
        return pd.DataFrame(np.column_stack(parts), columns=self.judged_columns)

    @property
    def judged_columns(self) -> list[str]:
        """The columns of ``judge``."""
        names = [f"log_p_{c}" for c in self.classes]
        names += ["score", "distance", "anomaly"]
        for kind in self.combiner.kinds:
            several = ["_" + "+".join(group) for group in kind.groups]
            of_kind = [""] if len(several) == 2 else several
            names += [f"logit_{kind.name}{group}" for group in of_kind]
        return names

    def calibrated(self, told: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
        """Return judged openings with all that was measured of them reckoned with.

        The other classes share what is left as before.

        Parameters
        ----------
        told : of ``judge``.
        measures : of ``measures_of``, row by row; the score is nan where experts are not heard.
        """
        names = [f"log_p_{c}" for c in self.classes]
        log_p = told[names].to_numpy(np.float64, copy=True)
        score, k = self.calibration.score(measures), self.classes.index(self.signal)
        known = np.isfinite(score)
        rest = np.logaddexp.reduce(np.delete(log_p, k, axis=1), axis=1)
        log_p[known, k] = score[known] + rest[known]
        log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
        return told.assign(**dict(zip(names, log_p.T, strict=True)), score=score)

    def decided(
        self, told: pd.DataFrame, shares: Floats | None = None, *, signal_is: Floats | None = None
    ) -> pd.DataFrame:
        """Return probabilities and the class of judged patches.

        Parameters
        ----------
        told : of ``judge``.
        shares : (k,) of the classes; the model's prior unless given.
        signal_is : (n,) probabilities of signal that are known; the other classes share the rest.

        Returns
        -------
        Columns ``p_{class}`` and ``class``, the likeliest.
        """
        if shares is None:
            shares = checked_prior(self.prior, self.classes)
        log_p = told[[f"log_p_{c}" for c in self.classes]].to_numpy(np.float64, copy=True)
        if signal_is is not None:
            k = self.classes.index(self.signal)
            log_p[:, k] = -np.inf
        p = at_prior(log_p, shares)
        if signal_is is not None:
            p *= (1 - signal_is)[:, None]
            p[:, k] = signal_is
        table = pd.DataFrame(p, columns=[f"p_{c}" for c in self.classes], index=told.index)
        likeliest = np.nan_to_num(p).argmax(1) if len(p) else np.empty(0, np.int64)
        table["class"] = np.array(self.classes, object)[likeliest]
        return table

    def at(self, working_point: WorkingPoint) -> "Model":
        """Return the model with another working point."""
        return replace(self, working_point=working_point)

    def to_record(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the weights by name, and the card for JSON."""
        arrays: dict[str, NDArray[Any]] = {"combiner": self.combiner.weights}
        for name, gaussians in (("known", self.known), ("background", self.background)):
            arrays |= {f"{name}.{k}": v for k, v in vars(gaussians).items()}
        for name, members in self.experts.items():
            for place, expert in enumerate(members):
                arrays |= {f"experts.{name}.{place}.{k}": v for k, v in expert.state.items()}
        card = {
            "classes": list(self.classes),
            "signal": self.signal,
            "prior": self.prior,
            "method": self.combiner.method,
            "kinds": [
                {"name": k.name, "groups": [list(g) for g in k.groups]} for k in self.combiner.kinds
            ],
            "experts": {n: [e.to_record() for e in m] for n, m in self.experts.items()},
            "domain": asdict(self.domain),
            "working_point": self.working_point.to_record(),
            "calibration": self.calibration.to_record(),
            "information": self.information,
        }
        if plugins := self._plugins():
            card["plugins"] = plugins
        return arrays, card

    def _plugins(self) -> dict[str, str]:
        """Return entry point → package, of what other packages added to this model."""
        networks = {e.training.network for members in self.experts.values() for e in members}
        used = [("networks", name) for name in sorted(networks)]
        origins = {
            f"etchscope.{group}: {name}": plugin_origin(group, name)
            for group, name in (*used, ("combiners", self.combiner.method))
        }
        return {entry: package for entry, package in origins.items() if package is not None}

    @classmethod
    def from_record(cls, arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> "Model":
        """Return the model of its weights and card.

        Raises
        ------
        BadInput : a part is missing, or does not fit another.
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
        kinds = kinds_of(groups, where="model: kinds")
        experts = {k.name: _members(k, arrays, card["experts"][k.name]) for k in kinds}
        combiner = combiner_of(card, arrays["combiner"], kinds)
        if card["signal"] not in combiner.classes:
            raise BadInput("model: signal", " or ".join(combiner.classes), repr(card["signal"]))
        checked_prior(card["prior"], combiner.classes)
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
            _gaussians(arrays, "known", classes, features),
            _gaussians(arrays, "background", classes - 1, features),
            _domain(card["domain"]),
            WorkingPoint.from_record(card["working_point"]),
            Calibration.from_record(card.get("calibration", AS_TAUGHT.to_record())),
            dict(card["information"]),
        )


def _members(
    kind: ExpertKind, arrays: Mapping[str, NDArray[Any]], records: Sequence[Mapping[str, Any]]
) -> tuple[Expert, ...]:
    """Return the experts of one kind; their weights fit."""
    members = []
    outputs = 1 if len(kind.groups) == 2 else len(kind.groups)
    for place, record in enumerate(records):
        start = f"experts.{kind.name}.{place}."
        state = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
        expert = Expert.from_record(record, state)
        expert.module()  # refuses weights that do not fit
        if expert.outputs != outputs:
            raise BadInput(f"model: expert {kind.name}", f"{outputs} outputs", f"{expert.outputs}")
        members.append(expert)
    if not members:
        raise BadInput(f"model: expert {kind.name}", "at least one", "none")
    return tuple(members)


def _gaussians(
    arrays: Mapping[str, NDArray[Any]], name: str, classes: int, features: int
) -> Gaussians:
    shapes = {
        "middle": (features,),
        "scale": (features,),
        "means": (classes, features),
        "whitening": (classes, features, features),
    }
    for part, shape in shapes.items():
        found = arrays[f"{name}.{part}"].shape
        if found != shape:
            raise BadInput(f"model: weights {name}.{part}", str(shape), str(found))
    return Gaussians(**{part: arrays[f"{name}.{part}"] for part in shapes})


def _domain(record: Mapping[str, Any]) -> Domain:
    sizes, density = record["pixel_size_um"], record["density_per_mm2"]
    return Domain(
        str(record["recipe"]),
        None if sizes is None else (float(sizes[0]), float(sizes[1])),
        None if density is None else float(density),
        float(record["usual"]),
        float(record["limit"]),
        None
        if record.get("scale") is None
        else (float(record["scale"][0]), float(record["scale"][1])),
        {str(k): (float(v[0]), float(v[1])) for k, v in record.get("limits", {}).items()},
    )
