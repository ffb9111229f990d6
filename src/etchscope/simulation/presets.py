"""Presets: names of ready-made simulations, and the scans that they stand for."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from etchscope.foil import BadInput, Side
from etchscope.simulation.experiment import simulate_experiment
from etchscope.simulation.populations import (
    Density,
    Fragments,
    Hips,
    HotSpot,
    Marks,
    Population,
    Sheet,
    Stars,
)
from etchscope.simulation.scan import SimulatedScan
from etchscope.simulation.stage import Stage
from etchscope.simulation.tasl import simulate_tasl

__all__ = ["PRESETS", "preset"]

_STEP_MM = (4.0, 3.0)  # from tile to tile of the reference scan


def _reference(seed: int, columns: int, rows: int) -> list[SimulatedScan]:
    """Return a foil like the reference scan's: signal, 100 background pits per tile, some dirt."""
    population = Population(
        stars=Stars(per_tile=2),
        marks=Marks(
            dust_per_tile=0.5, scratches_per_tile=0.2, fibres_per_tile=0.1, bubbles_per_tile=0.2
        ),
    )
    return [SimulatedScan(seed, columns, rows, population, foil="reference")]


def _label_mix(seed: int, columns: int, rows: int) -> list[SimulatedScan]:
    """Return the experiment's label mix: 259 hip, 199 top, 811 bottom, 80 misc, 44 maybe.

    Each tile has a tenth of them on average. A hip is a pair of pits; a maybe is a top and a bottom
    pit that are unrelated and lie on top of each other.
    """
    population = Population(
        Hips(per_tile=25.9),
        Fragments(per_tile=101.0, top_fraction=199 / 1010, doubtful_per_tile=4.4),
        marks=Marks(
            dust_per_tile=4.0, scratches_per_tile=1.0, fibres_per_tile=1.0, bubbles_per_tile=2.0
        ),
    )
    return [SimulatedScan(seed, columns, rows, population, foil="labels")]


def _pb_stack(seed: int, columns: int, rows: int) -> list[SimulatedScan]:
    """Return the lead-ion calibration stack: two clean foils and one exposed to background.

    The same ions cross all three at 3°, so that they lie 5 px farther on each next foil; three
    datum holes are drilled through the stack; the foils lie askew by up to 0.02 rad.
    """
    wide, high = columns * _STEP_MM[0], rows * _STEP_MM[1]
    # As in the real stack: two holes near the ends of one side, one on the other side between.
    holes = ((0.04, 0.07), (0.40, 0.87), (0.88, 0.53))
    marks = Marks(
        holes_mm=tuple(
            (round(u * wide - _STEP_MM[0] / 2, 4), round(_STEP_MM[1] / 2 - v * high, 4))
            for u, v in holes
        )
    )
    beam = Hips(per_tile=6.0, zenith_deg=3.0, azimuth_deg=30.0, spread_deg=0.3)
    hot = HotSpot(x_mm=0.7 * wide, y_mm=-0.3 * high, radius_mm=0.15 * wide, factor=3.0)
    dirt = Fragments(per_tile=400.0, top_fraction=0.45)
    foils = (
        ("c1", Fragments(per_tile=1.0), Stars(), Density(), 0.0),
        ("c2", Fragments(per_tile=1.0), Stars(), Density(), 0.35),
        ("d", dirt, Stars(per_tile=8), Density(gradient_per_mm=0.3 / wide, hot=(hot,)), -0.25),
    )
    return [
        SimulatedScan(
            seed,
            columns,
            rows,
            Population(beam, fragments, stars, marks, density),
            Sheet(depth_mm=0.6 * n),
            stage=Stage(rotation_deg=angle, offset_mm=(0.02 * n, -0.03 * n), jitter_um=2.0),
            foil=name,
            stack="pb-stack",
            exposure=n,
        )
        for n, (name, fragments, stars, density, angle) in enumerate(foils)
    ]


PRESETS: dict[str, Callable[[int, int, int], list[SimulatedScan]]] = {
    "reference": _reference,
    "label-mix": _label_mix,
    "pb-stack": _pb_stack,
    "experiment": lambda seed, columns, rows: [simulate_experiment(seed, columns, rows)],
    "tasl": lambda seed, columns, rows: [simulate_tasl(seed, columns, rows)],
}


def preset(
    name: str,
    *,
    seed: int = 1,
    columns: int = 5,
    rows: int = 4,
    sides: Sequence[Side] = ("front",),
) -> list[SimulatedScan]:
    """Return the scans of a preset, foil by foil, each from all the sides.

    Parameters
    ----------
    name : one of ``PRESETS``.
    seed : decides everything that is random.
    columns, rows : number of tiles across and down.
    sides : front, back, or both; each side is a scan.

    Raises
    ------
    BadInput : there is no preset of that name, or a parameter is out of range.
    """
    if name not in PRESETS:
        raise BadInput("simulation: preset", " or ".join(PRESETS), repr(name))
    return [_from_side(foil, side) for foil in PRESETS[name](seed, columns, rows) for side in sides]


def _from_side(foil: SimulatedScan, side: Side) -> SimulatedScan:
    """Return a foil's scan from one side; for the back the foil was laid on the stage anew."""
    if side == "front":
        return foil
    turned = replace(foil.stage, rotation_deg=-foil.stage.rotation_deg)
    return replace(foil, side=side, stage=turned)
