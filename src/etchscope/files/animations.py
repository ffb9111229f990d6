"""Animated pictures, as WebP and GIF."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etchscope.files.atomic import write_aside
from etchscope.foil import BadInput

__all__ = ["write_animation"]

_FORMATS = {".webp": "WEBP", ".gif": "GIF"}


def write_animation(path: Path, frames: Sequence[NDArray[np.uint8]], seconds: float = 0.5) -> Path:
    """Write an animation that repeats for ever, whole or not at all, and return its path.

    Parameters
    ----------
    path : file name that ends in .webp or .gif.
    frames : (y, x, 3) uint8 red, green, blue, all of one size.
    seconds : for which each frame is shown.

    Raises
    ------
    BadInput : another suffix, no frame, or frames of several sizes.
    MachineFailed : the disk is full.
    """
    from PIL import Image  # here, because few files need it

    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise BadInput(path, "a name that ends in .webp or .gif", repr(path.suffix))
    sizes = {frame.shape for frame in frames}
    if len(sizes) != 1:
        raise BadInput(path, "frames of one size", f"{len(sizes)} sizes")
    pictures = [Image.fromarray(frame) for frame in frames]
    if kind == "GIF":
        pictures = [one.quantize(256, dither=Image.Dither.NONE) for one in pictures]
    more = {"lossless": True} if kind == "WEBP" else {"optimize": False}
    with write_aside(path) as aside:
        pictures[0].save(
            aside,
            format=kind,
            save_all=True,
            append_images=pictures[1:],
            duration=round(1000 * seconds),
            loop=0,
            **more,
        )
    return path
