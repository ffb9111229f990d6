import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pandas as pd
import pytest

from etchscope.draw.style import CLASS_COLOURS
from etchscope.foil import BadInput
from etchscope.pages.candidates import CandidateView, write_candidates

NAMES = ("backlit", "directional 0°", "directional 90°", "halo")
SIDE = 28


def _entry(rank=1, **given):
    cutouts = np.zeros((4, SIDE, SIDE), np.float32)
    cutouts[0] -= 3
    cutouts[1, :, :14], cutouts[1, :, 14:], cutouts[2] = -1, 1, 0.5
    row = {"foil": "F1", "scan": "F1-front", "tile": 7, "x_px": 12.34, "y_px": 56.78}
    row |= {"x_mm": 1.5, "y_mm": np.nan, "score": 0.875, "p_hip": 0.75, "p_misc": None}
    row |= {"selected": True, "valid": False}
    fields = {
        "row": row,
        "cutouts": cutouts,
        "channel_names": NAMES,
        "votes": {"hip against top": ("hip", 3.0), "pit against misc": ("misc", -9.5)},
    }
    return CandidateView(rank, **(fields | given))


class _Well(HTMLParser):
    """Checks that every element is closed in order, and keeps the attributes of the images."""

    def __init__(self):
        super().__init__()
        self.open, self.images = [], []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _read(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(", text)
    well = _Well()
    well.feed(text)
    assert well.open == []
    return text, well.images


def _cells(page, rank, number):
    picture = cv2.imread(str(page.parent / f"candidate_{rank:04d}.png"), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (56, number * 58 - 2, 4)
    assert (picture[:, 56:58, 3] == 0).all()
    return [picture[:, i * 58 : i * 58 + 56] for i in range(number)]


def test_a_strip_holds_the_directional_cutouts_first_on_one_scale(tmp_path):
    page = write_candidates([_entry()], tmp_path / "deep" / "sheet")
    assert page == tmp_path / "deep" / "sheet" / "index.html"
    assert {p.name for p in page.parent.iterdir()} == {"index.html", "candidate_0001.png"}
    one, two, backlit, halo = _cells(page, 1, 4)
    assert (one[:, :20, :3] == 0).all()
    assert (one[:, -20:, :3] == 255).all()
    assert (two[:, :, :3] == 191).all()  # half of the largest: 127.5 + 127.5/2
    assert (backlit[:, :, :3] == 0).all()
    assert (halo[:, :, :3] == 128).all()  # nothing but bulk
    text, _ = _read(page)
    names = re.findall(r"<span>([^<]*)</span>", text.split('class="names"')[1].split("</div>")[0])
    assert names == ["directional 0°", "directional 90°", "backlit", "halo"]


def test_what_is_salient_is_coloured_over_the_backlit_cutout(tmp_path):
    saliency = np.zeros((SIDE, SIDE))
    saliency[:, 14:] = -2.0  # its size counts, not its sign
    page = write_candidates([_entry(saliency=saliency)], tmp_path)
    overlay = _cells(page, 1, 5)[4]
    assert (overlay[:, :20, :3] == 0).all()
    blue, green, red = overlay[30, -10, :3].tolist()
    assert (red, green, blue) == (184, 127, 0)  # 0.8 of #E69F00 over black
    assert "saliency over backlit" in _read(page)[0]
    none = write_candidates([_entry(saliency=np.zeros((SIDE, SIDE)))], tmp_path / "none")
    assert (_cells(none, 1, 5)[4][:, :, :3] == 0).all()


def test_the_figures_and_votes_of_a_candidate_are_shown(tmp_path):
    text, images = _read(write_candidates([_entry()], tmp_path))
    for expected in (
        "<dt>score</dt><dd>0.875</dd>",
        "<dt>x, y (px)</dt><dd>12.3, 56.8</dd>",
        "<dt>x, y (mm)</dt><dd>1.500, –</dd>",
        "<dt>p_hip</dt><dd>0.750</dd>",
        "<dt>p_misc</dt><dd>–</dd>",
        'selected: yes · <span class="bad">valid: no</span>',
        "<span>hip against top</span><b>hip</b>",
        "width: 50.0%; background: #CC79A7",
        '<span class="n">+3.00</span>',
        "width: 100.0%; background: #8A8A8A",
        '<span class="n">-9.50</span>',
    ):
        assert expected in text, expected
    (image,) = images
    assert image["loading"] == "lazy"
    assert image["src"] == "candidate_0001.png"
    assert (image["width"], image["height"]) == ("230", "56")
    assert image["alt"] == (
        "Candidate 1 on foil F1, scan F1-front, tile 7: "
        "directional 0°, directional 90°, backlit, halo"
    )


def test_a_name_cannot_break_the_page(tmp_path):
    evil = '<script>"&'
    row = _entry().row | {"foil": evil, "scan": evil, f"p_{evil}": 0.5}
    entry = _entry(row=row, channel_names=(evil,) * 4, votes={evil: (evil, 1.0)})
    text, images = _read(write_candidates([entry], tmp_path, title=evil))
    safe = "&lt;script&gt;&quot;&amp;"
    assert f"<title>{safe}</title>" in text
    assert f"<span>{safe}</span><b>{safe}</b>" in text
    assert f"<dt>p_{safe}</dt>" in text
    assert images[0]["alt"].startswith(f"Candidate 1 on foil {evil}, scan {evil}")


def _pits(**changes):
    columns = {
        "p_hip": [0.7, 0.02, 0.1, np.nan],
        "p_top": [0.1, 0.9, 0.1, np.nan],
        "p_bottom": [0.1, 0.04, 0.1, np.nan],
        "p_misc": [0.1, 0.04, 0.7, np.nan],
        "class": ["hip", "top", "misc", "misc"],
        "pair_p": [0.5, np.nan, np.nan, np.nan],
    }
    return pd.DataFrame(columns | changes)


def test_the_page_shows_a_ternary_plot_of_all_pits(tmp_path):
    text, images = _read(write_candidates([_entry()], tmp_path, pits=_pits()))
    assert [i["src"] for i in images] == ["ternary.png", "candidate_0001.png"]
    picture = cv2.imread(str(tmp_path / "ternary.png"))
    colours = {tuple(c) for c in picture.reshape(-1, 3)[:, ::-1].tolist()}
    for name in ("hip", "top", "misc"):
        colour = CLASS_COLOURS[name]
        assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in colours, name
    assert "There is no ternary plot" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {name: [np.nan] * 4 for name in ("p_hip", "p_top", "p_bottom", "p_misc")},
        {"p_bottom": [np.nan] * 4},
        {"p_fission": [0.0, 0.0, 0.0, np.nan]},
        {"p_hip": [np.nan] * 3 + [0.1]},
    ],
)
def test_the_page_says_where_pits_have_no_place_in_a_triangle(tmp_path, changes):
    text, images = _read(write_candidates([_entry()], tmp_path, pits=_pits(**changes)))
    assert "There is no ternary plot, because it needs pits with probabilities of hip, top" in text
    assert [i["src"] for i in images] == ["candidate_0001.png"]
    assert not (tmp_path / "ternary.png").exists()


def test_a_class_that_no_pit_has_a_probability_of_does_not_count(tmp_path):
    pits = _pits(p_misc=[np.nan] * 4, p_fission=[np.nan] * 4, p_hip=[0.8, 0.06, 0.8, np.nan])
    write_candidates([], tmp_path, pits=pits)
    assert (tmp_path / "ternary.png").exists()


def test_no_candidate(tmp_path):
    page = write_candidates([], tmp_path)
    text, images = _read(page)
    assert "No candidate to show." in text
    assert images == []
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_many_candidates_stand_in_the_order_of_their_rank(tmp_path):
    entries = [_entry(rank) for rank in range(200, 0, -1)]
    text, images = _read(write_candidates(iter(entries), tmp_path))
    assert [i["src"] for i in images] == [f"candidate_{n:04d}.png" for n in range(1, 201)]
    assert {i["loading"] for i in images} == {"lazy"}
    assert len(list(tmp_path.glob("candidate_*.png"))) == 200
    assert "<b>200</b><span>candidates</span>" in text
    assert "<b>200</b><span>selected</span>" in text


def test_the_same_entries_give_the_same_bytes(tmp_path):
    given = [_entry(1, saliency=np.eye(SIDE)), _entry(2)]
    a, b = (write_candidates(given, tmp_path / name, pits=_pits()).parent for name in "ab")
    for file in a.iterdir():
        assert file.read_bytes() == (b / file.name).read_bytes(), file.name


def test_one_channel_with_nan_and_no_vote(tmp_path):
    cutouts = np.full((1, SIDE, SIDE), np.nan, np.float32)
    entry = _entry(cutouts=cutouts, channel_names=("transmitted",), votes={}, row={})
    page = write_candidates([entry], tmp_path)
    (cell,) = _cells(page, 1, 1)
    assert (cell[:, :, :3] == 128).all()
    text, _ = _read(page)
    assert "No expert voted." in text
    assert "foil –, scan –, tile –" in text
    assert "selected: – · valid: –" in text


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    out = tmp_path / "out"
    for bad, message in (
        (
            [_entry(1), _entry(1)],
            r"entries: rank: expected each rank once, at least 0, found \[1\]",
        ),
        ([_entry(-1)], "entries: rank"),
        ([_entry(cutouts=np.zeros((4, 3, 5), np.float32))], "candidate 1: cutouts"),
        ([_entry(channel_names=NAMES[:3])], "a name for each of 4 channels, found 3"),
        ([_entry(1), _entry(2, saliency=np.zeros((3, 3)))], "candidate 2: saliency"),
    ):
        with pytest.raises(BadInput, match=message):
            write_candidates(bad, out)
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(BadInput, match="a folder for the contact sheet, found a file"):
        write_candidates([], out)
    assert out.read_text() == "mine"
