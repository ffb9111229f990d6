"""Labelled patches as plain arrays, and back."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.ensemble import Labelled
from etchscope.foil import BadInput, OtherNormalisation, Scan, UnknownScan
from etchscope.learn import Lights, Patches
from etchscope.run.classes import classes_to_train, require_decidable
from etchscope.run.constants import normalisation_of
from etchscope.run.labelled import LeftOut
from etchscope.run.patches import PLANES_RECIPE, shared_recipe
from etchscope.run.stages.training import Gathered
from etchscope.store import Store

__all__ = ["arrays_to_gathered", "gathered_to_arrays"]


def gathered_to_arrays(store: Store, gathered: Gathered) -> dict[str, NDArray[Any]]:
    """Return the patches of a store's labels as the arrays of ``files.patches.PATCH_ARRAYS``.

    Labels of other classes than the gathered ones are left out.

    Raises
    ------
    UnknownScan : the store no longer has one of the scans.
    """
    labelled = gathered.labelled.take(np.isin(gathered.labelled.label, gathered.classes))
    patches, source = labelled.patches, labelled.source
    lights = patches.lights
    scans = [store.scans.get(name) for name in sorted(source["scan"].unique())]
    evidence = labelled.evidence
    return {
        "patches": patches.pixels,
        "label": labelled.label,
        "weight": labelled.weight,
        "region": patches.region,
        "scan": source["scan"].to_numpy(str),
        "tile": source["tile"].to_numpy(np.int64),
        "x_px": source["x_px"].to_numpy(np.float64),
        "y_px": source["y_px"].to_numpy(np.float64),
        "id": source["id"].to_numpy(str),
        "density_per_mm2": labelled.density_per_mm2,
        "evidence": np.zeros(len(patches)) if evidence is None else evidence,
        "pixel_size_um": labelled.pixel_size_um,
        "context": gathered.context.pixels,
        "context_region": gathered.context.region,
        "channels": np.array([*(f"lamp {a:g}°" for a in lights.azimuths_deg), *lights.others], str),
        "azimuths_deg": np.array(lights.azimuths_deg, np.float64),
        "size": np.array(patches.pixels.shape[2], np.int64),
        "scans": np.array([scan.name for scan in scans], str),
        "normalisation_sha256": np.array(
            [_normalisation_sha256(store, scan, planes=lights.are_planes) for scan in scans], str
        ),
        "labels_outside": np.array(gathered.left_out.outside, np.int64),
        "label_conflicts": np.array(gathered.left_out.conflicts, np.int64),
        "labels_of_who": np.array(gathered.chosen.get("who", ()), str),
        "labels_of_source": np.array(gathered.chosen.get("source", ()), str),
    }


def arrays_to_gathered(
    store: Store,
    arrays: Mapping[str, NDArray[Any]],
    *,
    where: str | Path,
    classes: Sequence[str] | None = None,
) -> Gathered:
    """Return the patches of plain arrays, to train on.

    Training on what ``gathered_to_arrays`` gave makes the same model as training on the store.

    Parameters
    ----------
    store : it must have the scans that the patches were cut from.
    arrays : those of ``files.patches.PATCH_ARRAYS``, as ``read_patches`` checks them.
    where : name of the arrays for an error, such as their file.
    classes : to train on; all decidable classes with labels unless given.

    Raises
    ------
    UnknownScan : the store lacks a scan.
    OtherNormalisation : the store normalises the pictures of a scan differently.
    BadInput : a label whose class is unknown or not decidable, labels of one class only, weights
        that are not above 0, or more lamps than channels.
    """
    lamps = len(arrays["azimuths_deg"])
    others = tuple(arrays["channels"][lamps:].tolist())
    if lamps + len(others) != len(arrays["channels"]):
        raise BadInput(f"{where}: azimuths_deg", f"{len(arrays['channels'])} at most", f"{lamps}")
    lights = Lights(tuple(arrays["azimuths_deg"].tolist()), others)
    scans = _agreeing_scans(store, arrays, where, planes=lights.are_planes)
    taxonomy, labels = store.labels.taxonomy(), np.unique(arrays["label"]).tolist()
    require_decidable(taxonomy, labels, f"{where}: label")
    require_decidable(taxonomy, classes or ())
    if not (arrays["weight"] > 0).all():
        raise BadInput(f"{where}: weight", "above 0", f"{arrays['weight'].min():g}")
    labelled = Labelled(
        Patches(arrays["patches"], lights, arrays["region"], np.arange(len(arrays["patches"]))),
        arrays["label"],
        arrays["density_per_mm2"],
        shared_recipe(scans, planes=lights.are_planes),
        arrays["pixel_size_um"],
        pd.DataFrame({name: arrays[name] for name in ("scan", "tile", "x_px", "y_px", "id")}),
        arrays["evidence"],
        arrays["weight"],
    )
    found = np.arange(len(arrays["context"]))
    context = Patches(arrays["context"], lights, arrays["context_region"], found)
    left_out = LeftOut(int(arrays["labels_outside"]), int(arrays["label_conflicts"]))
    chosen = {name: arrays[f"labels_of_{name}"].tolist() for name in ("who", "source")}
    return Gathered(
        labelled,
        classes_to_train(taxonomy, labels, classes),
        context,
        left_out,
        {name: values for name, values in chosen.items() if values},
    )


def _agreeing_scans(
    store: Store, arrays: Mapping[str, NDArray[Any]], where: str | Path, *, planes: bool
) -> list[Scan]:
    """Return the scans of patches; refuse an unknown scan or another normalisation."""
    names, known = arrays["scans"].tolist(), store.injections.original_names()
    for name in np.unique(arrays["scan"]).tolist():
        if name not in names:
            raise BadInput(f"{where}: scan", f"one of scans ({', '.join(names)})", repr(name))
    scans = []
    for name, found in zip(names, arrays["normalisation_sha256"].tolist(), strict=True):
        if name not in known:
            expected = f"scans of the store ({', '.join(known) or 'none yet'})"
            raise UnknownScan(f"{where}: scans", expected, repr(name))
        scan = store.scans.get(name)
        expected = _normalisation_sha256(store, scan, planes=planes)
        if found != expected:
            what = f"pictures with the normalisation of the store ({expected[:12]})"
            raise OtherNormalisation(f"{where}: scan {name}", what, found[:12] or "no digest")
        scans.append(scan)
    return scans


def _normalisation_sha256(store: Store, scan: Scan, *, planes: bool) -> str:
    """Return the SHA-256 of recipe and fit of a scan's normalisation, and of the planes' recipe."""
    fit = normalisation_of(store, scan)
    parts = [fit.recipe.digest, fit.digest, *([PLANES_RECIPE] if planes else [])]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
