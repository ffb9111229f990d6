"""One self-contained HTML page: no script, no network, light and dark.

What a page looks like stands in ``templates/``. There, white space with a line break in it is
dropped beside a tag or a statement, and is one space between words: templates can be laid out for
the eye, and pages stay small.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.ext import Extension

__all__ = [
    "Card",
    "Html",
    "render_figure",
    "render_image",
    "render_page",
    "render_table",
    "render_template",
]

_BREAK = re.compile(r"(?:(?<=>)|(?<=%\}))\s*\n\s*|\s*\n\s*(?=<|\{%|$)")
"""White space with a line break, beside a tag or a statement of a template."""


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return the text itself; Jinja asks for it by this name."""
        return self


@dataclass(frozen=True)
class Card:
    """One headline figure: the number, what it is, and what to know about it."""

    value: str
    label: str
    note: str = ""


class _LaidOut(Extension):
    """Drops the line breaks that only lay a template out."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        if name is None or not name.endswith(".html"):
            return source
        return re.sub(r"\s*\n\s*", " ", _BREAK.sub("", source))


def _escaped(value: object) -> object:
    """Return a value as HTML; its quotes, too, so that it may stand in an attribute."""
    return value if hasattr(value, "__html__") else Html(escape(str(value)))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("etchscope.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_escaped,
        extensions=[_LaidOut],
        keep_trailing_newline=True,
    )


def render_template(name: str, **values: object) -> Html:
    """Return a template of ``templates/`` filled in; values that are not ``Html`` are escaped."""
    return Html(_environment().get_template(name).render(values))


def render_image(png: bytes, alt: str) -> Html:
    """Return an inlined picture."""
    return render_template("image.html", base64=base64.b64encode(png).decode("ascii"), alt=alt)


def render_figure(png: bytes, alt: str, caption: str) -> Html:
    """Return an inlined picture with its caption."""
    data = base64.b64encode(png).decode("ascii")
    return render_template("figure.html", base64=data, alt=alt, caption=caption)


def render_table(
    head: Sequence[str], rows: Sequence[Sequence[object]], *, numbers_from: int = 99
) -> Html:
    """Return a table; columns from ``numbers_from`` on are set as numbers, to the right.

    Parameters
    ----------
    head : of the columns; no line is drawn for it if all are empty.
    """
    shown = list(head) if any(head) else None
    return render_template("table.html", head=shown, rows=rows, numbers_from=numbers_from)


def render_page(
    title: str,
    subtitle: str,
    cards: Sequence[Card],
    sections: Sequence[tuple[str, Html]],
    footer: str,
    *,
    styles: Sequence[str] = (),
) -> str:
    """Return the whole page.

    Parameters
    ----------
    sections : (heading, HTML) in order; each has its place in the navigation.
    styles : templates with rules of this page alone, after those of every page.
    """
    shown = {"title": title, "subtitle": subtitle, "cards": cards, "sections": sections}
    return render_template("page.html", **shown, footer=footer, styles=["page.css", *styles]) + "\n"
