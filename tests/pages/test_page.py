from etchscope.pages.page import Card, Html, render_image, render_page, render_table


def test_text_is_escaped_and_html_is_not():
    out = render_table(("<a>",), [("x & y", Html("<b>z</b>"))], numbers_from=1)
    assert "&lt;a&gt;" in out
    assert '<td>x &amp; y</td><td class="n"><b>z</b></td>' in out


def test_a_picture_is_inside_the_page():
    assert render_image(b"\x89PNG", 'a "b"').text == (
        '<img alt="a &quot;b&quot;" src="data:image/png;base64,iVBORw==">'
    )


def test_the_navigation_leads_to_every_section():
    out = render_page(
        "T", "s", [Card("1 < 2", "pits", "n")], [("One", "<p>1</p>"), ("Two", "")], "f"
    )
    assert '<a href="#s1">Two</a>' in out
    assert '<section id="s1"><h2>Two</h2>' in out
    assert "<b>1 &lt; 2</b>" in out


def test_a_page_may_have_rules_of_its_own_after_the_common_ones():
    text = render_page("t", "", [], [], "", css=".own { color: red; }")
    assert ".own { color: red; }</style>" in text
    assert text.replace(".own { color: red; }", "") == render_page("t", "", [], [], "")
