"""Labels that are probably wrong, by experts that have not seen them."""

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray

from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["audit_labels"]


def audit_labels(
    labels: NDArray[np.str_], probabilities: Floats, classes: list[str]
) -> pd.DataFrame:
    """Return the labels that are probably wrong, the worst first.

    Confident learning (Northcutt et al. 2021, by cleanlab): a label is doubtful where its class is
    less probable than it usually is for labels of that class, and another one more than usual.

    Parameters
    ----------
    labels : (n,) the class of each label.
    probabilities : (n, k) of the classes, from experts that were not trained on the label.
    classes : the k classes.

    Returns
    -------
    One row per doubtful label: ``row`` (its place among the labels), ``said`` (its class),
    ``likelier`` (another class), ``p_said`` and ``p_likelier`` (their probabilities), ``quality``
    (0 is worst, 1 is best).

    Raises
    ------
    BadInput : a class that is none of ``classes``, or one of them without labels.
    """
    labels = np.asarray(labels, str)
    for found in sorted(set(labels.tolist()) ^ set(classes)):
        what = "labels of another class" if found in labels else "no label of class"
        raise BadInput("audit", f"labels of exactly {', '.join(classes)}", f"{what} {found}")
    number = np.searchsorted(sorted(classes), labels)
    order = np.argsort(classes)
    ordered = np.asarray(probabilities, float)[:, order]
    ordered = ordered / ordered.sum(1, keepdims=True)
    rows = find_label_issues(number, ordered, return_indices_ranked_by="self_confidence", n_jobs=1)
    quality = get_label_quality_scores(number, ordered)
    others = ordered.copy()
    others[np.arange(len(labels)), number] = -1
    likelier = others.argmax(1)
    names = np.sort(np.asarray(classes, str))
    return pd.DataFrame(
        {
            "row": rows,
            "said": labels[rows],
            "likelier": names[likelier[rows]],
            "p_said": ordered[rows, number[rows]],
            "p_likelier": ordered[rows, likelier[rows]],
            "quality": quality[rows],
        }
    )
