"""The registry of models: one folder per model, with weights as safetensors and a JSON card.

Loading a model that somebody else made cannot run code: safetensors hold numbers only.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from etchscope.files.atomic import (
    delete,
    drop_dead_asides,
    is_dead_aside,
    name_aside,
    sync_path,
    sync_tree,
    translate_disk_errors,
)
from etchscope.files.locks import lock_folder
from etchscope.files.strict_json import canonical_json, read_json
from etchscope.foil import BadInput, MachineFailed, UnknownModel
from etchscope.foil.records import Name
from etchscope.foil.storable import require_storable
from etchscope.store.array_parts import TRAINING_FOLDER, drop_training, training_folder

__all__ = ["MODELS_FOLDER", "Models", "read_model", "write_model"]

MODELS_FOLDER = "models"
_FORMAT, _VERSION = "etchscope-model", 1
_WEIGHTS, _CARD = "weights.safetensors", "card.json"


def write_model(
    folder: Path, arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]
) -> dict[str, Any]:
    """Write ``weights.safetensors`` and ``card.json`` into a folder, whole or not at all.

    The same arrays and card give the same bytes.

    Parameters
    ----------
    folder : absent or empty.
    arrays : finite numbers, of any shape; other byte orders come back in the machine's.
    card : for JSON, so without NaN; lists come back for tuples.

    Returns
    -------
    The card as written: with ``format``, ``format_version`` and ``weights_sha256``.

    Raises
    ------
    BadInput : something lies in the folder, the folder for it is not there, weights that are not
        finite or no numbers, or a card that is not for JSON.
    MachineFailed : the disk is full.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(folder, "a new or empty folder for the model", "something else there")
    if not folder.parent.is_dir():
        raise BadInput(folder, "a folder that can be made", f"no folder {folder.parent}")
    weights, text = _files(arrays, card)
    aside = name_aside(folder)
    with translate_disk_errors(f"writing {folder}"):
        drop_dead_asides(folder)
        try:
            aside.mkdir()
            (aside / _WEIGHTS).write_bytes(weights)
            (aside / _CARD).write_bytes(text)
            sync_tree(aside)
            aside.rename(folder)
            sync_path(folder.parent)
        finally:
            delete(aside)
    whole: dict[str, Any] = json.loads(text)
    return whole


def _files(arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> tuple[bytes, bytes]:
    _require_finite("weights of a model", arrays)
    # Not ascontiguousarray, which makes a vector of a single number.
    weights = save({k: np.asarray(arrays[k], order="C") for k in sorted(arrays)})
    digest = hashlib.sha256(weights).hexdigest()
    head = {"format": _FORMAT, "format_version": _VERSION, "weights_sha256": digest}
    try:
        whole = json.loads(canonical_json({**card, **head}))
        text = json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
        return weights, text.encode()
    except (TypeError, ValueError) as error:
        raise BadInput("card of a model", "what JSON can hold", str(error)) from error


def _require_finite(where: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, values in arrays.items():
        if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
            raise BadInput(where, "real numbers", f"{values.dtype} in {name}")
        if not np.isfinite(values).all():
            raise BadInput(where, "finite weights", f"others in {name}")


def read_model(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the weights and the card of a model's folder.

    Raises
    ------
    BadInput : absent, no card of a model or one of a later version, or weights that are damaged,
        not finite, no safetensors, or not those that the card names.
    """
    path = folder / _WEIGHTS
    card = _read_card(folder / _CARD)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(path, "the weights of a model", error.strerror or "no file") from error
    digest, named = hashlib.sha256(content).hexdigest(), str(card.get("weights_sha256"))
    if digest != named:
        expected = f"the weights that the card names, SHA-256 {named[:12]}…"
        raise BadInput(path, expected, f"{digest[:12]}…")
    try:
        arrays = load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise BadInput(path, "safetensors", str(error)) from error
    _require_finite(path, arrays)
    return arrays, card


def _read_card(path: Path) -> dict[str, Any]:
    expected = "the card of a model"
    if not path.exists():
        raise BadInput(path, expected, "no file")
    try:
        card = require_storable(read_json(path))
    except BadInput as error:
        raise BadInput(path, f"{expected}, JSON", error.found) from error
    except ValueError as error:
        raise BadInput(path, f"{expected}, JSON", str(error)) from error
    if not isinstance(card, dict) or card.get("format") != _FORMAT:
        raise BadInput(path, f'a card with "format": "{_FORMAT}"', "another file")
    version = card.get("format_version")
    if version != _VERSION:
        is_later = isinstance(version, int) and version > _VERSION
        hint = "A later version of Etchscope made it." if is_later else ""
        raise BadInput(path, f"format_version {_VERSION}", repr(version), hint)
    return card


class Models:
    """The models of a store."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """Return the names of the models, sorted."""
        folder = self._root / MODELS_FOLDER
        found = [p.name for p in folder.iterdir() if p.is_dir()] if folder.is_dir() else []
        return sorted({_of_old(n) if _is_old(n) else n for n in found if _is_shown(n)})

    def load(self, name: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the weights and the card of a model; see ``read_model``.

        Raises
        ------
        BadInput : no such model, or its files are damaged.
        """
        try:
            return read_model(self._model_folder(name))
        except BadInput:
            # Another process may have replaced it between its card and its weights: look again.
            return read_model(self._model_folder(name))

    def _model_folder(self, name: str) -> Path:
        names = self.names()
        if name not in names:
            listed = ", ".join(names) or "none yet"
            raise UnknownModel("model", f"one of the store's models ({listed})", repr(name))
        folder = self._root / MODELS_FOLDER / name
        return folder if folder.is_dir() else _old(folder)

    def save(
        self,
        name: str,
        arrays: Mapping[str, NDArray[Any]],
        card: Mapping[str, Any],
        *,
        replace: bool = False,
    ) -> str:
        """Keep a model and return its name; the identical one again changes nothing.

        The experts that its training had kept are dropped.

        Raises
        ------
        BadInput : the name is no file name, another model has it and ``replace`` is false, or
            what ``write_model`` refuses.
        MachineFailed : the disk is full.
        """
        _require_name(name)
        files = _files(arrays, card)
        folder = self._root / MODELS_FOLDER / name
        with translate_disk_errors(f"writing {folder}"), self._changing_models():
            if not (folder.exists() and _same(folder, files)):
                if folder.exists() and not replace:
                    expected = "a name that no other model has"
                    raise BadInput("name of a model", expected, repr(name))
                new = name_aside(folder)
                write_model(new, arrays, card)
                # Between the two renames the old one is found under its dotted name.
                if folder.exists():
                    folder.rename(_old(folder))
                new.rename(folder)
                sync_path(folder.parent)
                delete(_old(folder))
            drop_training(folder.parent, name)
        return name

    def training_folder(self, name: str) -> Path:
        """Return where the experts of a model are kept while it is trained.

        Raises
        ------
        BadInput : the name is no file name.
        """
        _require_name(name)
        return training_folder(self._root / MODELS_FOLDER, name)

    @contextmanager
    def _changing_models(self) -> Iterator[None]:
        """Keep other writers of models out, and clear up what a killed one left.

        This is not the lock for scans: a training that took hours must not fail because a scan
        is being added when it ends.
        """
        folder = self._root / MODELS_FOLDER
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            sync_path(self._root)
        with lock_folder(folder) as is_locked:
            _mend(folder, is_alone=is_locked)
            try:
                yield
            except (OSError, MachineFailed):
                _mend(folder, is_alone=is_locked)
                raise

    def import_folder(self, folder: Path, name: str | None = None) -> str:
        """Keep the model of a folder under its folder's name, or another; return the name.

        Raises
        ------
        BadInput : see ``read_model`` and ``save``.
        MachineFailed : the disk is full.
        """
        arrays, card = read_model(folder)
        return self.save(folder.absolute().name if name is None else name, arrays, card)

    def export(self, name: str, folder: Path) -> None:
        """Write a model into a new or empty folder; see ``load`` and ``write_model``."""
        write_model(folder, *self.load(name))

    def remove(self, name: str) -> None:
        """Remove a model; what was scored with it stays.

        Raises
        ------
        BadInput : no such model.
        """
        self._model_folder(name)
        with self._changing_models():
            folder = self._root / MODELS_FOLDER / name
            gone = name_aside(folder)
            folder.rename(gone)
            sync_path(folder.parent)
            delete(gone)


def _require_name(name: str) -> None:
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        expected = "letters, digits, dot, dash, underscore"
        raise BadInput("name of a model", expected, repr(name)) from error


def _mend(folder: Path, *, is_alone: bool) -> None:
    """Undo replacements that were not finished; ``is_alone``: nobody else is at one."""
    for path in sorted(p for p in folder.glob(".*") if p.name != TRAINING_FOLDER):
        whole = folder / _of_old(path.name)
        if _is_old(path.name) and not whole.exists():
            path.rename(whole)
        elif is_alone or is_dead_aside(path):
            delete(path)


def _same(folder: Path, files: tuple[bytes, bytes]) -> bool:
    try:
        return ((folder / _WEIGHTS).read_bytes(), (folder / _CARD).read_bytes()) == files
    except OSError:  # damaged: not the same
        return False


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _is_old(name: str) -> bool:
    return name.startswith(".") and name.endswith(".old")


def _is_shown(name: str) -> bool:
    return not name.startswith(".") or _is_old(name)


def _of_old(name: str) -> str:
    return name.removeprefix(".").removesuffix(".old")
