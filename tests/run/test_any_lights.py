"""A model on planes: taught on a scan of all lights, used on scans of others."""

from dataclasses import replace

import numpy as np
import pytest

from etchscope.candidates import decide
from etchscope.ensemble import Model
from etchscope.foil import BadInput, Foil
from etchscope.learn import Lights, set_threads
from etchscope.pages.views import gather_views
from etchscope.run import find, normalisation_of
from etchscope.run.patches import PLANES_RECIPE, cut_scan, scale_of
from etchscope.run.results import ranked_candidates
from etchscope.run.stages.scoring import require_fit, score
from etchscope.run.stages.training import gather, train
from etchscope.simulation import Optics
from etchscope.store import TilePictures

NAME = "simulated-front"


@pytest.fixture(scope="module")
def gathered(learnt):
    return gather(learnt.store, planes=True)


@pytest.fixture(scope="module")
def model(gathered, learnt):
    threads = set_threads(1)
    try:
        training = replace(learnt.training, lights="any", epochs=10)
        return train(gathered, training, folds=2).model
    finally:
        set_threads(threads)


@pytest.fixture
def store(own, model):
    own.models.save("planes", *model.to_record())
    return own


def added_scan(store, simulated, roles, name, **changes):
    """Add a simulated scan with some of its channels under another name; return that."""
    whole = simulated.scan
    chosen = [i for i, c in enumerate(whole.channels) if c.role in roles and c.step != 3]
    channels = tuple(whole.channels[i] for i in chosen)
    given = {"channels": channels, "name": name, "foil": name, **changes}
    scan = whole.model_copy(update=given)
    names = tuple(f"step {c.step}" for c in scan.channels)
    store.scans.add(
        scan, Foil(name=name), lambda n: TilePictures(simulated.read_tile(n)[chosen], names)
    )
    return name


def test_patches_are_of_planes_at_the_scale_of_the_finds(gathered, learnt):
    labelled = gathered.labelled
    assert labelled.patches.lights == gathered.context.lights == Lights.of_planes()
    assert labelled.recipe == PLANES_RECIPE
    pits = learnt.store.runs.pits(learnt.search)
    scale = scale_of(pits)
    assert scale == pytest.approx(pits["radius_px"].median() / 6, abs=0.01)
    marked = pits.assign(**{"class": "misc", "radius_px": 50.0})
    assert scale_of(marked) == 1.0


def test_the_domain_is_that_of_planes(model):
    domain = model.domain
    assert (domain.pixel_size_um, domain.scale) == (None, (0.5, 5.0))
    assert domain.limits["11111"] == (domain.usual, domain.limit)
    assert "00010" in domain.limits
    assert Model.from_record(*model.to_record()).domain == domain


def test_a_model_not_taught_with_fewer_lights_says_nothing_of_them(gathered, learnt, store):
    training = replace(learnt.training, lights="any", epochs=1, left_out=0.0)
    model = train(gathered, training, folds=2).model
    assert list(model.domain.limits) == ["11111"]
    store.models.save("strict", *model.to_record())
    name = added_scan(store, learnt.foil, ["backlit"], "dark")
    done = score(store, name, "strict", executor="inline")
    assert done.counts["not_valid"] == done.pits
    assert done.counts["foreign_scan"] == 1


def test_the_scan_it_was_taught_on(store, learnt, model):
    done = score(store, NAME, "planes", executor="inline")
    assert done.counts["foreign_scan"] == 0
    record = store.runs.record(done.run)
    scale = scale_of(store.runs.pits(learnt.search))
    assert record.planes_scale == scale
    table = store.runs.pits(done.run)
    truth = learnt.foil.truth()
    entry = truth[(truth["class"] == "hip") & (truth["surface"] == "top")]
    chosen = table[table["selected"].astype(bool)]
    far = [
        np.hypot(chosen["x_mm"] - x, chosen["y_mm"] - y).min()
        for x, y in zip(entry["x_mm"], entry["y_mm"], strict=True)
    ]
    assert (np.array(far) < 0.05).mean() > 0.9


def test_other_lights_and_another_pixel_size_are_not_refused(store, learnt, model):
    few = added_scan(store, learnt.foil, ["directional", "backlit"], "few", pixel_size_um=3.0)
    require_fit(model, store.scans.get(few), store.labels.taxonomy().classes)
    done = score(store, few, "planes", executor="inline")
    pits = store.runs.pits(done.run)
    assert pits["score"].notna().all()
    assert (pits["class"] == "hip").any()
    with pytest.raises(BadInput, match="expected the model's lights"):
        score(store, few, "first", executor="inline")


def test_one_transmitted_light_gives_single_openings(store, learnt):
    name = added_scan(store, learnt.foil, ["backlit"], "dark")
    done = score(store, name, "planes", executor="inline")
    pits = store.runs.pits(done.run)
    assert set(pits["surface"]) == {"unknown"}
    assert pits["partner"].isna().all()
    assert pits["score"].notna().all()
    ranked = ranked_candidates(store, done.run)
    assert len(ranked) > 10
    assert (np.diff(ranked["score"]) <= 0).all()


def test_a_taxonomy_without_the_classes_is_refused(store, model):
    with pytest.raises(BadInput, match="the model's class 'hip'"):
        require_fit(model, store.scans.get(NAME), {"top": "", "bottom": "", "misc": ""})


def test_twice_as_large_pits_look_the_same(store, learnt, model, simulated_foil, add_foil):
    """The same foil at half the pixel size has the same patches, but for what is resampled."""
    fine = simulated_foil(
        columns=1,
        rows=1,
        foil="fine",
        optics=Optics(image_size=(288, 384), pixel_size_um=6.4516 / 2),
    )
    add_foil(store, fine)
    find(store, "fine-front", executor="inline")
    pits = store.runs.pits(store.runs.latest("fine-front", stage="find", whole=True))
    coarse = scale_of(store.runs.pits(learnt.search))
    assert scale_of(pits) == pytest.approx(2 * coarse, rel=0.25)
    for planes in (True, False):
        scale = scale_of(pits) if planes else None
        cut = cut_scan(
            store,
            store.scans.get("fine-front"),
            normalisation_of(store, store.scans.get("fine-front")),
            pits,
            size=20,
            scale=scale,
        )
        (rows, patches) = next(iter(cut))
        assert patches.lights.are_planes == planes
        assert len(rows) == len(pits)


def test_marks_are_no_candidates(store, learnt, model):
    pits = store.runs.pits(learnt.search)
    told = store.runs.judged(score(store, NAME, "planes", executor="inline").run)
    told = told.set_index("pit").loc[pits["pit"]].reset_index()
    is_mark = (np.arange(len(pits)) % 3 == 0) & pits["partner"].isna().to_numpy()
    assert is_mark.sum() > 3
    marked = pits.assign(length_px=np.where(is_mark, 40.0, np.nan))
    decision = decide(model, marked, told, learnt.foil.scan, "foil")
    table, shares = decision.table, decision.shares
    assert (table["class"][is_mark] == "misc").all()
    assert table["score"][is_mark].isna().all()
    assert table["p_hip"][is_mark].isna().all()
    assert not table["selected"][is_mark].any()
    assert table["valid"][is_mark].all()
    assert table["score"][~is_mark].notna().all()
    assert shares.sum() == pytest.approx(1)


def test_the_contact_sheet_shows_the_planes_that_are_there(store, learnt):
    name = added_scan(store, learnt.foil, ["directional", "backlit"], "few")
    done = score(store, name, "planes", executor="inline")
    views = gather_views(store, ranked_candidates(store, done.run).head(3))
    names = ("mean", "a", "b", "a2", "b2", "residual", "backlit")
    assert [v.channel_names for v in views] == [names] * 3
    assert views[0].cutouts.shape == (7, 28, 28)
    assert views[0].saliency.shape == (28, 28)
