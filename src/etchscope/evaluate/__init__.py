"""How good is a list of pits: matching, efficiency, purity, intervals and chance."""
