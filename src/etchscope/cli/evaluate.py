"""The command `evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etchscope.cli.verdict import echo_verdict
from etchscope.foil import BadInput

__all__ = ["command"]


def command(
    truth: Annotated[
        Path, typer.Option(metavar="TABLE", help="True pits: .csv, .parquet, .root, .json.")
    ],
    found: Annotated[
        Path, typer.Option(metavar="TABLE", help="Found pits: .csv, .parquet, .root, .json.")
    ],
    rule: Annotated[
        Literal["one-to-one", "nearest"], typer.Option(help="How found and true pits are matched.")
    ] = "one-to-one",
    tolerance_px: Annotated[
        float | None, typer.Option(help="Pits that are closer than this, by x_px and y_px, match.")
    ] = None,
    tolerance_mm: Annotated[
        float | None, typer.Option(help="Pits that are closer than this, by x_mm and y_mm, match.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Break down by a column of the truth, or by region or density."
        ),
    ] = None,
    merge_px: Annotated[
        float | None, typer.Option(help="Rows of one list that are closer than this are one pit.")
    ] = None,
    merge_mm: Annotated[
        float | None, typer.Option(help="The same by x_mm and y_mm, for rows of different tiles.")
    ] = None,
    other: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Found pits of another search, to compare which search finds what.",
        ),
    ] = None,
    curve: Annotated[
        str | None, typer.Option(metavar="T,T,...", help="Evaluate also at these tolerances.")
    ] = None,
    lists: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for tables of true, missed and false pits."),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for a map and curves.")
    ] = None,
    image_size: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="HEIGHT WIDTH", help="Size of a tile in pixels, for chance and intervals."
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(help="Confidence of the intervals.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Compare found pits with true ones: efficiency and purity, beside their chance level.

    Example: etchscope evaluate --truth truth.csv --found pits.csv --tolerance-px 6
    """
    from etchscope import api

    if tolerance_px is None and tolerance_mm is None:
        raise BadInput("tolerance", "--tolerance-px or --tolerance-mm", "neither")
    verdict = api.evaluate(
        found,
        truth,
        rule=rule,
        tolerance_px=tolerance_px,
        tolerance_mm=tolerance_mm,
        merge_px=merge_px,
        merge_mm=merge_mm,
        image_size=image_size,
        confidence=confidence,
        by=by,
        tolerances=_tolerances(curve, "px" if tolerance_mm is None else "mm"),
        other=other,
    )
    if lists is not None:
        api.write_lists(verdict, lists)
    if figures is not None:
        for path in api.write_figures(verdict, figures):
            typer.echo(path, err=True)
    echo_verdict(verdict, as_json=as_json)


def _tolerances(text: str | None, unit: str) -> list[float]:
    try:
        return [] if text is None else [float(word) for word in text.split(",")]
    except ValueError as error:
        raise BadInput("--curve", f"tolerances in {unit} as 2,4,6", repr(text)) from error
