"""Train the experts of a plan as a stage, which keeps each finished expert."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etchscope.ensemble import TrainedModel, TrainingPlan, assemble_model, train_member
from etchscope.files.digests import digest_of
from etchscope.foil import BadInput
from etchscope.learn import Expert, Patches
from etchscope.run.executors.inline import run_inline
from etchscope.run.stage import Piece, carry_out
from etchscope.store.array_parts import read_array_part, read_part_records, write_array_part

__all__ = ["train_experts"]

_WEIGHTS = "weights."


def train_experts(
    plan: TrainingPlan,
    context: Patches | None,
    *,
    kept_in: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> TrainedModel:
    """Return the model of a plan; experts of the same plan in a folder are not trained again.

    Experts are trained one after the other: PyTorch uses all cores for each.

    Parameters
    ----------
    context : see ``ensemble.train_model``.
    kept_in : folder that keeps finished experts, and is not deleted; without it none are kept.
    progress : called with 1 after each expert.

    Raises
    ------
    BadInput : what ``ensemble.train_member`` refuses, or a damaged file in the folder.
    MachineFailed : the disk is full.
    """
    with ExitStack() as stack:
        folder = kept_in or Path(stack.enter_context(TemporaryDirectory()))
        return carry_out(_Training(plan, context, folder), run_inline, progress=progress)


@dataclass(frozen=True)
class _Training:
    """A training: its pieces are experts, one of each kind for each fold."""

    plan: TrainingPlan
    context: Patches | None
    folder: Path

    @cached_property
    def pieces(self) -> list[Piece]:
        """One expert each, which covers the plan, the kind and the fold."""
        identity = _digest_of_plan(self.plan)
        return [
            Piece(index, {"plan": identity, "expert": kind.name, "fold": fold}, 1)
            for index, (kind, fold) in enumerate(self.plan.members)
        ]

    @property
    def work(self) -> partial[None]:
        return partial(_train_piece, self.plan, self.folder)

    def parts(self) -> dict[int, Any]:
        return {i: record.get("covers") for i, record in read_part_records(self.folder).items()}

    def hold(self) -> AbstractContextManager[object]:
        """Return what keeps nobody out: the caller holds the name of the model."""
        return nullcontext()

    def is_committed(self) -> bool:
        """Return False, because the caller registers the model."""
        return False

    def commit(self) -> TrainedModel:
        """Return the model; its experts stay in the folder until it is registered."""
        experts = [_read(self.folder, piece) for piece in self.pieces]
        return assemble_model(self.plan, experts, self.context)

    def renew(self) -> TrainedModel:
        return self.commit()


def _train_piece(plan: TrainingPlan, folder: Path, piece: Piece) -> None:
    """Train one expert and keep it."""
    expert = train_member(plan, *plan.members[piece.index])
    arrays: dict[str, NDArray[Any]] = {f"{_WEIGHTS}{k}": v for k, v in expert.state.items()}
    record = {k: v for k, v in expert.to_record().items() if k != "history"}
    # The history as an array: a record rounds it.
    arrays["history"] = expert.history
    write_array_part(folder, piece.index, arrays, {"covers": piece.covers, "expert": record})


def _read(folder: Path, piece: Piece) -> Expert:
    """Return the expert that was kept of a piece."""
    arrays, record = read_array_part(folder, piece.index)
    if record.get("covers") != piece.covers:
        raise BadInput(folder, "the experts of one training", "those of another in between")
    state = {k.removeprefix(_WEIGHTS): v for k, v in arrays.items() if k.startswith(_WEIGHTS)}
    return Expert.from_record({**record["expert"], "history": arrays["history"]}, state)


def _digest_of_plan(plan: TrainingPlan) -> str:
    """Return a digest of all that decides the experts of a plan."""
    record = {
        "version": version("etchscope"),
        "training": asdict(plan.training),
        "kinds": [[kind.name, kind.groups] for kind in plan.kinds],
        "lights": asdict(plan.labelled.patches.lights),
        "seed": plan.seed,
        "device": plan.device,
    }
    digest = hashlib.sha256(digest_of(record).encode())
    for name, array in _arrays_of(plan):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _arrays_of(plan: TrainingPlan) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays that decide the experts of a plan, by name."""
    labelled = plan.labelled
    yield "pixels", labelled.patches.pixels
    yield "region", labelled.patches.region
    yield "said", labelled.label
    yield "weight", labelled.weight
    yield from ((f"test {fold}", test) for fold, test in enumerate(plan.tests))
    if plan.start is not None:
        for name, members in plan.start.experts.items():
            for fold, expert in enumerate(members):
                yield from ((f"{name} {fold} {k}", v) for k, v in sorted(expert.state.items()))
