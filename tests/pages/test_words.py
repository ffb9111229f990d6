import numpy as np
import pandas as pd

from etchscope.evaluation import evaluate
from etchscope.foil import as_pits
from etchscope.pages.sections import render_evaluation
from etchscope.pages.words import (
    describe_features,
    describe_mosaic,
    describe_pairs,
    describe_shapes,
    describe_surfaces,
    make_cards,
)


def _cards(content, area):
    return {card.label: (card.value, card.note) for card in make_cards(content, area)}


def test_headline_figures(make):
    content = make()
    cards = _cards(content, 200.0)
    assert cards["pits"] == ("120", "60 top · 60 bottom")
    assert cards["scanned"][0] == "2 cm²"
    assert cards["pits per mm²"] == ("0.6", "mean over the scanned area")
    good = int((content.pits["pair_p"] <= 0.01).sum()) // 2
    assert cards["in–out pairs"] == (
        "60",
        f"{good} with p ≤ 0.01; unrelated pits would make 0.6 at most",
    )


def test_efficiency_stands_beside_chance(make):
    pits = make().pits
    e = evaluate(pits, pits, rule="one-to-one", tolerance_px=1, image_size=(48, 64))
    cards = _cards(make(pits=pits, evaluation=e), None)
    assert cards["efficiency"][0] == "100.0 %"
    assert "by chance (local shifts)" in cards["efficiency"][1]
    assert cards["purity"][1].endswith("false finds per tile: χ²/ndf undefined")  # no false find
    assert "scale unknown" in cards["scanned"][1]
    html = render_evaluation(e, ["surface"])
    assert "120 of 120" in html
    assert (
        "Intervals are over 6 tiles (tile). The false finds per tile have χ²/ndf undefined" in html
    )
    assert "shifted by 10 and 20 tolerances in eight directions" in html
    assert "<h3>By surface</h3>" in html


def test_titles_say_the_message(make):
    content = make()
    assert describe_mosaic(content).startswith("120 pits on 6 tiles: 60 top · 60 bottom, 60 in–out")
    assert describe_features(content.pits) == "Entry, exit and hip of every pit"  # all are pairs
    single = content.pits.assign(partner=pd.array([pd.NA] * len(content.pits), "Int64"))
    assert describe_features(single) == (
        "100.0 % of single top pits respond more to entry; "
        "100.0 % of single bottom pits respond more to exit"
    )
    across = 2 * content.pits["radius_px"].median()
    assert describe_shapes(content.pits, 10.0).startswith(
        f"Half of the openings are wider than {across:.1f} px ({10 * across:.0f} µm)"
    )
    assert "unrelated pits would make 0.6" in describe_pairs(content.pits)


def test_a_title_has_no_share_of_values_that_are_null(make):
    """The learned finder gives a single pit only one of entry and exit."""
    pits = make().pits
    single = pits.assign(partner=pd.array([pd.NA] * len(pits), "Int64"))
    single.loc[single["surface"] == "top", "exit"] = np.nan
    single.loc[single["surface"] == "bottom", "entry"] = np.nan
    assert describe_features(single) == "Entry, exit and hip of every pit"


def test_marks_are_counted_apart(make):
    pits = make().pits
    pits.loc[[0, 1], "surface"] = "unknown"
    pits.loc[0, "length_px"] = 30.0
    assert describe_mosaic(make(pits=pits)).endswith(", and 1 mark")
    assert describe_mosaic(make(pits=pits)).startswith("119 pits on 6 tiles: 58 top")


def test_titles_without_pits(make):
    none = as_pits({})
    assert describe_mosaic(make(pits=none)) == "No pit on 6 tiles"
    assert describe_shapes(none, None) == "No measured opening"
    assert describe_pairs(none) == "No in–out pair"
    assert describe_features(none) == "Entry, exit and hip of every pit"
    assert describe_surfaces(none) == ""


def test_pairs_split_from_one_find_do_not_count_beside_chance(make):
    """They have no pair_p, which stood as 0 where chance made none of them."""
    pits = make().pits
    pairs = (pits["surface"] == "top") & (pits["pit"] % 2 == 0)
    known = pits["pair_p"].where(~(pairs | pits["partner"].isin(pits.loc[pairs, "pit"])))
    text = describe_pairs(pits.assign(pair_p=known))
    left = known[pits["surface"] == "top"].notna().sum()
    assert 0 < left < 60
    good = int((known[pits["surface"] == "top"] <= 0.01).sum())
    assert text.startswith(f"{good} pair")
    assert f"would make {0.01 * left:.2g} at most" in text


def test_a_find_split_in_two_makes_no_excess(make):
    """A foil whose only pairs are such has none with p ≤ 0.01, and chance makes none of them."""
    pits = make().pits.assign(pair_p=np.nan)
    text = describe_pairs(pits)
    assert text == "0 pairs have p ≤ 0.01, where unrelated pits would make 0 at most"
    note = _cards(make(pits=pits), 200.0)["in–out pairs"][1]
    assert note == "0 with p ≤ 0.01; unrelated pits would make 0 at most"
    single = pits["partner"].isna() | (pits["pit"] % 2 == 0)
    partner = pits["partner"].where(~(single | pits["partner"].isin(pits.loc[single, "pit"])))
    alone = int((partner.isna() & (pits["surface"] == "top")).sum())
    assert f"would make {0.01 * alone:.2g} at most" in describe_pairs(pits.assign(partner=partner))
