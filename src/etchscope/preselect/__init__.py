"""Where the pits are: responses, peaks, shapes, pairs and density."""
