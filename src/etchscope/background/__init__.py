"""What a foil can tell everywhere on it: density, efficiency by injection, limits, and stars."""
