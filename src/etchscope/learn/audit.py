"""Labels that are probably wrong: what experts say who have not seen them."""

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray

from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["audit_labels"]


def audit_labels(said: NDArray[np.str_], probabilities: Floats, classes: list[str]) -> pd.DataFrame:
    """Return the labels that are probably wrong, the worst first.

    Confident learning (Northcutt et al. 2021, by cleanlab): a label is doubtful where its class is
    less probable than it usually is for labels of that class, and another one more than usual.

    Parameters
    ----------
    said : (n,) the class of each label.
    probabilities : (n, k) of the classes, from experts that were not trained on the label.
    classes : the k classes.

    Returns
    -------
    Columns ``row`` (place in ``said``), ``said``, ``likelier`` (another class), ``p_said``,
    ``p_likelier``, ``quality`` (0 worst to 1).

    Raises
    ------
    BadInput : a class that is none of ``classes``, or one of them without labels.
    """
    said = np.asarray(said, str)
    for found in sorted(set(said.tolist()) ^ set(classes)):
        what = "labels of another class" if found in said else "no label of class"
        raise BadInput("audit", f"labels of exactly {', '.join(classes)}", f"{what} {found}")
    number = np.searchsorted(sorted(classes), said)
    order = np.argsort(classes)
    ordered = np.asarray(probabilities, float)[:, order]
    ordered = ordered / ordered.sum(1, keepdims=True)
    rows = find_label_issues(number, ordered, return_indices_ranked_by="self_confidence", n_jobs=1)
    quality = get_label_quality_scores(number, ordered)
    others = ordered.copy()
    others[np.arange(len(said)), number] = -1
    likelier = others.argmax(1)
    names = np.sort(np.asarray(classes, str))
    return pd.DataFrame(
        {
            "row": rows,
            "said": said[rows],
            "likelier": names[likelier[rows]],
            "p_said": ordered[rows, number[rows]],
            "p_likelier": ordered[rows, likelier[rows]],
            "quality": quality[rows],
        }
    )
