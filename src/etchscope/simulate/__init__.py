"""Pictures of foils that never existed, with their truth."""
