"""The stages of the pipeline: each fetches, calls pure functions, and stores."""
