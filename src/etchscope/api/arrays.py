"""Work on arrays and tables: search pictures, draw foils, compare found pits with true ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from numpy.typing import ArrayLike

from etchscope.api.given import File, Table, as_table
from etchscope.foil import Side
from etchscope.foil.records import Role
from etchscope.progress import Progress, watch

if TYPE_CHECKING:
    from etchscope.api.kept import OfStore
    from etchscope.preselect.settings import FindSettings
    from etchscope.run.verdict import Verdict
    from etchscope.simulation import SimulatedScan

__all__ = [
    "Photographed",
    "evaluate",
    "find_pits",
    "photograph",
    "simulate",
    "write_figures",
    "write_lists",
]


def find_pits(
    stack: ArrayLike,
    *,
    azimuths_deg: ArrayLike | None = None,
    roles: list[Role] | None = None,
    pixel_size_um: float | None = None,
    thickness_um: float | None = None,
    removed_um: float | None = None,
    material: str | None = None,
    gradient_sign: int = 1,
    settings: "FindSettings | None" = None,
) -> pd.DataFrame:
    """Return the pits on the pictures of one tile, as a pit table.

    The picture is its own reference: average light and noise are found on it alone. Give a scan
    to a store to have them from all its tiles.

    Parameters
    ----------
    stack : (channel, y, x) or (y, x) grey levels.
    azimuths_deg : (n,) azimuths of the directional pictures, degrees counter-clockwise from +x,
        y up, from the pit towards the lamp; without them the surface is unknown.
    roles : of each picture: directional, backlit or halo; by default the directional ones come
        first, then a backlit and a halo one.
    pixel_size_um : for positions in mm (origin at the picture's centre, y up) and densities.
    thickness_um : of the foil before etching: how far a slanted particle's exit pit may lie.
    removed_um : bulk that etching removed on each side: sets the scale of depths and etch ratios.
    material : in your own word, such as "CR-39" or "Makrofol": its response gives energy losses.
    gradient_sign : −1 where the wall that faces the lamp is dark.
    settings : of the pre-selection; ``FindSettings(finder="classical")`` needs no network.

    Raises
    ------
    BadInput : no picture, grey levels that are no numbers or negative, one or two azimuths, roles
        that do not fit the pictures, a gradient_sign other than ±1, a scale, a thickness or a
        removed bulk that is not positive.

    Examples
    --------
    >>> (foil,) = simulate(seed=3, columns=1, rows=1, background=20, signal=2)
    >>> pits = find_pits(foil.read_tile(1), azimuths_deg=foil.scan.azimuths_deg)
    >>> {"top", "bottom"} <= set(pits["surface"])
    True
    """
    from etchscope.preselect.find import find_pits as search_array
    from etchscope.preselect.settings import FindSettings
    from etchscope.run.finder import finder_of

    settings = settings or FindSettings()
    return search_array(
        stack,
        azimuths_deg=azimuths_deg,
        roles=roles,
        pixel_size_um=pixel_size_um,
        thickness_um=thickness_um,
        removed_um=removed_um,
        material=material,
        gradient_sign=gradient_sign,
        settings=settings,
        finder=finder_of() if settings.finder == "learned" else None,
    )


def simulate(
    preset: str = "reference",
    *,
    columns: int = 5,
    rows: int = 4,
    sides: Sequence[Side] = ("front",),
    background: float | None = None,
    signal: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    randomise: bool = False,
    foils: int = 1,
    foil: str | None = None,
    seed: int = 1,
) -> list["SimulatedScan"]:
    """Return scans of simulated foils, one per foil and side.

    Of a scan, ``read_tile(number)`` is the (channel, y, x) pictures of a tile, ``truth()`` a pit
    table of all openings, and ``scan`` its record with the tiles.

    Parameters
    ----------
    preset : what to draw: reference, label-mix, pb-stack, experiment or tasl.
    columns, rows : tiles of each scan.
    background, signal : single background pits and through-going particles per tile; those of the
        preset unless given.
    parameters : any others, such as ``{"optics.blur_um": 8}``.
    randomise : whether foil, optics and populations are drawn at random.
    foils : how many; each has the next seed.
    foil : name of the foil; that of the preset unless given.

    Raises
    ------
    BadInput : no such preset or parameter, or a value that cannot be.

    Examples
    --------
    >>> front, back = simulate(seed=3, columns=1, rows=1, sides=("front", "back"))
    >>> front.scan.name, back.scan.name, front.read_tile(1).shape
    ('reference-front', 'reference-back', (10, 480, 640))
    """
    from etchscope.run.drawn import draw_foils

    per_tile = {"fragments.per_tile": background, "hips.per_tile": signal}
    return draw_foils(
        preset,
        columns=columns,
        rows=rows,
        sides=tuple(sides),
        foils=foils,
        foil=foil,
        seed=seed,
        parameters={
            **(parameters or {}),
            **{name: value for name, value in per_tile.items() if value is not None},
        },
        randomise=randomise,
    )


@dataclass(frozen=True)
class Photographed:
    """Where the pictures of a simulated scan are.

    ``pictures``: the scan directory, None where they went into a store. ``truth``: the file of
    all openings. ``look``: a picture of the middle tile under all lights, with its truth.
    """

    scan: "SimulatedScan"
    pictures: Path | None
    truth: Path
    look: Path


def photograph(
    scans: Sequence["SimulatedScan"],
    folder: File,
    *,
    store: "OfStore | None" = None,
    workers: int | None = None,
    progress: Progress = False,
) -> list[Photographed]:
    """Write the pictures of simulated scans, and what is true about them, into a folder.

    Parameters
    ----------
    folder : gets, for each scan, a scan directory, the true openings as a pit table, the marks that
        are no pits, a picture to look at, and a list of all parameters.
    store : into which the pictures go instead.
    workers : threads; as many as there are cores unless given.

    Raises
    ------
    BadInput : two scans of one name, or something of that name is there already.
    MachineFailed : the disk is full.
    """
    from etchscope.draw.channels import draw_channels
    from etchscope.draw.png import encode_figure
    from etchscope.pages.writing import write_picture
    from etchscope.run import simulate as write_scans

    directory, kept = Path(folder), None if store is None else store.kept

    def write_look(one: "SimulatedScan") -> None:
        numbers = [tile.number for tile in one.scan.tiles]
        tile = numbers[len(numbers) // 2]
        title = f"{one.scan.name}, tile {tile}"
        drawn = draw_channels(one.read_tile(tile), one.optics.channels, title, one.truth([tile]))
        write_picture(encode_figure(drawn), look_of(one))

    def look_of(one: "SimulatedScan") -> Path:
        return directory / f"{one.scan.name}-look.png"

    tiles = sum(len(one.scan.tiles) for one in scans)
    with watch(progress, "Photographing simulated foils", tiles) as bar:
        truths = write_scans(
            scans,
            directory,
            store=kept,
            workers=workers,
            progress=bar.advance,
            write_more=write_look,
        )
    return [
        Photographed(one, None if kept else directory / one.scan.name, truth, look_of(one))
        for one, truth in zip(scans, truths, strict=True)
    ]


def evaluate(
    pits: Table,
    truth: Table,
    *,
    tolerance_px: float | None = None,
    tolerance_mm: float | None = None,
    rule: Literal["one-to-one", "nearest"] = "one-to-one",
    merge_px: float | None = None,
    merge_mm: float | None = None,
    image_size: tuple[int, int] | None = None,
    confidence: float = 0.95,
    by: str | None = None,
    tolerances: Sequence[float] = (),
    other: Table | None = None,
) -> "Verdict":
    """Return how found pits compare with true ones: efficiency and purity with their intervals.

    ``figures`` of the result is a table of both, beside what they are by chance; ``table`` is
    broken down by a column, ``curve`` goes over tolerances, and ``evaluation`` has all the rest.

    Parameters
    ----------
    pits, truth : tables, or files of them.
    tolerance_px, tolerance_mm : pits closer than this match, by x_px and y_px within their tile or
        by x_mm and y_mm over the foil; exactly one of them.
    rule : how pits are matched: one-to-one or nearest.
    merge_px, merge_mm : rows of one list closer than this are one pit.
    image_size : (height, width) of a tile in pixels, for chance and intervals.
    confidence : of the intervals.
    by : a column of the truth, or region, or density.
    tolerances : of the curve.
    other : found pits of another search, to compare which search finds what.

    Raises
    ------
    BadInput : neither or both tolerances, a file that is no table, or a column that is absent.
    """
    from etchscope.run.verdict import Comparison, compare_pits

    comparison = Comparison(
        rule=rule,
        tolerance_px=tolerance_px,
        tolerance_mm=tolerance_mm,
        merge_px=merge_px,
        merge_mm=merge_mm,
        image_size=image_size,
        confidence=confidence,
    )
    return compare_pits(
        as_table(truth),
        as_table(pits),
        comparison,
        other=None if other is None else as_table(other),
        by=by,
        tolerances=tolerances,
    )


def write_lists(verdict: "Verdict", folder: File) -> None:
    """Write tables of true, missed and false pits of ``evaluate`` into a folder.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    from etchscope.run.verdict import write_lists

    write_lists(verdict, Path(folder))


def write_figures(verdict: "Verdict", folder: File) -> list[Path]:
    """Write a map and curves of ``evaluate`` into a folder, and return the files.

    Raises
    ------
    BadInput : nothing to draw, or the folder is a file.
    MachineFailed : the disk is full.
    """
    from etchscope.pages.evaluation import write_evaluation

    curves = {} if verdict.curve is None else {"found": verdict.curve}
    if verdict.other_curve is not None:
        curves["other"] = verdict.other_curve
    return write_evaluation(verdict.evaluation, curves, Path(folder))
