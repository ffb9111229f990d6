import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from etchscope.candidates import candidate_table
from etchscope.foil import BadInput, NotScored
from etchscope.learn import Lights
from etchscope.pages.candidates import write_candidates
from etchscope.pages.views import gather_views
from etchscope.run import normalisation_of
from etchscope.run.patches import cut_scan
from etchscope.run.stages.scoring import score
from etchscope.run.stages.training import train
from etchscope.store import Store

NAME = "simulated-front"
EXPERTS = ["hip-top", "hip-bottom", "top-bottom", "pit-misc"]


@pytest.fixture(scope="module")
def scored(learnt, tmp_path_factory):
    store = Store.open(
        shutil.copytree(learnt.store.path, tmp_path_factory.mktemp("scored") / "store")
    )
    report = score(store, NAME, "first", executor="inline")
    pits = store.runs.pits(report.run)
    return store, candidate_table(pits, pixel_size_um=learnt.foil.optics.pixel_size_um)


def test_one_view_a_candidate_in_the_order_of_the_table(scored):
    store, table = scored
    some = table.iloc[[40, 3, 17, 0, 90, 5]]
    before, ticks = some.copy(), []
    views = gather_views(store, some, progress=ticks.append)
    assert [v.rank for v in views] == [1, 2, 3, 4, 5, 6]
    assert [v.row["pit"] for v in views] == some["pit"].tolist()
    assert [v.row["score"] for v in views] == some["score"].tolist()
    assert sum(ticks) == 6
    assert len(ticks) == some["tile"].nunique()
    pd.testing.assert_frame_equal(some, before)


def test_a_view_has_the_pictures_that_the_experts_saw(scored):
    store, table = scored
    some = table.head(8)
    scan = store.scans.get(NAME)
    lights, _ = Lights.of_scan(scan)
    views = gather_views(store, some)
    names = (*(f"{a:g}°" for a in lights.azimuths_deg), "backlit", "halo")
    for rows, patches in cut_scan(store, scan, normalisation_of(store, scan), some, size=20):
        for row, pixels in zip(rows, patches.pixels, strict=True):
            assert views[row].channel_names == names
            np.testing.assert_array_equal(views[row].cutouts, pixels)


def test_votes_are_those_of_the_experts_with_their_margins(scored, learnt):
    store, table = scored
    # A pair has its row at the entry pit but its score from the better one: take single pits.
    some = table[table["partner"].isna()].iloc[[0, 10, -1]]
    views = gather_views(store, some)
    scan, model = store.scans.get(NAME), learnt.done.model
    for rows, patches in cut_scan(store, scan, normalisation_of(store, scan), some, size=20):
        said = model.votes(patches)
        for n, row in enumerate(rows):
            votes = views[row].votes
            assert list(votes) == EXPERTS
            for name, (voted, margin) in votes.items():
                first, second = name.split("-")
                first = "hip/top/bottom" if first == "pit" else first
                assert voted == (first if said[name][n] > 0 else second)
                assert margin == pytest.approx(abs(said[name][n]), abs=1e-5)


def test_the_saliency_is_of_the_experts_that_know_the_signal(scored):
    store, table = scored
    views = gather_views(store, table.head(30))
    for view in views:
        assert view.saliency.shape == (20, 20)
        assert 0 < view.saliency.max() <= 1
        assert view.saliency.min() >= 0
    mean = np.mean([v.saliency for v in views], axis=0)
    y, x = np.mgrid[:20, :20] - 9.5
    inside = np.hypot(x, y) < 7
    assert mean[inside].mean() > 1.5 * mean[~inside].mean()


def test_the_contact_sheet_shows_them(scored, tmp_path):
    store, table = scored
    page = write_candidates(gather_views(store, table.head(4)), tmp_path)
    text = page.read_text()
    assert len(list(tmp_path.glob("*.png"))) == 4
    for name in EXPERTS:
        assert text.count(f">{name}<") == 4
    assert text.count(">saliency over backlit<") == 4
    assert f"{table['score'].iloc[0]:.4g}" in text


def test_one_network_for_all_votes_by_its_lead_and_has_no_saliency(own, learnt):
    training = replace(learnt.training, epochs=1)
    done = train(learnt.gathered, training, method="multiclass", folds=2)
    own.models.save("all", *done.model.to_record())
    report = score(own, NAME, "all", executor="inline")
    some = own.runs.pits(report.run)
    some = some[some["partner"].isna()].head(5)
    views = gather_views(own, some)
    scan = own.scans.get(NAME)
    for rows, patches in cut_scan(own, scan, normalisation_of(own, scan), some, size=20):
        logits = done.model.votes(patches)["all"]
        for n, row in enumerate(rows):
            ((voted, margin),) = views[row].votes.values()
            low, high = np.sort(logits[n])[-2:]
            assert voted == done.model.classes[logits[n].argmax()]
            assert margin == pytest.approx(high - low, abs=1e-5)
            assert views[row].saliency is None


def test_candidates_of_several_runs_each_with_its_model(own, learnt, scored):
    training = replace(learnt.training, epochs=1)
    done = train(learnt.gathered, training, method="multiclass", folds=2)
    own.models.save("all", *done.model.to_record())
    tables = [own.runs.pits(score(own, NAME, m, executor="inline").run) for m in ("first", "all")]
    mixed = pd.concat([tables[0].iloc[[5]], tables[1].iloc[[5, 6]], tables[0].iloc[[9]]])
    views = gather_views(own, mixed)
    assert [len(v.votes) for v in views] == [4, 1, 1, 4]
    assert [v.row["pit"] for v in views] == [5, 5, 6, 9]
    np.testing.assert_array_equal(views[0].cutouts, views[1].cutouts)
    assert len(scored[1]) > 9


def test_no_candidate_is_no_view(scored):
    assert gather_views(scored[0], scored[1].head(0)) == []


def test_a_run_that_was_not_scored_or_whose_model_is_gone(own, learnt):
    found = own.runs.pits(learnt.search).head(2)
    text = r"expected a scored run, found a search"
    with pytest.raises(NotScored, match=text):
        gather_views(own, found)
    report = score(own, NAME, "first", executor="inline")
    own.models.remove("first")
    with pytest.raises(BadInput, match=r"one of the store's models \(none yet\), found 'first'"):
        gather_views(own, own.runs.pits(report.run).head(2))
