"""Executors by name: inline, threads, processes, or one of a plugin."""

from importlib import import_module

from etchscope.plugins import find_plugin
from etchscope.run.executors.protocol import Executor

__all__ = ["Executor", "executor_named"]

_OURS: dict[str, str | Executor] = {
    "inline": "inline:run_inline",
    "threads": "threads:run_in_threads",
    "processes": "processes:run_in_processes",
}
"""Name → module and function, loaded on use."""


def executor_named(name: str) -> Executor:
    """Return the executor of a name: one of this package, or of an installed plugin.

    Raises
    ------
    NoPlugin : no such executor; the known ones are listed.
    BadPlugin : the package that registers it cannot be loaded.
    """
    found = find_plugin("executors", name, _OURS, where="executor")
    if not isinstance(found, str):
        return found
    module, _, function = found.partition(":")
    executor: Executor = getattr(import_module(f"{__name__}.{module}"), function)
    return executor
