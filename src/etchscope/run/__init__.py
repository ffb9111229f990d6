"""The pipeline over a store: plan, execute, resume."""
