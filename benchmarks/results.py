"""Write docs/results.md from docs/results.md.in and the figures in benchmarks/results/*.json.

    python benchmarks/results.py
    python benchmarks/results.py --check

The template holds headings and sentences, and names figures instead of stating them:

    {{source finder}}        what the benchmark is, its command, seed, version, machine and date
    {{table finder.main}}    a table of benchmarks/results/finder.json
    {{value finder.shallow}} one of its values

A cell or a value is a number, a text, or [value, low, high] with a 95 % interval. `--check` writes
nothing and fails where the page is not what template and files make, or where a table is not shown.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "docs" / "results.md.in"
PAGE = ROOT / "docs" / "results.md"
RESULTS = ROOT / "benchmarks" / "results"
MARK = re.compile(r"\{\{(source|table|value) (\w+)(?:\.(\w+))?\}\}")


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
    known += [f"{key} {result[key]}" for key in ("seed", "version", "machine", "date") if result[key]]
    file = f"[{name}.json](../benchmarks/results/{name}.json)"
    return f"{result['about']}\n\nSource: {', '.join(known)}; figures in {file}."


def render(template: str, results: dict[str, Any]) -> str:
    """Return the page; a name that no file has is an error, and so is a table not shown."""
    shown = set()

    def filled(mark: re.Match[str]) -> str:
        kind, name, part = mark.groups()
        if kind == "source":
            return source_of(name, results[name])
        if kind == "value":
            return text_of(results[name]["values"][part])
        shown.add((name, part))
        return table_of(results[name]["tables"][part])

    page = MARK.sub(filled, template)
    every = {(name, part) for name, result in results.items() for part in result.get("tables", {})}
    if every - shown:
        raise ValueError(f"tables that the template does not show: {sorted(every - shown)}")
    if "{{" in page:
        raise ValueError(f"a mark that is not understood: {page[page.index('{{') :][:40]!r}")
    return page


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    options = parser.parse_args()
    page = render(TEMPLATE.read_text("utf-8"), read_results())
    if not options.check:
        PAGE.write_text(page, "utf-8")
        return 0
    if page == PAGE.read_text("utf-8"):
        return 0
    print(f"{PAGE} differs from its figures: run python benchmarks/results.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
