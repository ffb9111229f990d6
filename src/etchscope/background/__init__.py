"""What a foil can tell everywhere on it: limits on number and flux of particles, and stars."""
