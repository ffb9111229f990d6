"""Examples of the pits of a scan, from which its optics are learned: round ones that lie apart."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.stats import trim_mean

from etchscope.foil import BadInput, PitFlag
from etchscope.foil.types import Floats, FloatStack, Ints, RawStack
from etchscope.imaging import Normalisation

__all__ = ["Group", "choose_examples", "cut_examples", "group_examples", "rim_level"]

_BINS = 2
_OF_GROUP = 60
"""Greatest number of examples of a group."""
_LEAST = 8
"""Least number of examples of a group."""
_ROUND = 0.2
"""Greatest ellipticity of an example."""
_SPOILT = int(
    PitFlag.EDGE | PitFlag.SATURATED | PitFlag.SCRATCH | PitFlag.REGION | PitFlag.SIZE_LIMIT
)
_TRIMMED = 0.15
"""Share of the darkest and of the brightest examples that a mean leaves out: neighbours."""
_FLOOR = 0.015
"""Error of the model of light, which is added to that of the means."""


@dataclass(frozen=True)
class Group:
    """The mean picture of similar pits.

    Parameters
    ----------
    surface : top or bottom.
    radius_px : median radius of the pits.
    light, error : (channel, y, x) float32 mean light, the ground at 1, and its standard error.
    """

    surface: str
    radius_px: float
    light: FloatStack
    error: FloatStack


def choose_examples(pits: pd.DataFrame, image_size: tuple[int, int]) -> pd.DataFrame:
    """Return single round pits that lie apart, with ``group``, at most 60 of each surface and size.

    Parameters
    ----------
    pits : pit table of some tiles.
    image_size : (height, width) in pixels.

    Raises
    ------
    BadInput : there are too few pits to learn the optics from.
    """
    radius = pits["radius_px"].to_numpy(np.float64)
    single = pits["partner"].isna().to_numpy() & pits["length_px"].isna().to_numpy()
    clean = (pits["flags"].to_numpy(np.int64) & _SPOILT) == 0
    use = single & clean & np.isfinite(radius) & (pits["ellipticity"].to_numpy() < _ROUND)
    margin = _half_size(radius[use]) if use.any() else 0
    x, y = pits["x_px"].to_numpy(), pits["y_px"].to_numpy()
    use &= (
        (x > margin)
        & (x < image_size[1] - 1 - margin)
        & (y > margin)
        & (y < image_size[0] - 1 - margin)
    )
    chosen = pits.assign(room=_room(pits))[use].reset_index(drop=True)
    surface = chosen["surface"].astype(object).where(chosen["surface"] != "unknown", "top")
    parts = []
    for of in ("top", "bottom"):
        own = chosen[(surface == of).to_numpy()]
        if len(own) < _LEAST:
            continue
        edges = np.unique(np.quantile(own["radius_px"], np.arange(1, _BINS) / _BINS))
        number = np.searchsorted(edges, own["radius_px"].to_numpy())
        for k in range(len(edges) + 1):
            best = own[number == k].sort_values("room", ascending=False, kind="stable")
            if len(best) >= _LEAST:
                parts.append(best.head(_OF_GROUP).assign(group=f"{of}-{k}", side_of=of))
    if not parts:
        found = f"{len(chosen)} of {len(pits)} pits"
        expected = f"at least {_LEAST} round single pits of one surface, to learn the optics from"
        raise BadInput("injection", expected, found, "Search more tiles, or inject --from labels.")
    out: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return out


def _room(pits: pd.DataFrame) -> Floats:
    """Return the distance of each pit to the next one of its tile, in pixels, (n,)."""
    far = 1e5 * pits["tile"].to_numpy(np.float64)
    at = np.column_stack([pits["x_px"] + far, pits["y_px"]]).astype(np.float64)
    if len(at) < 2:
        return np.full(len(at), np.inf)
    return np.asarray(cKDTree(at).query(at, k=2)[0][:, 1])


def _half_size(radius_px: Floats) -> int:
    return int(np.ceil(1.6 * np.quantile(radius_px, 0.9))) + 4


def cut_examples(
    examples: pd.DataFrame, tiles: Iterable[tuple[int, RawStack]], normalisation: Normalisation
) -> tuple[Ints, FloatStack]:
    """Return rows of examples and their light, (n, channel, y, x) float32, the ground at 1.

    Each picture is magnified so that its pit has the median radius of its group; otherwise the mean
    of several radii would look blurred.

    Parameters
    ----------
    examples : see ``choose_examples``.
    tiles : number and pictures of the tiles of the examples.
    normalisation : of the scan.
    """
    radius = examples["radius_px"].to_numpy(np.float64)
    mean = examples.groupby("group")["radius_px"].transform("median").to_numpy(np.float64)
    half = _half_size(radius)
    rows, out = [], []
    for number, raw in tiles:
        light = np.asarray(
            raw * normalisation.inverse / normalisation.offset[:, None, None], np.float32
        )
        for row in np.flatnonzero(examples["tile"].to_numpy() == number):
            x, y = (float(examples[c].iloc[row]) for c in ("x_px", "y_px"))
            cut = _cut(light, x, y, half, float(radius[row] / mean[row]))
            rows.append(int(row))
            out.append(cut / rim_level(cut))
    return np.array(rows, np.int64), np.asarray(out, np.float32)


def _cut(light: FloatStack, x: float, y: float, half: int, scale: float) -> FloatStack:
    """Return the square around a place, each pixel ``scale`` pixels of the tile wide."""
    size = 2 * half + 1
    back = np.array([[scale, 0, x - scale * half], [0, scale, y - scale * half]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    mode = cv2.BORDER_REPLICATE
    return np.stack(
        [cv2.warpAffine(c, back, (size, size), flags=flags, borderMode=mode) for c in light]
    )


def rim_level(light: FloatStack) -> FloatStack:
    """Return the level of each channel on the rim of a picture, (channel, 1, 1)."""
    rim = np.ones(light.shape[1:], bool)
    rim[2:-2, 2:-2] = False
    return np.asarray(np.maximum(np.median(light[:, rim], axis=1), 1e-3)[:, None, None], np.float32)


def group_examples(examples: pd.DataFrame, rows: Ints, light: FloatStack) -> list[Group]:
    """Return the trimmed mean picture of each group of examples.

    Parameters
    ----------
    rows, light : see ``cut_examples``.
    """
    out = []
    of = examples["group"].to_numpy()[rows]
    for name in sorted(set(of)):
        own = light[of == name]
        middle = trim_mean(own, _TRIMMED, axis=0)
        spread = 1.4826 * np.median(np.abs(own - middle), axis=0)
        error = np.hypot(spread / np.sqrt(len(own)), _FLOOR)
        here = examples.iloc[rows[of == name]]
        out.append(
            Group(
                str(here["side_of"].iloc[0]),
                float(here["radius_px"].median()),
                middle.astype(np.float32),
                error.astype(np.float32),
            )
        )
    return out
