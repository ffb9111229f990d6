"""Executors: inline, threads, processes, one of a plugin, or a Dask cluster."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from etchscope.foil import BadInput, require_package
from etchscope.plugins import find_plugin
from etchscope.run.executors.protocol import Executor

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Executor", "choose_executor"]

_OURS: dict[str, str | Executor] = {
    "inline": "inline:run_inline",
    "threads": "threads:run_in_threads",
    "processes": "processes:run_in_processes",
}
"""Name → module and function, loaded on use."""


def choose_executor(given: "str | Client") -> Executor:
    """Return the executor of a name, of this package or an installed plugin, or that of a cluster.

    Parameters
    ----------
    given : name, or client of the cluster.

    Raises
    ------
    NoPlugin : no such executor; the known ones are listed.
    BadPlugin : the package that registers it cannot be loaded.
    BadInput : neither a name nor a client that waits for results.
    """
    if not isinstance(given, str):
        return _of_cluster(given)
    found = find_plugin("executors", given, _OURS, where="executor")
    if not isinstance(found, str):
        return found
    module, _, function = found.partition(":")
    executor: Executor = getattr(import_module(f"{__name__}.{module}"), function)
    return executor


def _of_cluster(client: "Client") -> Executor:
    require_package("distributed")
    from distributed import Client

    from etchscope.run.executors.cluster import run_on_cluster

    if not isinstance(client, Client) or client.asynchronous:
        expected = "a name, or a dask.distributed.Client that is not asynchronous"
        raise BadInput("executor", expected, f"an object of type {type(client).__name__}")
    return partial(run_on_cluster, client)
