"""Similarities of the plane: rotation, scale, shift and mirror, with the names of their frames.

The name of a frame contains its unit, as in "tile 7 px", "stage mm" or "foil c1 mm". Transforms can
be composed only if the first ends in the frame in which the second begins.
"""

from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from etchscope.foil.errors import BadInput
from etchscope.foil.types import Floats

__all__ = ["LengthUnit", "Similarity", "fit_similarity", "mm_per"]

LengthUnit = Literal["inch", "mm", "um"]
_MM: dict[str, float] = {"inch": 25.4, "mm": 1.0, "um": 1e-3}


def mm_per(unit: LengthUnit) -> float:
    """Return the length of a unit in millimetres.

    Raises
    ------
    BadInput : the unit is not known.

    >>> mm_per("inch")
    25.4
    """
    if unit not in _MM:
        raise BadInput("unit", f"one of {', '.join(_MM)}", repr(unit))
    return _MM[unit]


@dataclass(frozen=True)
class Similarity:
    """The transform xy → scale · R(angle_rad) · M · xy + (shift_x, shift_y).

    Parameters
    ----------
    angle_rad : angle of the rotation R, counter-clockwise with y up.
    scale : units of the target per unit of the source, above 0.
    shift_x, shift_y : shift in the unit of the target.
    mirrored : whether M reverses x; otherwise M changes nothing.
    source, target : names of the two frames, with their units; "" stands for any frame.

    Raises
    ------
    BadInput : a scale that is not above 0.

    Examples
    --------
    >>> turn = Similarity(angle_rad=np.pi / 2, shift_x=1.0)
    >>> turn.apply([[2.0, 0.0]]).round(9).tolist()
    [[1.0, 2.0]]
    >>> turn.then(turn.inverse()).apply([[2.0, 5.0]]).round(9).tolist()
    [[2.0, 5.0]]
    """

    angle_rad: float = 0.0
    scale: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    mirrored: bool = False
    source: str = ""
    target: str = ""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise BadInput("transform: scale", "a number above 0", f"{self.scale}")

    @property
    def matrix(self) -> Floats:
        """Scale · R · M, (2, 2), to be multiplied with column vectors."""
        c, s = np.cos(self.angle_rad), np.sin(self.angle_rad)
        mirror = -1.0 if self.mirrored else 1.0
        return self.scale * np.array([[mirror * c, -s], [mirror * s, c]])

    @property
    def shift(self) -> Floats:
        """(shift_x, shift_y), (2,), in the unit of the target."""
        return np.array([self.shift_x, self.shift_y])

    def apply(self, xy: ArrayLike) -> Floats:
        """Return points in the target frame, (n, 2), from points in the source frame, (n, 2)."""
        moved: Floats = np.asarray(xy, float).reshape(-1, 2) @ self.matrix.T + self.shift
        return moved

    def inverse(self) -> "Similarity":
        """Return the transform from the target to the source."""
        # (R M)⁻¹ = M R(−a), and M R(−a) = R(a) M where M mirrors.
        angle = self.angle_rad if self.mirrored else -self.angle_rad
        back = Similarity(angle, 1 / self.scale, 0.0, 0.0, self.mirrored, self.target, self.source)
        return back.moved(*(-back.matrix @ self.shift).tolist())

    def then(self, other: "Similarity") -> "Similarity":
        """Return this transform followed by another.

        Raises
        ------
        BadInput : the other transform does not begin in the frame in which this one ends.
        """
        if self.target and other.source and self.target != other.source:
            expected = f"one from {self.target}"
            raise BadInput("transform that follows", expected, f"one from {other.source}")
        angle = other.angle_rad + (-self.angle_rad if other.mirrored else self.angle_rad)
        x, y = (other.matrix @ self.shift + other.shift).tolist()
        return Similarity(
            angle_rad=float((angle + np.pi) % (2 * np.pi) - np.pi),
            scale=self.scale * other.scale,
            shift_x=x,
            shift_y=y,
            mirrored=self.mirrored != other.mirrored,
            source=self.source,
            target=other.target,
        )

    def moved(self, shift_x: float, shift_y: float) -> "Similarity":
        """Return the transform with a further shift, in the unit of the target."""
        return replace(self, shift_x=self.shift_x + shift_x, shift_y=self.shift_y + shift_y)

    def named(self, source: str, target: str) -> "Similarity":
        """Return the transform with the names of its frames."""
        return replace(self, source=source, target=target)

    def to_dict(self) -> dict[str, float | bool | str]:
        """Return the parameters for JSON; ``Similarity(**parameters)`` is the transform again."""
        return asdict(self)


def fit_similarity(
    source_xy: ArrayLike,
    target_xy: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    mirrored: bool = False,
    fixed_scale: bool = False,
) -> Similarity:
    """Return the similarity that brings points closest to their targets (least squares).

    S. Umeyama, IEEE Trans. Pattern Anal. Mach. Intell. 13 (1991) 376, eq. 39–42, in the plane,
    where the rotation has a closed form.

    Parameters
    ----------
    source_xy, target_xy : (n, 2) points; row i of one belongs to row i of the other.
    weight : (n,) weights of 0 or more; by default all 1.
    mirrored : whether the transform mirrors; this is not fitted.
    fixed_scale : whether the scale is kept at 1.

    Raises
    ------
    BadInput : fewer than two points have a weight above 0, or all of these are at one place.

    Examples
    --------
    >>> there = fit_similarity([[0, 0], [1, 0], [0, 1]], [[3, 1], [3, 3], [1, 1]])
    >>> round(there.scale, 6), round(float(np.degrees(there.angle_rad)), 6)
    (2.0, 90.0)
    """
    source = np.array(source_xy, float).reshape(-1, 2)
    target = np.array(target_xy, float).reshape(-1, 2)
    w = np.ones(len(source)) if weight is None else np.asarray(weight, float)
    if (w > 0).sum() < 2:
        raise BadInput("points to fit", "two or more pairs", f"{int((w > 0).sum())}")
    source[:, 0] *= -1 if mirrored else 1
    middle, aim = np.average(source, axis=0, weights=w), np.average(target, axis=0, weights=w)
    u, v = source - middle, target - aim
    size = float((w[:, None] * u**2).sum())
    if size <= 0:
        raise BadInput("points to fit", "points apart from each other", "one place")
    along = float((w * (u * v).sum(axis=1)).sum())
    across = float((w * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])).sum())
    angle = float(np.arctan2(across, along))
    scale = 1.0 if fixed_scale else max(float(np.hypot(along, across)) / size, 1e-12)
    x, y = (aim - Similarity(angle, scale).apply(middle)[0]).tolist()
    return Similarity(angle, scale, x, y, mirrored)
