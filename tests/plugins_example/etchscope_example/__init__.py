"""A layout, a network, a combiner and an executor for Etchscope."""
