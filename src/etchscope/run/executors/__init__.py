"""Executors, found by name: one after the other, in threads, in processes, or a plug-in's own."""

from importlib.metadata import EntryPoint, entry_points

from etchscope.foil import BadInput
from etchscope.foil.errors import UnknownExecutor
from etchscope.run.executors.protocol import Executor

__all__ = ["GROUP", "Executor", "executor_named"]

GROUP = "etchscope.executors"
"""Entry points of this group are executors; a package that is installed may add some."""
_HERE = "etchscope.run.executors"
_OURS = {
    "inline": f"{_HERE}.inline:run_inline",
    "threads": f"{_HERE}.threads:run_in_threads",
    "processes": f"{_HERE}.processes:run_in_processes",
}


def executor_named(name: str) -> Executor:
    """Return the executor of a name, ours or that of an installed package.

    Raises
    ------
    UnknownExecutor : no such executor; the known ones are listed.
    BadInput : the package that registers it cannot be loaded.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    known |= {ours: EntryPoint(ours, value, GROUP) for ours, value in _OURS.items()}
    if name not in known:
        raise UnknownExecutor("executor", f"one of {', '.join(sorted(known))}", repr(name))
    try:
        executor: Executor = known[name].load()
    except (ImportError, AttributeError) as error:
        raise BadInput(f"executor {name}", "a package that can be loaded", str(error)) from error
    return executor
