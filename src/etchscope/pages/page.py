"""One self-contained HTML page: no script, no network, light and dark."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Card", "Html", "render_figure", "render_image", "render_page", "render_table"]

_CSS = """
:root { color-scheme: light dark; --ink: #1d2733; --dim: #5b6877; --line: #dde3ea;
  --paper: #f5f7f9; --card: #ffffff; --accent: #0072b2; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf1; --dim: #9aa8b7; --line: #313c49;
  --paper: #12181f; --card: #1b232c; --accent: #56b4e9; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1220px; margin: 0 auto; padding: 28px 24px 60px; }
header { border-bottom: 3px solid var(--accent); padding-bottom: 14px; margin-bottom: 22px; }
h1 { font-size: 28px; margin: 0 0 4px; } header p { margin: 0; color: var(--dim); }
h2 { font-size: 20px; margin: 40px 0 10px; } h3 { font-size: 15px; margin: 18px 0 6px; }
nav { margin: 10px 0 0; font-size: 14px; } nav a { margin-right: 16px; color: var(--accent); }
.cards { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 14px 16px; }
.card b { display: block; font-size: 27px; line-height: 1.15; }
.card span { font-weight: 600; } .card small { display: block; color: var(--dim); margin-top: 4px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px; }
figure img { width: 100%; height: auto; display: block; border-radius: 4px; }
figcaption { color: var(--dim); font-size: 14px; padding: 10px 4px 2px; }
.columns { display: grid; gap: 18px; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: left;
  overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 600; white-space: nowrap; overflow-wrap: normal; }
tr:last-child td { border-bottom: 0; } .columns td:first-child { white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; }
td img { display: block; width: 108px; height: auto; border-radius: 3px; }
.bad { color: var(--bad); font-weight: 600; } footer { margin-top: 44px; color: var(--dim);
  font-size: 13px; }
@media print { body { background: #fff; } figure, table { break-inside: avoid; }
  nav { display: none; } }
"""


@dataclass(frozen=True)
class Html:
    """Text that is HTML already and is not escaped again."""

    text: str


@dataclass(frozen=True)
class Card:
    """One headline figure: the number, what it is, and what to know about it."""

    value: str
    label: str
    note: str = ""

    def html(self) -> str:
        """Return the card as HTML."""
        note = f"<small>{escape(self.note)}</small>" if self.note else ""
        return (
            f'<div class="card"><b>{escape(self.value)}</b>'
            f"<span>{escape(self.label)}</span>{note}</div>"
        )


def render_image(png: bytes, alt: str) -> Html:
    """Return an inlined picture."""
    data = base64.b64encode(png).decode("ascii")
    return Html(f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">')


def render_figure(png: bytes, alt: str, caption: str) -> str:
    """Return an inlined picture with its caption."""
    return (
        f"<figure>{render_image(png, alt).text}<figcaption>{escape(caption)}</figcaption></figure>"
    )


def render_table(
    head: Sequence[str], rows: Sequence[Sequence[object]], *, numbers_from: int = 99
) -> str:
    """Return a table; columns from ``numbers_from`` on are set as numbers, to the right."""

    def cell(kind: str, place: int, value: object) -> str:
        text = value.text if isinstance(value, Html) else escape(str(value))
        style = ' class="n"' if place >= numbers_from else ""
        return f"<{kind}{style}>{text}</{kind}>"

    def line(kind: str, values: Sequence[object]) -> str:
        return "<tr>" + "".join(cell(kind, i, v) for i, v in enumerate(values)) + "</tr>"

    top = f"<thead>{line('th', head)}</thead>" if any(head) else ""
    body = "".join(line("td", row) for row in rows)
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def render_page(
    title: str,
    subtitle: str,
    cards: Sequence[Card],
    sections: Sequence[tuple[str, str]],
    footer: str,
    *,
    css: str = "",
) -> str:
    """Return the whole page.

    Parameters
    ----------
    sections : (heading, HTML) in order; each has its place in the navigation.
    css : rules of this page alone, after those of every page.
    """
    links = "".join(f'<a href="#s{i}">{escape(h)}</a>' for i, (h, _) in enumerate(sections))
    body = "".join(
        f'<section id="s{i}"><h2>{escape(heading)}</h2>{html}</section>'
        for i, (heading, html) in enumerate(sections)
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_CSS}{css}</style></head><body><main>"
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p><nav>{links}</nav></header>"
        f'<div class="cards">{"".join(card.html() for card in cards)}</div>'
        f"{body}<footer>{escape(footer)}</footer></main></body></html>\n"
    )
