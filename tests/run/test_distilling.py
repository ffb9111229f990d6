from dataclasses import replace

import numpy as np
import pytest
from tests.run.conftest import SMALL, add_to

from etchscope.ensemble import Model, distil
from etchscope.foil import BadInput, NotSearched
from etchscope.preselect import FindSettings
from etchscope.run import distilling, find
from etchscope.run.models import register_model
from etchscope.run.stages.scoring import score
from etchscope.simulation import Population
from etchscope.store import Store


def distilled(store, name, scans, *, most=300):
    return distilling.distil(
        store, name, scans, most=most, seed=0, device="cpu", watch=lambda *_: lambda _: None
    )


FULL = replace(SMALL, population=Population.of(700, 120))


@pytest.fixture(scope="module")
def with_model(tmp_path_factory) -> tuple[Store, str, str]:
    store, scan = Store.create(tmp_path_factory.mktemp("distilling") / "store"), FULL.scan.name
    add_to(store, FULL)
    find(store, scan, settings=FindSettings(finder="classical"))
    return store, register_model(store, None, [scan], is_temporary=True), scan


def test_a_model_learns_from_the_finds_of_a_scan_and_scores_it(with_model, monkeypatch):
    store, name, scan = with_model
    monkeypatch.setattr(distil, "EPOCHS", 4)
    done = distilled(store, name, [scan])
    found, limits = done.resemblance, done.model.domain.limits
    assert found.patches > 3 * found.held_out > 100
    assert found.networks == 12
    assert found.correlation > 0.5
    source = Model.from_record(*store.models.load(name))
    assert list(limits) == ["11111"]  # lamps, their second harmonic and residual, backlit and halo
    assert limits.items() <= source.domain.limits.items()
    store.models.save("quick", *done.model.to_record())
    report = score(store, scan, model="quick")
    assert report.pits == len(store.runs.pits(report.run))


def test_what_a_model_cannot_learn_from_is_refused(with_model):
    store, name, scan = with_model
    with pytest.raises(BadInput, match=r"^finds: expected 200 finds or more"):
        distilled(store, name, [scan], most=150)
    other = replace(FULL, foil="G1")
    kept = other.scan.channels[:-1]
    add_to(store, other, other.scan.model_copy(update={"channels": kept}))
    with pytest.raises(
        BadInput, match=r"^scan G1-front: expected the lights of scan simulated-front"
    ):
        distilled(store, name, [scan, "G1-front"])
    with pytest.raises(NotSearched):
        distilled(store, name, ["G1-front"])


def test_half_of_the_finds_have_a_partner_where_there_are_as_many(with_model):
    store, _, scan = with_model
    pits = store.runs.pits(store.runs.latest(scan))
    partner = pits["partner"].notna().to_numpy()
    rng = np.random.default_rng(1)
    for most in (40, 10_000):
        rows = distilling._draw(pits, most, rng)
        assert len(rows) == len(set(rows.tolist())) == min(most, len(pits))
        assert partner[rows].sum() == min(partner.sum(), most // 2)


def test_a_strip_at_one_end_is_held_out():
    held_out = distilling._is_held_out(SMALL.scan)
    x = {t.number: t.stage_x_mm for t in SMALL.scan.tiles}
    inside = [x[n] for n, is_held_out in held_out.items() if not is_held_out]
    assert min(x[n] for n, is_held_out in held_out.items() if is_held_out) > max(inside)
    bare = [t.model_copy(update={"stage_x_mm": None}) for t in SMALL.scan.tiles]
    by_number = distilling._is_held_out(SMALL.scan.model_copy(update={"tiles": tuple(bare)}))
    assert [n for n, is_held_out in by_number.items() if is_held_out] == sorted(x)[-2:]
