"""What a notebook or a script calls: paths, names, tables and plain numbers in, tables out."""

from typing import TYPE_CHECKING

from etchscope.lazy import load_on_use

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
    from etchscope.api.labels import LabelCounts
    from etchscope.api.pictures import opened_paths
    from etchscope.api.store import Store, open_store
    from etchscope.api.training import LabelChoice, TrainReport, train_experts, train_finder

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
    "open_store",
    "opened_paths",
    "photograph",
    "run_demo",
    "simulate",
    "train_experts",
    "train_finder",
    "write_figures",
    "write_lists",
]

__getattr__ = load_on_use(
    __name__, ("arrays", "store", "alignment", "labels", "training", "pictures", "demo")
)
