from tests.store.conftest import make

from etchscope.cli.app import main
from etchscope.foil import as_pits
from etchscope.store import FindRecord, Store


def test_a_run_of_another_scan_is_refused(tmp_path, capsys):
    store = Store.create(tmp_path / "store")
    for name in ("F1-back", "F1-front"):
        made = make(name, tiles=1)
        store.scans.add(made.scan, made.foil, made.read)
    record = FindRecord(stage="find", version="0.1.0", scan="F1-front", tiles=(1,))
    store.runs.commit("r1", as_pits({"x_px": [1.0], "y_px": [2.0]}), record)
    words = ["map", str(store.path), "--scan", "F1-back", "--run", "r1"]
    assert main([*words, "-o", str(tmp_path / "maps")]) == 2
    assert "expected a run of scan F1-back, found r1 of scan F1-front" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()
