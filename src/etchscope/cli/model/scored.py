"""Which run was scored with a model."""

from etchscope.foil import BadInput
from etchscope.store import Store

__all__ = ["scored_run"]


def scored_run(store: Store, model: str, scan: str | None) -> str:
    """Return the latest run of this model."""
    weights = store.models.load(model)[1]["weights_sha256"]
    found: dict[str, str] = {}
    for name in store.scans.names() if scan is None else [store.scans.get(scan).name]:
        run = store.runs.latest(name, weights_sha256=weights)
        if run is not None:
            found[name] = run
    if not found:
        hint = f"Start with `etchscope run STORE --model {model}`."
        raise BadInput("--scan", f"a scan that was scored with {model}", "none", hint)
    if len(found) > 1:
        raise BadInput("--scan", f"one of {', '.join(found)}", "none given")
    return next(iter(found.values()))
