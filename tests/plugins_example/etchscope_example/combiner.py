"""A combiner that averages the votes of all experts."""

import numpy as np

from etchscope.ensemble import log_votes


class Average:
    """One weight, the inverse of the number of experts."""

    def fit(self, logits, number, weight, kinds, classes):
        """Return the weights."""
        return np.full((1, 1), 1 / len(kinds))

    def combine(self, weights, logits, kinds, classes):
        """Return (n, classes) logarithms of probabilities; a constant per row does not matter."""
        return weights[0, 0] * log_votes(logits, kinds, classes)

    def shape(self, kinds, classes):
        """Return the shape of the weights."""
        return 1, 1


AVERAGE = Average()
