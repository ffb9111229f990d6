"""Etchscope: from pictures of etched plastic track detectors to pits and candidates."""
