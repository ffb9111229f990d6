"""Self-contained HTML pages, without script or network, light and dark.

The look of a page is defined in ``templates/``. White space there that contains a line break is
dropped beside a tag or a statement, and becomes one space between words. So templates can be laid
out legibly, and pages stay small.
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
"""White space with a line break beside a tag or a statement of a template."""


class Html(str):
    """Text that is HTML already, so that it is not escaped again."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return the text itself; Jinja calls this method."""
        return self


@dataclass(frozen=True)
class Card:
    """One headline figure: its value, its label, and a note on it."""

    value: str
    label: str
    note: str = ""


class _LaidOut(Extension):
    """Drops the line breaks that only serve the layout of a template."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        if name is None or not name.endswith(".html"):
            return source
        return re.sub(r"\s*\n\s*", " ", _BREAK.sub("", source))


def _escaped(value: object) -> object:
    """Return a value as HTML; quotes are escaped too, so that it may stand in an attribute."""
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
    """Return a template of ``templates/`` with its values, which are escaped unless ``Html``."""
    return Html(_environment().get_template(name).render(values))


def render_image(png: bytes, alt: str) -> Html:
    """Return HTML with an inlined PNG.

    Parameters
    ----------
    png : the bytes of the picture.
    alt : its description.
    """
    return render_template("image.html", base64=base64.b64encode(png).decode("ascii"), alt=alt)


def render_figure(png: bytes, alt: str, caption: str) -> Html:
    """Return HTML with an inlined PNG, its description ``alt`` and its caption."""
    data = base64.b64encode(png).decode("ascii")
    return render_template("figure.html", base64=data, alt=alt, caption=caption)


def render_table(
    head: Sequence[str], rows: Sequence[Sequence[object]], *, numbers_from: int = 99
) -> Html:
    """Return a table as HTML.

    Parameters
    ----------
    head : names of the columns; if all are empty, the table has no head.
    rows : the values.
    numbers_from : columns from this one on hold numbers, which stand on the right.
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
    """Return a whole page as HTML.

    Parameters
    ----------
    title, subtitle, footer : texts.
    cards : headline figures.
    sections : (heading, HTML) in order; each has an entry in the navigation.
    styles : templates with style rules of this page, in addition to those of all pages.
    """
    shown = {"title": title, "subtitle": subtitle, "cards": cards, "sections": sections}
    return render_template("page.html", **shown, footer=footer, styles=["page.css", *styles]) + "\n"
