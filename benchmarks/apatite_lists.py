"""Lists of finds in micrographs with boxes, and their recall and precision, for apatite.py."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from etchscope.candidates import select_best
from etchscope.evaluation import Proportion, in_box, local_shifts, proportion
from etchscope.foil import parse_region
from etchscope.ingest.labels import read_yolo_boxes

CLASSES = {15: "track"}
IMAGE_SIZE = (804, 804)
SHIFTED_PX = 6.0  # a tenth of the least shift
REACH_PX = (8.0, 12.0, 16.0, 20.0, 24.0, 28.0)
QUANTILES = np.linspace(0, 0.99, 100)  # quantiles of the scores that are tried as least score
XY, HALF = ["x_px", "y_px"], ["half_x_px", "half_y_px"]
Boxes = dict[str, np.ndarray]


def read_boxes(pictures: Sequence[Path]) -> Boxes:
    """Return for each picture its boxes, (n, 4) left, top, right, bottom in pixels."""
    out = {}
    for path in pictures:
        table = read_yolo_boxes(path.with_suffix(".txt"), CLASSES, IMAGE_SIZE)
        corners = np.array([parse_region(text) for text in table["region_px"]])
        out[path.stem] = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    return out


def are_inside(boxes: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return which points lie in which boxes, (box, point)."""
    return ((xy >= boxes[:, None, :2]) & (xy <= boxes[:, None, 2:])).all(2)


def overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which boxes have an intersection over union of at least 0.5 with which others."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    both = (high - low).clip(0).prod(2)
    area, other_area = ((b[:, 2:] - b[:, :2]).prod(1) for b in (boxes, others))
    return both >= 0.5 * (area[:, None] + other_area - both)


def pair_boxes(related: np.ndarray) -> np.ndarray:
    """Return the point of each box in the largest one-to-one matching, −1 without one."""
    return maximum_bipartite_matching(csr_array(related), perm_type="column")


@dataclass(frozen=True)
class Cut:
    """The finds of a list that are kept: the best within reach, with at least some score."""

    reach_px: float
    least: float

    def of(self, found: pd.DataFrame) -> pd.DataFrame:
        place = found[XY].to_numpy(float) + 1e6 * pd.factorize(found["picture"])[0][:, None]
        best = select_best(place, found["score"].to_numpy(float), self.reach_px)
        kept: pd.DataFrame = found[best & (found["score"] >= self.least).to_numpy()]
        return kept


Relation = Callable[[np.ndarray, pd.DataFrame], np.ndarray]


def relate_centres(boxes: np.ndarray, found: pd.DataFrame) -> np.ndarray:
    return are_inside(boxes, found[XY].to_numpy(float))


def relate_extents(boxes: np.ndarray, found: pd.DataFrame) -> np.ndarray:
    xy, half = found[XY].to_numpy(float), found[HALF].to_numpy(float)
    return overlap(boxes, np.concatenate([xy - half, xy + half], axis=1))


def measure(
    boxes: Boxes, names: Sequence[str], kept: pd.DataFrame, relation: Relation = relate_centres
) -> tuple[Proportion, Proportion]:
    """Return recall and precision of a list on some pictures."""
    own = kept[kept["picture"].isin(names)]
    true = 0
    for name, found in own.groupby("picture"):
        true += int((pair_boxes(relation(boxes[name], found)) >= 0).sum())
    return proportion(true, sum(len(boxes[n]) for n in names)), proportion(true, len(own))


def measure_chance(boxes: Boxes, names: Sequence[str], kept: pd.DataFrame) -> tuple[float, float]:
    """Return recall and precision of the list shifted by local shifts."""
    own = kept[kept["picture"].isin(names)]
    inside = in_box((-0.5, -0.5), np.array(IMAGE_SIZE) - 0.5)
    true = counted = 0
    for shift in local_shifts(SHIFTED_PX):
        for name, found in own.groupby("picture"):
            moved = found[XY].to_numpy(float) + shift
            moved = moved[inside(moved)]
            true += int((pair_boxes(are_inside(boxes[name], moved)) >= 0).sum())
            counted += len(moved)
    precision = true / max(counted, 1)
    return precision * len(own) / sum(len(boxes[n]) for n in names), precision


def tune_cut(boxes: Boxes, names: Sequence[str], found: pd.DataFrame) -> tuple[float, Cut]:
    """Return the best F1 on some pictures, and its cut."""
    own, best = found[found["picture"].isin(names)], (0.0, Cut(0.0, 0.0))
    wanted = sum(len(boxes[name]) for name in names)
    for reach in REACH_PX:
        everything = Cut(reach, -np.inf).of(own)
        least = np.quantile(everything["score"], QUANTILES)
        true = np.zeros(len(least), int)
        for name, some in everything.groupby("picture"):
            related, score = relate_centres(boxes[name], some), some["score"].to_numpy()
            true += [(pair_boxes(related[:, score >= one]) >= 0).sum() for one in least]
        number = (everything["score"].to_numpy()[:, None] >= least).sum(0)
        f1 = 2 * true / (wanted + number)
        if f1.max() > best[0]:
            best = float(f1.max()), Cut(reach, float(least[f1.argmax()]))
    return best


def print_row(name: str, boxes: Boxes, names: Sequence[str], kept: pd.DataFrame) -> None:
    recall, precision = measure(boxes, names, kept)
    by_chance, by_chance_precision = measure_chance(boxes, names, kept)
    extent, extent_precision = measure(boxes, names, kept, relate_extents)
    f1 = 2 * recall.successes / (recall.trials + precision.trials)
    print(
        f"{name:26s} recall {recall!s:19s} precision {precision!s:19s} F1 {100 * f1:.1f} | chance "
        f"{100 * by_chance:.1f}, {100 * by_chance_precision:.1f} | "
        f"IoU 0.5 {100 * extent.value:.1f}, {100 * extent_precision.value:.1f}",
        flush=True,
    )


def draw(
    path: Path, pictures: Sequence[Path], boxes: Boxes, kept: pd.DataFrame, title: str
) -> None:
    """Draw boxes, and true and false finds, on pictures, and save the figure."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(8 * len(pictures), 8.6))
    for axis, picture in zip(axes, pictures, strict=True):
        own = kept[kept["picture"] == picture.stem]
        match = pair_boxes(relate_centres(boxes[picture.stem], own))
        axis.imshow(plt.imread(picture))
        for (left, top, right, bottom), which in zip(boxes[picture.stem], match, strict=True):
            colour = "lime" if which >= 0 else "orange"
            size = right - left, bottom - top
            axis.add_patch(plt.Rectangle((left, top), *size, fill=False, color=colour, lw=1.2))
        is_true = np.isin(np.arange(len(own)), match)
        for some, colour, mark in ((own[is_true], "cyan", "+"), (own[~is_true], "red", "x")):
            axis.plot(some["x_px"], some["y_px"], mark, color=colour, ms=7, mew=1.6)
        axis.set_title(picture.stem)
        axis.set_axis_off()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
