import functools
import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import etchscope as es
from etchscope.candidates import candidate_table, decide
from etchscope.ensemble import (
    AS_TRAINED,
    DensityClass,
    Model,
    WorkingPoint,
    apply_prior,
    find_particle_rows,
    gather_measures,
)
from etchscope.foil import BadInput, ClassMissing, NotSearched, PartMissing, Taxonomy
from etchscope.geometry import in_polygon
from etchscope.learn.threads import set_threads
from etchscope.run import find, stage
from etchscope.run.results import ranked_candidates
from etchscope.run.stages.scoring import require_fit, score, score_part
from etchscope.run.stages.training import gather, train
from etchscope.store import Store, read_model
from etchscope.store.runs import Runs

NAME = "simulated-front"
P = ["p_hip", "p_top", "p_bottom", "p_misc"]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(stage, "_BATCH", 3)


@pytest.fixture(scope="module")
def calm(learnt, take_snapshot, tmp_path_factory):
    """The undisturbed scoring: its report, its store, and what that then is."""
    store = Store.open(shutil.copytree(learnt.store.path, tmp_path_factory.mktemp("calm") / "s"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "_BATCH", 3)
        report = score(store, NAME, "first", executor="inline")
    return report, store, take_snapshot(store.path)


def candidate_files(store, report, folder):
    """Return the bytes of the files of candidates that ``run --candidates`` writes."""
    out = {}
    for suffix in ("csv", "parquet", "root"):
        path = folder / f"candidates.{suffix}"
        es.open(store.path).export_candidates(path, run=report.run, every=True)
        out[suffix] = path.read_bytes()
    return out


@pytest.fixture(scope="module")
def calm_files(calm, tmp_path_factory):
    return candidate_files(calm[1], calm[0], tmp_path_factory.mktemp("files"))


def table_of(store, report):
    return store.runs.pits(report.run)


def as_other(store, model, name="other"):
    """Keep a changed model under another name and return that."""
    return store.models.save(name, *model.to_record())


# Same bytes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("executor", "workers"),
    [
        ("inline", 2),
        ("threads", 1),
        ("threads", 3),
        pytest.param("processes", 2, marks=pytest.mark.slow),
        ("cluster", 4),
    ],
)
def test_any_executor_gives_the_same_bytes(
    own, calm, calm_files, take_snapshot, client, tmp_path, executor, workers
):
    told, totals = [], []
    report = score(
        own,
        NAME,
        "first",
        executor=client if executor == "cluster" else executor,
        workers=workers,
        progress=told.append,
        total=totals.append,
    )
    assert report == calm[0]
    assert take_snapshot(own.path) == calm[2]
    assert (sum(told), totals) == (8, [8])
    assert own.check() == []
    assert candidate_files(own, report, tmp_path) == calm_files


def test_pieces_of_another_size_give_the_same_bytes(own, calm, take_snapshot, monkeypatch):
    monkeypatch.setattr(stage, "_BATCH", 5)
    assert score(own, NAME, "first", executor="inline") == calm[0]
    assert take_snapshot(own.path) == calm[2]


def test_the_search_is_read_once_for_all_pieces(own, calm, monkeypatch):
    """A worker that read its table for each piece of a large scan would do little else."""
    reads, pits = [], Runs.pits
    monkeypatch.setattr(Runs, "pits", lambda *given: reads.append(1) or pits(*given))
    monkeypatch.setattr(stage, "_BATCH", 1)
    assert score(own, NAME, "first", executor="inline") == calm[0]
    assert len(reads) <= 4


def test_eight_parts_in_any_order_give_the_same_bytes(
    own, calm, calm_files, take_snapshot, tmp_path, monkeypatch
):
    monkeypatch.setattr(stage, "_BATCH", 1)
    *first, last = np.random.default_rng(7).permutation(8) + 1
    for number in first:
        done = score_part(own, NAME, "first", f"{number}/8", executor="inline")
        assert (done.run, done.part, done.tiles) == (calm[0].run, f"{number}/8", 1)
    missing = rf"expected all 8 parts, found part {last}/8 missing$"
    with pytest.raises(PartMissing, match=missing):
        score(own, NAME, "first", join=True)
    score_part(own, NAME, "first", f"{last}/8", executor="inline")
    report = score(own, NAME, "first", join=True)
    assert report == calm[0]
    assert take_snapshot(own.path) == calm[2]
    assert candidate_files(own, report, tmp_path) == calm_files


@pytest.mark.parametrize("region", [None, [[0, 0], [9, 0], [9, 9], [0, 9]]])
def test_parts_are_scored_of_a_finished_search(own, region):
    if region is None:
        own.runs.remove(own.runs.names())
    text = rf"^scan {NAME}: expected a finished search, found none$"
    with pytest.raises(NotSearched, match=text):
        score_part(own, NAME, "first", "1/2", region=region)
    with pytest.raises(NotSearched, match=text):
        score(own, NAME, "first", region=region, join=True)


def test_the_size_of_a_part_does_not_show(own, calm, take_snapshot, monkeypatch):
    monkeypatch.setattr(stage, "_BATCH", 16)
    score(own, NAME, "first", executor="inline")
    assert take_snapshot(own.path) == calm[2]


def test_a_tile_included_again_after_the_search_is_not_passed_over(own):
    own.scans.exclude("tile = 4", "a fibre")
    find(own, NAME)
    own.scans.include("tile = 4")
    with pytest.raises(
        BadInput, match="all included tiles, found 1 that were not searched, tile 4"
    ):
        score(own, NAME, "first", executor="inline")
    find(own, NAME)
    assert score(own, NAME, "first", executor="inline").tiles == 8


def test_what_was_scored_before_is_not_scored_again(own, calm, take_snapshot, monkeypatch):
    score(own, NAME, "first", executor="inline")
    monkeypatch.setattr(Model, "score_patches", lambda *_, **__: pytest.fail("scored again"))
    again = score(own, NAME, "first")
    assert again == replace(calm[0], was_done=True)
    assert take_snapshot(own.path) == calm[2]


def test_what_was_asked_for_last_is_the_latest(own, calm):
    first = score(own, NAME, "first", executor="inline")
    second = score(own, NAME, "first", prior="model", executor="inline")
    assert own.runs.latest(NAME) == second.run != first.run == calm[0].run
    assert score(own, NAME, "first").was_done
    assert own.runs.latest(NAME) == first.run
    assert own.runs.latest(NAME, stage="find", whole=True) == calm[1].runs.record(first.run).search


def test_a_scan_that_was_never_searched_is_searched(own, learnt, simulated_foil, add_foil):
    foil = simulated_foil(seed=12, columns=2, foil="second")
    add_foil(own, foil)
    assert own.runs.latest("second-front", stage="find", whole=True) is None
    report = score(own, "second-front", "first", executor="inline")
    searched = own.runs.table("second-front")["run"].tolist()
    assert len(searched) == 2
    assert (
        own.runs.record(report.run).search
        == searched[0]
        == own.runs.latest("second-front", stage="find", whole=True)
    )
    assert report.pits == len(own.runs.pits(searched[0]))
    assert learnt.scan == NAME


# Resuming -----------------------------------------------------------------------------------


def _count_judged(monkeypatch):
    real, judged = Model.score_patches, []

    @functools.wraps(real)
    def judge(self, patches, **how):
        judged.append(len(patches))
        return real(self, patches, **how)

    monkeypatch.setattr(Model, "score_patches", judge)
    return judged


def test_a_killed_run_goes_on_where_it_stopped(own, calm, take_snapshot, monkeypatch):
    def stop(_, seen=[]):  # noqa: B006 - the parts that were told of
        seen.append(1)
        if len(seen) == 2:
            raise InterruptedError("stopped")

    with pytest.raises(InterruptedError, match="stopped"):
        score(own, NAME, "first", executor="inline", progress=stop)
    assert own.runs.latest(NAME) == own.runs.latest(NAME, stage="find", whole=True)
    parts = own.runs.parts(calm[0].run)
    done = [n for part in parts.values() for n in part["tiles"]]
    assert len(parts) == 2
    assert 5 <= len(done) <= 6
    assert {f.severity for f in own.check()} <= {"leftover"}
    judged, told = _count_judged(monkeypatch), []
    report = score(own, NAME, "first", executor="inline", progress=told.append)
    assert len(judged) == 8 - len(done)
    assert sum(told) == 8
    assert report == calm[0]
    assert take_snapshot(own.path) == calm[2]


def test_a_part_of_other_tiles_is_made_anew(own, calm, take_snapshot):
    own.runs.write_part(calm[0].run, 0, pd.DataFrame({"pit": [1]}), {"scan": NAME, "tiles": [1]})
    score(own, NAME, "first", executor="inline")
    assert take_snapshot(own.path) == calm[2]


def test_parts_left_by_a_kill_right_after_the_commit_go_away(own, calm, take_snapshot):
    score(own, NAME, "first", executor="inline")
    own.runs.write_part(calm[0].run, 0, pd.DataFrame({"pit": [1]}), {"scan": NAME, "tiles": [1]})
    assert [f.severity for f in own.check()] == ["leftover"]
    assert score(own, NAME, "first").was_done
    assert own.check() == []
    assert take_snapshot(own.path) == calm[2]


@pytest.mark.parametrize("part", [0, 2])
def test_without_locks_two_scorings_at_once_agree(
    own, calm, take_snapshot, monkeypatch, part, without_locks
):
    real = Runs.write_part

    def write(store, run, index, *rest):
        if index == part:  # meanwhile another process does all of it
            monkeypatch.setattr(Runs, "write_part", real)
            assert not score(Store.open(own.path), NAME, "first", executor="inline").was_done
        real(store, run, index, *rest)

    monkeypatch.setattr(Runs, "write_part", write)
    report = score(own, NAME, "first", executor="inline")
    assert (report.run, report.pits, report.counts) == (
        calm[0].run,
        calm[0].pits,
        calm[0].counts,
    )
    assert take_snapshot(own.path) == calm[2]


def test_the_number_of_threads_is_as_before(own):
    before = set_threads(2)
    try:
        score(own, NAME, "first", executor="inline")
        assert set_threads(2) == 2
    finally:
        set_threads(before)


# The table ----------------------------------------------------------------------------------


def test_every_find_keeps_its_row(calm, learnt):
    report, store, _ = calm
    pits, searched = table_of(store, report), store.runs.pits(learnt.search)
    assert report.pits == len(pits) == len(searched)
    new = [*P, "class", "score", "selected", "valid", "run"]
    pd.testing.assert_frame_equal(pits.drop(columns=new), searched.drop(columns=new))
    assert pits["score"].notna().all()
    assert searched["score"].isna().all()
    assert set(pits["run"]) == {report.run}
    assert report.counts["selected"] == pits["selected"].sum() > 0
    assert report.counts["not_valid"] == (~pits["valid"]).sum()


def test_probabilities_sum_to_1_and_the_likeliest_is_the_class(calm):
    pits = table_of(calm[1], calm[0])
    p = pits[P].to_numpy(float)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-12)
    assert ((p >= 0) & (p <= 1)).all()
    likeliest = np.array([P[k].removeprefix("p_") for k in p.argmax(1)])
    assert pits["class"].tolist() == np.where(pits["selected"], "hip", likeliest).tolist()


def test_the_score_is_that_of_the_model_on_the_patch(calm, learnt):
    pits = table_of(calm[1], calm[0])
    alone = pits[find_particle_rows(pits) < 0]
    patches = learnt.gathered.context
    place = learnt.store.runs.pits(learnt.search).set_index(["tile", "x_px"])["pit"]
    assert len(patches) == len(place) == len(pits)
    told = learnt.done.model.score_patches(patches)
    # Context comes tile by tile, in the order of the finds.
    order = pits.sort_values("tile", kind="stable").index
    experts = pd.Series(told["score"].to_numpy(), index=order).loc[pits.index]
    expected = AS_TRAINED.score(gather_measures(pits, experts.to_numpy()))
    np.testing.assert_allclose(alone["score"], expected[alone.index], atol=1e-4)


def test_both_pits_of_a_pair_that_is_signal_say_the_same(calm):
    pits = table_of(calm[1], calm[0])
    other = find_particle_rows(pits)
    rows = np.flatnonzero(other >= 0)
    first, second = pits.iloc[rows], pits.iloc[other[rows]]
    both = (first["class"].to_numpy() == "hip") & (second["class"].to_numpy() == "hip")
    assert both.sum() > 10
    np.testing.assert_array_equal(first[P].to_numpy()[both], second[P].to_numpy()[both])
    # One score for both whatever they are; but a top pit beside a bottom pit are these.
    np.testing.assert_array_equal(first["score"], second["score"])
    experts = calm[1].runs.judged(calm[0].run)["score"].to_numpy()
    np.testing.assert_array_equal(
        first["score"], AS_TRAINED.score(gather_measures(pits, experts))[rows]
    )
    neither = (first["class"] != "hip").to_numpy() & (second["class"] != "hip").to_numpy()
    assert (first["class"].to_numpy() != second["class"].to_numpy())[neither].any()


def test_most_of_the_signal_is_found(calm, learnt):
    pits = table_of(calm[1], calm[0])
    truth = learnt.foil.truth()
    entry = truth[(truth["class"] == "hip") & (truth["surface"] == "top")]
    far = [
        np.hypot(pits["x_mm"] - x, pits["y_mm"] - y).where(pits["selected"].astype(bool)).min()
        for x, y in zip(entry["x_mm"], entry["y_mm"], strict=True)
    ]
    assert (np.array(far) < 0.05).mean() > 0.9


def test_the_record_names_model_search_and_prior(calm, learnt):
    report, store, _ = calm
    record = store.runs.record(report.run)
    card = store.models.load("first")[1]
    assert record.stage == "score"
    assert record.search == learnt.search
    assert record.tiles == tuple(range(1, 9))
    assert record.model.name == "first"
    assert record.model.signal == "hip"
    for key in ("weights_sha256", "working_point", "prior"):
        assert getattr(record.model, key) == card[key]
    searched = store.runs.record(learnt.search)
    for key in ("scan_digest", "settings", "normalisation"):
        assert getattr(record, key) == getattr(searched, key)
    assert record.counts == report.counts
    assert record.prior == "foil"
    assert sum(record.prior_used.values()) == pytest.approx(1, abs=1e-5)
    assert record.prior_used["hip"] < 0.6


# Excluded tiles -----------------------------------------------------------------------------


def test_excluded_tiles_are_not_scored(own, calm):
    own.scans.exclude("tile = 4", "a fibre")
    report = score(own, NAME, "first", executor="inline")
    assert report.run != calm[0].run
    assert report.tiles == 7
    pits, before = table_of(own, report), table_of(calm[1], calm[0])
    assert pits["pit"].tolist() == before.loc[before["tile"] != 4, "pit"].tolist()
    assert own.runs.record(report.run).tiles == (1, 2, 3, 5, 6, 7, 8)
    np.testing.assert_array_equal(pits["score"], before.loc[before["tile"] != 4, "score"])


def test_no_tile_that_was_searched_is_left(own, take_snapshot):
    own.scans.exclude("tile > 0", "all of it")
    before = take_snapshot(own.path)
    text = "scan simulated-front: expected an included tile that was searched, found none"
    with pytest.raises(BadInput, match=text):
        score(own, NAME, "first", executor="inline")
    assert take_snapshot(own.path) == before


def test_a_region_without_a_find(own):
    corner = np.array([[-0.6, 0.45], [-0.59, 0.45], [-0.59, 0.46]])
    report = score(own, NAME, "first", region=corner, executor="inline")
    assert (report.pits, report.counts["selected"], report.counts["foreign_scan"]) == (0, 0, 0)
    assert table_of(own, report).columns.tolist() == own.runs.pits(report.run).columns.tolist()
    assert own.runs.record(report.run).prior_used == dict.fromkeys(
        ["hip", "top", "bottom", "misc"], 0.25
    )


# Models that do not fit ---------------------------------------------------------------------


def _refused(store, take_snapshot, text, *words, error=BadInput, **given):
    before = take_snapshot(store.path)
    with pytest.raises(error, match=text):
        score(store, *words, executor="inline", **given)
    assert take_snapshot(store.path) == before


def test_no_such_model_or_scan(own, take_snapshot):
    _refused(own, take_snapshot, r"one of the store's models \(first\), found 'odd'", NAME, "odd")
    _refused(own, take_snapshot, "'F9'", "F9", "first")


def test_another_recipe(own, learnt, take_snapshot):
    model = learnt.done.model
    other = replace(model, domain=replace(model.domain, recipe="0123456789abcdef"))
    text = "scan simulated-front: expected the model's recipe of normalisation, 0123456789ab, found"
    _refused(own, take_snapshot, text, NAME, as_other(own, other))


def test_other_lights(own, simulated_foil, add_scan, take_snapshot):
    foil = simulated_foil(seed=12, columns=1, rows=1, foil="second")
    fewer = tuple(c for c in foil.scan.channels if c.role != "halo")
    add_scan(own, foil, foil.scan.model_copy(update={"channels": fewer}))
    text = (
        r"second-front: expected the model's lights, lamps at .*° and backlit, halo, found .*lit$"
    )
    _refused(own, take_snapshot, text, "second-front", "first")


def test_lamps_elsewhere(own, simulated_foil, add_scan, take_snapshot):
    foil = simulated_foil(seed=12, columns=1, rows=1, foil="second")
    turned = tuple(
        c.model_copy(update={"azimuth_deg": c.azimuth_deg + 5}) if c.role == "directional" else c
        for c in foil.scan.channels
    )
    add_scan(own, foil, foil.scan.model_copy(update={"channels": turned}))
    _refused(own, take_snapshot, r"found lamps at .*27\.5°.*", "second-front", "first")


def test_a_class_that_the_taxonomy_lacks(tmp_path, learnt, add_foil, take_snapshot):
    store = add_foil(Store.create(tmp_path / "other"), learnt.foil)
    store.labels.set_taxonomy(Taxonomy(classes={"hip": "", "top": "", "bottom": ""}))
    store.models.save("first", *learnt.done.model.to_record())
    text = r"taxonomy: expected the model's class 'misc', found it is missing"
    _refused(store, take_snapshot, text, NAME, "first", error=ClassMissing)


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        ({"hip": 0.5, "top": 0.5}, "prior: expected the shares of hip, top, bottom, misc, found"),
        (dict.fromkeys(["hip", "top", "bottom", "misc"], 0.5), "shares that sum to 1, found a sum"),
        ({"hip": 0.0, "top": 0.5, "bottom": 0.25, "misc": 0.25}, "prior: expected shares above 0"),
    ],
)
def test_a_prior_that_cannot_be(own, take_snapshot, prior, text):
    _refused(own, take_snapshot, text, NAME, "first", prior=prior)


def test_a_model_that_fits_is_not_refused(learnt):
    store = learnt.store
    require_fit(learnt.done.model, store.scans.get(NAME), store.labels.taxonomy().classes)


# Validity -----------------------------------------------------------------------------------


def _scored(store, learnt, **domain):
    model = learnt.done.model
    name = as_other(store, replace(model, domain=replace(model.domain, **domain)))
    report = score(store, NAME, name, executor="inline")
    return report, table_of(store, report)


def test_pits_in_a_crowd_that_the_model_does_not_know(own, learnt, calm):
    limit = float(table_of(calm[1], calm[0])["density_per_mm2"].median())
    report, pits = _scored(own, learnt, density_per_mm2=limit)
    dense = pits["density_per_mm2"] > limit
    assert dense.sum() == len(pits) // 2
    assert report.counts["not_valid"] == (~pits["valid"]).sum() > len(pits) // 3
    alone = pits["partner"].isna()  # of a pair, the better one's word counts
    assert pits.loc[alone, "valid"].tolist() == (~dense[alone]).tolist()
    assert pits["score"].notna().all()
    best = candidate_table(pits, pixel_size_um=learnt.foil.optics.pixel_size_um)
    assert not best.loc[~best["valid"], "selected"].any()
    assert best.loc[best["valid"], "selected"].any()


def test_a_scan_of_another_scale(own, learnt):
    report, pits = _scored(own, learnt, pixel_size_um=(3.0, 4.0))
    assert not pits["valid"].any()
    assert not pits["selected"].any()
    assert report.counts == {"selected": 0, "not_valid": len(pits), "foreign_scan": 0}


def test_a_scan_unlike_all_that_was_trained_on(own, learnt):
    report, pits = _scored(own, learnt, usual=0.5)
    assert not pits["valid"].any()
    assert report.counts == {"selected": 0, "not_valid": len(pits), "foreign_scan": 1}
    fine, pits = _scored_again(own, learnt)
    assert fine.counts["foreign_scan"] == 0
    assert pits["valid"].all()


def _scored_again(store, learnt):
    report = score(store, NAME, "first", executor="inline")
    return report, table_of(store, report)


def test_single_pits_that_lie_far_off(own, learnt):
    searched = learnt.store.runs.pits(learnt.search)
    told = learnt.done.model.score_patches(learnt.gathered.context)["distance"].to_numpy()
    # Context comes tile by tile; partners share the better one's verdict.
    order = searched.sort_values("tile", kind="stable").index
    is_single = find_particle_rows(searched) < 0
    farthest = np.sort(pd.Series(told, index=order).sort_index()[is_single])[-6:]
    report, pits = _scored(own, learnt, limit=float(farthest[:2].mean()))
    assert (~pits["valid"].astype(bool))[is_single].sum() == 5
    assert report.counts["not_valid"] == (~pits["valid"]).sum() < 20
    assert not pits.loc[~pits["valid"], "selected"].any()


# Priors -------------------------------------------------------------------------------------


def test_a_prior_moves_probabilities_and_not_the_ranking(own, calm):
    shares = {"hip": 0.001, "top": 0.499, "bottom": 0.4, "misc": 0.1}
    foil = table_of(calm[1], calm[0])
    equal = table_of(own, score(own, NAME, "first", prior="model", executor="inline"))
    rare = score(own, NAME, "first", prior=shares, executor="inline")
    given = table_of(own, rare)
    alone = foil["partner"].isna()
    np.testing.assert_array_equal(given.loc[alone, "score"], foil.loc[alone, "score"])
    np.testing.assert_array_equal(given.loc[alone, "score"], equal.loc[alone, "score"])
    expected = apply_prior(np.log(equal.loc[alone, P].to_numpy()), np.array(list(shares.values())))
    np.testing.assert_allclose(given.loc[alone, P], expected, atol=1e-12)
    assert given["p_hip"].mean() < 0.5 * foil["p_hip"].mean()
    record = own.runs.record(rare.run)
    assert record.prior == record.prior_used == shares


def test_the_prior_of_the_foil_is_what_its_pits_say(calm):
    report, store, _ = calm
    used = store.runs.record(report.run).prior_used
    pits = table_of(store, report)
    alone = pits[find_particle_rows(pits) < 0]
    # Found from all rows, of which the pairs were then made one: near, not equal.
    assert used["top"] == pytest.approx(alone["p_top"].mean(), abs=0.2)
    assert min(used.values()) > 0


# Regions ------------------------------------------------------------------------------------


def test_train_on_one_region_and_run_on_the_rest(own, learnt):
    middle = 1.5 * (192 + 60) * learnt.foil.optics.pixel_size_um / 1000
    left = np.array([[-1, -9], [middle, -9], [middle, 9], [-1, 9]])
    right = np.array([[middle, -9], [99, -9], [99, 9], [middle, 9]])
    gathered = gather(own, region=left, size=20)
    assert set(gathered.labelled.source["tile"]) == {1, 2, 3, 4}
    done = train(gathered, replace(learnt.training, epochs=2), folds=2)
    assert done.model.information["tiles"] == 4
    report = score(own, NAME, as_other(own, done.model), region=right, executor="inline")
    pits = table_of(own, report)
    assert set(pits["tile"]) == {5, 6, 7, 8}
    assert in_polygon(pits["x_mm"].to_numpy(), pits["y_mm"].to_numpy(), right).all()
    searched = own.runs.pits(learnt.search)
    assert report.pits == int(searched["tile"].isin([5, 6, 7, 8]).sum())
    record = own.runs.record(report.run)
    assert record.region_mm == tuple(map(tuple, right.tolist()))
    assert own.runs.record(record.search).region_mm == tuple(map(tuple, right.tolist()))
    # A search of a region is none of the scan.
    whole = score(own, NAME, "first", executor="inline")
    assert own.runs.record(whole.run).search == learnt.search
    assert whole.tiles == 8


# The working point --------------------------------------------------------------------------


@pytest.mark.parametrize("which", [0.2, 0.8])
def test_selected_follows_the_working_point(own, learnt, calm, at_threshold, which):
    size = learnt.foil.optics.pixel_size_um
    ranked = candidate_table(table_of(calm[1], calm[0]), pixel_size_um=size)["score"]
    threshold = float(ranked.quantile(which))
    model = learnt.done.model
    name = as_other(own, at_threshold(model, threshold))
    pits = table_of(own, score(own, NAME, name, executor="inline"))
    best = candidate_table(pits, pixel_size_um=size)
    assert best["selected"].tolist() == (best["score"] >= threshold).tolist()
    chosen = set(best.loc[best["selected"], "pit"])
    other = find_particle_rows(pits)
    chosen |= set(pits["pit"].iloc[other[pits["pit"].isin(chosen).to_numpy() & (other >= 0)]])
    assert set(pits.loc[pits["selected"].astype(bool), "pit"]) == chosen
    assert set(pits.loc[pits["selected"].astype(bool), "class"]) == {"hip"}


def test_a_prior_that_falls_to_nothing_still_selects_pairs(calm, learnt, at_threshold):
    store, size = calm[1], learnt.foil.optics.pixel_size_um
    searched, told = store.runs.pits(learnt.search), store.runs.judged(calm[0].run)
    none = {"hip": 1e-12, "top": 0.5, "bottom": 0.4, "misc": 0.1 - 1e-12}
    model = at_threshold(learnt.done.model, 1.0)
    tables = [
        decide(model, searched, told, learnt.foil.scan, prior).table
        for prior in (none, dict.fromkeys(none, 0.25))
    ]
    rare, common = tables
    assert rare["p_hip"].max() < 1e-3
    # The prior has no say in what is selected, what that is called, or which pits are one.
    assert rare["selected"].sum() > 50
    assert rare["selected"].tolist() == common["selected"].tolist()
    assert (rare["class"] == "hip").tolist() == rare["selected"].tolist()
    found = [candidate_table(table, pixel_size_um=size) for table in tables]
    assert found[0]["pit"].tolist() == found[1]["pit"].tolist()
    chosen = found[0][found[0]["selected"].astype(bool)]
    assert chosen["partner"].notna().sum() > 10
    both = rare.set_index("pit").loc[chosen["partner"].dropna()]
    assert both["selected"].all()
    assert set(both["class"]) == {"hip"}


def test_the_threshold_is_that_of_the_candidate_s_own_density(calm, learnt):
    store, size = calm[1], learnt.foil.optics.pixel_size_um
    searched, told = store.runs.pits(learnt.search), store.runs.judged(calm[0].run)
    middle = float(searched["density_per_mm2"].median())
    classes = (DensityClass(0.0, -1.0), DensityClass(middle, 1.5))
    model = learnt.done.model.at(WorkingPoint(classes, "by hand", "nothing"))
    table = decide(model, searched, told, learnt.foil.scan, "foil").table
    best = candidate_table(table, pixel_size_um=size)
    dense = best["density_per_mm2"] >= middle
    assert 20 < dense.sum() < len(best) - 20
    assert best["selected"].tolist() == (best["score"] >= np.where(dense, 1.5, -1.0)).tolist()
    assert best.loc[dense, "selected"].any()


def test_another_working_point_or_prior_scores_nothing_anew(
    own, learnt, calm, at_threshold, monkeypatch
):
    first = score(own, NAME, "first", executor="inline")
    model, judged, told = learnt.done.model, _count_judged(monkeypatch), []
    name = as_other(own, at_threshold(model, 1e3))
    moved = score(own, NAME, name, executor="inline", progress=told.append)
    own.scans.exclude("tile = 4", "a fibre")
    fewer = score(own, NAME, "first", prior="model", executor="inline")
    assert (judged, sum(told)) == ([], 8)
    assert (moved.was_done, moved.counts["selected"], fewer.tiles) == (False, 0, 7)
    there, here = table_of(own, first), table_of(own, moved)
    pd.testing.assert_frame_equal(
        here.drop(columns=["run", "selected"]), there.drop(columns=["run", "selected"])
    )
    kept = own.runs.judged(moved.run)
    pd.testing.assert_frame_equal(own.runs.judged(first.run), kept)
    left = kept[(there["tile"] != 4).to_numpy()].reset_index(drop=True)
    pd.testing.assert_frame_equal(own.runs.judged(fewer.run), left)
    assert own.check() == []


def _damaged(store, run):
    (store.path / "runs" / run / "judged.parquet").write_bytes(b"PAR1 no")


def _of_another_version(store, run):
    path = store.path / "runs" / run / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "0"}))


@pytest.mark.parametrize("spoil", [_damaged, _of_another_version])
def test_what_cannot_be_relied_on_is_scored_anew(own, monkeypatch, spoil):
    first = score(own, NAME, "first", executor="inline").run
    before = own.runs.judged(first)
    spoil(own, first)
    judged = _count_judged(monkeypatch)
    again = score(own, NAME, "first", prior="model", executor="inline").run
    assert len(judged) == 8
    pd.testing.assert_frame_equal(own.runs.judged(again), before)


def test_other_weights_score_anew(own, learnt, monkeypatch):
    score(own, NAME, "first", executor="inline")
    arrays, card = learnt.done.model.to_record()
    name = own.models.save("other", arrays | {"combiner": arrays["combiner"] * 1.1}, card)
    judged = _count_judged(monkeypatch)
    score(own, NAME, name, executor="inline")
    assert len(judged) == 8


def test_scores_of_a_gpu_are_a_run_of_their_own(own, calm, monkeypatch):
    score(own, NAME, "first", executor="inline")
    judged = _count_judged(monkeypatch)
    score_module = sys.modules[score.__module__]
    monkeypatch.setattr(score_module, "choose_device", lambda device: device)
    monkeypatch.setattr("etchscope.learn.expert.choose_device", lambda _: "cpu")
    done = score(own, NAME, "first", executor="inline", device="cuda")
    assert done.run != calm[0].run
    assert own.runs.record(done.run).judged_on == "cuda"
    assert len(judged) == 8  # what the processor said is not taken for it
    assert done.counts == calm[0].counts


def test_candidates_come_with_what_each_expert_said_and_their_anomaly(calm, learnt):
    table = ranked_candidates(calm[1], calm[0].run)
    size = learnt.foil.optics.pixel_size_um
    plain = candidate_table(table_of(calm[1], calm[0]), pixel_size_um=size)
    pd.testing.assert_frame_equal(table[plain.columns], plain)
    assert list(table.columns[len(plain.columns) :]) == [
        "distance",
        "anomaly",
        "logit_hip-top",
        "logit_hip-bottom",
        "logit_top-bottom",
        "logit_pit-misc",
    ]
    best = table[table["score"] > 3]
    assert (best["logit_hip-top"] > 0).mean() > 0.9
    assert best["anomaly"].median() > 1.2 * table["anomaly"].median()


def test_a_run_without_what_was_judged_still_has_candidates(own):
    run = score(own, NAME, "first", executor="inline").run
    (own.path / "runs" / run / "judged.parquet").unlink()
    table = ranked_candidates(own, run)
    assert len(table) > 10
    assert "anomaly" not in table


def test_candidates_of_a_search_are_refused(own):
    with pytest.raises(BadInput, match="expected a scored run, found a search"):
        ranked_candidates(own, own.runs.latest(NAME, stage="find", whole=True))


def test_a_threshold_that_nothing_reaches(own, learnt, at_threshold):
    model = learnt.done.model
    name = as_other(own, at_threshold(model, 1e3))
    assert score(own, NAME, name, executor="inline").counts["selected"] == 0


# Between stores -----------------------------------------------------------------------------


def test_a_model_handed_on_gives_the_same_scores(own, learnt, calm, tmp_path, add_foil):
    own.models.export("first", tmp_path / "handed-on")
    card = read_model(tmp_path / "handed-on")[1]
    assert card == own.models.load("first")[1]
    other = add_foil(Store.create(tmp_path / "other"), learnt.foil)
    find(other, NAME, executor="inline")
    name = other.models.import_folder(tmp_path / "handed-on")
    assert name == "handed-on"
    report = score(other, NAME, name, executor="inline")
    pits = table_of(other, report)
    pd.testing.assert_frame_equal(
        pits.drop(columns="run"), table_of(calm[1], calm[0]).drop(columns="run")
    )
    assert other.runs.record(report.run).model.name == "handed-on"
