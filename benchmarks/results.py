"""Write docs/results.md, and the figures of README.md, from benchmarks/results/*.json.

    python benchmarks/results.py
    python benchmarks/results.py --check

The templates, docs/results.md.in and docs/figures.md.in, hold headings and sentences, and name
figures instead of stating them:

    {{source finder}}                      what it is, its command, seed, version, machine and date
    {{table finder.main}}                  a table of benchmarks/results/finder.json
    {{value finder.shallow}}               one of its values
    {{cell finder.main|1000|recall (%)}}   a cell: the row that begins so, and the column

A cell or a value is a number, a text, or [value, low, high] with a 95 % interval. The README has
its figures between the comments "figures" and "end of figures". `--check` writes nothing and fails
where a page is not what template and files make; a table that is not shown is an error.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
MARK = re.compile(r"\{\{(source|table|value|cell) (\w+)(?:\.(\w+))?(?:\|(.*?)\|(.*?))?\}\}")
FIGURES = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)


def read_results() -> dict[str, Any]:
    """Return what each file of results holds, by the name of the file."""
    return {p.stem: json.loads(p.read_text("utf-8")) for p in sorted(RESULTS.glob("*.json"))}


def text_of(cell: Any) -> str:
    """Return a cell as the page shows it."""
    if isinstance(cell, list):
        value, low, high = map(text_of, cell)
        return f"{value} [{low}, {high}]"
    if isinstance(cell, int | float):
        return f"{cell:,}" if cell >= 1000 else str(cell)
    return str(cell)


def table_of(table: dict[str, Any]) -> str:
    """Return a table in Markdown."""
    columns, rows = table["columns"], table["rows"]
    if any(len(row) != len(columns) for row in rows):
        raise ValueError(f"a row is not as long as the list of columns: {columns}")
    lines = [columns, ["---"] * len(columns), *([text_of(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def source_of(name: str, result: dict[str, Any]) -> str:
    """Return what a benchmark is, and one line on where its figures come from."""
    command = result["command"]
    known = [f"`{command}`" if command else "no script of this repository"]
    known += [
        f"{key} {result[key]}" for key in ("seed", "version", "machine", "date") if result[key]
    ]
    file = f"[{name}.json](../benchmarks/results/{name}.json)"
    return f"{result['about']}\n\nSource: {', '.join(known)}; figures in {file}."


def cell_of(table: dict[str, Any], row: str, column: str) -> str:
    """Return one cell; a row or a column that is not there is an error."""
    (cells,) = (line for line in table["rows"] if str(line[0]) == row)
    return text_of(cells[table["columns"].index(column)])


def render(template: str, results: dict[str, Any]) -> str:
    """Return a page; a name that no file has is an error."""

    def filled(mark: re.Match[str]) -> str:
        kind, name, part, row, column = mark.groups()
        if kind == "source":
            return source_of(name, results[name])
        if kind == "value":
            return text_of(results[name]["values"][part])
        table = results[name]["tables"][part]
        return table_of(table) if kind == "table" else cell_of(table, row, column)

    page = MARK.sub(filled, template)
    if "{{" in page:
        raise ValueError(f"a mark that is not understood: {page[page.index('{{') :][:40]!r}")
    return page


def not_shown(template: str, results: dict[str, Any]) -> list[str]:
    """Return the tables and values of the files that a template does not name."""
    named = {(kind, name, part) for kind, name, part, *_ in MARK.findall(template)}
    every = [
        (kind, name, part)
        for name, result in results.items()
        for kind in ("table", "value")
        for part in result.get(f"{kind}s", {})
    ]
    return [f"{name}.{part}" for kind, name, part in every if (kind, name, part) not in named]


def pages() -> dict[Path, str]:
    """Return the pages with figures, as they should be."""
    results = read_results()
    template = (DOCS / "results.md.in").read_text("utf-8")
    if missing := not_shown(template, results):
        raise ValueError(f"figures that docs/results.md.in does not show: {missing}")
    figures = render((DOCS / "figures.md.in").read_text("utf-8"), results)
    readme = FIGURES.sub(lambda _: figures, README.read_text("utf-8"))
    return {DOCS / "results.md": render(template, results), README: readme}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    options = parser.parse_args()
    differing = [path for path, text in pages().items() if path.read_text("utf-8") != text]
    if options.check:
        for path in differing:
            print(f"{path} is not as its figures: python benchmarks/results.py", file=sys.stderr)
        return int(bool(differing))
    for path, text in pages().items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
