from pathlib import Path

import pytest
from jinja2 import UndefinedError

import etchscope.pages
from etchscope.pages.page import (
    Card,
    Html,
    render_image,
    render_page,
    render_table,
    render_template,
)

TEMPLATES = Path(etchscope.pages.__file__).parent / "templates"


def test_text_is_escaped_and_html_is_not():
    out = render_table(("<a>",), [("x & y", Html("<b>z</b>"))], numbers_from=1)
    assert "&lt;a&gt;" in out
    assert '<td>x &amp; y</td><td class="n"><b>z</b></td>' in out


def test_a_picture_is_inside_the_page():
    assert render_image(b"\x89PNG", 'a "b"') == (
        '<img alt="a &quot;b&quot;" src="data:image/png;base64,iVBORw==">'
    )


def test_the_navigation_leads_to_every_section():
    out = render_page(
        "T", "s", [Card("1 < 2", "pits", "n")], [("One", Html("<p>1</p>")), ("Two", Html(""))], "f"
    )
    assert '<a href="#s1">Two</a>' in out
    assert '<section id="s1"><h2>Two</h2>' in out
    assert "<b>1 &lt; 2</b>" in out


def test_a_page_may_have_rules_of_its_own_after_the_common_ones():
    plain = render_page("t", "", [], [], "")
    text = render_page("t", "", [], [], "", styles=["candidates.css"])
    own = (TEMPLATES / "candidates.css").read_text(encoding="utf-8")
    assert f"{own}</style>" in text
    assert text.replace(f"\n{own}", "") == plain


def test_what_lays_a_template_out_is_not_in_the_page():
    text = render_template("triangle.html", picture="a.png")
    assert text.startswith('<figure class="triangle"><img src="a.png" alt="Ternary plot of all')
    assert (
        "by the probabilities of hip, top and bottom that the ensemble gives them, with misc"
        in text
    )
    assert "\n" not in text


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="'picture' is undefined"):
        render_template("triangle.html")
