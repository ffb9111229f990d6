import json

import pytest
from pydantic import ValidationError

from etchscope.foil import DamagedFile, Foil, as_pits
from etchscope.store import FindRecord, JudgingModel, ScoreRecord
from etchscope.store.records import read_run_record

# As the first version wrote them.
SEARCH = {
    "calibration": "2c1f0c1a",
    "normalisation": {"fit": "0afb7c5a", "recipe": "bcd43fc3"},
    "region_mm": None,
    "scan": "F1-front",
    "scan_digest": "8efd9d58",
    "settings": {"binning": 1, "threshold": 6.0},
    "stage": "find",
    "tiles": [1, 2],
    "version": "0.1.0",
}
SCORING = SEARCH | {
    "counts": {"selected": 3},
    "model": {
        "name": "first",
        "prior": {"hip": 0.1, "top": 0.9},
        "signal": "hip",
        "weights_sha256": "c7cca300",
        "working_point": {"threshold": 2.5},
    },
    "prior": {"hip": 1, "top": 0.5},
    "search": "find-0123456789abcdef",
    "stage": "score",
}


def written(tmp_path, value):
    path = tmp_path / "record.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_search_of_the_first_version_is_read_with_defaults(tmp_path):
    record = read_run_record(written(tmp_path, SEARCH))
    assert isinstance(record, FindRecord)
    assert (record.tiles, record.normalisation.fit) == ((1, 2), "0afb7c5a")
    assert (record.light_faults, record.left_out, record.mask, record.foil) == ((), (), None, None)


def test_a_scored_run_of_the_first_version_is_read_with_defaults(tmp_path):
    record = read_run_record(written(tmp_path, SCORING))
    assert isinstance(record, ScoreRecord)
    assert (record.search, record.model.name) == ("find-0123456789abcdef", "first")
    assert (record.planes_scale, record.signal_expected) == (None, None)
    assert (record.model.judgement_sha256, record.model.calibration) == ("", {})


@pytest.mark.parametrize("value", [SEARCH, SCORING, SEARCH | {"thickness_um": 500.0}])
def test_a_record_is_handed_on_as_it_was_written(tmp_path, value):
    given = read_run_record(written(tmp_path, value)).as_dict()
    assert json.dumps(given) == json.dumps(value, sort_keys=True)


def test_what_is_left_to_its_default_is_not_written():
    record = FindRecord(stage="find", version="1", scan="a", tiles=(1,), foil=Foil(name="F1"))
    assert record.as_dict() == {
        "foil": {"name": "F1"},
        "scan": "a",
        "stage": "find",
        "tiles": [1],
        "version": "1",
    }
    assert record.model_copy(update={"mask": None}).as_dict()["mask"] is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{", r"record\.json: expected the record of a run, found Invalid JSON"),
        ("[]", r"record\.json: expected the record of a run"),
        (SEARCH | {"stage": "dream"}, r"record\.json: expected the record .*'find', 'score'"),
        ({k: v for k, v in SEARCH.items() if k != "stage"}, r"record\.json: .*'stage'"),
        ({k: v for k, v in SEARCH.items() if k != "tiles"}, r"record\.json: find\.tiles: "),
        (SEARCH | {"tiles": ["one"]}, r"record\.json: find\.tiles\.0: .*valid integer"),
        (SCORING | {"model": {"name": "first"}}, r"record\.json: score\.model\.signal: "),
    ],
)
def test_a_damaged_or_unknown_record_names_file_and_key(tmp_path, value, text):
    with pytest.raises(DamagedFile, match=text):
        read_run_record(written(tmp_path, value))
    with pytest.raises(DamagedFile, match=r"none\.json: expected the record of a run, found No su"):
        read_run_record(tmp_path / "none.json")


def test_a_record_does_not_change():
    model = JudgingModel(name="first", signal="hip", weights_sha256="ab")
    with pytest.raises(ValidationError, match="frozen"):
        model.name = "second"


def test_check_reports_a_record_of_a_stage_that_is_not_known(store, monkeypatch):
    record = FindRecord(stage="find", version="1", scan="F1-front", tiles=(1,))
    monkeypatch.setattr(FindRecord, "as_dict", lambda _: {"stage": "dream"})
    store.runs.commit("r1", as_pits({}), record)
    (finding,) = store.check()
    assert (finding.severity, finding.what) == ("damaged", "run r1")
    assert "record.json: expected the record of a run" in finding.detail
