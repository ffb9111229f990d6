"""Parts of a model as its file holds them: weights by name, and the JSON of its card."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from etchscope.ensemble.gaussians import Gaussians
from etchscope.ensemble.kinds import ExpertKind
from etchscope.foil import BadInput
from etchscope.learn import Expert
from etchscope.plugins import plugin_origin

__all__ = ["find_used_plugins", "pack_weights", "read_experts", "read_gaussians"]

Arrays = dict[str, NDArray[Any]]
"""Name → weights."""


def pack_weights(
    experts: Mapping[str, Sequence[Expert]], gaussians: Mapping[str, Gaussians]
) -> Arrays:
    """Return the weights of experts and Gaussians by name.

    The names are ``experts.{name}.{fold}.{weight}`` and ``{name}.{weight}``.

    Parameters
    ----------
    experts : name → trained experts, one for each fold.
    gaussians : name → Gaussians.
    """
    arrays: Arrays = {}
    for name, one in gaussians.items():
        arrays |= {f"{name}.{k}": v for k, v in vars(one).items()}
    for name, members in experts.items():
        for fold, expert in enumerate(members):
            arrays |= {f"experts.{name}.{fold}.{k}": v for k, v in expert.state.items()}
    return arrays


def find_used_plugins(experts: Mapping[str, Sequence[Expert]], method: str) -> dict[str, str]:
    """Return entry point → package with version, of the plugins that a model needs.

    Parameters
    ----------
    experts : name → trained experts.
    method : name of the way to combine them.
    """
    networks = {e.training.network for members in experts.values() for e in members}
    used = [("networks", name) for name in sorted(networks)]
    origins = {
        f"etchscope.{group}: {name}": plugin_origin(group, name)
        for group, name in (*used, ("combiners", method))
    }
    return {entry: package for entry, package in origins.items() if package is not None}


def read_experts(
    kind: ExpertKind, arrays: Mapping[str, NDArray[Any]], records: Sequence[Mapping[str, Any]]
) -> tuple[Expert, ...]:
    """Return the experts of one kind, one for each fold.

    Parameters
    ----------
    arrays : see ``pack_weights``.
    records : what the card says of each expert, see ``Expert.to_record``.

    Raises
    ------
    BadInput : the kind has no expert, weights do not fit the network, or the number of outputs does
        not fit the groups of the kind.
    NoPlugin : a network is of a package that is not installed.
    """
    members = []
    outputs = 1 if len(kind.groups) == 2 else len(kind.groups)
    for fold, record in enumerate(records):
        start = f"experts.{kind.name}.{fold}."
        state = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
        expert = Expert.from_record(record, state)
        if expert.outputs != outputs:
            raise BadInput(f"model: expert {kind.name}", f"{outputs} outputs", f"{expert.outputs}")
        expert.module()  # refuses weights that do not fit
        members.append(expert)
    if not members:
        raise BadInput(f"model: expert {kind.name}", "at least one", "none")
    return tuple(members)


def read_gaussians(
    arrays: Mapping[str, NDArray[Any]], name: str, classes: int, features: int
) -> Gaussians:
    """Return the Gaussians of a name.

    Parameters
    ----------
    arrays : see ``pack_weights``.
    classes, features : the numbers of classes and of features that they must have.

    Raises
    ------
    BadInput : weights of another shape.
    KeyError : weights are missing.
    """
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
