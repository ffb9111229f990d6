"""The registry of models: a folder each, weights as safetensors and a card as JSON.

Loading a collaborator's model cannot run code: safetensors are numbers, and nothing is unpickled.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from etchscope.foil import BadInput
from etchscope.foil.records import Name
from etchscope.store.files import canonical_json, delete, machine_failures, sync_path, sync_tree

__all__ = ["MODELS_FOLDER", "Models", "read_model", "write_model"]

MODELS_FOLDER = "models"
_FORMAT, _VERSION = "etchscope-model", 1
_WEIGHTS, _CARD = "weights.safetensors", "card.json"


def write_model(folder: Path, arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> None:
    """Write ``weights.safetensors`` and ``card.json`` into a new folder, whole or not at all.

    The card gets ``format``, ``format_version`` and ``weights_sha256``. The same arrays and card
    give the same bytes.

    Raises
    ------
    BadInput : the folder is there already, or the folder for it is not.
    MachineFailed : the disk is full.
    """
    if folder.exists():
        raise BadInput(folder, "a new folder for the model", "something else there")
    if not folder.absolute().parent.is_dir():
        raise BadInput(folder, "a folder that can be made", f"no folder {folder.parent}")
    weights, text = _files(arrays, card)
    aside = folder.with_name(f".{folder.name}.aside")
    with machine_failures(f"writing {folder}"):
        delete(aside)
        try:
            aside.mkdir()
            (aside / _WEIGHTS).write_bytes(weights)
            (aside / _CARD).write_text(text, encoding="utf-8")
            sync_tree(aside)
            aside.rename(folder)
            sync_path(folder.absolute().parent)
        finally:
            delete(aside)


def _files(arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> tuple[bytes, str]:
    weights = save({k: np.ascontiguousarray(arrays[k]) for k in sorted(arrays)})
    digest = hashlib.sha256(weights).hexdigest()
    head = {"format": _FORMAT, "format_version": _VERSION, "weights_sha256": digest}
    whole = json.loads(canonical_json({**card, **head}))
    return weights, json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def read_model(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the weights and the card of a model's folder.

    Raises
    ------
    BadInput : absent, no card of a model or one of a later version, or weights that are damaged,
        not finite, no safetensors, or not those that the card names.
    """
    card_path, path = folder / _CARD, folder / _WEIGHTS
    try:
        card = json.loads(card_path.read_bytes())
    except OSError as error:
        raise BadInput(card_path, "the card of a model", error.strerror or "no file") from error
    except ValueError as error:
        raise BadInput(card_path, "the card of a model, JSON", str(error)) from error
    if not isinstance(card, dict) or card.get("format") != _FORMAT:
        raise BadInput(card_path, f'a card with "format": "{_FORMAT}"', "another file")
    if card.get("format_version") != _VERSION:
        hint = "A later version of Etchscope made it."
        found = repr(card.get("format_version"))
        raise BadInput(card_path, f"format_version {_VERSION}", found, hint)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(path, "the weights of a model", error.strerror or "no file") from error
    digest, told = hashlib.sha256(content).hexdigest(), str(card.get("weights_sha256"))
    if digest != told:
        expected = f"the weights that the card names, SHA-256 {told[:12]}…"
        raise BadInput(path, expected, f"{digest[:12]}…")
    try:
        arrays = load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise BadInput(path, "safetensors", str(error)) from error
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise BadInput(path, "finite weights", f"others in {name}")
    return arrays, card


class Models:
    """The part of a ``Store`` that holds models."""

    path: Path
    _locked: Callable[[], AbstractContextManager[None]]

    def models(self) -> list[str]:
        """Return the names of the models, sorted."""
        folder = self.path / MODELS_FOLDER
        found = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        kept = {n for n in found if not n.startswith(".")}
        return sorted(kept | {_of_old(n) for n in found if n.endswith(".old")})

    def load_model(self, name: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the weights and the card of a model; see ``read_model``.

        Raises
        ------
        BadInput : no such model, or its files are damaged.
        """
        if name not in self.models():
            listed = ", ".join(self.models()) or "none yet"
            raise BadInput("model", f"one of the store's models ({listed})", repr(name))
        folder = self.path / MODELS_FOLDER / name
        return read_model(folder if folder.is_dir() else _old(folder))

    def save_model(
        self,
        name: str,
        arrays: Mapping[str, NDArray[Any]],
        card: Mapping[str, Any],
        *,
        replace: bool = False,
    ) -> None:
        """Keep a model; the identical one again changes nothing.

        Raises
        ------
        BadInput : the name is no file name, or another model has it and ``replace`` is false.
        MachineFailed : the disk is full, or another addition or removal is under way.
        """
        try:
            TypeAdapter(Name).validate_python(name)
        except ValidationError as error:
            expected = "letters, digits, dot, dash, underscore"
            raise BadInput("name of a model", expected, repr(name)) from error
        folder = self.path / MODELS_FOLDER / name
        with self._locked(), machine_failures(f"writing {folder}"):
            self._mend()
            if folder.exists():
                if (folder / _CARD).read_text(encoding="utf-8") == _files(arrays, card)[1]:
                    return
                if not replace:
                    expected = "a name that no other model has"
                    raise BadInput("name of a model", expected, repr(name))
            folder.parent.mkdir(exist_ok=True)
            new = folder.with_name(f".{name}.new")
            delete(new)
            write_model(new, arrays, card)
            # Between the two renames the old one is found under its dotted name.
            if folder.exists():
                folder.rename(_old(folder))
            new.rename(folder)
            sync_path(folder.parent)
            delete(_old(folder))

    def _mend(self) -> None:
        """Finish what a killed ``save_model`` or ``remove_model`` left."""
        folder = self.path / MODELS_FOLDER
        for path in sorted(folder.glob(".*")) if folder.is_dir() else ():
            whole = folder / _of_old(path.name)
            if path.name.endswith(".old") and not whole.exists():
                path.rename(whole)
            else:
                delete(path)

    def import_model(self, folder: Path, name: str | None = None) -> str:
        """Keep the model of a folder under its folder's name, or another; return the name.

        Raises
        ------
        BadInput : see ``read_model`` and ``save_model``.
        """
        arrays, card = read_model(folder)
        chosen = name or folder.absolute().name
        self.save_model(chosen, arrays, card)
        return chosen

    def export_model(self, name: str, folder: Path) -> None:
        """Write a model into a new folder; see ``write_model``."""
        write_model(folder, *self.load_model(name))

    def remove_model(self, name: str) -> None:
        """Remove a model; what was scored with it stays.

        Raises
        ------
        BadInput : no such model.
        """
        if name not in self.models():
            raise BadInput("model", "one of the store's models", repr(name))
        with self._locked():
            self._mend()
            gone = (self.path / MODELS_FOLDER / name).with_name(f".{name}.gone")
            (self.path / MODELS_FOLDER / name).rename(gone)
            delete(gone)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _of_old(name: str) -> str:
    return name.removeprefix(".").removesuffix(".old")
