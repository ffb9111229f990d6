"""What a notebook or a script calls: paths, names, tables and plain numbers in, tables out."""

from typing import TYPE_CHECKING

from etchscope.foil.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.api.alignment import align
    from etchscope.api.arrays import (
        Photographed,
        evaluate,
        find_pits,
        photograph,
        simulate,
        write_figures,
        write_lists,
    )
    from etchscope.api.demo import DemoPages, run_demo
    from etchscope.api.density_maps import map_density, summarise_maps, write_density_maps
    from etchscope.api.injection import signal_of
    from etchscope.api.labels import LabelCounts
    from etchscope.api.limits import limit, write_limits
    from etchscope.api.models import read_working_point
    from etchscope.api.pictures import opened_paths
    from etchscope.api.shipped import train_experts, train_finder
    from etchscope.api.store import Store, open_store
    from etchscope.api.train_report import TrainReport
    from etchscope.api.training import LabelChoice

__all__ = [
    "DemoPages",
    "LabelChoice",
    "LabelCounts",
    "Photographed",
    "Store",
    "TrainReport",
    "align",
    "evaluate",
    "find_pits",
    "limit",
    "map_density",
    "open_store",
    "opened_paths",
    "photograph",
    "read_working_point",
    "run_demo",
    "signal_of",
    "simulate",
    "summarise_maps",
    "train_experts",
    "train_finder",
    "write_density_maps",
    "write_figures",
    "write_limits",
    "write_lists",
]

__getattr__ = load_on_use(
    __name__,
    (
        "arrays",
        "store",
        "alignment",
        "labels",
        "injection",
        "training",
        "train_report",
        "limits",
        "models",
        "shipped",
        "pictures",
        "demo",
        "density_maps",
    ),
)
