"""The files of an injection: figures, and tables that other programs read."""

import json
from pathlib import Path

from etchscope.background.report import InjectionReport
from etchscope.draw.injection import draw_injection, draw_injection_map
from etchscope.draw.png import encode_figure
from etchscope.pages.writing import make_page_folder, write_page, write_picture

__all__ = ["write_injection"]


def write_injection(report: InjectionReport, directory: Path) -> Path:
    """Write the figures and tables of an injection into a folder, and return its JSON file.

    ``injection.json`` has all figures; ``efficiency.csv`` the efficiencies in bins,
    ``particles.csv`` each particle with the stages that it reached, ``false.csv`` candidates per
    cm², ``points.csv`` effective areas for ``etchscope limit``; ``efficiency.png`` and ``map.png``
    show them.

    Raises
    ------
    BadInput : the path is a file.
    MachineFailed : the disk is full.
    """
    folder = make_page_folder(directory, what="injection")
    particles = report.particles.join(report.reached).join(report.chance.add_prefix("chance_"))
    for name, table in (
        ("efficiency", report.table),
        ("particles", particles),
        ("false", report.false),
        ("points", report.points()),
    ):
        write_page(table.to_csv(index=False, lineterminator="\n"), folder / f"{name}.csv")
    write_picture(encode_figure(draw_injection(report)), folder / "efficiency.png")
    write_picture(encode_figure(draw_injection_map(report)), folder / "map.png")
    text = json.dumps(report.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
    return write_page(text + "\n", folder / "injection.json")
