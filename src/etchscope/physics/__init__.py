"""The etched cone, plastics and their response: formulas only."""
